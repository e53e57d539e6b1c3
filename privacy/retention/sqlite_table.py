"""A table of SQLite: its rows whose time is over go in one transaction, all of them or none.

Content that went is overwritten in the file (`secure_delete`), and the log is emptied where there is one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type, goes
from airflow_veil.privacy.retention.survey import Frozen, Survey
from airflow_veil.privacy.rewriting import sqlite_rows
from airflow_veil.privacy.rewriting.holding import under_holds
from airflow_veil.privacy.storage.sqlite import FETCH_ROWS, SqliteSource


@dataclass(frozen=True)
class SqliteStore:
    """A table, and the column with the time of its rows.

    Attributes:
        source: The table.
        column: The column.
    """

    source: SqliteSource
    column: str

    def alone(self) -> nullcontext[None]:
        """Nothing is to be locked: a transaction that writes is the only one."""
        return nullcontext()

    def survey(self, cut: CutOff, keeper: Keeper) -> Survey:
        """What becomes of the rows; nothing is changed.

        Raises:
            StorageError: Rows cannot be deleted from it, or it cannot be read.
            SchemaError: A column is missing, or tells no time.
        """
        with sqlite_rows.connected(self.source, "ro") as connection:
            connection.execute("BEGIN")
            sqlite_rows.check(connection, self.source)
            return Survey(self._sorted(connection, cut, keeper)[1])

    def enforce(self, cut: CutOff, _survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Delete the rows; what became of them.

        Raises:
            StorageError: They cannot be deleted; none is.
        """

        @contextmanager
        def attempt(keeper: Keeper) -> Iterator[tuple[Callable[[], None], Counts]]:
            with sqlite_rows.connected(self.source, "rw") as connection:
                connection.execute("BEGIN IMMEDIATE")
                sqlite_rows.check(connection, self.source)
                gone, counts = self._sorted(connection, cut, keeper)
                sqlite_rows.lose(connection, self.source, gone)
                yield connection.commit, counts

        counts = under_holds(frozen, attempt)
        sqlite_rows.empty_log(self.source)
        return counts, Files()

    def _sorted(
        self, connection: sqlite3.Connection, cut: CutOff, keeper: Keeper
    ) -> tuple[list[int], Counts]:
        """Which rows go, by their number in the table, and the counts."""
        names = [self.column, *([keeper.column] if keeper.looks and keeper.column else [])]
        sqlite_rows.missing(self.source, names)
        schema = self.source.schema()
        types = [schema.field(name).type for name in names]
        check_type(types[0], column=self.column, where=self.source.where)
        wanted = ", ".join(sqlite_rows.selected(name, kind) for name, kind in zip(names, types, strict=True))
        cursor = connection.execute(f"SELECT _rowid_, {wanted} FROM {self.source.table.sql}")  # noqa: S608
        gone: list[int] = []
        total = Counts()
        while rows := cursor.fetchmany(FETCH_ROWS):
            numbers, *columns = zip(*rows, strict=True)
            arrays = [
                sqlite_rows.array(self.source, name, kind, list(values))
                for name, kind, values in zip(names, types, columns, strict=True)
            ]
            subjects = arrays[1] if len(arrays) > 1 else None
            mask, counts = goes(arrays[0], keeper.mask(subjects, len(rows)), cut)
            gone += [numbers[index] for index in mask.nonzero()[0]]
            total += counts
        return gone, total
