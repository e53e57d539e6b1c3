"""Rows drawn from a source of any length, each as likely as any other, in one pass and constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.codes import BATCH_ROWS
from airflow_veil.privacy.storage.base import Source


def sample(source: Source, columns: Sequence[str], rows: int, *, seed: int) -> tuple[pa.Table, int]:
    """Draw rows without replacement: each gets a random number, and those with the smallest are kept.

    The same seed draws rows at the same places of two sources that are as long as each other. Memory is at most
    twice `rows` and a batch; all rows are kept where there are no more.

    Args:
        source: Where they come from.
        columns: The columns to read.
        rows: How many at most.
        seed: Of the draw.

    Returns:
        The rows that were drawn, in the source's order, and how many the source has.

    Raises:
        StorageError: The source cannot be read.
        SchemaError: A column is not there.
    """
    random = np.random.default_rng(seed)
    schema = pa.schema([source.schema().field(name) for name in columns])
    kept, keys, seen, bound = schema.empty_table(), np.empty(0), 0, 1.0
    for batch in source.batches(list(columns), batch_rows=BATCH_ROWS):
        drawn = random.random(batch.num_rows)
        seen += batch.num_rows
        good = np.flatnonzero(drawn < bound)
        if not len(good):
            continue
        kept = pa.concat_tables([kept, pa.Table.from_batches([batch.take(pa.array(good))], schema=schema)])
        keys = np.concatenate([keys, drawn[good]])
        if len(keys) > 2 * rows:
            kept, keys = _smallest(kept, keys, rows)
            bound = float(keys.max())
    return _smallest(kept, keys, rows)[0], seen


def _smallest(
    table: pa.Table, keys: np.ndarray[Any, Any], rows: int
) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """The rows with the smallest numbers, in their order."""
    if len(keys) <= rows:
        return table, keys
    places = np.sort(np.argpartition(keys, rows - 1)[:rows])
    return table.take(pa.array(places)), keys[places]
