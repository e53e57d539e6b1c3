"""Tables of PostgreSQL, by ADBC: rows come and go as Arrow, in the binary form of COPY."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import URL

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.storage.base import DatasetIdentity, Types, Writer, Written
from airflow_veil.privacy.storage.batches import plain, plain_array, rebatch
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.table_name import TableName, quoted
from airflow_veil.privacy.storage.there import check_there

CHUNK_BYTES = 4 << 20
"""How much of the stream is one Arrow batch."""

NATIVE: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
"""Types of PostgreSQL that have an Arrow type; all others are read as the text that PostgreSQL shows for them."""

# PostgreSQL's dates begin in 4713 BC. The driver wraps `infinity` and `-infinity` around to long before that.
_FIRST_DAY = -2_451_545
_FIRST_MICROSECOND = _FIRST_DAY * 86_400_000_000

_COLUMNS = """
SELECT a.attname::text, CASE WHEN k.typnamespace = 'pg_catalog'::regnamespace THEN k.typname::text ELSE '' END,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type k ON k.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE n.nspname = $1::text AND c.relname = $2::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
"""Columns in order, with the type below a domain and its modifier."""

_KIND = """
SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::text AND c.relname = $2::text
"""


_VERSIONS = "sum(hashtextextended(concat_ws('/', tableoid, ctid, xmin), 0)::numeric)::text"


@contextmanager
def _asking(doing: str, where: str) -> Iterator[None]:
    """The server quotes values in its messages: only the class of the error and its SQLSTATE are kept."""
    import adbc_driver_manager

    try:
        yield
    except adbc_driver_manager.Error as error:
        state = f", SQLSTATE {error.sqlstate}" if error.sqlstate else ""
        raise StorageError(f"{doing} failed with {type(error).__name__}{state}", where=where) from None
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{doing} failed with {type(error).__name__}", where=where) from None


def _connect(url: URL) -> Any:
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))


def namespace(url: URL) -> str:
    """The OpenLineage namespace of a server."""
    return f"postgres://{url.host or 'localhost'}:{url.port or 5432}"


@dataclass(frozen=True)
class PostgresSource:
    """A table or view of PostgreSQL; see `Source`.

    `numeric(p, s)` is decimal128(p, s). `numeric` without bounds fits no Arrow type: it is of the type that the
    policy declares, else text, and so is every type that Arrow does not have (uuid, json, enums, arrays, ...).
    Infinite dates and times are errors: Arrow has none.

    Attributes:
        url: The database; its password is in no repr and no error.
        table: The table, with its schema.
        types: The policy's types, for columns whose own type does not tell.
    """

    url: URL = field(repr=False)
    table: TableName
    types: Types = field(default_factory=dict)

    @property
    def identity(self) -> DatasetIdentity:
        """`postgres://host:port`, and `database.schema.table`."""
        return DatasetIdentity(namespace(self.url), f"{self.url.database}.{self.table}")

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"{namespace(self.url)}, table {self.table}"

    def schema(self) -> pa.Schema:
        """The columns as the catalogue has them; no row is read."""
        with _asking("reading the schema", self.where), self._cursor() as cursor:
            return pa.schema([pa.field(name, arrow) for name, (arrow, _) in self._columns(cursor).items()])

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`; all of it is one snapshot of a read-only transaction."""
        return rebatch(self._read(list(columns)), batch_rows)

    def fingerprint(self) -> dict[str, Any]:
        """The number of rows, and a digest over which versions of which rows there are.

        It is a sum of hashes of `(tableoid, ctid, xmin)`, made by the server in one scan: any insert, update or
        delete changes it. A view has the number of its rows only.
        """
        with _asking("counting", self.where), self._cursor() as cursor:
            cursor.execute(_KIND, (self.table.schema, self.table.table))
            kind = cursor.fetchone()
            version = _VERSIONS if kind and kind[0] in ("r", "p", "m") else "NULL::text"
            cursor.execute(f"SELECT count(*), {version} FROM {self.table.sql}")  # noqa: S608
            rows, versions = cursor.fetchone()
        return {"kind": "postgresql", "table": str(self.table), "rows": rows, "versions": versions}

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor of a connection of its own; nothing is ever committed."""
        with closing(_connect(self.url)) as connection, closing(connection.cursor()) as cursor:
            yield cursor

    def _columns(self, cursor: Any) -> dict[str, tuple[pa.DataType, str]]:
        """Column name to Arrow type and the SQL that reads it."""
        cursor.execute(_COLUMNS, (self.table.schema, self.table.table))
        rows = cursor.fetchall()
        if not rows:
            raise SchemaError("there is no such table, or it may not be read", where=self.where)
        return {name: self._column(name, kind, modifier) for name, kind, modifier in rows}

    def _column(self, name: str, kind: str, modifier: int) -> tuple[pa.DataType, str]:
        if kind in NATIVE:
            return NATIVE[kind], f"{quoted(name)}::{kind}"
        if kind == "numeric":
            return _decimal(modifier) or self.types.get(name, pa.string()), f"{quoted(name)}::text"
        if kind == "inet":
            # The cast to text would add `/32` to an address.
            return pa.string(), f"abbrev({quoted(name)})"
        known = kind in ("text", "varchar", "bpchar", "name")
        return pa.string() if known else self.types.get(name, pa.string()), f"{quoted(name)}::text"

    def _read(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        with _asking("reading", self.where), self._cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # A scan that joins another one midway would give the rows in another order each time.
            cursor.execute("SET LOCAL synchronize_seqscans = off")
            known = self._columns(cursor)
            check_there(columns, known, self.where)
            yield from self._stream(cursor, {name: known[name] for name in columns})

    def _stream(self, cursor: Any, chosen: dict[str, tuple[pa.DataType, str]]) -> Iterator[pa.RecordBatch]:
        wanted = ", ".join(sql for _, sql in chosen.values()) or "NULL::bool"
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(CHUNK_BYTES)})
        cursor.execute(f"SELECT {wanted} FROM {self.table.sql}")  # noqa: S608
        for batch in cursor.fetch_record_batch():
            if not chosen:
                yield batch.select([])
                continue
            arrays = [
                self._typed(name, arrow, plain_array(column))
                for (name, (arrow, _)), column in zip(chosen.items(), batch.columns, strict=True)
            ]
            yield pa.record_batch(arrays, names=list(chosen))

    def _typed(self, name: str, arrow: pa.DataType, column: pa.Array) -> pa.Array:
        infinite = _infinite(column)
        if infinite:
            raise self._unfit(name, arrow, infinite, len(column))
        try:
            return column if column.type == arrow else column.cast(arrow)
        except pa.ArrowException:
            count = sum(not _casts(value, arrow) for value in column)
            raise self._unfit(name, arrow, count, len(column)) from None

    def _unfit(self, name: str, arrow: pa.DataType, count: int, rows: int) -> StorageError:
        return unfit(
            f"{count} of {rows} values of column {name} are no {arrow}",
            where=self.where,
            expected="finite values of the column's type",
            fix="correct the table, or read a view that casts the column",
        )


def _decimal(modifier: int) -> pa.DataType | None:
    """The type of `numeric(p, s)`: the modifier holds p in its upper and s in its lower half, four added."""
    precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF
    return pa.decimal128(precision, scale) if modifier >= 4 and scale <= precision <= 38 else None


def _infinite(column: pa.Array) -> int:
    """How many dates or times are before all that PostgreSQL knows."""
    if pa.types.is_date32(column.type):
        early = pc.less(column.cast(pa.int32()), _FIRST_DAY)
    elif pa.types.is_timestamp(column.type):
        early = pc.less(column.cast(pa.int64()), _FIRST_MICROSECOND)
    else:
        return 0
    return pc.sum(early).as_py() or 0


def _casts(value: pa.Scalar, arrow: pa.DataType) -> bool:
    try:
        value.cast(arrow)
    except pa.ArrowException:
        return False
    return True


class PostgresWriter(Writer):
    """Writes a new table in one transaction: until `close` it does not exist for anybody else; see `Writer`.

    Raises:
        SchemaError: PostgreSQL cannot keep a type exactly.
    """

    def __init__(self, url: URL, table: TableName, schema: pa.Schema) -> None:
        self._table, self._schema, self._where = table, schema, f"{namespace(url)}, table {table}"
        kept = [_kept(item, self._where) for item in schema]
        self._kept = pa.schema(
            [pa.field(item.name, arrow) for item, (arrow, _) in zip(schema, kept, strict=True)]
        )
        columns = ", ".join(f"{quoted(item.name)} {sql}" for item, (_, sql) in zip(schema, kept, strict=True))
        self._rows = self._bytes = 0
        self._written: Written | None = None
        with _asking("creating the table", self._where):
            self._connection = _connect(url)
            self._cursor = self._connection.cursor()
            self._cursor.execute(f"CREATE TABLE {table.sql} ({columns})")

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`."""
        if not batch.schema.equals(self._schema):
            raise unfit("a batch has another schema than the table", where=self._where)
        if not batch.num_rows:
            return
        try:
            arrays = [
                plain_array(c).cast(arrow) for c, arrow in zip(batch.columns, self._kept.types, strict=True)
            ]
        except pa.ArrowException:
            raise unfit("a value cannot be kept exactly", where=self._where) from None
        with _asking("writing", self._where):
            self._cursor.adbc_ingest(
                self._table.table,
                pa.record_batch(arrays, schema=self._kept),
                mode="append",
                db_schema_name=self._table.schema,
            )
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def close(self) -> Written:
        """See `Writer.close`."""
        if self._written is None:
            with _asking("writing", self._where):
                self._connection.commit()
                self._disconnect()
            self._written = Written(self._rows, self._bytes)
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`; a transaction that is not committed leaves nothing."""
        if self._written is None:
            with _asking("removing the table", self._where):
                self._disconnect()

    def _disconnect(self) -> None:
        self._cursor.close()
        self._connection.close()


def _kept(item: pa.Field, where: str) -> tuple[pa.DataType, str]:
    """The Arrow type that is sent for a column, and its type in SQL: the narrowest that holds all its values."""
    arrow = plain(item.type)
    if pa.types.is_decimal(arrow) and arrow.precision <= 38 and 0 <= arrow.scale <= arrow.precision:
        return arrow, f"numeric({arrow.precision}, {arrow.scale})"
    if pa.types.is_timestamp(arrow):
        return (pa.timestamp("us", "UTC"), "timestamptz") if arrow.tz else (pa.timestamp("us"), "timestamp")
    for kinds, sent, sql in _KEPT:
        if arrow in kinds:
            return sent, sql
    raise SchemaError(
        f"PostgreSQL cannot keep column {item.name} of type {item.type} exactly",
        where=where,
        fix="drop the column, or release Parquet",
    )


_KEPT: tuple[tuple[tuple[pa.DataType, ...], pa.DataType, str], ...] = (
    ((pa.bool_(),), pa.bool_(), "boolean"),
    ((pa.int8(), pa.int16(), pa.uint8()), pa.int16(), "smallint"),
    ((pa.int32(), pa.uint16()), pa.int32(), "integer"),
    ((pa.int64(), pa.uint32(), pa.uint64()), pa.int64(), "bigint"),
    ((pa.float16(), pa.float32()), pa.float32(), "real"),
    ((pa.float64(),), pa.float64(), "double precision"),
    ((pa.string(),), pa.string(), "text"),
    ((pa.binary(),), pa.binary(), "bytea"),
    ((pa.date32(),), pa.date32(), "date"),
    ((pa.time32("s"), pa.time32("ms"), pa.time64("us")), pa.time64("us"), "time"),
)
