"""Parquet, read and written in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.base import DatasetIdentity, Types, Writer, Written, WrittenFile
from airflow_veil.privacy.storage.batches import plain_array, plain_schema, rebatch
from airflow_veil.privacy.storage.durable import HashingFile, sync_folder
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.files import DataFile, FileSet
from airflow_veil.privacy.storage.spread import cut, stretches, within
from airflow_veil.privacy.storage.there import check_there

SUFFIXES = (".parquet", ".parq", ".pq")
READ_BUFFER = 1 << 20
"""Bytes that are read at a time from a column chunk. Without it a whole chunk is read, however large it is."""
WRITE_BUFFER = 4 << 20
"""Bytes that are handed to the file at a time."""
ROW_GROUP_ROWS = 1 << 18
ROW_GROUP_BYTES = 64 << 20
"""A row group ends at either, so that wide rows do not take more memory than narrow ones."""
SAMPLE_ROWS = 1 << 14
MOST_DISTINCT = 0.25
"""A dictionary pays only where values repeat: a quarter of distinct values in the sample at most."""


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file, a folder of them, or a hive-partitioned folder, whose partitions are columns.

    Guarantee: memory does not grow with the rows, however slow the consumer is: nothing is read ahead. All
    files must have the same columns with the same types, in any order.

    Attributes:
        path: The file or folder.
        types: Declared types of hive partition columns; see `FileSet`.
    """

    path: Path
    types: Types = field(default_factory=dict)

    @property
    def identity(self) -> DatasetIdentity:
        """`file` and the absolute path."""
        return DatasetIdentity("file", str(self.path.absolute()))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in order, for readers of their own; see `schema` for what must hold of them."""
        return tuple(file.path for file in self._files.files)

    @property
    def partitioned(self) -> bool:
        """Whether some columns are not in the files, but in the names of their folders."""
        return len(self._files.partitions) > 0

    def schema(self) -> pa.Schema:
        """The columns of the files, then those of the partitions; footers are read, no rows.

        Raises:
            StorageError: A file cannot be read.
            SchemaError: A file's columns differ from the first one's.
        """
        return self._schema

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`."""
        check_there(columns, self._schema.names, str(self.path))
        return rebatch(self._read(list(columns), batch_rows), batch_rows)

    def spread(self, columns: Sequence[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        """See `Spreading.spread`: stretches over all files and row groups.

        Of a row group no more is read than as far as its last stretch goes, and nothing of those without one.
        """
        check_there(columns, self._schema.names, str(self.path))
        groups = [(file, group, count) for file in self._files.files for group, count in self._groups(file)]
        wanted, start = stretches(sum(count for *_, count in groups), rows), 0
        chosen: dict[DataFile, dict[int, tuple[range, ...]]] = {}
        for file, group, count in groups:
            if parts := within(wanted, start, count):
                chosen.setdefault(file, {})[group] = parts
            start += count
        return self._read_groups(list(columns), chosen)

    def fingerprint(self) -> dict[str, Any]:
        """Name, size, time and the digest of the footer, for each file."""
        return self._files.fingerprint("parquet", _footer_digest)

    @cached_property
    def _files(self) -> FileSet:
        return FileSet(self.path, SUFFIXES, self.types)

    @cached_property
    def _schema(self) -> pa.Schema:
        first, *others = self._files.files
        schema = self._file_schema(first)
        for file in others:
            _check_same(schema, self._file_schema(file), self._files.where(file))
        return self._files.with_partitions(schema)

    def _groups(self, file: DataFile) -> list[tuple[int, int]]:
        """The row groups of a file, and how many rows each has."""
        with storing("reading the footer", self._files.where(file)):
            footer = pq.read_metadata(file.path)
        return [(group, footer.row_group(group).num_rows) for group in range(footer.num_row_groups)]

    def _read_groups(
        self, columns: list[str], chosen: Mapping[DataFile, Mapping[int, Sequence[range]]]
    ) -> Iterator[pa.RecordBatch]:
        for file, groups in chosen.items():
            with storing("reading", self._files.where(file)):
                for group, wanted in groups.items():
                    yield from cut(self._read_file(file, columns, SAMPLE_ROWS, group=group), wanted)

    def _file_schema(self, file: DataFile) -> pa.Schema:
        with storing("reading the footer", self._files.where(file)):
            return plain_schema(pq.read_schema(file.path))

    def _read(self, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        for file in self._files.files:
            with storing("reading", self._files.where(file)):
                yield from self._read_file(file, columns, batch_rows)

    def _read_file(
        self, file: DataFile, columns: list[str], batch_rows: int, *, group: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a file, or of one of its row groups."""
        partition = self._files.partition_values(file)
        schema = self._schema
        stored = [name for name in columns if name not in partition]
        # Reading ahead (`pre_buffer`) would hold the whole file in the end.
        with pq.ParquetFile(file.path, buffer_size=READ_BUFFER, pre_buffer=False) as reader:
            _check_same(
                pa.schema([f for f in schema if f.name not in partition]),
                plain_schema(reader.schema_arrow),
                self._files.where(file),
            )
            groups = None if group is None else [group]
            for batch in reader.iter_batches(batch_rows, row_groups=groups, columns=stored):
                yield _projected(batch, columns, partition)


def _projected(
    batch: pa.RecordBatch, columns: list[str], partition: Mapping[str, pa.Scalar]
) -> pa.RecordBatch:
    """The columns in order, those of partitions as one value repeated."""
    rows = batch.num_rows
    if not columns:
        return batch.select([])
    arrays = [
        pa.repeat(partition[name], rows) if name in partition else plain_array(batch.column(name))
        for name in columns
    ]
    return pa.record_batch(arrays, names=columns)


def _check_same(expected: pa.Schema, found: pa.Schema, where: str) -> None:
    """Columns by name: their order may differ, nothing else."""
    problems = [f"column {name} is missing" for name in expected.names if name not in found.names]
    problems += [
        f"column {name} is not in the first file" for name in found.names if name not in expected.names
    ]
    problems += [
        f"column {f.name} is {found.field(f.name).type}, in the first file {f.type}"
        for f in expected
        if f.name in found.names and found.field(f.name).type != f.type
    ]
    if problems:
        raise SchemaError(
            "; ".join(problems), where=where, expected="files with one schema", fix="rewrite the file"
        )


def _footer_digest(path: Path) -> str:
    """SHA-256 of the footer: it lists every column chunk with its size and position."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return hashlib.sha256(file.read(length)).hexdigest()


class ParquetWriter(Writer):
    """Writes `data-00000.parquet` and so on into a folder; see `Writer`.

    Every file is hashed while it is written and synced to disk when it ends. Memory: one row group.

    Args:
        folder: A folder, made if it is not there; files of the same name in it are an error.
        schema: The schema of the batches; its metadata is not written.
        compression: Snappy is the fastest to write of those that every reader knows; zstd is a third smaller.
        no_dictionary: Columns that are known not to repeat. Others are decided by the first rows.
        rows_per_file: A new file is begun after so many rows.
        bytes_per_file: A new file is begun after so many bytes.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        compression: Literal["snappy", "zstd", "lz4", "none"] = "snappy",
        no_dictionary: Collection[str] = (),
        rows_per_file: int = 1 << 24,
        bytes_per_file: int = 1 << 30,
    ) -> None:
        self._folder = folder
        self._schema = schema.remove_metadata()
        self._compression = compression
        self._no_dictionary = frozenset(no_dictionary)
        self._dictionary: list[str] | None = None
        self._limits = (rows_per_file, bytes_per_file)
        self._pending: list[pa.RecordBatch] = []
        self._part: _Part | None = None
        self._rows = 0
        self._files: list[WrittenFile] = []
        self._written: Written | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`."""
        if not batch.schema.equals(self._schema):
            raise unfit(
                "a batch has another schema than the file",
                where=str(self._folder),
                expected=_names(self._schema),
            )
        self._pending.append(batch)
        rows = sum(held.num_rows for held in self._pending)
        if rows >= ROW_GROUP_ROWS or sum(held.nbytes for held in self._pending) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> Written:
        """See `Writer.close`; without rows there is one file that holds the schema."""
        if self._written is None:
            self._flush()
            if not self._files and self._part is None:
                self._open()
            self._end_part()
            with storing("writing", str(self._folder)):
                sync_folder(self._folder)
            total = sum(file.bytes for file in self._files)
            self._written = Written(rows=self._rows, bytes=total, files=tuple(self._files))
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._pending.clear()
        if self._part is not None:
            self._part.drop()
            self._part = None
        for file in self._files:
            (self._folder / file.name).unlink(missing_ok=True)
        self._files.clear()

    def _flush(self) -> None:
        """Write what is pending as one row group."""
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending, self._schema)
        self._pending.clear()
        part = self._part or self._open(table)
        with storing("writing", str(self._folder)):
            part.write(table)
        self._rows += table.num_rows
        rows, size = self._limits
        if part.rows >= rows or part.sink.bytes >= size:
            self._end_part()

    def _open(self, sample: pa.Table | None = None) -> _Part:
        if self._dictionary is None:
            self._dictionary = [] if sample is None else self._repeating(sample.slice(0, SAMPLE_ROWS))
        with storing("writing", str(self._folder)):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"data-{len(self._files):05d}.parquet"
            self._part = _Part(path, self._schema, self._compression, self._dictionary)
        return self._part

    def _repeating(self, sample: pa.Table) -> list[str]:
        """The columns whose values repeat enough for a dictionary to pay."""
        return [
            name
            for name in self._schema.names
            if name not in self._no_dictionary and _repeats(sample.column(name))
        ]

    def _end_part(self) -> None:
        if self._part is not None:
            with storing("writing", str(self._folder)):
                self._files.append(self._part.finish())
            self._part = None


class _Part:
    """One file that is being written."""

    def __init__(self, path: Path, schema: pa.Schema, compression: str, dictionary: list[str]) -> None:
        self.rows = 0
        self.sink = HashingFile(path)
        # Arrow writes page by page and each call into Python waits for its lock: few large ones are cheaper.
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self.sink, "w"), WRITE_BUFFER)
        try:
            self._writer = pq.ParquetWriter(
                self._buffer, schema, compression=compression, use_dictionary=dictionary
            )
        except BaseException:
            self.sink.drop()
            self._buffer.close()
            raise

    def write(self, table: pa.Table) -> None:
        # An empty table still gives the file its schema; a row group of no rows is refused.
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows

    def finish(self) -> WrittenFile:
        self._writer.close()
        self._buffer.close()
        return self.sink.finish()

    def drop(self) -> None:
        self.sink.drop()
        # Arrow's writer ends its own state now, into nowhere; left to the garbage collector it would complain.
        self._writer.close()
        self._buffer.close()


def _repeats(column: pa.ChunkedArray) -> bool:
    if pa.types.is_nested(column.type) or not len(column):
        return False
    distinct: int = pc.count_distinct(column, mode="all").as_py()
    return distinct <= MOST_DISTINCT * len(column)


def _names(schema: pa.Schema) -> str:
    return ", ".join(f"{f.name} {f.type}" for f in schema)
