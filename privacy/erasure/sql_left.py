"""Counts rows of tables that still name people: the database compares, by the texts of the values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_veil.privacy.erasure.respelled import time_spelled
from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.sqlite import SqliteSource
from airflow_veil.privacy.storage.table_name import quoted

if TYPE_CHECKING:
    from airflow_veil.privacy.erasure.rows_left import Left, Question
    from airflow_veil.privacy.storage.postgres import PostgresSource

WAIT_SECONDS = 60.0
_TEXTS = "\0texts"
"""Where the texts go; no name can hold it."""
_STAMP = "to_char({column}{zone}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
_SHORT = f"rtrim(rtrim({_STAMP}, '0'), '.')"
_BY_TYPE: Mapping[int, str] = {
    700: "CASE WHEN {column} = trunc({column}) AND abs({column}) < 9.2e18 THEN {column}::bigint::text END",
    701: "CASE WHEN {column} = trunc({column}) AND abs({column}) < 9.2e18 THEN {column}::bigint::text END",
    869: "abbrev({column})",
    1082: "to_char({column}, 'YYYY-MM-DD')",
    1114: _SHORT.replace("{zone}", ""),
    1184: f"{_SHORT} || 'Z'".replace("{zone}", " AT TIME ZONE 'UTC'"),
    1700: "trim_scale({column})::text",
}
"""PostgreSQL's number of a type to the canonical text of its values; of all others it is the text that it shows."""


def look_at_table(table: SqliteSource | PostgresSource, question: Question) -> Left:
    """See `rows_left.look`; nothing is written, in no table and no temporary one."""
    if isinstance(table, SqliteSource):
        return _sqlite(table, question)
    return _postgres(table, question)


def _sqlite(table: SqliteSource, question: Question) -> Left:
    if not table.path.is_file():
        raise unfit("there is no such file", where=table.where)
    uri = f"file:{quote(str(table.path.absolute()))}?mode=ro"
    with _asking(table.where), closing(sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS)) as connection:
        # Sorted copies of the texts must not go to a temporary file.
        connection.execute("PRAGMA temp_store = MEMORY")
        columns = dict(
            connection.execute(
                "SELECT name, type FROM pragma_table_xinfo(?)", (table.table.table,)
            ).fetchall()
        )
        # SQLite takes a name that it does not know for a text.
        _require(question, columns, table.where)
        declared, kind = columns[question.column], table.types.get(question.column)
        zoned = _zoned(declared, kind)
        connection.create_function("veil_time", 1, partial(_time, zoned=bool(zoned)), deterministic=True)
        named = _sqlite_named(quoted(question.column), declared, kind, times=zoned is not None)
        sql = _counting(table.table.sql, named, question)
        texts = json.dumps(sorted(question.texts))
        return _left(connection.execute(sql, {"texts": texts}).fetchone())


def _sqlite_named(column: str, declared: str, kind: pa.DataType | None, *, times: bool) -> str:
    text = f"CAST({column} AS TEXT)"
    if times:
        spelled = f"veil_time({column})"
    elif not declared and (kind is None or pa.types.is_string(kind)):
        # What declares nothing is read as SQLite shows it, so that 3.0 is not 3.
        spelled = text
    else:
        whole = (
            f"CASE WHEN {column} = CAST({column} AS INTEGER) THEN CAST(CAST({column} AS INTEGER) AS TEXT) END"
        )
        spelled = f"CASE typeof({column}) WHEN 'real' THEN {whole} ELSE {text} END"
    return f"{spelled} IN (SELECT value FROM json_each(:texts))"  # noqa: S608 - quoted


def _zoned(declared: str, kind: pa.DataType | None) -> bool | None:
    """Whether the times of a column have a zone; None where it holds no times."""
    name = declared.upper()
    if "DATETIME" in name or "TIMESTAMP" in name:
        return "TIMESTAMPTZ" in name or "WITH TIME ZONE" in name
    known = not declared and kind is not None and pa.types.is_timestamp(kind)
    return kind.tz is not None if known and kind is not None else None


def _time(value: Any, *, zoned: bool) -> Any:
    return time_spelled(value, zoned=zoned) if isinstance(value, str) else value


def _postgres(table: PostgresSource, question: Question) -> Left:
    import psycopg

    url = table.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with _asking(table.where), psycopg.connect(url) as connection:
        connection.read_only = True
        cursor = connection.execute(f"SELECT * FROM {table.table.sql} LIMIT 0")  # noqa: S608 - quoted
        types = {column.name: column.type_code for column in cursor.description or ()}
        _require(question, types, table.where)
        column = quoted(question.column)
        spelled = _BY_TYPE.get(types[question.column], "{column}::text").format(column=column)
        sql = _counting(table.table.sql, f"{spelled} = ANY({_TEXTS})", question)
        sql = sql.replace("%", "%%").replace(_TEXTS, "%(texts)s")
        return _left(connection.execute(sql.encode(), {"texts": sorted(question.texts)}).fetchone())


def _counting(table: str, named: str, question: Question) -> str:
    kept = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in question.masked or ())
    named = f"({named}) AND ({kept})" if kept else f"({named})"
    return f"SELECT count(*), count(CASE WHEN {named} THEN 1 END) FROM {table}"  # noqa: S608 - quoted


def _left(row: Any) -> Left:
    from airflow_veil.privacy.erasure.rows_left import Left

    return Left(*row)


def _require(question: Question, known: Iterable[str], where: str) -> None:
    missing = [name for name in question.columns if name not in known]
    if missing:
        raise SchemaError(f"there is no column {', '.join(missing)}", where=where)


@contextmanager
def _asking(where: str) -> Iterator[None]:
    """Databases quote values in their messages: only the class of the error and its number are kept."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(
            f"counting failed with {getattr(error, 'sqlite_errorname', type(error).__name__)}", where=where
        ) from None
    except (SchemaError, StorageError):
        raise
    except Exception as error:
        if not type(error).__module__.startswith("psycopg"):
            raise
        state = f", SQLSTATE {error.sqlstate}" if getattr(error, "sqlstate", None) else ""  # type: ignore[attr-defined]
        raise StorageError(f"counting failed with {type(error).__name__}{state}", where=where) from None
