"""One Parquet file: its columns, and writing it anew without some of its rows and cells.

The new file has the same schema, compression, encodings and row groups. Nothing that was lost is in it: dictionaries
are cut down to what is in use, and statistics, page indexes and bloom filters are made anew by the writer. Arrow cannot
copy a row group as it lies, so all of them are decoded and encoded again: the next one is read while one is written.
Memory: two row groups.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_veil.privacy.rewriting.dictionaries import cut_down, is_kept, repeating
from airflow_veil.privacy.rewriting.loss import Loss, Mask, Treat
from airflow_veil.privacy.storage.batches import plain, plain_array
from airflow_veil.privacy.storage.failure import unfit

BATCH_ROWS = 1 << 16
WRITE_BUFFER = 4 << 20
"""Bytes that are handed to the file at a time."""
_VERSIONS = ("1.0", "2.4", "2.6")

Metadata: TypeAlias = Mapping[bytes, bytes]
"""What a footer says besides the schema: by whom, what Arrow and pandas made of the columns, what anybody noted."""

T = TypeVar("T")


def as_it_is(entries: Metadata) -> Metadata:
    """All of the metadata stays."""
    return entries


def read(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a file, with plain types, a row group at a time at most."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            # Without a column the number of rows would be lost.
            yield pa.record_batch([plain_array(batch.column(name)) for name in columns], names=list(columns))


def rows_of(path: Path) -> int:
    """How many rows a file has, by its footer."""
    rows: int = pq.read_metadata(path).num_rows
    return rows


def is_nullable(path: Path, column: str) -> bool:
    """Whether a column of a file takes nulls."""
    nullable: bool = pq.read_schema(path).field(column).nullable
    return nullable


def check(path: Path, *, where: str) -> None:
    """Check that a file can be written anew so that nothing is left behind.

    Raises:
        StorageError: It cannot.
    """
    _kept_schema(pq.read_schema(path), where)


def _opened(path: Path) -> pq.ParquetFile:
    """The file, with texts that repeat as dictionaries."""
    metadata = pq.read_metadata(path)
    coded = repeating(metadata, metadata.schema.to_arrow_schema())
    return pq.ParquetFile(path, metadata=metadata, read_dictionary=coded, pre_buffer=False)


def rewrite(
    path: Path,
    draft: BinaryIO,
    loss: Loss,
    *,
    where: str,
    metadata: Callable[[Metadata], Metadata] = as_it_is,
) -> None:
    """Write a file anew.

    Args:
        path: The file.
        draft: Where to.
        loss: What its rows lose.
        where: How to name the file in an error.
        metadata: What stays of its metadata.

    Raises:
        StorageError: It cannot be written anew so that nothing of its rows is left behind.
    """
    with _opened(path) as file:
        kept = _kept_schema(file.schema_arrow, where)
        # Arrow hands on page by page, and each call into Python costs: few large ones are cheaper.
        sink = pa.BufferedOutputStream(pa.PythonFile(draft, "w"), WRITE_BUFFER)
        with closing(ahead(_left(file, loss, kept))) as tables:
            first = next(tables, None)
            with pq.ParquetWriter(sink, kept, store_schema=False, **_options(file, first)) as writer:
                for table in () if first is None else chain([first], tables):
                    writer.write_table(table, row_group_size=table.num_rows)
                # What Arrow and pandas made of the columns: types and names, by which dictionaries come back.
                writer.add_key_value_metadata(dict(metadata(file.metadata.metadata or {})))
        # The file below stays open, for it has to be synced.
        sink.detach()


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The same items, each made in a thread while the one before it is in use."""
    source = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, source, end)
            yield item  # type: ignore[misc]


def _left(file: pq.ParquetFile, loss: Loss, kept: pa.Schema) -> Iterator[pa.Table]:
    """What is left of each row group; one of which nothing is left is not read."""
    start = 0
    for index in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(index).num_rows
        lost = loss.between(start, start + rows)
        start += rows
        if lost.whole or not rows:
            continue
        table = file.read_row_group(index)
        arrays = zip(table.columns, kept, strict=True)
        chosen = _without(
            pa.table([_stored(column, field) for column, field in arrays], table.schema.names), lost
        )
        yield pa.table([_clean(column) for column in chosen.columns], schema=kept)


def _without(table: pa.Table, loss: Loss) -> pa.Table:
    for name, mask in loss.cells.items():
        if mask.any():
            index = table.schema.get_field_index(name)
            lost, treat = table.column(index), loss.becomes.get(name)
            left = emptied(lost, mask) if treat is None else treated(lost, mask, treat)
            table = table.set_column(index, name, left)
    return table.filter(pa.array(~loss.gone)) if loss.gone.any() else table


def emptied(column: pa.ChunkedArray, cells: Mask) -> pa.ChunkedArray:
    """A column with some of its cells null, of any type."""
    return column.take(pa.array(np.arange(len(column)), mask=cells))


def treated(column: pa.ChunkedArray, cells: Mask, treat: Treat) -> pa.ChunkedArray:
    """A column with some of its cells treated, in the type that it had."""
    start, chunks = 0, []
    for chunk in column.chunks:
        mask = cells[start : start + len(chunk)]
        start += len(chunk)
        whole = plain_array(chunk)
        left = pc.replace_with_mask(whole, pa.array(mask), treat(whole.filter(pa.array(mask))))
        kind = column.type
        if pa.types.is_dictionary(kind):
            left = left.cast(kind.value_type).dictionary_encode()
        chunks.append(left.cast(kind))
    return pa.chunked_array(chunks, column.type)


def _stored(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column in the type that it is chosen from and written in; dictionaries of texts stay for now."""
    if pa.types.is_dictionary(field.type) or column.type == field.type:
        return column
    return column.cast(field.type)


def _clean(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return cut_down(column) if pa.types.is_dictionary(column.type) else column


def _kept_type(kind: pa.DataType) -> pa.DataType:
    """The type to choose rows in and to write by: no views, of which Arrow cannot choose; no dictionaries but of texts.

    These are cut down before they are written.
    """
    if pa.types.is_dictionary(kind):
        value = _kept_type(kind.value_type)
        coded = pa.types.is_string(value) or pa.types.is_binary(value)
        return pa.dictionary(pa.int32(), value) if coded else value
    return plain(kind) if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind) else kind


def _kept_schema(schema: pa.Schema, where: str) -> pa.Schema:
    """The schema to write by."""
    for field in schema:
        if pa.types.is_nested(field.type) and "dictionary<" in str(field.type):
            raise unfit(
                f"column {field.name} holds dictionaries inside lists or structs",
                where=where,
                fix="write the file anew without them, or delete its rows yourself",
            )
    return pa.schema([field.with_type(_kept_type(field.type)) for field in schema])


def _options(file: pq.ParquetFile, sample: pa.Table | None) -> dict[str, Any]:
    """How the file was written: codecs, encodings, version, indexes."""
    groups = file.metadata.num_row_groups
    chunks = (
        [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)] if groups else []
    )
    version = file.metadata.format_version
    return {
        "version": version if version in _VERSIONS else "2.6",
        "compression": {chunk.path_in_schema: _codec(chunk.compression) for chunk in chunks} or "snappy",
        "use_dictionary": [c.path_in_schema for c in chunks if is_kept(c, sample)],
        "write_statistics": [c.path_in_schema for c in chunks if c.is_stats_set],
        "write_page_index": any(c.has_offset_index for c in chunks),
        "bloom_filter_options": {
            c.path_in_schema: {"ndv": max(1, c.num_values)} for c in chunks if c.bloom_filter_offset
        }
        or None,
        "use_deprecated_int96_timestamps": any(chunk.physical_type == "INT96" for chunk in chunks),
    }


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()
