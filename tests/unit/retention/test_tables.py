"""Tables of SQLite and PostgreSQL: rows go in one transaction, and what cannot be deleted from is named."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.unit.retention.conftest import RULE, Place, days_around

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.ledger.holds import Held, Holds
from airflow_veil.privacy.retention import holds


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    connect = sqlite3.connect if url.startswith("sqlite") else psycopg.connect
    with contextlib.closing(connect(url.removeprefix("sqlite:///"))) as connection:
        yield connection
        connection.commit()


class Rows:
    """A database with visits."""

    def __init__(self, place: Place, url: str) -> None:
        self.place, self.url = place, url

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with connected(self.url) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def fill(self, days: list[date | None], kind: str = "TIMESTAMP") -> None:
        self.run(f"CREATE TABLE visits (customer TEXT, at {kind}, note TEXT)")
        for number, day in enumerate(days, 1):
            at = "NULL" if day is None else f"'{day}'" if kind == "DATE" else f"'{day}T12:00:00'"
            self.run(f"INSERT INTO visits VALUES ('customer-{number:05d}', {at}, 'canary-{number:05d}-note')")

    def notes(self) -> list[str]:
        return [row[0] for row in self.run("SELECT note FROM visits ORDER BY note")]

    @property
    def options(self) -> dict[str, Any]:
        return {"connect": lambda _: self.url}


@pytest.fixture(params=["sqlite", "postgres"])
def rows(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Rows:
    url = (
        f"sqlite:///{tmp_path}/data.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    )
    place.write("{connection: crm, table: visits}")
    return Rows(place, url)


class TestTables:
    def test_rows_that_are_over_go(self, rows: Rows) -> None:
        """Bad times are kept and counted; a second run finds it clean."""
        rows.fill([*days_around(3, 3), None, date(1970, 1, 1), date(2090, 1, 1)])

        planned = rows.place.plan(**rows.options)
        done = rows.place.enforce(**rows.options)

        assert planned.counts == done.counts
        assert (done.counts.rows, done.counts.delete) == (9, 3)
        assert done.counts.as_dict()["quarantined"] == {"null": 1, "before_1970": 1, "future": 1}
        assert rows.notes() == [f"canary-{n:05d}-note" for n in range(4, 10)]
        assert rows.place.enforce(**rows.options).counts.delete == 0

    def test_dates(self, rows: Rows) -> None:
        """A date is its whole day."""
        text = rows.place.policy.read_text()
        rows.place.policy.write_text(text.replace("type: timestamp", "type: date"))
        rows.fill(days_around(3, 3), "DATE")

        assert rows.place.enforce(**rows.options).counts.delete == 3

    def test_times_with_a_zone(self, rows: Rows) -> None:
        """The policy's zone tells where the day begins."""
        rows.place.write("{connection: crm, table: visits}", f"{RULE}, time_zone: Europe/Vienna")
        text = rows.place.policy.read_text()
        rows.place.policy.write_text(text.replace("type: timestamp", "type: timestamp_utc"))
        rows.run("CREATE TABLE visits (customer TEXT, at TIMESTAMPTZ, note TEXT)")
        for note, at in (("old", "2025-02-28T22:59:59+00:00"), ("new", "2025-02-28T23:00:00+00:00")):
            rows.run(f"INSERT INTO visits VALUES ('c', '{at}', '{note}')")

        rows.place.enforce(**rows.options)

        assert rows.notes() == ["new"]

    def test_held_rows_stay(self, rows: Rows) -> None:
        """Also where the hold is placed while rows are being deleted."""
        rows.fill(days_around(4, 2))
        workspace = rows.place.workspace(**rows.options)
        holds.place(workspace, "visits", reason="case 2026-17", actor="a", subjects=["customer-00001"])
        frozen, late = Holds.frozen, []

        @contextlib.contextmanager
        def placing(self: Holds, policy: str, dataset: str) -> Iterator[Held]:
            if len(late) == 1:
                holds.place(
                    workspace, "visits", reason="case 2026-18", actor="a", subjects=["customer-00003"]
                )
            late.append(policy)
            with frozen(self, policy, dataset) as held:
                yield held

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Holds, "frozen", placing)
            done = rows.place.enforce(**rows.options)

        assert (done.counts.delete, done.counts.held) == (2, 2)
        assert rows.notes() == [f"canary-{n:05d}-note" for n in (1, 3, 5, 6)]

    def test_everything_held(self, rows: Rows) -> None:
        """Nothing goes."""
        rows.fill(days_around(4, 2))
        holds.place(rows.place.workspace(**rows.options), "visits", reason="case 2026-17", actor="a")

        done = rows.place.enforce(**rows.options)

        assert (done.counts.delete, done.counts.held) == (0, 4)

    def test_a_view_is_refused(self, rows: Rows) -> None:
        """The error names it and says what it is."""
        rows.fill(days_around(2, 2))
        rows.run(
            "ALTER TABLE visits RENAME TO rows_of_visits",
            "CREATE VIEW visits AS SELECT * FROM rows_of_visits",
        )

        with pytest.raises(StorageError, match=r"visits.*deleted from a view"):
            rows.place.plan(**rows.options)

    def test_cascades_are_refused(self, rows: Rows) -> None:
        """Rows of another table would go uncounted, held or not."""
        rows.run(
            "CREATE TABLE visits (customer TEXT, at TIMESTAMP, note TEXT PRIMARY KEY)",
            "CREATE TABLE pages (visit TEXT REFERENCES visits (note) ON DELETE CASCADE)",
        )

        with pytest.raises(StorageError, match="pages would change"):
            rows.place.plan(**rows.options)

    def test_rows_that_others_refer_to(self, rows: Rows) -> None:
        """The database refuses; nothing is deleted, and no value is told."""
        rows.run(
            "CREATE TABLE visits (customer TEXT, at TIMESTAMP, note TEXT PRIMARY KEY)",
            "CREATE TABLE pages (visit TEXT REFERENCES visits (note))",
            "INSERT INTO visits VALUES ('c', '2020-01-01T00:00:00', 'canary-1')",
            "INSERT INTO visits VALUES ('c', '2020-01-01T00:00:00', 'canary-2')",
            "INSERT INTO pages VALUES ('canary-1')",
        )

        with pytest.raises(StorageError) as error:
            rows.place.enforce(**rows.options)
        assert "canary" not in str(error.value)
        assert rows.notes() == ["canary-1", "canary-2"]

    def test_columns_that_are_missing_or_no_time(self, rows: Rows) -> None:
        """Each is named."""
        rows.run("CREATE TABLE visits (customer TEXT, at INTEGER, note TEXT)")
        with pytest.raises(SchemaError, match="tells no time"):
            rows.place.plan(**rows.options)
        rows.run("DROP TABLE visits", "CREATE TABLE visits (customer TEXT, note TEXT)")
        with pytest.raises(SchemaError, match="no column at"):
            rows.place.plan(**rows.options)
        rows.run("DROP TABLE visits")
        with pytest.raises(SchemaError, match="no such table"):
            rows.place.plan(**rows.options)

    def test_names_with_per_cent_signs_and_quotes(self, rows: Rows) -> None:
        """They are names, not SQL."""
        name = 'a%s "t"'
        rows.place.write("{connection: crm, table: visits}", RULE.replace("from: at", f"from: '{name}'"))
        text = rows.place.policy.read_text()
        rows.place.policy.write_text(text.replace("      at:", f"      '{name}':"))
        quoted = name.replace('"', '""')
        rows.run(f'CREATE TABLE visits (customer TEXT, "{quoted}" TIMESTAMP, note TEXT)')
        rows.run(
            "INSERT INTO visits VALUES ('c', '2020-01-01T00:00:00', 'old'), ('c', '2026-01-01T00:00:00', 'new')"
        )

        rows.place.enforce(**rows.options)

        assert rows.notes() == ["new"]


class TestSqlite:
    def test_nothing_is_left_in_the_file(self, place: Place, tmp_path: Path) -> None:
        """Deleted content is overwritten, and the log emptied."""
        rows = Rows(place, f"sqlite:///{tmp_path}/data.db")
        place.write("{connection: crm, table: visits}")
        rows.run("PRAGMA journal_mode = WAL")
        rows.fill(days_around(50, 50))

        place.enforce(**rows.options)

        raw = b"".join(path.read_bytes() for path in tmp_path.glob("data.db*"))
        assert not [n for n in range(1, 51) if f"canary-{n:05d}".encode() in raw]
        assert all(f"canary-{n:05d}".encode() in raw for n in range(51, 101))

    def test_a_table_without_rowid_is_refused(self, place: Place, tmp_path: Path) -> None:
        """It says so."""
        rows = Rows(place, f"sqlite:///{tmp_path}/data.db")
        place.write("{connection: crm, table: visits}")
        rows.run("CREATE TABLE visits (customer TEXT, at TIMESTAMP, note TEXT PRIMARY KEY) WITHOUT ROWID")

        with pytest.raises(StorageError, match="without rowid"):
            place.plan(**rows.options)


class TestPostgres:
    def test_partitioned_tables_and_infinite_times(self, place: Place, postgres: str) -> None:
        """Rows go from all partitions; times without an end are kept."""
        rows = Rows(place, postgres)
        place.write("{connection: crm, table: visits}")
        rows.run(
            "CREATE TABLE visits (customer TEXT, at TIMESTAMP, note TEXT) PARTITION BY LIST (note)",
            "CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a')",
            "CREATE TABLE visits_b PARTITION OF visits DEFAULT",
            "INSERT INTO visits VALUES ('c', '2020-01-01', 'a'), ('c', '2020-01-01', 'b')",
            "INSERT INTO visits VALUES ('c', 'infinity', 'c'), ('c', '-infinity', 'd')",
        )

        done = place.enforce(**rows.options)

        assert (done.counts.delete, done.counts.future, done.counts.before_1970) == (2, 1, 1)
        assert rows.notes() == ["c", "d"]

    def test_who_may_not_delete(self, place: Place, postgres: str) -> None:
        """The right that is missing is named before anything is tried."""
        rows = Rows(place, postgres)
        place.write("{connection: crm, table: visits}")
        rows.fill(days_around(2, 2))
        rows.run("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN", "GRANT SELECT ON visits TO reader")
        url = postgres.replace("postgres@", "reader@")

        with pytest.raises(StorageError, match="may not delete"):
            place.plan(connect=lambda _: url)
        rows.run("DROP OWNED BY reader", "DROP ROLE reader")

    def test_a_row_that_changes_meanwhile(
        self, place: Place, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The transaction fails, to be tried again, and deletes nothing."""
        rows = Rows(place, postgres)
        place.write("{connection: crm, table: visits}")
        rows.fill(days_around(2, 2))
        from airflow_veil.privacy.retention.postgres_table import PostgresStore

        delete = PostgresStore._delete

        def late(self: PostgresStore, *arguments: Any) -> None:
            rows.run("UPDATE visits SET at = '2026-01-01' WHERE customer = 'customer-00001'")
            delete(self, *arguments)

        monkeypatch.setattr(PostgresStore, "_delete", late)
        with pytest.raises(StorageError, match="40001") as error:
            place.enforce(**rows.options)
        monkeypatch.undo()
        assert error.value.retryable
        assert len(rows.notes()) == 4
        assert place.enforce(**rows.options).counts.delete == 1
