"""SQLite: what went is overwritten, and values of other kinds are not passed over."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.erasure.looking import edge, erase, find, matcher
from tests.unit.erasure.tables import Database

from airflow_veil.privacy.errors import StorageError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "data.db")


class TestResidue:
    @pytest.mark.parametrize("journal", ["wal", "delete"])
    def test_nothing_is_left_in_the_files(self, database: Database, tmp_path: Path, journal: str) -> None:
        """Deleted rows and cells are overwritten, in tables and indexes, and the log emptied."""
        database.run(f"PRAGMA journal_mode = {journal}")
        database.run("CREATE TABLE people (id TEXT, parent TEXT, number INTEGER, note TEXT)")
        database.run("CREATE INDEX notes ON people (note)")
        for n in range(100):
            values = f"'person-{n:05d}', 'person-{n + 50:05d}', {n}, 'canary-{n:05d}'"
            database.run(f"INSERT INTO people VALUES ({values})")
        looked = matcher(
            [f"person-{n:05d}" for n in range(60, 70)], edge("id"), edge("parent", ["parent", "note"])
        )

        changed = erase(database.store(), looked)

        assert (changed.tally.deleted.tolist(), changed.tally.masked.tolist()) == ([10], [10])
        raw = b"".join(path.read_bytes() for path in tmp_path.glob("data.db*"))
        gone = [*range(60, 70)]
        assert not [n for n in gone if f"person-{n:05d}".encode() in raw]
        assert not [n for n in (*gone, *range(10, 20)) if f"canary-{n:05d}".encode() in raw]
        assert all(f"canary-{n:05d}".encode() in raw for n in range(100) if n not in (*gone, *range(10, 20)))

    def test_a_log_that_a_killed_run_left(self, database: Database, tmp_path: Path) -> None:
        """Is emptied by the next one, also where nothing is found."""
        database.run("PRAGMA journal_mode = wal")
        database.people(5)
        with database.connected() as reader:
            reader.execute("SELECT * FROM people").fetchall()
            database.run("PRAGMA secure_delete = ON", "DELETE FROM people WHERE id = 'p3'")
            reader.commit()

            erase(database.store(), matcher(["p3"]))

            assert b"canary-00003" not in (tmp_path / "data.db-wal").read_bytes()


class TestValues:
    def test_values_of_another_kind_than_declared(self, database: Database) -> None:
        """A text among numbers is an error, bytes and numbers among texts are read as texts."""
        database.run(
            "CREATE TABLE people (id INTEGER, code TEXT, number INTEGER)",
            "INSERT INTO people VALUES ('a7', x'6137', 1), (7, 8, 2)",
        )

        assert find(database.store(), matcher(["a7", "8"], edge("code"))).tally.deleted.tolist() == [2]
        with pytest.raises(StorageError, match="id are no int64"):
            find(database.store(), matcher(["a7"]))

    def test_a_collation_does_not_widen(self, database: Database) -> None:
        """Who is written in another case is somebody else."""
        database.run(
            "CREATE TABLE people (id TEXT COLLATE NOCASE, number INTEGER)",
            "INSERT INTO people VALUES ('ANNA', 1), ('anna', 2)",
        )

        erase(database.store(), matcher(["anna"]))
        assert database.numbers() == [1]

    def test_columns_that_declare_nothing(self, database: Database) -> None:
        """The policy's types count."""
        database.run("CREATE TABLE people (id, number INTEGER)", "INSERT INTO people VALUES (7, 1), ('7', 2)")

        assert find(database.store(), matcher(["7"])).tally.deleted.tolist() == [2]
        with pytest.raises(StorageError, match="are no int64"):
            find(database.store({"id": pa.int64()}), matcher(["7"]))

    def test_a_table_without_rowid_is_refused(self, database: Database) -> None:
        """It says so."""
        database.run("CREATE TABLE people (id TEXT PRIMARY KEY) WITHOUT ROWID")

        with pytest.raises(StorageError, match="without rowid"):
            find(database.store(), matcher(["a"]))


class TestWriters:
    def test_another_writer_is_waited_for(self, database: Database) -> None:
        """And what it wrote is found."""
        database.people(3)
        with database.connected() as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO people VALUES ('p1', NULL, 2000, 'late')")
            found: list[int] = []
            worker = threading.Thread(
                target=lambda: found.extend(erase(database.store(), matcher(["p1"])).tally.deleted.tolist())
            )
            worker.start()
            time.sleep(0.2)
            assert not found
            other.commit()
            worker.join()

        assert found == [2]
        assert database.numbers() == [1000, 1002]
