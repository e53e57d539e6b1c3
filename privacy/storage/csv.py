"""CSV, read strictly and written safely (RFC 4180)."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.policy.models import CsvFormat
from airflow_veil.privacy.storage.base import DatasetIdentity, Types
from airflow_veil.privacy.storage.batches import rebatch
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.files import DataFile, FileSet, digest_of
from airflow_veil.privacy.storage.spread import CSV_BYTES, STRETCHES, thinned
from airflow_veil.privacy.storage.there import check_there

KINDS = (".csv", ".tsv", ".txt", ".data")
SUFFIXES = (*KINDS, *(f"{kind}.gz" for kind in KINDS))
BLOCK = 2 << 20
"""Bytes that are parsed at a time. A row must fit into it."""

_BAD_VALUE = re.compile(r"In CSV column #(?P<column>\d+): (?:Row #(?P<row>\d+): )?CSV conversion error to")
_RAGGED = re.compile(
    r"CSV parse error: (?:Row #(?P<row>\d+): )?Expected (?P<expected>\d+) columns, got (?P<got>\d+)"
)
_LONG = re.compile(r"straddling object")


@dataclass(frozen=True)
class CsvSource:
    """A CSV file, a folder of them with equal headers, or a hive-partitioned folder; `.gz` is unpacked.

    Every column is text unless a type is declared: a postcode stays `01234`. Nothing is guessed and nothing is
    skipped: a value that is not of its declared type, or a row with too few or too many cells, is an error that
    names file, column and row, and never the value. Dates and times are ISO 8601. Memory does not grow with the
    rows.

    Attributes:
        path: The file or folder.
        types: Declared types, by column.
        format: Delimiter, encoding, column names where there is no header, spellings of null.
        quoted_nulls: Whether a spelling of null counts in quotes, too. RFC 4180 gives quotes no meaning, so it
            does; in files that this package wrote, `""` is the empty text and a null is nothing at all.
    """

    path: Path
    types: Types = field(default_factory=dict)
    format: CsvFormat = field(default_factory=CsvFormat)
    quoted_nulls: bool = True

    def __post_init__(self) -> None:
        try:
            codecs.lookup(self.format.encoding)
        except LookupError:
            raise unfit(
                f"there is no encoding {self.format.encoding}",
                where=str(self.path),
                expected="utf8, latin-1, cp1252, ...",
            ) from None

    @property
    def identity(self) -> DatasetIdentity:
        """`file` and the absolute path."""
        return DatasetIdentity("file", str(self.path.absolute()))

    def schema(self) -> pa.Schema:
        """The columns of the header, then those of the partitions, with the declared types or text.

        Raises:
            StorageError: A file cannot be read or has no header.
            SchemaError: A file's header differs from the first one's.
        """
        return self._schema

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`."""
        check_there(columns, self._schema.names, str(self.path))
        return rebatch(self._read(list(columns)), batch_rows)

    def spread(self, columns: Sequence[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        """See `Spreading.spread`: of files at even distances, the first and the last among them.

        Where a row begins in the middle of a file cannot be told, for line ends stand in quotes as well.
        """
        check_there(columns, self._schema.names, str(self.path))
        files = self._files.files
        count = min(len(files), STRETCHES)
        chosen = [files[place * (len(files) - 1) // max(1, count - 1)] for place in range(count)]
        return thinned(self._read(list(columns), chosen, most=CSV_BYTES // len(chosen)), rows)

    def fingerprint(self) -> dict[str, Any]:
        """Name, size, time and the digest of the content, for each file."""
        return self._files.fingerprint("csv", digest_of)

    @cached_property
    def _files(self) -> FileSet:
        return FileSet(self.path, SUFFIXES, self.types)

    @cached_property
    def _schema(self) -> pa.Schema:
        first, *others = self._files.files
        header = self._header(first)
        for file in others:
            self._check_same(header, self._header(file), file)
        return self._files.with_partitions(
            pa.schema([pa.field(name, self.types.get(name, pa.string())) for name in header])
        )

    def _check_same(self, expected: list[str], found: list[str], file: DataFile) -> None:
        if sorted(expected) != sorted(found):
            missing = [name for name in expected if name not in found]
            raise SchemaError(
                f"the header differs from the first file's; it lacks {', '.join(missing) or 'none'} of its columns",
                where=self._files.where(file),
                expected=f"{len(expected)} columns, got {len(found)}",
            )

    def _header(self, file: DataFile) -> list[str]:
        if self.format.header is not None:
            return list(self.format.header)
        with storing("reading the header", self._files.where(file)), self._open(file) as stream:
            text = io.TextIOWrapper(stream, encoding=_with_bom(self.format.encoding), newline="")
            for row in csv.reader(text, delimiter=self.format.delimiter):
                if row:
                    return row
        raise unfit(
            "the file has no header", where=self._files.where(file), fix="name the columns in `csv: {header:`"
        )

    def _open(self, file: DataFile) -> pa.NativeFile:
        return pa.input_stream(str(file.path), compression="gzip" if file.path.suffix == ".gz" else None)

    def _read(
        self, columns: list[str], files: Sequence[DataFile] | None = None, *, most: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of files, all if not said; of each as many as take so many bytes."""
        for file in self._files.files if files is None else files:
            where = self._files.where(file)
            if self.format.header is not None and file.path.stat().st_size == 0:
                continue
            with storing("reading", where):
                try:
                    yield from _as_far_as(self._read_file(file, columns), most)
                except pa.ArrowInvalid as error:
                    raise self._told(str(error), self._header(file), where) from None

    def _read_file(self, file: DataFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
        partition = self._files.partition_values(file)
        stored = [name for name in columns if name not in partition]
        with (
            self._open(file) as stream,
            pc.open_csv(stream, *self._options(self._header(file), stored)) as reader,
        ):
            for batch in reader:
                arrays = [
                    pa.repeat(partition[name], batch.num_rows) if name in partition else batch.column(name)
                    for name in columns
                ]
                yield pa.record_batch(arrays, names=columns) if columns else batch.select([])

    def _options(
        self, header: list[str], stored: list[str]
    ) -> tuple[pc.ReadOptions, pc.ParseOptions, pc.ConvertOptions]:
        # One thread: errors then say which row, and parsing (not conversion) is what takes the time.
        read = pc.ReadOptions(
            use_threads=False,
            block_size=BLOCK,
            encoding=self.format.encoding,
            column_names=self.format.header,
        )
        parse = pc.ParseOptions(delimiter=self.format.delimiter, newlines_in_values=True)
        convert = pc.ConvertOptions(
            column_types={name: self.types[name] for name in stored if name in self.types},
            default_column_type=pa.string(),
            include_columns=stored or header[:1],
            null_values=list(self.format.null_values),
            strings_can_be_null=True,
            quoted_strings_can_be_null=self.quoted_nulls,
        )
        return read, parse, convert

    def _told(self, message: str, header: list[str], where: str) -> StorageError:
        """Our error for Arrow's: of its text only the numbers are kept, the rest quotes the data."""
        if found := _BAD_VALUE.match(message):
            name = header[int(found["column"])]
            return unfit(
                f"a value of column {name} is no {self.types.get(name, pa.string())}{_row(found['row'])}",
                where=where,
                expected="ISO 8601 dates and times, plain numbers, text in the declared encoding",
                fix="correct the file, or declare the column as `string`",
            )
        if found := _RAGGED.match(message):
            return unfit(
                f"a row has {found['got']} cells{_row(found['row'])}",
                where=where,
                expected=f"{found['expected']} cells",
            )
        if _LONG.search(message):
            return unfit(
                "a row is too long, or a quote is never closed",
                where=where,
                expected=f"{BLOCK} bytes at most",
            )
        return unfit("the file is no CSV that can be read", where=where)


def _as_far_as(batches: Iterator[pa.RecordBatch], most: int | None) -> Iterator[pa.RecordBatch]:
    """Batches until they have so many bytes; all if not said."""
    size = 0
    for batch in batches:
        yield batch
        size += batch.nbytes
        if most is not None and size >= most:
            return


def _row(number: str | None) -> str:
    return f" (row {number}, the header counted)" if number else ""


def _with_bom(encoding: str) -> str:
    """The codec that takes a byte order mark for what it is, as Arrow does."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
