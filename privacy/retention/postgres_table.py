"""A table of PostgreSQL: its rows whose time is over go in one transaction, all of them or none.

The server compares times itself; subjects come here only where some are held, each once, to be compared by their hash.
Where the rows lay is free after the next VACUUM, which autovacuum does on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff, moments
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type
from airflow_veil.privacy.retention.survey import Frozen, Survey
from airflow_veil.privacy.rewriting import postgres_rows
from airflow_veil.privacy.rewriting.holding import under_holds
from airflow_veil.privacy.storage.postgres import PostgresSource

if TYPE_CHECKING:
    from psycopg import Connection


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
        return postgres_rows.table(self.source)

    def alone(self) -> nullcontext[None]:
        """Nothing is to be locked: of two transactions that delete the same rows one waits, and is then tried again."""
        return nullcontext()

    def survey(self, cut: CutOff, keeper: Keeper) -> Survey:
        """What becomes of the rows; nothing is changed.

        Raises:
            StorageError: Rows cannot be deleted from it, or it cannot be read.
            SchemaError: A column is missing, or tells no time.
        """
        with postgres_rows.connected(self.source) as connection:
            return Survey(self._counted(connection, self._question(connection, cut, keeper), keeper))

    def enforce(self, cut: CutOff, _survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Delete the rows; what became of them.

        Raises:
            StorageError: They cannot be deleted, or somebody else changed them at the same time; none is.
        """

        @contextmanager
        def attempt(keeper: Keeper) -> Iterator[tuple[Callable[[], None], Counts]]:
            with postgres_rows.connected(self.source) as connection:
                question = self._question(connection, cut, keeper)
                counts = self._counted(connection, question, keeper)
                self._delete(connection, question, keeper)
                yield connection.commit, counts

        return under_holds(frozen, attempt), Files()

    def _question(self, connection: Connection, cut: CutOff, keeper: Keeper) -> _Question:
        oid = postgres_rows.check(connection, self.source)
        names = [self.column, *([keeper.column] if keeper.looks and keeper.column else [])]
        postgres_rows.missing(self.source, names)
        schema = self.source.schema()
        kind = check_type(schema.field(self.column).type, column=self.column, where=self.source.where)
        bounds: tuple[date, ...] = moments(cut, kind)
        times: dict[str, Any] = dict(zip(("first", "until", "due", "now"), bounds, strict=True))
        over = f"({postgres_rows.name(self.column)} >= %(first)s AND {postgres_rows.name(self.column)} < %(until)s)"
        if not keeper.looks or keeper.column is None:
            return _Question(over, None, times)
        shown = postgres_rows.shown(connection, oid, keeper.column)
        found = connection.execute(
            f"SELECT DISTINCT {shown} FROM {self._table} WHERE {over}",  # noqa: S608
            times,
        )
        texts = [row[0] for row in found if row[0] is not None]
        subjects = pa.array(texts, pa.string()).cast(schema.field(keeper.column).type)
        held = [text for text, kept in zip(texts, keeper.mask(subjects, len(texts)), strict=True) if kept]
        return _Question(over, f"coalesce({shown} = ANY(%(held)s), false)", {**times, "held": held})

    def _counted(self, connection: Connection, question: _Question, keeper: Keeper) -> Counts:
        time = postgres_rows.name(self.column)
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
