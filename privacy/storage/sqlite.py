"""Tables of SQLite, read by the types that their columns declare.

SQLite itself keeps any value in any column (https://www.sqlite.org/datatype3.html); here a value that is not of
its column's declared type is an error that says how many there are.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.storage.base import DatasetIdentity, Types, Writer, Written
from airflow_veil.privacy.storage.batches import plain, rebatch
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.table_name import TableName, quoted
from airflow_veil.privacy.storage.there import check_there

FETCH_ROWS = 8192
"""Rows that are Python objects at a time; Arrow batches are made of several."""

WAIT_SECONDS = 60.0
"""How long to wait for another process that writes."""

EXACT_DIGITS = 15
"""What a double, as SQLite keeps decimals, has exactly."""

_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_DECLARED: tuple[tuple[re.Pattern[str], pa.DataType], ...] = tuple(
    (re.compile(pattern), arrow)
    for pattern, arrow in (
        (r"TIMESTAMPTZ|(DATETIME|TIMESTAMP).*WITH TIME ZONE", pa.timestamp("us", "UTC")),
        (r"(DATETIME|TIMESTAMP).*", pa.timestamp("us")),
        (r"DATE", pa.date32()),
        (r"TIME", pa.time64("us")),
        (r"BOOL.*", pa.bool_()),
        (r".*INT.*", pa.int64()),
        (r".*(CHAR|CLOB|TEXT).*", pa.string()),
        (r".*BLOB.*", pa.binary()),
        (r".*(REAL|FLOA|DOUB).*", pa.float64()),
    )
)
"""Declared type to Arrow type, the first that matches; from `INT` on these are SQLite's own rules of affinity."""


@contextmanager
def _asking(doing: str, where: str) -> Iterator[None]:
    """SQLite quotes values in its messages: only the name of the error is kept."""
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StorageError(f"{doing} failed with {name}", where=where) from None


@dataclass(frozen=True)
class SqliteSource:
    """A table or view of a SQLite file; see `Source`.

    INT... is int64, REAL/FLOAT/DOUBLE float64, ...CHAR/TEXT text, BLOB bytes, BOOL bool (0 and 1), DATE,
    DATETIME and TIMESTAMP what their names say in ISO 8601 text, DECIMAL(p,s) and NUMERIC(p,s) decimals. Any
    other column, and one that declares nothing, is of the type that the policy declares, else text.

    Attributes:
        path: The file; opened read-only.
        table: The table.
        types: The policy's types, for columns whose own declaration does not tell.
    """

    path: Path
    table: TableName
    types: Types = field(default_factory=dict)

    @property
    def identity(self) -> DatasetIdentity:
        """`sqlite:///` with the path, and the table."""
        return DatasetIdentity(f"sqlite://{self.path.absolute()}", str(self.table))

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"{self.path}, table {self.table}"

    def schema(self) -> pa.Schema:
        """The declared columns; no row is read."""
        with _asking("reading the schema", self.where), closing(self._connect()) as connection:
            return pa.schema(
                [pa.field(name, arrow) for name, (arrow, _) in self._columns(connection).items()]
            )

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`; all of it is one snapshot."""
        return rebatch(self._read(list(columns)), batch_rows)

    def fingerprint(self) -> dict[str, Any]:
        """Size and time of the file and its log, and the number of rows.

        SQLite keeps no version of a single table: whatever is written to the file changes it.
        """
        with _asking("counting", self.where), closing(self._connect()) as connection:
            rows = connection.execute(f"SELECT count(*) FROM {self.table.sql}").fetchone()[0]  # noqa: S608
        files = [self.path, self.path.with_name(f"{self.path.name}-wal")]
        states = [(file.name, file.stat()) for file in files if file.exists()]
        return {
            "kind": "sqlite",
            "table": str(self.table),
            "rows": rows,
            "files": [
                {"name": name, "bytes": state.st_size, "mtime_ns": str(state.st_mtime_ns)}
                for name, state in states
                if state.st_size
            ],
        }

    def _connect(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise unfit("there is no such file", where=str(self.path), fix="check the connection")
        # The engine may end the reading in another thread than it began in; never in two at once.
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        return sqlite3.connect(
            uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )

    def _columns(self, connection: sqlite3.Connection) -> dict[str, tuple[pa.DataType, str]]:
        """Column name to Arrow type and the SQL that reads it."""
        rows = connection.execute(
            "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", (self.table.table,)
        ).fetchall()
        if not rows:
            raise SchemaError("there is no such table", where=self.where)
        return {name: self._column(name, declared) for name, declared in rows}

    def _column(self, name: str, declared: str) -> tuple[pa.DataType, str]:
        arrow = declared_type(declared) or self.types.get(name)
        if arrow is None or (pa.types.is_string(arrow) and declared_type(declared) is None):
            return pa.string(), f"CAST({quoted(name)} AS TEXT)"
        return arrow, quoted(name)

    def _read(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        with _asking("reading", self.where), closing(self._connect()) as connection:
            connection.execute("BEGIN")
            known = self._columns(connection)
            check_there(columns, known, self.where)
            chosen = {name: known[name] for name in columns}
            wanted = ", ".join(sql for _, sql in chosen.values()) or "NULL"
            cursor = connection.execute(f"SELECT {wanted} FROM {self.table.sql}")  # noqa: S608
            while rows := cursor.fetchmany(FETCH_ROWS):
                yield self._batch(rows, {name: arrow for name, (arrow, _) in chosen.items()})

    def _batch(self, rows: list[tuple[Any, ...]], types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
        if not types:
            return pa.record_batch([pa.nulls(len(rows))], names=["none"]).select([])
        arrays = [
            self._array(name, arrow, values)
            for (name, arrow), values in zip(types.items(), zip(*rows, strict=True), strict=True)
        ]
        return pa.record_batch(arrays, names=list(types))

    def _array(self, name: str, arrow: pa.DataType, values: Sequence[Any]) -> pa.Array:
        try:
            return arrow_array(values, arrow)
        except (pa.ArrowException, TypeError, OverflowError):
            count = sum(not _fits(value, arrow) for value in values)
            raise unfit(
                f"{count} of {len(values)} values of column {name} are no {arrow}",
                where=self.where,
                expected="values of the type that the column declares",
                fix="correct the table, or read a view that casts the column",
            ) from None


def declared_type(declared: str) -> pa.DataType | None:
    """The Arrow type of a declared type; None where the declaration does not tell."""
    text = declared.strip().upper()
    if found := _DECIMAL.fullmatch(text):
        precision, scale = int(found[1]), int(found[2] or 0)
        return pa.decimal128(precision, scale) if scale <= precision <= 38 else None
    return next((arrow for pattern, arrow in _DECLARED if pattern.fullmatch(text)), None)


def arrow_array(values: Sequence[Any], arrow: pa.DataType) -> pa.Array:
    """What `sqlite3` delivers as an Arrow array of a type.

    Raises:
        TypeError: A value is of another kind.
        pa.ArrowException: A text is no such date, time or number.
    """
    if pa.types.is_boolean(arrow):
        return pa.array([_boolean(value) for value in values], arrow)
    if pa.types.is_decimal(arrow):
        return pa.array([_digits(value) for value in values], pa.string()).cast(arrow)
    kind, stored = _stored(arrow)
    if not all(value is None or type(value) in kind for value in values):
        raise TypeError
    column = pa.array(values, stored)
    if pa.types.is_time(arrow):
        # Arrow reads times of day as part of a timestamp only.
        column = pc.binary_join_element_wise("1970-01-01", column, " ").cast(pa.timestamp("us"))
    return column.cast(arrow)


def _stored(arrow: pa.DataType) -> tuple[tuple[type, ...], pa.DataType]:
    """The Python types that may stand for a value, and the Arrow type they have at first."""
    if pa.types.is_integer(arrow):
        return (int,), pa.int64()
    if pa.types.is_floating(arrow):
        return (float, int), pa.float64()
    if pa.types.is_binary(arrow):
        return (bytes,), arrow
    return (str,), pa.string()


def _boolean(value: Any) -> bool | None:
    if value is None:
        return None
    if value in (0, 1) and type(value) is int:
        return value == 1
    raise TypeError


def _digits(value: Any) -> str | None:
    """A decimal's digits; a double has fifteen that count, the rest is noise of its binary form."""
    if value is None or type(value) is str:
        return value
    if type(value) in (int, float):
        return format(value, f".{EXACT_DIGITS}g") if type(value) is float else str(value)
    raise TypeError


def _fits(value: Any, arrow: pa.DataType) -> bool:
    try:
        arrow_array([value], arrow)
    except (pa.ArrowException, TypeError, OverflowError):
        return False
    return True


class SqliteWriter(Writer):
    """Writes a new table, a transaction a batch; see `Writer`.

    SQLite lets one process write at a time, so that no transaction is longer than a batch: until `close`, rows
    are in a table that nobody knows.

    Raises:
        SchemaError: SQLite cannot keep a type exactly.
    """

    def __init__(self, path: Path, table: TableName, schema: pa.Schema) -> None:
        self._table, self._schema, self._where = table, schema, f"{path}, table {table}"
        columns = ", ".join(f"{quoted(item.name)} {_declaration(item, self._where)}" for item in schema)
        places = ", ".join("?" for _ in schema)
        self._insert = f"INSERT INTO {table.sql} VALUES ({places})"  # noqa: S608
        self._kept = [kept(item.type) for item in schema]
        self._rows = self._bytes = 0
        self._written: Written | None = None
        with _asking("creating the table", self._where):
            self._connection = sqlite3.connect(
                path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute(f"CREATE TABLE {table.sql} ({columns})")

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`. SQLite takes values one by one: the rows are Python objects here."""
        if not batch.schema.equals(self._schema):
            raise unfit("a batch has another schema than the table", where=self._where)
        try:
            columns = [keep(column) for keep, column in zip(self._kept, batch.columns, strict=True)]
        except pa.ArrowException:
            raise unfit("a value cannot be kept exactly", where=self._where) from None
        with _asking("writing", self._where):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(self._insert, zip(*columns, strict=True))
            self._connection.execute("COMMIT")
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def close(self) -> Written:
        """See `Writer.close`."""
        if self._written is None:
            self._connection.close()
            self._written = Written(self._rows, self._bytes)
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`."""
        with _asking("removing the table", self._where):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute(f"DROP TABLE IF EXISTS {self._table.sql}")
            self._connection.close()


def _declaration(item: pa.Field, where: str) -> str:
    """What a column of the type declares, so that it is read back as the same type."""
    arrow = plain(item.type)
    if pa.types.is_decimal(arrow) and arrow.precision <= EXACT_DIGITS:
        return f"DECIMAL({arrow.precision}, {arrow.scale})"
    if pa.types.is_timestamp(arrow) and arrow.unit != "ns":
        return "TIMESTAMPTZ" if arrow.tz else "TIMESTAMP"
    names: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "REAL"),
        (pa.types.is_string, "TEXT"),
        (pa.types.is_binary, "BLOB"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
    )
    for is_one, name in names:
        if is_one(arrow):
            return name
    raise SchemaError(
        f"SQLite cannot keep column {item.name} of type {item.type} exactly",
        where=where,
        fix="drop the column, or release Parquet",
    )


def kept(arrow: pa.DataType) -> Callable[[pa.Array], list[Any]]:
    """How the values of a type are kept: numbers, text and bytes as such, the rest as ISO 8601 text."""
    target = plain(arrow)
    if pa.types.is_unsigned_integer(target):
        return lambda column: column.cast(pa.int64()).to_pylist()
    if pa.types.is_temporal(target) or pa.types.is_decimal(target):
        return lambda column: column.cast(target).cast(pa.string()).to_pylist()
    return lambda column: column.cast(target).to_pylist()
