"""Rows of a table of SQLite that go or lose cells in one transaction, all of them or none.

Content that went is overwritten in the file (`secure_delete`), and the log is emptied where there is one. What is to
go is told by row numbers, in tables that are in memory and end with the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from urllib.parse import quote

import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.rewriting.table_check import check_no_cascade, takes_no_null
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.sqlite import WAIT_SECONDS, SqliteSource, arrow_array
from airflow_veil.privacy.storage.table_name import quoted

_CASCADES = """
SELECT m.name FROM sqlite_master m, pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND lower(f."table") = lower(?) AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
ORDER BY 1
"""
_REFERRING = """
SELECT DISTINCT m.name FROM sqlite_master m, pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND lower(f."table") = lower(?) ORDER BY 1
"""

_COLUMN = 'SELECT "notnull", pk, hidden FROM pragma_table_xinfo(?) WHERE name = ?'


@contextmanager
def connected(
    source: SqliteSource, mode: str, *, doing: str = "deleting rows"
) -> Iterator[sqlite3.Connection]:
    """A connection that leaves transactions to us; one that is open at the end of the block is rolled back.

    Args:
        source: The table.
        mode: `ro` or `rw`.
        doing: What to name in an error.

    Raises:
        StorageError: The file is not there, or SQLite refuses something; of its errors only the kind is told.
    """
    path, where = source.path, source.where
    if not path.is_file():
        raise unfit("there is no such file", where=str(path), fix="check the connection")
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        with closing(
            sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
        ) as connection:
            for pragma in ("foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            yield connection
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StorageError(f"{doing} failed with {name}", where=where) from None


def check(connection: sqlite3.Connection, source: SqliteSource) -> None:
    """Check that rows can be deleted one by one, and nothing else goes with them.

    Raises:
        SchemaError: There is no such table.
        StorageError: Its rows cannot be deleted so.
    """
    where, name = source.where, source.table.table
    found = connection.execute(
        "SELECT type, wr FROM pragma_table_list(?) WHERE schema = 'main'", (name,)
    ).fetchone()
    if found is None:
        raise SchemaError("there is no such table", where=where)
    kind, without_rowid = found
    if kind != "table" or without_rowid:
        raise unfit(
            f"rows cannot be deleted from a {'table without rowid' if kind == 'table' else kind}",
            where=where,
            fix="name the table that has the rows",
        )
    check_no_cascade([row[0] for row in connection.execute(_CASCADES, (name,))], where)


def check_cells(connection: sqlite3.Connection, source: SqliteSource, names: Iterable[str]) -> None:
    """Check that cells of some columns can become null.

    Raises:
        SchemaError: They cannot.
    """
    for name in names:
        found = connection.execute(_COLUMN, (source.table.table, name)).fetchone()
        if found is None or any(found):
            raise takes_no_null(name, source.where)


def lose(
    connection: sqlite3.Connection,
    source: SqliteSource,
    gone: Iterable[int],
    cells: Mapping[str, Iterable[int]] | None = None,
) -> None:
    """Delete rows, and let cells of others become null, in the transaction that is open.

    Args:
        connection: A connection of `connected`.
        source: The table.
        gone: The numbers of the rows that go.
        cells: Column to the numbers of the rows whose cell becomes null.

    Raises:
        StorageError: Other rows refer to those that go, and the table that has them is named; or a trigger kept some.
    """
    table = source.table.sql
    # Cells first: among them may be those that refer to rows that go.
    for column, rows in (cells or {}).items():
        count = listed(connection, rows)
        done = connection.execute(
            f"UPDATE {table} SET {quoted(column)} = NULL WHERE _rowid_ IN (SELECT row FROM temp.veil_lost)"  # noqa: S608
        )
        _check_count(done.rowcount, count, source.where)
    count = listed(connection, gone)
    try:
        done = connection.execute(
            f"DELETE FROM {table} WHERE _rowid_ IN (SELECT row FROM temp.veil_lost)"  # noqa: S608
        )
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname != "SQLITE_CONSTRAINT_FOREIGNKEY":
            raise
        referring = ", ".join(row[0] for row in connection.execute(_REFERRING, (source.table.table,)))
        raise _still_referred(referring, source.where) from None
    _check_count(done.rowcount, count, source.where)


def treat(
    connection: sqlite3.Connection, source: SqliteSource, column: str, cells: Sequence[tuple[int, object]]
) -> None:
    """Let cells of a column become other values, in the transaction that is open.

    Args:
        connection: A connection of `connected`.
        source: The table.
        column: The column.
        cells: The number of each row, and what its cell becomes.

    Raises:
        StorageError: A trigger kept some.
    """
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS veil_treated (row INTEGER PRIMARY KEY, cell)")
    connection.execute("DELETE FROM temp.veil_treated")
    connection.executemany("INSERT INTO temp.veil_treated VALUES (?, ?)", cells)
    done = connection.execute(
        f"UPDATE {source.table.sql} AS t SET {quoted(column)} = l.cell "  # noqa: S608
        "FROM temp.veil_treated AS l WHERE t._rowid_ = l.row"
    )
    _check_count(done.rowcount, len(cells), source.where)


def empty_log(source: SqliteSource) -> None:
    """Empty the log of the file, which holds pages as they were."""
    with connected(source, "rw") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def array(source: SqliteSource, name: str, kind: pa.DataType, values: list[object]) -> pa.Array:
    """Values of a column as Arrow.

    Raises:
        StorageError: Some are of another type than the column's.
    """
    try:
        return arrow_array(values, kind)
    except (pa.ArrowException, TypeError, OverflowError):
        raise unfit(
            f"some of {len(values)} values of column {name} are no {kind}",
            where=source.where,
            fix="correct the table",
        ) from None


def selected(name: str, kind: pa.DataType) -> str:
    """The SQL that reads a column; a number or bytes in a column of texts is read as text."""
    return f"CAST({quoted(name)} AS TEXT)" if pa.types.is_string(kind) else quoted(name)


def _check_count(count: int, expected: int, where: str) -> None:
    if count != expected:
        raise unfit(
            f"the database changed {count} of {expected} rows",
            where=where,
            expected="no trigger that keeps rows",
            fix="let the trigger let them go",
        )


def listed(connection: sqlite3.Connection, rows: Iterable[int]) -> int:
    """Hand over row numbers, in `temp.veil_lost`; how many there are."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS veil_lost (row INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM temp.veil_lost")
    numbers = [(int(row),) for row in rows]
    connection.executemany("INSERT INTO temp.veil_lost VALUES (?)", numbers)
    return len(numbers)


def _still_referred(others: str, where: str) -> StorageError:
    """The error that other rows refer to those that are to go."""
    return StorageError(
        f"rows of {others} still refer to rows that are to go; none went",
        where=where,
        fix="let the policy delete or mask those rows as well, then run again",
    )
