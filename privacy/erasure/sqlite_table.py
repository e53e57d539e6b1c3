"""A table of SQLite in which people are found, and from which they are erased in one transaction.

SQLite itself looks for the rows in which anybody may be: it is handed the looked-for values in tables in memory. The
matcher decides which of them it is. What went is overwritten in the file, and the log emptied; triggers run as they do
for anybody.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.columns import Columns
from airflow_veil.privacy.erasure.look import Collected, look
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.store import Changed, Found, Frozen, Tally
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.rewriting import sqlite_rows
from airflow_veil.privacy.rewriting.holding import under_holds
from airflow_veil.privacy.storage.sqlite import FETCH_ROWS, SqliteSource
from airflow_veil.privacy.storage.table_name import quoted
from airflow_veil.privacy.storage.there import check_there

_READING = "looking for people"


@dataclass
class _Rows:
    """What is found in the table.

    Attributes:
        rows: How many rows there are.
        tally: Those that are to be touched, by request.
        gone: The numbers of those that go.
        cells: Column to the numbers of those whose cell becomes null.
    """

    rows: int
    tally: Tally
    gone: list[int] = field(default_factory=list)
    cells: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class SqliteStore:
    """A table; see `Store`.

    Attributes:
        source: The table.
    """

    source: SqliteSource

    def alone(self) -> nullcontext[None]:
        """Nothing is to be locked: a transaction that writes is the only one."""
        return nullcontext()

    def find(self, matcher: Matcher, keys: Sequence[str], requests: int) -> Found:
        """See `Store.find`."""
        collected = Collected(keys)
        with sqlite_rows.connected(self.source, "ro", doing=_READING) as connection:
            connection.execute("BEGIN")
            self._check(connection, matcher, keys)
            found = self._found(connection, matcher, requests, collected)
        return Found(found.rows, found.tally, collected.known())

    def erase(self, matcher: Matcher, frozen: Frozen, requests: int) -> Changed:
        """See `Store.erase`; all of it is one transaction."""

        @contextmanager
        def attempt(keeper: Keeper) -> Iterator[tuple[Callable[[], None] | None, _Rows]]:
            with sqlite_rows.connected(self.source, "rw", doing="erasing rows") as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._check(connection, matcher, ())
                found = self._found(connection, replace(matcher, keeper=keeper), requests, Collected(()))
                if not found.gone and not found.cells:
                    yield None, found
                    return
                sqlite_rows.lose(connection, self.source, found.gone, found.cells)
                yield connection.commit, found

        found = under_holds(frozen, attempt)
        # Also where nothing was found: a run that was killed may have come as far as here.
        sqlite_rows.empty_log(self.source)
        return Changed(found.rows, found.tally)

    def _check(self, connection: sqlite3.Connection, matcher: Matcher, keys: Sequence[str]) -> None:
        sqlite_rows.check(connection, self.source)
        check_there(
            [*matcher.columns, *keys, *matcher.emptied], self.source.schema().names, self.source.where
        )
        sqlite_rows.check_cells(connection, self.source, matcher.emptied)

    def _found(
        self, connection: sqlite3.Connection, matcher: Matcher, requests: int, collected: Collected
    ) -> _Rows:
        table = self.source.table.sql
        rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        found = _Rows(rows, Tally.zero(requests))
        for numbers, columns in self._candidates(connection, matcher, collected.keys):
            part = look(matcher, columns, collected.keys, requests)
            collected.add(part)
            found.tally += part.tally
            found.gone += numbers[part.loss.gone].tolist()
            for name, mask in part.loss.cells.items():
                found.cells[name] += numbers[mask].tolist()
        return found

    def _candidates(
        self, connection: sqlite3.Connection, matcher: Matcher, keys: Sequence[str]
    ) -> Iterator[tuple[np.ndarray, Columns]]:
        """The rows in which somebody may be who is looked for, and their numbers."""
        schema = self.source.schema()
        names = list(dict.fromkeys([*matcher.columns, *keys, *matcher.emptied]))
        types = {name: schema.field(name).type for name in names}
        where = self._condition(connection, matcher, types)
        if where is None:
            return
        wanted = ", ".join(sqlite_rows.selected(name, kind) for name, kind in types.items())
        cursor = connection.execute(
            f"SELECT _rowid_, {wanted} FROM {self.source.table.sql} WHERE {where}"  # noqa: S608
        )
        while fetched := cursor.fetchmany(FETCH_ROWS):
            numbers, *values = zip(*fetched, strict=True)
            cells = dict(zip(names, values, strict=True))

            def read(name: str, cells: dict[str, tuple[object, ...]] = cells) -> pa.Array:
                return sqlite_rows.array(self.source, name, types[name], list(cells[name]))

            yield np.array(numbers, np.int64), Columns(len(fetched), read)

    def _condition(
        self, connection: sqlite3.Connection, matcher: Matcher, types: dict[str, pa.DataType]
    ) -> str | None:
        """What holds of all rows in which somebody may be; None where nobody can be in any."""
        conditions = []
        for index, (edge, known) in enumerate(matcher.edges):
            # That the column can name anybody shows here, also where nobody is known.
            values, _ = matcher.typed(index, types[edge.column])
            if len(known):
                conditions.append(_may_be(connection, index, edge.column, types[edge.column], values))
        return " OR ".join(conditions) or None


def _may_be(
    connection: sqlite3.Connection, index: int, column: str, kind: pa.DataType, values: pa.Array
) -> str:
    """The condition that one of the values may be in a column."""
    if pa.types.is_string(kind):
        column_sql, other = f"CAST({quoted(column)} AS TEXT)", "false"
    elif pa.types.is_integer(kind):
        # What is no number is not what the column declares; it is given, and an error.
        column_sql = quoted(column)
        other = f"typeof({column_sql}) NOT IN ('integer', 'null')"
    else:
        # One date or decimal can be written in many ways.
        return "true"
    name = f"temp.veil_looked_{index}"
    connection.execute(f"DROP TABLE IF EXISTS {name}")
    connection.execute(f"CREATE TEMP TABLE {name.partition('.')[2]} (value PRIMARY KEY)")
    connection.executemany(
        f"INSERT INTO {name} VALUES (?)",  # noqa: S608
        ((value,) for value in values.to_pylist()),
    )
    return f"({column_sql} COLLATE BINARY IN (SELECT value FROM {name}) OR {other})"  # noqa: S608
