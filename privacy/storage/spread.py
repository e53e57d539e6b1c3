"""Some rows of a source, spread over all of it: the first ones are not like the others where rows are sorted by time.

The rows are told by their places alone, so that the same source gives the same ones; no chance, no look at values.

| source | which rows |
|---|---|
| Parquet | stretches at even distances over all files and row groups, the first and the last rows among them |
| CSV | the same, of what is read: `CSV_BYTES` in all, of `STRETCHES` files at most, each from its beginning |
| a table of a database | the first ones, in the order that the database gives them |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from airflow_veil.privacy.storage.base import DatasetIdentity, Source
from airflow_veil.privacy.storage.batches import rebatch

STRETCHES = 32
"""In how many places rows are taken at most."""
SHORTEST = 100
"""Rows of a stretch at least, where two are not shorter: each one more is another place to read up to."""
CSV_BYTES = 256 << 20
"""How much of CSV is read at most, as Arrow holds it: where a row begins is known only to who has read those before."""
_BATCH_ROWS = 1 << 16


@runtime_checkable
class Spreading(Protocol):
    """A source that can take rows from all over."""

    def spread(self, columns: Sequence[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        """At most so many rows, from all over the source, with these columns in this order.

        Raises:
            StorageError: The source cannot be read, or a value that is read is not of its column's type.
            SchemaError: A column is not there, or a file's schema differs.
        """


def spread(source: Source, columns: Sequence[str], *, rows: int) -> Iterator[pa.RecordBatch]:
    """Rows from all over a source, as far as it can; all of them where it has no more.

    Args:
        source: The source.
        columns: Which columns.
        rows: How many rows at most.
    """
    if isinstance(source, Spreading):
        return source.spread(columns, rows=rows)
    return first(source.batches(columns, batch_rows=max(1, min(rows, _BATCH_ROWS))), rows)


@dataclass(frozen=True)
class SpreadSource:
    """Some rows of a source as a source; see `spread`.

    Attributes:
        source: The source.
        rows: How many rows at most.
    """

    source: Source
    rows: int

    @property
    def identity(self) -> DatasetIdentity:
        """That of the source."""
        return self.source.identity

    def schema(self) -> pa.Schema:
        """That of the source."""
        return self.source.schema()

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`."""
        return rebatch(spread(self.source, columns, rows=self.rows), batch_rows)

    def fingerprint(self) -> dict[str, Any]:
        """That of the source."""
        return self.source.fingerprint()


def first(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The first rows of some batches; no more is read than they need."""
    left = rows
    for batch in batches:
        yield batch.slice(0, left)
        left -= batch.num_rows
        if left <= 0:
            return


def stretches(total: int, rows: int) -> tuple[range, ...]:
    """Places at even distances: the first begins with the first row, the last ends with the last.

    Args:
        total: How many rows there are.
        rows: How many are wanted.

    Returns:
        Ranges of row numbers in order, which do not overlap, of `min(total, rows)` rows together.
    """
    if rows >= total:
        return (range(total),)
    count = max(1, min(STRETCHES, rows, max(2, rows // SHORTEST)))
    lengths = [rows // count + (place < rows % count) for place in range(count)]
    gap, found, start = total - rows, [], 0
    for place, length in enumerate(lengths):
        # What lies between is shared out evenly; rounding never lets one run into the next.
        begin = start + (gap * place // (count - 1) if count > 1 else 0)
        found.append(range(begin, begin + length))
        start += length
    return tuple(found)


def within(wanted: Sequence[range], start: int, length: int) -> tuple[range, ...]:
    """The parts of ranges that lie in `length` rows from `start` on, counted from there."""
    parts = (range(max(each.start, start), min(each.stop, start + length)) for each in wanted)
    return tuple(range(each.start - start, each.stop - start) for each in parts if len(each))


def cut(batches: Iterable[pa.RecordBatch], wanted: Sequence[range]) -> Iterator[pa.RecordBatch]:
    """The rows of some ranges; nothing behind the last one is read."""
    end, start = max((each.stop for each in wanted), default=0), 0
    if not end:
        return
    for batch in batches:
        for part in within(wanted, start, batch.num_rows):
            yield batch.slice(part.start, len(part))
        start += batch.num_rows
        if start >= end:
            return


def thinned(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Rows at even distances of a stream whose length nobody knows, its last ones among them.

    Pieces are kept, and every other one let go whenever they are too many: memory is that of twice the rows.
    """
    piece = max(1, -(-rows // STRETCHES))
    kept: list[pa.RecordBatch] = []
    last: pa.RecordBatch | None = None
    stride = 1
    for number, batch in enumerate(rebatch(batches, piece)):
        last = batch
        if number % stride:
            continue
        kept.append(batch)
        last = None
        if len(kept) > 2 * STRETCHES:
            del kept[1::2]
            stride *= 2
    kept += [] if last is None else [last]
    total = sum(batch.num_rows for batch in kept)
    yield from cut(kept, stretches_of(kept, rows) if total > rows else (range(total),))


def stretches_of(kept: Sequence[pa.RecordBatch], rows: int) -> tuple[range, ...]:
    """As many rows of each piece as it takes to have so many in all; of the last piece the last ones."""
    found, start, left = [], 0, rows
    for place, batch in enumerate(kept):
        share = min(batch.num_rows, left // (len(kept) - place))
        is_last = place == len(kept) - 1
        begin = start + (batch.num_rows - share if is_last else 0)
        found.append(range(begin, begin + share))
        left -= share
        start += batch.num_rows
    return tuple(found)
