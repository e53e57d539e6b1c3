"""One Parquet file: what its footer says of times, and writing it anew without some of its rows.

The new file has the same schema, metadata, compression, encodings and row groups. Nothing of the rows that went is in
it: dictionaries are taken apart before rows are chosen and made anew by the writer, and so are statistics; bloom
filters and indexes of the old file are not carried over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_veil.privacy.retention.counts import Counts
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.retention.sorting import Mask, check_type, settled
from airflow_veil.privacy.storage.batches import plain, plain_array
from airflow_veil.privacy.storage.failure import unfit

BATCH_ROWS = 1 << 16
_ARROW_SCHEMA = b"ARROW:schema"
_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
_VERSIONS = ("1.0", "2.4", "2.6")


def from_footer(path: Path, column: str, cut: CutOff, *, where: str) -> Counts | None:
    """What becomes of a file's rows, by its footer alone.

    Args:
        path: The file.
        column: The column of times.
        cut: The cut-off.
        where: How to name the file in an error.

    Returns:
        The counts; None where the footer does not tell, and the rows have to be read.
    """
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows == 0:
            return Counts()
        check_type(file.schema_arrow.field(column).type, column=column, where=where)
        return _from_groups(file, column, cut)


def _from_groups(file: pq.ParquetFile, column: str, cut: CutOff) -> Counts | None:
    index = next(i for i in range(len(file.schema)) if file.schema.column(i).path == column)
    kind = _stored_type(file, index, column)
    groups = [
        group
        for group in (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        if group.num_rows
    ]
    told = [group.column(index).statistics for group in groups]
    if kind is None or any(s is None or not (s.has_min_max and s.has_null_count) for s in told):
        return None
    return settled(
        kind,
        least=min(s.min_raw for s in told),
        greatest=max(s.max_raw for s in told),
        nulls=sum(s.null_count for s in told),
        rows=file.metadata.num_rows,
        cut=cut,
    )


def _stored_type(file: pq.ParquetFile, index: int, column: str) -> pa.DataType | None:
    """The type that statistics count in, which may have another unit than the column; None where it is not told."""
    told = json.loads(file.schema.column(index).logical_type.to_json())
    arrow = plain(file.schema_arrow.field(column).type)
    if told.get("Type") == "Date" and pa.types.is_date(arrow):
        return pa.date32()
    if told.get("Type") == "Timestamp" and pa.types.is_timestamp(arrow):
        return pa.timestamp(_UNITS[told["timeUnit"]], arrow.tz)
    return None


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


def rewrite(path: Path, draft: BinaryIO, gone: Mask, *, where: str) -> None:
    """Write a file anew.

    Args:
        path: The file.
        draft: Where to.
        gone: Whether each row goes.
        where: How to name the file in an error.

    Raises:
        StorageError: It cannot be written anew so that nothing of its rows is left behind.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        kept = _kept_schema(file, where)
        with pq.ParquetWriter(draft, kept, store_schema=False, **_options(file)) as writer:
            start = 0
            for index in range(file.metadata.num_row_groups):
                group = file.read_row_group(index)
                stays = ~gone[start : start + group.num_rows]
                start += group.num_rows
                if stays.any():
                    decoded = pa.table([_decoded(column) for column in group.columns], schema=kept)
                    chosen = decoded.filter(pa.array(stays))
                    writer.write_table(chosen, row_group_size=chosen.num_rows)
            # It says what Arrow and pandas made of the columns: types and names, by which dictionaries come back.
            writer.add_key_value_metadata(dict(file.metadata.metadata or {}))


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    target = _decoded_type(column.type)
    return column if column.type == target else column.cast(target)


def _decoded_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _kept_schema(file: pq.ParquetFile, where: str) -> pa.Schema:
    """The schema to write by: without dictionaries, for they hold values of rows that went."""
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type) and "dictionary<" in str(field.type):
            raise unfit(
                f"column {field.name} holds dictionaries inside lists or structs",
                where=where,
                fix="write the file anew without them, or delete its rows yourself",
            )
    return pa.schema([field.with_type(_decoded_type(field.type)) for field in file.schema_arrow])


def _options(file: pq.ParquetFile) -> dict[str, object]:
    """How the file was written: codecs, encodings, version."""
    groups = file.metadata.num_row_groups
    chunks = (
        [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)] if groups else []
    )
    version = file.metadata.format_version
    return {
        "version": version if version in _VERSIONS else "2.6",
        "compression": {chunk.path_in_schema: _codec(chunk.compression) for chunk in chunks} or "snappy",
        "use_dictionary": [
            c.path_in_schema for c in chunks if "RLE_DICTIONARY" in c.encodings or c.has_dictionary_page
        ],
        "write_statistics": [c.path_in_schema for c in chunks if c.is_stats_set],
        "use_deprecated_int96_timestamps": any(chunk.physical_type == "INT96" for chunk in chunks),
    }


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()
