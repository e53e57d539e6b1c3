"""Rows of a Parquet file in which people may be: by statistics first, then by the columns that name them.

Arrow (26) tells where a bloom filter lies and does not read it, so only the least and the greatest value of a row group
say that it holds nobody who is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_veil.privacy.erasure.columns import Columns
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.storage.batches import plain, plain_array

SEGMENT_ROWS = 1 << 20
"""Row groups that are looked at together: each look costs time by how many values are looked for."""
SEGMENT_BYTES = 256 << 20


@dataclass(frozen=True)
class Segment:
    """Neighbouring rows of a file.

    Attributes:
        start: The number of the first row.
        columns: Their columns, read when they are asked for.
    """

    start: int
    columns: Columns


def segments(
    path: Path, matcher: Matcher, partition: Mapping[str, pa.Scalar], *, by_footer: bool
) -> Iterator[Segment]:
    """The rows in which anybody may be who is looked for.

    Args:
        path: The file.
        matcher: Tells who.
        partition: The columns that are the same in all rows of the file.
        by_footer: Whether statistics may say that nobody is; else all rows are given.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        start, pending = 0, list[int]()
        for group, rows in enumerate(_rows(file)):
            if by_footer and not _may_hold(file, group, matcher, partition):
                yield from _segment(file, pending, start, partition)
                start, pending = start + sum(_rows(file, pending)) + rows, []
                continue
            if pending and _too_large(file, [*pending, group]):
                yield from _segment(file, pending, start, partition)
                start, pending = start + sum(_rows(file, pending)), []
            pending.append(group)
        yield from _segment(file, pending, start, partition)


def _rows(file: pq.ParquetFile, groups: list[int] | None = None) -> list[int]:
    return [
        file.metadata.row_group(group).num_rows
        for group in (range(file.metadata.num_row_groups) if groups is None else groups)
    ]


def _too_large(file: pq.ParquetFile, groups: list[int]) -> bool:
    size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
    return sum(_rows(file, groups)) > SEGMENT_ROWS or size > SEGMENT_BYTES


def _segment(
    file: pq.ParquetFile, groups: list[int], start: int, partition: Mapping[str, pa.Scalar]
) -> Iterator[Segment]:
    def read(name: str) -> pa.Array:
        column = file.read_row_groups(groups, columns=[name]).column(name)
        return _one(column)

    rows = sum(_rows(file, groups))
    if rows:
        yield Segment(start, Columns(rows, read, partition))


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece; dictionaries stay, for they are looked through faster."""
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.concat_arrays([_stored(chunk) for chunk in column.chunks])


def _stored(chunk: pa.Array) -> pa.Array:
    return chunk if pa.types.is_dictionary(chunk.type) else plain_array(chunk)


def _may_hold(file: pq.ParquetFile, group: int, matcher: Matcher, partition: Mapping[str, pa.Scalar]) -> bool:
    """Whether anybody who is looked for may be in a row group."""
    for index, (edge, known) in enumerate(matcher.edges):
        if not len(known):
            continue
        if edge.column in partition:
            value = partition[edge.column]
            if (matcher.owners_of(index, pa.array([value], value.type)) >= 0).any():
                return True
        elif _column_may_hold(file, group, index, matcher):
            return True
    return False


def _column_may_hold(file: pq.ParquetFile, group: int, index: int, matcher: Matcher) -> bool:
    column = matcher.edges[index][0].column
    kind = plain(file.schema_arrow.field(column).type)
    signed = pa.types.is_signed_integer(kind) or pa.types.is_date32(kind) or pa.types.is_string(kind)
    place = next((i for i in range(len(file.schema)) if file.schema.column(i).path == column), None)
    if not signed or place is None:
        return True
    told: Any = file.metadata.row_group(group).column(place).statistics
    if told is None:
        return True
    if told.has_null_count and told.null_count == file.metadata.row_group(group).num_rows:
        return False
    return not told.has_min_max or matcher.may_hold(index, kind, told.min_raw, told.max_raw)
