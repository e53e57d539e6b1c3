"""A table of PostgreSQL: its rows whose time is over go in one transaction, all of them or none.

The server compares times itself; subjects come here only where some are held, each once, to be compared by their hash.
Where the rows lay is free after the next VACUUM, which autovacuum does on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff, moments
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type
from airflow_veil.privacy.retention.survey import Frozen, Survey
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.postgres import PostgresSource
from airflow_veil.privacy.storage.table_name import quoted

if TYPE_CHECKING:
    from psycopg import Connection

_KIND = """
SELECT c.oid, c.relkind::text, has_table_privilege(c.oid, 'DELETE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}
_CASCADES = """
SELECT conrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND confrelid = %s AND confdeltype IN ('c', 'n', 'd') ORDER BY 1
"""
_TYPE = "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s AND attname = %s AND NOT attisdropped"


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a table.

    Attributes:
        over: The condition that a row's time is over.
        keeps: The condition that a row is held; None where none is.
        times: What the conditions compare with.
    """

    over: str
    keeps: str | None
    times: dict[str, Any]


@dataclass(frozen=True)
class PostgresStore:
    """A table, and the column with the time of its rows.

    Attributes:
        source: The table.
        column: The column.
    """

    source: PostgresSource
    column: str

    @property
    def _table(self) -> str:
        return self.source.table.sql.replace("%", "%%")

    def alone(self) -> nullcontext[None]:
        """Nothing is to be locked: of two transactions that delete the same rows one waits, and is then tried again."""
        return nullcontext()

    def survey(self, cut: CutOff, keeper: Keeper) -> Survey:
        """What becomes of the rows; nothing is changed.

        Raises:
            StorageError: Rows cannot be deleted from it, or it cannot be read.
            SchemaError: A column is missing, or tells no time.
        """
        with self._connection() as connection:
            return Survey(self._counted(connection, self._question(connection, cut, keeper), keeper))

    def enforce(self, cut: CutOff, _survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Delete the rows; what became of them.

        Raises:
            StorageError: They cannot be deleted, or somebody else changed them at the same time; none is.
        """
        with frozen() as keeper:
            pass
        while True:
            with self._connection() as connection:
                question = self._question(connection, cut, keeper)
                counts = self._counted(connection, question, keeper)
                self._delete(connection, question, keeper)
                with frozen() as now:
                    if now.held == keeper.held:
                        connection.commit()
                        return counts, Files()
                keeper = now

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """One snapshot; what is not committed in the block is rolled back. Of errors only the kind is told."""
        import psycopg

        url = self.source.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            connection = psycopg.connect(url)
            try:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.execute("SET LOCAL TIME ZONE 'UTC'")
                yield connection
            finally:
                connection.close()
        except psycopg.Error as error:
            state = f", SQLSTATE {error.sqlstate}" if error.sqlstate else ""
            raise StorageError(
                f"deleting rows failed with {type(error).__name__}{state}", where=self.source.where
            ) from None

    def _question(self, connection: Connection, cut: CutOff, keeper: Keeper) -> _Question:
        oid = self._check(connection)
        names = [self.column, *([keeper.column] if keeper.looks and keeper.column else [])]
        schema = self.source.schema()
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise SchemaError(f"there is no column {', '.join(missing)}", where=self.source.where)
        kind = check_type(schema.field(self.column).type, column=self.column, where=self.source.where)
        bounds: tuple[date, ...] = moments(cut, kind)
        times: dict[str, Any] = dict(zip(("first", "until", "due", "now"), bounds, strict=True))
        over = f"({_name(self.column)} >= %(first)s AND {_name(self.column)} < %(until)s)"
        if not keeper.looks or keeper.column is None:
            return _Question(over, None, times)
        shown = self._shown(connection, oid, keeper.column)
        found = connection.execute(
            f"SELECT DISTINCT {shown} FROM {self._table} WHERE {over}",  # noqa: S608
            times,
        )
        texts = [row[0] for row in found if row[0] is not None]
        subjects = pa.array(texts, pa.string()).cast(schema.field(keeper.column).type)
        held = [text for text, kept in zip(texts, keeper.mask(subjects, len(texts)), strict=True) if kept]
        return _Question(over, f"coalesce({shown} = ANY(%(held)s), false)", {**times, "held": held})

    def _shown(self, connection: Connection, oid: int, column: str) -> str:
        """A column as text, as `PostgresSource` reads it."""
        found = connection.execute(_TYPE, (oid, column)).fetchone()
        return f"abbrev({_name(column)})" if found and found[0] == "inet" else f"{_name(column)}::text"

    def _counted(self, connection: Connection, question: _Question, keeper: Keeper) -> Counts:
        time = _name(self.column)
        kept = "true" if keeper.held.everything else question.keeps or "false"
        conditions = (
            f"{question.over} AND NOT {kept}",
            f"{question.over} AND {kept}",
            f"{time} >= %(first)s AND {time} >= %(until)s AND {time} < %(due)s",
            f"{time} IS NULL",
            f"{time} < %(first)s",
            f"{time} > %(now)s",
        )
        filters = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
        counted = connection.execute(
            f"SELECT count(*), {filters} FROM {self._table}",  # noqa: S608
            question.times,
        ).fetchone()
        names = ("rows", "delete", "held", "waiting", "null", "before_1970", "future")
        return Counts(**dict(zip(names, counted or (), strict=True)))

    def _delete(self, connection: Connection, question: _Question, keeper: Keeper) -> None:
        if not keeper.held.everything:
            spared = f" AND NOT {question.keeps}" if question.keeps else ""
            connection.execute(
                f"DELETE FROM {self._table} WHERE {question.over}{spared}",  # noqa: S608
                question.times,
            )

    def _check(self, connection: Connection) -> int:
        """Rows can be deleted, and nothing else goes with them."""
        where = self.source.where
        found = connection.execute(_KIND, (self.source.table.schema, self.source.table.table)).fetchone()
        if found is None:
            raise SchemaError("there is no such table, or it may not be read", where=where)
        oid, kind, allowed = found
        if kind not in ("r", "p"):
            raise unfit(
                f"rows cannot be deleted from a {_KINDS.get(kind, 'relation of this kind')}",
                where=where,
                fix="name the table that has the rows",
            )
        if not allowed:
            raise unfit("this user may not delete rows", where=where, fix="grant DELETE on the table")
        others = [row[0] for row in connection.execute(_CASCADES, (oid,))]
        if others:
            raise unfit(
                f"rows of {', '.join(others)} would change with the rows that go",
                where=where,
                expected="foreign keys that neither cascade nor set null",
                fix="give those tables a retention of their own, and let the key restrict",
            )
        return int(oid)


def _name(column: str) -> str:
    """A column in a statement with parameters, which begin with a per cent sign."""
    return quoted(column).replace("%", "%%")
