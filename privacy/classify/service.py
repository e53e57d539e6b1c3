"""Classifies the columns of a source: reads batches, counts, weighs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from airflow_veil.privacy.classify.column_name import words_of
from airflow_veil.privacy.classify.suggestion import Suggestion, suggest
from airflow_veil.privacy.classify.tally import Tally
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.batches import rebatch
from airflow_veil.privacy.storage.spread import spread

SAMPLE_ROWS = 100_000
"""Rows that are looked at unless more are asked for."""
_BATCH_ROWS = 1 << 17


def classify(
    source: Source, *, sample_rows: int | None = SAMPLE_ROWS, columns: Sequence[str] | None = None
) -> tuple[Suggestion, ...]:
    """Tell which columns of a source hold what kind of personal data.

    Args:
        source: The rows. Nothing of them is kept, logged or handed on but counts.
        sample_rows: How many rows are looked at, spread over the source as far as it can (`storage/spread.py`); None
            for all of them, in constant memory.
        columns: The columns; all of them if None.

    Returns:
        One suggestion a column, in the order of the columns.

    Raises:
        StorageError: The source cannot be read.
        SchemaError: A column is not there, or the header of the source looks like a row of data.
    """
    schema = source.schema()
    _is_header(schema.names, source)
    names = list(schema.names if columns is None else columns)
    tallies = {name: Tally(schema.field(name).type) for name in names if name in schema.names}
    if len(tallies) < len(names):
        missing = [name for name in names if name not in tallies]
        raise SchemaError(f"there is no column {', '.join(missing)}", where=source.identity.name)
    if sample_rows is None:
        return _of_batches(source.batches(names, batch_rows=_BATCH_ROWS), tallies)
    # Counting costs by the batch as well as by the cell: pieces from many places are put together.
    return _of_batches(rebatch(spread(source, names, rows=sample_rows), _BATCH_ROWS), tallies)


def classify_columns(columns: Mapping[str, pa.Array]) -> tuple[Suggestion, ...]:
    """Tell which columns hold what kind of personal data; all rows are looked at, and lengths may differ."""
    tallies = {name: Tally(column.type) for name, column in columns.items()}
    for name, column in columns.items():
        for start in range(0, len(column), _BATCH_ROWS):
            tallies[name].add(column.slice(start, _BATCH_ROWS))
    return suggest(tallies)


def _of_batches(batches: Iterable[pa.RecordBatch], tallies: dict[str, Tally]) -> tuple[Suggestion, ...]:
    for batch in batches:
        for name, tally in tallies.items():
            tally.add(batch.column(name))
    return suggest(tallies)


def _is_header(names: Sequence[str], source: Source) -> None:
    """Column names are shown, logged and kept: a file without a header must not have its first row taken for one."""
    odd = [name for name in names if not words_of(name) or "@" in name]
    if len(odd) > max(1, len(names) // 4):
        raise SchemaError(
            f"the header looks like a row of data: {len(odd)} of {len(names)} names hold no letter",
            where=source.identity.name,
            expected="column names, which are shown and kept",
            fix="name the columns in `csv: {header: […]}` of a policy, and classify by that",
        )
