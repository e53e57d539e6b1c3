"""Counts rows that still name people, by readers of its own: polars, Python's csv, and SQL in the database.

Nothing here passes through the code that finds and erases rows; of a source only its place and format are used.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.storage.failure import storing, unfit

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source
    from airflow_veil.privacy.storage.csv import CsvSource
    from airflow_veil.privacy.storage.parquet import ParquetSource

_HIVE = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_NO_VALUE = ("", "__HIVE_DEFAULT_PARTITION__")


@dataclass(frozen=True, slots=True)
class Left:
    """What was looked at, and what is left.

    Attributes:
        rows: How many rows were looked at.
        found: How many of them are left that should not be.
    """

    rows: int = 0
    found: int = 0

    def __add__(self, other: Left) -> Left:
        return Left(self.rows + other.rows, self.found + other.found)


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows are looked for.

    Attributes:
        column: The column that names people.
        texts: Their canonical texts.
        masked: Columns of which one must not be null for a row to count; None counts every row that names one.
    """

    column: str
    texts: frozenset[str]
    masked: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Question({self.column}, {len(self.texts)} texts)"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return tuple(dict.fromkeys([self.column, *(self.masked or ())]))


def rows_left(source: Source, column: str, texts: Sequence[str]) -> int:
    """How many rows of a source name one of some people.

    Args:
        source: A file set or a table, as `Workspace.source` gives it.
        column: The column that names people.
        texts: Their values, spelled canonically.

    Raises:
        StorageError: The source cannot be read.
        SchemaError: It has no such column, or one of a type whose values have no canonical spelling.
    """
    return look(source, Question(column, frozenset(texts))).found


def cells_left(source: Source, column: str, texts: Sequence[str], masked: Sequence[str]) -> int:
    """How many rows of a source name one of some people and are not null in one of the columns that must be.

    See `rows_left`.
    """
    return look(source, Question(column, frozenset(texts), tuple(masked))).found


def look(source: Source, question: Question) -> Left:
    """See `rows_left`; also tells how many rows there are."""
    from airflow_veil.privacy.erasure.sql_left import look_at_table
    from airflow_veil.privacy.storage.csv import CsvSource
    from airflow_veil.privacy.storage.parquet import ParquetSource
    from airflow_veil.privacy.storage.retyped import Retyped
    from airflow_veil.privacy.storage.sql import SqlSource

    if isinstance(source, Retyped):
        return look(source.source, question)
    if isinstance(source, SqlSource):
        return look_at_table(source.table_source, question)
    if isinstance(source, ParquetSource):
        return sum((_parquet(source, path, question) for path in _files(source.path)), Left())
    if isinstance(source, CsvSource):
        return sum((_csv(source, path, question) for path in _files(source.path)), Left())
    raise unfit("rows of this kind of source cannot be counted", where=source.identity.name)


def _files(root: Path) -> Iterator[Path]:
    """The file, or all below the folder but hidden ones and those that begin with `_`."""
    if root.is_file():
        yield root
        return
    found = False
    with storing("listing files", str(root)):
        for folder, folders, names in os.walk(root, onerror=_fail):
            folders[:] = [name for name in folders if name[0] not in "._"]
            for name in names:
                if name[0] not in "._":
                    found = True
                    yield Path(folder, name)
    if not found:
        raise unfit("there are no files to read", where=str(root))


def _fail(error: OSError) -> None:
    raise error


def _partition(root: Path, path: Path) -> dict[str, str | None]:
    """Column name to text, as the folders between say."""
    parts = path.relative_to(root).parts[:-1] if path != root else ()
    pairs = [match for part in parts if (match := _HIVE.fullmatch(part))]
    return {match[1]: None if match[2] in _NO_VALUE else unquote(match[2]) for match in pairs}


def _parquet(source: ParquetSource, path: Path, question: Question) -> Left:
    import polars as pl

    from airflow_veil.privacy.erasure.respelled import column_spelled

    partition, where = _partition(source.path, path), str(source.path)
    with _reading(where):
        frame = pl.scan_parquet(path, hive_partitioning=False, glob=False, low_memory=True)
        schema = frame.collect_schema()
    _require(question.columns, {*schema.names(), *partition}, where)
    if question.column in partition:
        there = _in_partition(partition[question.column], source.types.get(question.column), question)
        named: pl.Expr = pl.lit(there)
    else:
        spelled = column_spelled(question.column, schema[question.column])
        if spelled is None:
            raise SchemaError("the column's values have no canonical spelling", where=where)
        texts = pl.Series("texts", sorted(question.texts), pl.String)
        named = spelled.is_in(texts.implode())
    if question.masked is not None:
        kept = [
            pl.lit(partition[name] is not None) if name in partition else pl.col(name).is_not_null()
            for name in question.masked
        ]
        named = named & pl.any_horizontal(kept)
    with _reading(where):
        counts = frame.select(rows=pl.len(), found=named.fill_null(value=False).cast(pl.Int64).sum())
        rows, found = counts.collect(engine="streaming").row(0)
    # What is one for all rows of a file is counted once.
    alike = not named.meta.root_names()
    return Left(rows, (rows if found else 0) if alike else found)


def _in_partition(text: str | None, kind: pa.DataType | None, question: Question) -> bool:
    from airflow_veil.privacy.erasure.respelled import cell_spelled

    return text is not None and cell_spelled(text, kind or pa.string()) in question.texts


def _csv(source: CsvSource, path: Path, question: Question) -> Left:
    where, partition = str(source.path), _partition(source.path, path)
    csv.field_size_limit(sys.maxsize)
    form = source.format
    with _reading(where), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as raw:
        lines = io.TextIOWrapper(raw, encoding=_with_mark(form.encoding), newline="")
        rows = (row for row in csv.reader(lines, delimiter=form.delimiter) if row)
        header = list(form.header) if form.header is not None else next(rows, [])
        _require(question.columns, {*header, *partition}, where)
        kind = source.types.get(question.column)
        if question.column in partition:
            there = _in_partition(partition[question.column], kind, question)
            return _counted(rows, lambda _: there, _kept(source, header, partition, question))
        named = _named(header.index(question.column), kind, question, frozenset(form.null_values))
        return _counted(rows, named, _kept(source, header, partition, question))


def _with_mark(encoding: str) -> str:
    """The codec that takes a byte order mark for what it is."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


Test = Callable[[list[str]], bool]


def _named(place: int, kind: pa.DataType | None, question: Question, nulls: frozenset[str]) -> Test:
    from airflow_veil.privacy.erasure.respelled import cell_spelled

    if kind is None or pa.types.is_string(kind):
        texts = question.texts - nulls
        return lambda row: row[place] in texts
    texts = question.texts
    return lambda row: row[place] not in nulls and cell_spelled(row[place], kind) in texts


def _kept(
    source: CsvSource, header: list[str], partition: Mapping[str, str | None], question: Question
) -> Test:
    """Whether a row still has a cell that should be null."""
    if question.masked is None:
        return lambda _: True
    nulls = frozenset(source.format.null_values)
    always = any(partition.get(name) is not None for name in question.masked)
    places = [header.index(name) for name in question.masked if name not in partition]
    return lambda row: always or any(row[place] not in nulls for place in places)


def _counted(rows: Iterable[list[str]], named: Test, kept: Test) -> Left:
    seen = found = 0
    for row in rows:
        seen += 1
        found += named(row) and kept(row)
    return Left(seen, found)


def _require(columns: Iterable[str], known: Container[str], where: str) -> None:
    missing = [name for name in columns if name not in known]
    if missing:
        raise SchemaError(f"there is no column {', '.join(missing)}", where=where)


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Other readers quote what they could not read: only the class of their error is kept."""
    import polars as pl

    try:
        with storing("reading", where):
            yield
    except (pl.exceptions.PolarsError, csv.Error, IndexError, zlib.error) as error:
        raise unfit(f"reading failed with {type(error).__name__}", where=where) from None
