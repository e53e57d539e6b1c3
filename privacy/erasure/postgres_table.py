"""A table of PostgreSQL in which people are found, and from which they are erased in one transaction.

The server looks for the rows in which anybody may be: it is handed the looked-for values by COPY into tables that end
with the transaction, so that no log of statements has them. The matcher decides which of them it is. Rows are named by
partition and place in one snapshot: a row that somebody else changed meanwhile lets the transaction fail, to be tried
again.

After the commit the table is vacuumed, if it is this user's, else by the server in its time: where rows lay is free,
and written over as rows come. Bytes in free space, the write-ahead log and replicas are the administrator's (`VACUUM
FULL`, the archive's age). Triggers run as they do for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.columns import Columns
from airflow_veil.privacy.erasure.look import Collected, look
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.store import Changed, Found, Frozen, Tally
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.rewriting import postgres_rows
from airflow_veil.privacy.rewriting.holding import under_holds
from airflow_veil.privacy.rewriting.loss import Loss
from airflow_veil.privacy.storage.postgres import PostgresSource
from airflow_veil.privacy.storage.there import check_there

if TYPE_CHECKING:
    from psycopg import Connection

FETCH_ROWS = 1 << 16
MEMORY = "512MB"
"""What the server may take to look values up at once; with less it would go through all of them for each row."""
_READING = "looking for people"

Place = tuple[int, str]
"""The partition that a row is in, and where."""


@dataclass
class _Rows:
    """What is found in the table.

    Attributes:
        rows: How many rows there are.
        tally: Those that are to be touched, by request.
        gone: Where those are that go.
        emptied: Where those are that lose cells, and for each column whether its cell is one.
    """

    rows: int
    tally: Tally
    gone: list[Place] = field(default_factory=list)
    emptied: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class PostgresStore:
    """A table; see `Store`.

    Attributes:
        source: The table.
    """

    source: PostgresSource

    def alone(self) -> nullcontext[None]:
        """Nothing is to be locked: of two transactions that delete the same rows one waits, and is then tried again."""
        return nullcontext()

    def find(self, matcher: Matcher, keys: Sequence[str], requests: int) -> Found:
        """See `Store.find`."""
        collected = Collected(keys)
        with postgres_rows.connected(self.source, doing=_READING) as connection:
            oid = self._check(connection, matcher, keys)
            found = self._found(connection, oid, matcher, requests, collected)
        return Found(found.rows, found.tally, collected.known())

    def erase(self, matcher: Matcher, frozen: Frozen, requests: int) -> Changed:
        """See `Store.erase`; all of it is one transaction."""

        @contextmanager
        def attempt(keeper: Keeper) -> Iterator[tuple[Callable[[], None] | None, _Rows]]:
            with postgres_rows.connected(self.source, doing="erasing rows") as connection:
                oid = self._check(connection, matcher, ())
                held = replace(matcher, keeper=keeper)
                found = self._found(connection, oid, held, requests, Collected(()))
                if not found.gone and not found.emptied:
                    yield None, found
                    return
                self._lose(connection, found, matcher.emptied)
                yield connection.commit, found

        found = under_holds(frozen, attempt)
        # Also where nothing was found: a run that was killed may have come as far as here.
        with postgres_rows.connected(self.source, autocommit=True, doing="vacuuming") as connection:
            connection.execute(f"VACUUM {self.source.table.sql}")
        return Changed(found.rows, found.tally)

    def _check(self, connection: Connection, matcher: Matcher, keys: Sequence[str]) -> int:
        emptied = matcher.emptied
        oid = postgres_rows.check(connection, self.source, deletes=matcher.deletes, updates=bool(emptied))
        check_there([*matcher.columns, *keys, *emptied], self.source.schema().names, self.source.where)
        postgres_rows.check_cells(connection, self.source, oid, emptied)
        return oid

    def _found(
        self, connection: Connection, oid: int, matcher: Matcher, requests: int, collected: Collected
    ) -> _Rows:
        table = postgres_rows.table(self.source)
        counted = connection.execute(f"SELECT count(*) FROM {table}", ()).fetchone()  # noqa: S608
        found = _Rows(counted[0] if counted else 0, Tally.zero(requests))
        for places, columns in self._candidates(connection, oid, matcher, collected.keys):
            part = look(matcher, columns, collected.keys, requests)
            collected.add(part)
            found.tally += part.tally
            found.gone += [places[row] for row in part.loss.gone.nonzero()[0]]
            found.emptied += _flagged(places, part.loss, matcher.emptied)
        return found

    def _candidates(
        self, connection: Connection, oid: int, matcher: Matcher, keys: Sequence[str]
    ) -> Iterator[tuple[list[Place], Columns]]:
        """The rows in which somebody may be who is looked for, and where they are."""
        schema = self.source.schema()
        connection.execute(f"SET LOCAL work_mem = '{MEMORY}'")
        names = list(dict.fromkeys([*matcher.columns, *keys, *matcher.emptied]))
        types = {name: schema.field(name).type for name in names}
        read = {*matcher.columns, *keys}
        shown = {name: postgres_rows.shown(connection, oid, name) for name in names}
        where = self._condition(connection, matcher, types, shown)
        if where is None:
            return
        # Of a column that becomes null nothing is asked but whether it is.
        wanted = [
            shown[name] if name in read else f"CASE WHEN {postgres_rows.name(name)} IS NOT NULL THEN '' END"
            for name in names
        ]
        kinds = {name: kind if name in read else pa.string() for name, kind in types.items()}
        with connection.cursor(name="veil_rows") as cursor:
            cursor.execute(
                f"SELECT tableoid::bigint, ctid::text, {', '.join(wanted)} "  # noqa: S608
                f"FROM {postgres_rows.table(self.source)} WHERE {where}",
                (),
            )
            while fetched := cursor.fetchmany(FETCH_ROWS):
                parts, rows, *values = zip(*fetched, strict=True)
                columns = dict(zip(names, values, strict=True))
                yield list(zip(parts, rows, strict=True)), self._columns(columns, kinds)

    def _columns(
        self, values: Mapping[str, Sequence[str | None]], types: Mapping[str, pa.DataType]
    ) -> Columns:
        """Columns that came as texts, in their own types."""

        def read(name: str) -> pa.Array:
            return postgres_rows.as_array(self.source, name, types[name], values[name])

        return Columns(len(next(iter(values.values()))), read)

    def _condition(
        self,
        connection: Connection,
        matcher: Matcher,
        types: Mapping[str, pa.DataType],
        shown: Mapping[str, str],
    ) -> str | None:
        """What holds of all rows in which somebody may be; None where nobody can be in any."""
        conditions = []
        for index, (edge, known) in enumerate(matcher.edges):
            kind = types[edge.column]
            # That the column can name anybody shows here, also where nobody is known.
            values, _ = matcher.typed(index, kind)
            if not len(known):
                continue
            if pa.types.is_string(kind):
                column, declared = shown[edge.column], "text"
            elif pa.types.is_integer(kind):
                column, declared = postgres_rows.name(edge.column), "bigint"
            else:
                return "true"
            table = f"veil_looked_{index}"
            postgres_rows.hand_over(
                connection, table, f"value {declared}", ((value,) for value in values.to_pylist())
            )
            conditions.append(f"{column} IN (SELECT value FROM {table})")  # noqa: S608
        return " OR ".join(conditions) or None

    def _lose(self, connection: Connection, found: _Rows, emptied: Sequence[str]) -> None:
        table = postgres_rows.table(self.source)
        same = "t.tableoid = l.part AND t.ctid = l.place"
        # Cells first: among them may be those that refer to rows that go. All of a row at once, for it moves.
        if found.emptied:
            flags = "".join(f", cell_{index} boolean" for index in range(len(emptied)))
            postgres_rows.hand_over(connection, "veil_emptied", f"part oid, place tid{flags}", found.emptied)
            cells = ", ".join(
                f"{name} = CASE WHEN l.cell_{index} THEN NULL ELSE t.{name} END"
                for index, name in enumerate(map(postgres_rows.name, emptied))
            )
            done = connection.execute(
                f"UPDATE {table} AS t SET {cells} FROM veil_emptied AS l WHERE {same}",  # noqa: S608
                (),
            )
            postgres_rows.check_count(done.rowcount, len(found.emptied), self.source.where)
        if found.gone:
            postgres_rows.hand_over(connection, "veil_gone", "part oid, place tid", found.gone)
            done = connection.execute(
                f"DELETE FROM {table} AS t USING veil_gone AS l WHERE {same}",  # noqa: S608
                (),
            )
            postgres_rows.check_count(done.rowcount, len(found.gone), self.source.where)


def _flagged(places: list[Place], loss: Loss, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Where rows are that lose cells, and of which columns."""
    masked = np.zeros(len(places), bool)
    for mask in loss.cells.values():
        masked |= mask
    cells = [loss.cells.get(name, np.zeros(len(places), bool)) for name in columns]
    return [(*places[row], *(bool(mask[row]) for mask in cells)) for row in np.flatnonzero(masked)]
