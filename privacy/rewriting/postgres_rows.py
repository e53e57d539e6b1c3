"""Rows of a table of PostgreSQL that go or lose cells in one transaction, all of them or none.

Values are handed to the server by COPY into tables that end with the transaction: unlike parameters of a statement they
are in no log of it. Where the rows lay is free after the next VACUUM.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.rewriting.table_check import check_no_cascade, takes_no_null
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.postgres import PostgresSource
from airflow_veil.privacy.storage.table_name import quoted

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection

_KIND = """
SELECT c.oid, c.relkind::text, has_table_privilege(c.oid, 'DELETE'), has_table_privilege(c.oid, 'UPDATE'),
       row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}
_CASCADES = """
SELECT conrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND confrelid = %s AND confdeltype IN ('c', 'n', 'd') ORDER BY 1
"""
_WHOLE_TYPE = """
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s AND attname = %s AND NOT attisdropped
"""
_TYPE = "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s AND attname = %s AND NOT attisdropped"

_COLUMN = """
SELECT attnotnull OR attgenerated <> '' FROM pg_attribute WHERE attrelid = %s AND attname = %s AND NOT attisdropped
"""


@contextmanager
def connected(
    source: PostgresSource, *, autocommit: bool = False, doing: str = "deleting rows"
) -> Iterator[Connection]:
    """One snapshot; what is not committed in the block is rolled back.

    Args:
        source: The table.
        autocommit: Whether each statement is a transaction of its own.
        doing: What to name in an error.

    Raises:
        StorageError: The server refuses something; of its errors only the kind is told.
    """
    import psycopg

    url = source.url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg.connect(url, autocommit=autocommit)
        try:
            if not autocommit:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.execute("SET LOCAL TIME ZONE 'UTC'")
            yield connection
        finally:
            connection.close()
    except psycopg.errors.ForeignKeyViolation as error:
        raise _still_referred(error, source.where) from None
    except psycopg.Error as error:
        state = f", SQLSTATE {error.sqlstate}" if error.sqlstate else ""
        raise StorageError(f"{doing} failed with {type(error).__name__}{state}", where=source.where) from None


def check(
    connection: Connection, source: PostgresSource, *, deletes: bool = True, updates: bool = False
) -> int:
    """Check that rows can be changed, and nothing else changes with them.

    Args:
        connection: A connection of `connected`.
        source: The table.
        deletes: Whether rows are going to be deleted.
        updates: Whether cells are going to become null.

    Returns:
        The number that the server knows the table by.

    Raises:
        SchemaError: There is no such table.
        StorageError: Its rows cannot be changed so.
    """
    where = source.where
    found = connection.execute(_KIND, (source.table.schema, source.table.table)).fetchone()
    if found is None:
        raise SchemaError("there is no such table, or it may not be read", where=where)
    oid, kind, may_delete, may_update, hidden = found
    if kind not in ("r", "p"):
        raise unfit(
            f"rows cannot be deleted from a {_KINDS.get(kind, 'relation of this kind')}",
            where=where,
            fix="name the table that has the rows",
        )
    if deletes and not may_delete:
        raise unfit("this user may not delete rows", where=where, fix="grant DELETE on the table")
    if updates and not may_update:
        raise unfit("this user may not update rows", where=where, fix="grant UPDATE on the table")
    if hidden:
        raise unfit(
            "row security may hide rows from this user",
            where=where,
            fix="connect as a user with BYPASSRLS, or as the table's owner",
        )
    check_no_cascade([row[0] for row in connection.execute(_CASCADES, (oid,))], where)
    return int(oid)


def check_cells(connection: Connection, source: PostgresSource, oid: int, names: Iterable[str]) -> None:
    """Check that cells of some columns can become null.

    Raises:
        SchemaError: They cannot.
    """
    for name in names:
        found = connection.execute(_COLUMN, (oid, name)).fetchone()
        if found is None or found[0]:
            raise takes_no_null(name, source.where)


def check_count(count: int, expected: int, where: str) -> None:
    """Check that as many rows were changed as were to be.

    Raises:
        StorageError: A trigger or a rule kept some; what was done so far is rolled back.
    """
    if count != expected:
        raise unfit(
            f"the database changed {count} of {expected} rows",
            where=where,
            expected="no trigger or rule that keeps rows",
            fix="let the trigger or rule let them go",
        )


def table(source: PostgresSource) -> str:
    """The table in a statement with parameters, which begin with a per cent sign; they may be none: `()`."""
    return source.table.sql.replace("%", "%%")


def name(column: str) -> str:
    """A column in a statement with parameters."""
    return quoted(column).replace("%", "%%")


def shown(connection: Connection, oid: int, column: str) -> str:
    """A column as text, as `PostgresSource` reads it."""
    found = connection.execute(_TYPE, (oid, column)).fetchone()
    return f"abbrev({name(column)})" if found and found[0] == "inet" else f"{name(column)}::text"


def type_of(connection: Connection, oid: int, column: str) -> str:
    """The type of a column as SQL writes it, with its length or precision."""
    found = connection.execute(_WHOLE_TYPE, (oid, column)).fetchone()
    return str(found[0]) if found else "text"


def hand_over(connection: Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Make a table that ends with the transaction; it is not analyzed, for statistics hold values and are logged."""
    connection.execute(f"CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP")
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def as_array(source: PostgresSource, name: str, kind: pa.DataType, texts: Sequence[str | None]) -> pa.Array:
    """Values of a column that came as texts, in its own type.

    Raises:
        StorageError: Some are none of it.
    """
    values = pa.array(texts, pa.string())
    try:
        return values.cast(kind)
    except pa.ArrowException:
        raise unfit(
            f"some of {len(values)} values of column {name} are no {kind}",
            where=source.where,
            fix="correct the table",
        ) from None


def _still_referred(error: psycopg.errors.ForeignKeyViolation, where: str) -> StorageError:
    """Of the error only the name of the table that refers is told: its text quotes the value."""
    other = f"{error.diag.schema_name}.{error.diag.table_name}"
    return StorageError(
        f"rows of {other} still refer to rows that are to go; none went",
        where=where,
        fix="let the policy delete or mask those rows as well, then run again",
    )
