"""Rows before and after their treatment, side by side: what is compared, attacked and measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from airflow_veil.privacy.engine.treatment import prepare
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import CARRIED, Stage, StageColumn, fused
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.transforms.base import Keys

BATCH_ROWS = 1 << 16


def beside(
    plan: Plan, source: Source, keys: Keys | None, *, rows: int | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, pa.RecordBatch, pa.RecordBatch]]:
    """Rows read, then the raw and the released columns of the rows of a batch that leave, in one order.

    Args:
        plan: What becomes of them.
        source: Where they come from.
        keys: The key ring; None for a plan that needs none.
        rows: Only the first so many; all if not said.
        batch_rows: How many at a time.

    Raises:
        StorageError: The source cannot be read.
        TransformError: A column cannot be treated.
        KeyRingError: A key is needed and cannot be had.
    """
    stage = _with_raw(fused(plan))
    treat = prepare(stage, keys)
    released = [column.name for column in plan.released]
    raw = [CARRIED + column.name for column in plan.columns]
    for batch in _first(source.batches(stage.reads, batch_rows=batch_rows), rows):
        out, counts = treat(batch)
        before = out.select(raw).rename_columns([name.removeprefix(CARRIED) for name in raw])
        yield counts.rows_in, before, out.select(released)


def _with_raw(stage: Stage) -> Stage:
    """The same stage that also hands on every raw column, so that filtered rows stay aligned."""
    carried = tuple(
        StageColumn(
            name=CARRIED + column.name,
            type=column.source_type,
            planned=None,
            sources={column.name: column.name},
        )
        for column in stage.plan.columns
    )
    return replace(stage, input_schema=stage.plan.source_schema, columns=(*stage.columns, *carried))


def _first(batches: Iterator[pa.RecordBatch], rows: int | None) -> Iterator[pa.RecordBatch]:
    """The first so many rows."""
    left = rows
    for batch in batches:
        if left is None:
            yield batch
            continue
        yield batch.slice(0, left)
        left -= min(left, batch.num_rows)
        if left == 0:
            return
