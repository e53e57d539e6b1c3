"""Counts the rows of a source whose time is over, by other code than deletes or anonymizes them.

Nothing of what does it is used here but the days of the cut-off, and what a treatment makes of a cell: files are found
by a walk of its own, and times compared by Arrow's data set scanner (Parquet), Python's dates (CSV, SQLite) or the
server (PostgreSQL).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.retention.anonymize import Cells
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.storage.batches import plain_array
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.parquet import ParquetSource
from airflow_veil.privacy.storage.postgres import PostgresSource
from airflow_veil.privacy.storage.sql import SqlSource
from airflow_veil.privacy.storage.sqlite import SqliteSource
from airflow_veil.privacy.storage.table_name import quoted

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source

_CLOCKS_START = date(1970, 1, 2)
"""Times before are of clocks that were never set: no run deletes them."""
_AT_ONCE = 1 << 16
"""Rows whose cells are looked at together."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is found.

    Attributes:
        rows: All rows.
        over: Those whose time is before the cut-off; where rows stay and lose cells, those that have not.
        how: By what means, in a sentence.
    """

    rows: int
    over: int
    how: str


def recount(source: Source, column: str, cut: CutOff, cells: Cells | None = None) -> Left:
    """Count the rows of a source, and those before a cut-off.

    Args:
        source: The source.
        column: The column with the time of the rows.
        cut: The cut-off.
        cells: What rows lose that are over; those are counted whose cells are not as they are to be then.

    Raises:
        StorageError: It cannot be read.
    """
    if isinstance(source, ParquetSource | CsvSource):
        return _files(source, column, cut, cells)
    if isinstance(source, SqlSource):
        table = source.table_source
        schema = source.schema()
        if isinstance(table, SqliteSource):
            return _sqlite(table, column, schema, cut, cells)
        return _postgres(table, column, schema, cut, cells)
    raise unfit("rows of this kind of source cannot be counted", where=column)


def archived(folder: Path, run: str) -> int:
    """Count the rows that a run put into an archive.

    Raises:
        StorageError: A file cannot be read.
    """
    rows = 0
    with storing("counting rows", str(folder)):
        for path in _walk(folder):
            file = ds.dataset(path, format="parquet")
            told = next(iter(file.get_fragments())).metadata.metadata or {}
            if json.loads(told.get(b"airflow_veil.archive", b"{}")).get("run") == run:
                rows += file.count_rows()
    return rows


def _wrong(cells: Cells | None, columns: Sequence[pa.Array], rows: int) -> int:
    """How many of some rows that are over are not as they are to be; all, where they are to be gone."""
    if cells is None:
        return rows
    wrong = pa.array([False] * rows, pa.bool_())
    for name, column in zip(cells.columns, columns, strict=True):
        treat = cells.becomes.get(name)
        # Nothing is equal to null: both are looked at apart.
        right = column.is_null() if treat is None else _equal(column, treat(column))
        wrong = pc.or_(wrong, pc.invert(right))
    return int(pc.sum(wrong).as_py() or 0)


def _equal(one: pa.Array, other: pa.Array) -> pa.Array:
    return pc.coalesce(pc.equal(one, other), pc.and_(one.is_null(), other.is_null()))


def _files(source: ParquetSource | CsvSource, column: str, cut: CutOff, cells: Cells | None) -> Left:
    parquet = isinstance(source, ParquetSource)
    count = _in_parquet if parquet else _in_csv
    rows = over = 0
    for path in _walk(source.path):
        with storing("counting rows", str(source.path)):
            all_, before = count(source, path, column, cut, cells)
        rows, over = rows + all_, over + before
    reader = "Arrow's data set scanner" if parquet else "Python's CSV reader"
    return Left(rows, over, f"All files were read once more, by {reader}")


def _walk(path: Path) -> Iterator[Path]:
    """The files of a source; names that begin with a dot or an underscore are none."""
    if path.is_file():
        yield path
        return
    for found in sorted(path.rglob("*")):
        if found.is_file() and not any(part[0] in "._" for part in found.relative_to(path).parts):
            yield found


def _in_parquet(source: Any, path: Path, column: str, cut: CutOff, cells: Cells | None) -> tuple[int, int]:
    file = ds.dataset(path, format="parquet")
    rows = file.count_rows()
    partition = _partition(source.path, path, column)
    if partition is not None:
        over = rows and _is_over(partition, _bounds(cut, pa.date32()))
        return rows, _in_rows(file, None, cells) if over else 0
    kind = file.schema.field(column).type
    time = pc.field(column)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        time = time.cast(kind)
    first, until = (pa.scalar(each, kind) for each in _bounds(cut, kind))
    return rows, _in_rows(file, (time >= first) & (time < until), cells)


def _in_rows(file: ds.Dataset, over: pc.Expression | None, cells: Cells | None) -> int:
    """How many rows of a Parquet file that are over are not as they are to be."""
    if cells is None:
        return int(file.count_rows(filter=over))
    batches = file.to_batches(columns=list(cells.columns), filter=over)
    return sum(
        _wrong(cells, [plain_array(each) for each in batch.columns], batch.num_rows) for batch in batches
    )


def _in_csv(source: Any, path: Path, column: str, cut: CutOff, cells: Cells | None) -> tuple[int, int]:
    partition = _partition(source.path, path, column)
    kind = source.schema().field(column).type if partition is None else pa.date32()
    bounds = _bounds(cut, kind)
    with closing(_text(path, source.format.encoding)) as text:
        records = (cells for cells in csv.reader(text, delimiter=source.format.delimiter) if cells)
        header = list(source.format.header or next(records))
        # A file whose first bytes are a mark of its encoding begins with it, and not with the column's name.
        names = [name.lstrip("\ufeff") for name in header]
        looked = [names.index(name) for name in (() if cells is None else cells.columns)]
        nulls = set(source.format.null_values)
        texts = ([None if text in nulls else text for text in record] for record in records)
        if partition is None:
            at = names.index(column)
            rows = ((each[at], [each[index] for index in looked]) for each in texts)
        else:
            # Of the same time are all.
            rows = ((partition.isoformat(), [each[index] for index in looked]) for each in texts)
        types = {} if cells is None else {name: source.types.get(name, pa.string()) for name in cells.columns}
        return _counted(rows, kind, bounds, cells, types, where=str(source.path))


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    raw = gzip.GzipFile(path, "rb") if path.suffix == ".gz" else path.open("rb")
    return io.TextIOWrapper(cast("io.BufferedReader", raw), encoding=encoding, newline="")


def _sqlite(
    table: SqliteSource, column: str, schema: pa.Schema, cut: CutOff, cells: Cells | None = None
) -> Left:
    kind = schema.field(column).type
    looked = () if cells is None else cells.columns
    types = {name: schema.field(name).type for name in looked}
    wanted = ", ".join([quoted(column), *(f"CAST({quoted(name)} AS TEXT)" for name in looked)])
    uri = f"file:{quote(str(table.path.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            cursor = connection.execute(f"SELECT {wanted} FROM {table.table.sql}")  # noqa: S608
            found = ((time, texts) for time, *texts in cursor)
            rows, over = _counted(found, kind, _bounds(cut, kind), cells, types, where=table.where)
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StorageError(f"counting rows failed with {name}", where=table.where) from None
    return Left(rows, over, "All rows were read once more, by Python's dates")


def _postgres(
    table: PostgresSource, column: str, schema: pa.Schema, cut: CutOff, cells: Cells | None = None
) -> Left:
    import sqlalchemy as sa

    kind = schema.field(column).type
    looked = () if cells is None else cells.columns
    types = {name: schema.field(name).type for name in looked}
    time: sa.ColumnClause[Any] = sa.column(quoted(column), is_literal=True)
    first, until = _bounds(cut, kind)
    over = sa.func.count().filter(time >= first, time < until)
    engine = sa.create_engine(
        table.url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool, hide_parameters=True
    )
    try:
        with engine.connect() as connection:
            wanted = sa.select(sa.func.count(), over).select_from(sa.text(table.table.sql))
            rows, before = connection.execute(wanted).one()
            if cells is not None:
                connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
                texts = [sa.cast(sa.column(quoted(name), is_literal=True), sa.Text) for name in looked]
                over_ = (
                    sa.select(*texts).select_from(sa.text(table.table.sql)).where(time >= first, time < until)
                )
                found = connection.execution_options(yield_per=_AT_ONCE).execute(over_)
                before = sum(_in_texts(cells, part, types) for part in found.partitions())
    except sa.exc.SQLAlchemyError as error:
        kind_of = type(getattr(error, "orig", None) or error).__name__
        raise StorageError(f"counting rows failed with {kind_of}", where=table.where) from None
    return Left(rows, before, "All rows were counted once more, by the database in another session")


def _counted(
    records: Iterable[tuple[str | None, Sequence[str | None]]],
    kind: pa.DataType,
    bounds: tuple[date, date],
    cells: Cells | None,
    types: Mapping[str, pa.DataType],
    *,
    where: str,
) -> tuple[int, int]:
    """All rows, and those that are over and not as they are to be, of times as ISO 8601 writes them."""
    read = _reader(kind)
    rows = over = 0
    held: list[Sequence[str | None]] = []
    try:
        for time, texts in records:
            rows += 1
            if time is None or not _is_over(read(time), bounds):
                continue
            held.append(texts)
            if len(held) == _AT_ONCE:
                over, held = over + _in_texts(cells, held, types), []
        over += _in_texts(cells, held, types)
    except (ValueError, TypeError):
        # Its text quotes the value.
        message = f"the time of row {rows} cannot be read"
    else:
        return rows, over
    raise unfit(message, where=where, expected="ISO 8601")


def _in_texts(
    cells: Cells | None, rows: Sequence[Sequence[str | None]], types: Mapping[str, pa.DataType]
) -> int:
    """How many of some rows that are over are not as they are to be, whose cells came as texts."""
    if cells is None or not rows:
        return len(rows)
    columns = [
        pa.array(texts, pa.string()).cast(types[name] if name in cells.becomes else pa.string())
        for name, texts in zip(cells.columns, zip(*rows, strict=True), strict=True)
    ]
    return _wrong(cells, columns, len(rows))


def _reader(kind: pa.DataType) -> Callable[[str], date]:
    if pa.types.is_date(kind):
        return date.fromisoformat
    if kind.tz is None:
        return datetime.fromisoformat
    return lambda text: _aware(datetime.fromisoformat(text))


def _aware(moment: datetime) -> datetime:
    """A time without a zone in a column that has one is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_over(moment: date, bounds: tuple[date, date]) -> bool:
    first, until = bounds
    return first <= moment < until


def _bounds(cut: CutOff, kind: pa.DataType) -> tuple[date, date]:
    """Where clocks start, and the cut-off, as Python has them for a kind of column."""
    days = (_CLOCKS_START, cut.until)
    if pa.types.is_date(kind):
        return days
    starts = [datetime(day.year, day.month, day.day, tzinfo=cut.zone) for day in days]
    if kind.tz is None:
        return starts[0].replace(tzinfo=None), starts[1].replace(tzinfo=None)
    return starts[0].astimezone(UTC), starts[1].astimezone(UTC)


def _partition(root: Path, path: Path, column: str) -> date | None:
    """The last day of the hive partition that a column is; None where it is in the files."""
    for part in path.relative_to(root).parts[:-1]:
        name, separator, text = part.partition("=")
        if separator and name == column:
            return _last_day(unquote(text))
    return None


def _last_day(text: str) -> date:
    """The last day of a day, a month or a year; one that no run deletes where it is none of these."""
    numbers = [int(each) for each in text.split("-") if each.isdecimal()]
    if len(numbers) == 3:
        return date(*numbers)
    if not numbers:
        return _CLOCKS_START - timedelta(days=1)
    year, month = numbers[0], numbers[1] if len(numbers) == 2 else 12
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
