"""A table of SQLite: its rows whose time is over go in one transaction, all of them or none.

Content that went is overwritten in the file (`secure_delete`), and the log is emptied where there is one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from urllib.parse import quote

import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type, goes
from airflow_veil.privacy.retention.survey import Frozen, Survey
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.sqlite import FETCH_ROWS, WAIT_SECONDS, SqliteSource, arrow_array
from airflow_veil.privacy.storage.table_name import quoted

_CASCADES = """
SELECT m.name FROM sqlite_master m, pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND lower(f."table") = lower(?) AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
ORDER BY 1
"""


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
        with self._connection("ro") as connection:
            connection.execute("BEGIN")
            self._check(connection)
            return Survey(self._sorted(connection, cut, keeper)[1])

    def enforce(self, cut: CutOff, _survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Delete the rows; what became of them.

        Raises:
            StorageError: They cannot be deleted; none is.
        """
        with frozen() as keeper:
            pass
        while True:
            with self._connection("rw") as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._check(connection)
                gone, counts = self._sorted(connection, cut, keeper)
                connection.executemany(
                    f"DELETE FROM {self.source.table.sql} WHERE _rowid_ = ?",  # noqa: S608
                    ((row,) for row in gone),
                )
                with frozen() as now:
                    if now.held == keeper.held:
                        connection.execute("COMMIT")
                        break
                connection.execute("ROLLBACK")
                keeper = now
        with self._connection("rw") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return counts, Files()

    @contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        """A connection that leaves transactions to us; one that is open at the end of the block is rolled back."""
        path, where = self.source.path, self.source.where
        if not path.is_file():
            raise unfit("there is no such file", where=str(path), fix="check the connection")
        uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
        try:
            with closing(
                sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise StorageError(f"deleting rows failed with {name}", where=where) from None

    def _check(self, connection: sqlite3.Connection) -> None:
        """Rows can be deleted one by one, and nothing else goes with them."""
        where, name = self.source.where, self.source.table.table
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
        others = [row[0] for row in connection.execute(_CASCADES, (name,))]
        if others:
            raise unfit(
                f"rows of {', '.join(others)} would change with the rows that go",
                where=where,
                expected="foreign keys that neither cascade nor set null",
                fix="give those tables a retention of their own, and let the key restrict",
            )

    def _sorted(
        self, connection: sqlite3.Connection, cut: CutOff, keeper: Keeper
    ) -> tuple[list[int], Counts]:
        """Which rows go, by their number in the table, and the counts."""
        schema = self.source.schema()
        names = [self.column, *([keeper.column] if keeper.looks and keeper.column else [])]
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise SchemaError(f"there is no column {', '.join(missing)}", where=self.source.where)
        types = [schema.field(name).type for name in names]
        check_type(types[0], column=self.column, where=self.source.where)
        wanted = ", ".join(_sql(name, kind) for name, kind in zip(names, types, strict=True))
        cursor = connection.execute(f"SELECT _rowid_, {wanted} FROM {self.source.table.sql}")  # noqa: S608
        gone: list[int] = []
        total = Counts()
        while rows := cursor.fetchmany(FETCH_ROWS):
            numbers, *columns = zip(*rows, strict=True)
            arrays = [
                self._array(name, kind, list(values))
                for name, kind, values in zip(names, types, columns, strict=True)
            ]
            subjects = arrays[1] if len(arrays) > 1 else None
            mask, counts = goes(arrays[0], keeper.mask(subjects, len(rows)), cut)
            gone += [numbers[index] for index in mask.nonzero()[0]]
            total += counts
        return gone, total

    def _array(self, name: str, kind: pa.DataType, values: list[object]) -> pa.Array:
        try:
            return arrow_array(values, kind)
        except (pa.ArrowException, TypeError, OverflowError):
            raise unfit(
                f"some of {len(values)} values of column {name} are no {kind}",
                where=self.source.where,
                fix="correct the table",
            ) from None


def _sql(name: str, kind: pa.DataType) -> str:
    return f"CAST({quoted(name)} AS TEXT)" if pa.types.is_string(kind) else quoted(name)
