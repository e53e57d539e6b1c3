"""A table of SQLite: its rows whose time is over go, or lose cells, in one transaction, all of them or none.

Content that went is overwritten in the file (`secure_delete`), and the log is emptied where there is one.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.retention.anonymize import Cells
from airflow_veil.privacy.retention.archive import Archive
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type, goes
from airflow_veil.privacy.retention.survey import Frozen, Survey
from airflow_veil.privacy.rewriting import sqlite_rows
from airflow_veil.privacy.rewriting.holding import under_holds
from airflow_veil.privacy.rewriting.loss import Loss
from airflow_veil.privacy.storage.sqlite import FETCH_ROWS, SqliteSource, kept
from airflow_veil.privacy.storage.table_name import quoted
from airflow_veil.privacy.storage.there import check_there


@dataclass(frozen=True)
class SqliteStore:
    """A table, and the column with the time of its rows.

    Attributes:
        source: The table.
        column: The column.
        cells: What rows lose whose time is over; None where they go.
        archive: Where rows are copied before they go; None where they are not.
    """

    source: SqliteSource
    column: str
    cells: Cells | None = None
    archive: Archive | None = None

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
            self._check(connection, keeper)
            return Survey(self._sorted(connection, cut, keeper).counts)

    def enforce(self, cut: CutOff, _survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Delete the rows, or let them lose cells; what became of them.

        Raises:
            StorageError: They cannot be changed; none is.
        """

        @contextmanager
        def attempt(keeper: Keeper) -> Iterator[tuple[Callable[[], None], Counts]]:
            with sqlite_rows.connected(self.source, "rw") as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._check(connection, keeper)
                found = self._sorted(connection, cut, keeper)
                with self._copied(connection, found.gone) as copy:
                    sqlite_rows.lose(connection, self.source, found.gone, found.emptied)
                    for column, cells in found.treated.items():
                        sqlite_rows.treat(connection, self.source, column, cells)

                    def step() -> None:
                        copy()
                        connection.commit()

                    yield step, found.counts

        counts = under_holds(frozen, attempt)
        sqlite_rows.empty_log(self.source)
        return counts, Files()

    def _copied(
        self, connection: sqlite3.Connection, gone: list[int]
    ) -> AbstractContextManager[Callable[[], None]]:
        """Copy the rows that go into the archive."""
        if self.archive is None:
            return nullcontext(lambda: None)
        schema = self.source.schema()
        sqlite_rows.listed(connection, gone)
        return self.archive.copied(str(self.source.table), schema, lambda: self._going(connection, schema))

    def _going(self, connection: sqlite3.Connection, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows that go, whole."""
        wanted = ", ".join(sqlite_rows.selected(each.name, each.type) for each in schema)
        cursor = connection.execute(
            f"SELECT {wanted} FROM {self.source.table.sql} "  # noqa: S608
            "WHERE _rowid_ IN (SELECT row FROM temp.veil_lost) ORDER BY _rowid_"
        )
        while rows := cursor.fetchmany(FETCH_ROWS):
            arrays = [
                sqlite_rows.array(self.source, each.name, each.type, list(values))
                for each, values in zip(schema, zip(*rows, strict=True), strict=True)
            ]
            yield pa.record_batch(arrays, schema=schema)

    def _check(self, connection: sqlite3.Connection, keeper: Keeper) -> None:
        sqlite_rows.check(connection, self.source)
        check_there(self._read_columns(keeper), self.source.schema().names, self.source.where)
        kind = self.source.schema().field(self.column).type
        check_type(kind, column=self.column, where=self.source.where)
        if self.cells is not None:
            sqlite_rows.check_cells(connection, self.source, self.cells.emptied)

    def _read_columns(self, keeper: Keeper) -> list[str]:
        subject = [keeper.column] if keeper.looks and keeper.column else []
        cells = () if self.cells is None else self.cells.columns
        return list(dict.fromkeys([self.column, *subject, *cells]))

    def _sorted(self, connection: sqlite3.Connection, cut: CutOff, keeper: Keeper) -> _Rows:
        """What becomes of the rows, by their number in the table."""
        names = self._read_columns(keeper)
        schema = self.source.schema()
        types = {name: schema.field(name).type for name in names}
        # Of a column that becomes null nothing is asked but whether it is.
        asked = set() if self.cells is None else set(self.cells.emptied) - {self.column, keeper.column}
        wanted = [
            f"CASE WHEN {quoted(name)} IS NOT NULL THEN 1 END"
            if name in asked
            else sqlite_rows.selected(name, kind)
            for name, kind in types.items()
        ]
        types |= dict.fromkeys(asked, pa.int64())
        cursor = connection.execute(
            f"SELECT _rowid_, {', '.join(wanted)} FROM {self.source.table.sql}"  # noqa: S608
        )
        found = _Rows()
        while rows := cursor.fetchmany(FETCH_ROWS):
            numbers, *values = zip(*rows, strict=True)
            columns = {
                name: sqlite_rows.array(self.source, name, types[name], list(cells))
                for name, cells in zip(names, values, strict=True)
            }
            subjects = columns[keeper.column] if keeper.looks and keeper.column else None
            over, counts = goes(columns[self.column], keeper.mask(subjects, len(rows)), cut)
            loss = Loss(over)
            if self.cells is not None:
                loss, counts = self.cells.lost(over, counts, columns.__getitem__)
            found.add(np.array(numbers, np.int64), loss, columns, counts)
        if self.archive is not None:
            found.counts = found.counts.archived()
        return found


@dataclass
class _Rows:
    """What becomes of the rows of a table.

    Attributes:
        counts: In counts.
        gone: The numbers of those that go.
        emptied: Column to the numbers of those whose cell becomes null.
        treated: Column to the numbers of those whose cell is treated, and what it becomes.
    """

    counts: Counts = field(default_factory=Counts)
    gone: list[int] = field(default_factory=list)
    emptied: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    treated: dict[str, list[tuple[int, object]]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, numbers: NDArray[np.int64], loss: Loss, columns: Mapping[str, pa.Array], counts: Counts
    ) -> None:
        """Add what becomes of some of them."""
        self.counts += counts
        self.gone += numbers[loss.gone].tolist()
        for name, mask in loss.cells.items():
            rows, treat = numbers[mask].tolist(), loss.becomes.get(name)
            if treat is None:
                self.emptied[name] += rows
            else:
                cells = treat(columns[name].filter(pa.array(mask)))
                self.treated[name] += zip(rows, kept(cells.type)(cells), strict=True)
