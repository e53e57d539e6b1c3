"""What the footer of a Parquet file says of times, so that rows need not be read."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_veil.privacy.retention.counts import Counts
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.retention.sorting import check_type, settled
from airflow_veil.privacy.storage.batches import plain

_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


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
