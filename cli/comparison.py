"""Compares columns before and after their treatment, batch by batch: counts, never values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.cli.distinct import Distinct
from airflow_veil.privacy.engine.beside import BATCH_ROWS, beside
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.transforms.base import Keys


@dataclass(slots=True)
class ColumnDifference:
    """What became of one column's values.

    Attributes:
        planned: The column.
        changed: Rows whose value reads otherwise than before, or became null, or was null and is not.
        nulls_before: Null rows as read.
        nulls_after: Null rows as released; None for a dropped column.
        before: Distinct values as read.
        after: Distinct values as released.
    """

    planned: PlannedColumn
    changed: int = 0
    nulls_before: int = 0
    nulls_after: int | None = None
    before: Distinct = field(default_factory=Distinct)
    after: Distinct = field(default_factory=Distinct)

    def add(self, raw: pa.Array, treated: pa.Array | None) -> None:
        """Count one batch in."""
        raw_text = spelled(raw)
        self.nulls_before += raw.null_count
        self.before.add(raw_text)
        if treated is None:
            self.changed += len(raw)
            return
        treated_text = spelled(treated)
        self.nulls_after = (self.nulls_after or 0) + treated.null_count
        self.after.add(treated_text)
        self.changed += _changed(raw_text, treated_text)

    def as_dict(self) -> dict[str, Any]:
        """The counts for a machine to read."""
        dropped = self.planned.output_type is None
        return {
            "name": self.planned.name,
            "treat": self.planned.treatment,
            "changed": self.changed,
            "nulls": {"before": self.nulls_before, "after": None if dropped else self.nulls_after or 0},
            "distinct": {"before": _count(self.before), "after": None if dropped else _count(self.after)},
        }


@dataclass(slots=True)
class Difference:
    """What became of a table.

    Attributes:
        columns: The columns that the policy names, dropped ones too.
        rows_in: Rows read.
        rows_out: Rows that left the row filters; the columns' figures are over these.
    """

    columns: tuple[ColumnDifference, ...]
    rows_in: int = 0
    rows_out: int = 0

    def add(self, rows_in: int, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        """Count one batch in."""
        self.rows_in += rows_in
        self.rows_out += before.num_rows
        for column in self.columns:
            name = column.planned.name
            column.add(before.column(name), after.column(name) if name in after.schema.names else None)

    def as_dict(self) -> dict[str, Any]:
        """The counts for a machine to read."""
        columns = [column.as_dict() for column in self.columns]
        return {"rows_in": self.rows_in, "rows_out": self.rows_out, "columns": columns}


def compare(
    plan: Plan,
    source: Source,
    keys: Keys | None,
    *,
    rows: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Difference:
    """Treat a table without writing it, and count what changed.

    Memory is bounded by a batch and 1 MiB a column, whatever the table's size.

    Args:
        plan: The plan.
        source: Where the rows come from.
        keys: The key ring; None where no treatment needs one.
        rows: Stop after so many rows; None for all.
        progress: Called after each batch with the rows read and the rows that leave so far.

    Raises:
        KeyRingError: A key is needed and cannot be had.
        TransformError: A column cannot be treated.
    """
    difference = Difference(tuple(ColumnDifference(column) for column in plan.columns))
    for rows_in, before, after in beside(plan, source, keys, rows=rows, batch_rows=BATCH_ROWS):
        difference.add(rows_in, before, after)
        if progress is not None:
            progress(difference.rows_in, difference.rows_out)
    return difference


def spelled(column: pa.Array) -> pa.BinaryArray:
    """Each value as the bytes of its text, so that columns of different types can be compared."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = pc.cast(column, pa.string())
    return pc.cast(column, pa.binary())


def _changed(before: pa.Array, after: pa.Array) -> int:
    """Rows that read otherwise; two nulls read the same."""
    same = pc.fill_null(pc.equal(before, after), pa.scalar(False))  # noqa: FBT003 - pa.scalar takes the value
    both_null = pc.and_(before.is_null(), after.is_null())
    return len(before) - int(pc.sum(pc.or_(same, both_null)).as_py() or 0)


def _count(distinct: Distinct) -> dict[str, Any]:
    return {"count": distinct.count, "exact": not distinct.is_full}
