"""PostgreSQL: partitions, rights, rows that change meanwhile, and what is left behind."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from tests.unit.erasure.looking import edge, erase, find, matcher
from tests.unit.erasure.tables import Database

from airflow_veil.privacy.erasure.postgres_table import PostgresStore
from airflow_veil.privacy.errors import StorageError


@pytest.fixture
def database(postgres: str) -> Database:
    return Database(postgres)


class TestRows:
    def test_partitioned_tables(self, database: Database) -> None:
        """Rows at the same place of two partitions are two; nobody else goes with them."""
        database.run(
            "CREATE TABLE people (id TEXT, note TEXT, number INTEGER) PARTITION BY LIST (number)",
            "CREATE TABLE people_1 PARTITION OF people FOR VALUES IN (1)",
            "CREATE TABLE people_2 PARTITION OF people DEFAULT",
            "INSERT INTO people VALUES ('a', 'x', 1), ('b', 'x', 2), ('b', 'x', 1), ('a', 'x', 3)",
        )

        changed = erase(database.store(), matcher(["a"]))
        assert (changed.rows, changed.tally.deleted.tolist(), database.numbers()) == (4, [2], [1, 2])
        assert erase(database.store(), matcher(["b"], edge("id", ["note"]))).tally.masked.tolist() == [2]

    @pytest.mark.parametrize(
        ("kind", "value", "text"),
        [
            ("UUID", "0198c0de-0000-7000-8000-000000000001", "0198c0de-0000-7000-8000-000000000001"),
            ("CHAR(6)", "ab", "ab"),
            ("VARCHAR(9)", "ab", "ab"),
            ("INET", "10.0.0.1", "10.0.0.1"),
            ("NUMERIC(12, 0)", "7", "7"),
            ("NUMERIC", "7", "7"),
            ("SMALLINT", "7", "7"),
            ("BIGINT", "7", "7"),
            ("TIMESTAMPTZ", "2026-01-31 10:00:00+01", "2026-01-31T09:00:00Z"),
        ],
    )
    def test_types(self, database: Database, kind: str, value: str, text: str) -> None:
        """Are spelled as sources spell them; columns that name people may have an index, or none."""
        database.run(
            f"CREATE TABLE people (id {kind}, number INTEGER)",
            f"INSERT INTO people VALUES ('{value}', 1), (NULL, 2)",
            "CREATE INDEX ON people (id)",
        )

        found = find(database.store(), matcher([text]), "id")
        assert found.keys["id"].texts.to_pylist() == [text]
        assert erase(database.store(), matcher([text])).tally.deleted.tolist() == [1]
        assert database.numbers() == [2]


class TestRights:
    def test_who_may_not_delete_or_update(self, database: Database) -> None:
        """The right that is missing is named before anything is tried."""
        database.people(2)
        database.run(
            "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN", "GRANT SELECT ON people TO reader"
        )
        reader = Database(str(database.place).replace("postgres@", "reader@"))

        with pytest.raises(StorageError, match="may not delete"):
            find(reader.store(), matcher(["p1"]))
        with pytest.raises(StorageError, match="may not update"):
            find(reader.store(), matcher(["p1"], edge("id", ["note"])))
        database.run("GRANT DELETE ON people TO reader", "ALTER TABLE people ENABLE ROW LEVEL SECURITY")
        with pytest.raises(StorageError, match="row security"):
            find(reader.store(), matcher(["p1"]))
        database.run("DROP OWNED BY reader", "DROP ROLE reader")


class TestResidue:
    def test_the_table_is_vacuumed(self, database: Database) -> None:
        """No dead row is left, also where a killed run had committed before."""
        database.people(5)
        database.run("ALTER TABLE people SET (autovacuum_enabled = off)")
        database.run("DELETE FROM people WHERE id = 'p2'")

        erase(database.store(), matcher(["p2", "p3"]))

        with psycopg.connect(str(database.place), autocommit=True) as connection:
            vacuumed = _verbose(connection)
        assert "tuples: 0 removed, 3 remain, 0 are dead" in vacuumed

    def test_no_value_is_in_statements(self, database: Database) -> None:
        """They are copied, and nothing that lasts is made of them."""
        database.people(3)
        statements: list[str] = []
        execute = psycopg.Connection.execute

        def listening(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
            statements.append(f"{query} {params}")
            return execute(self, query, params, **options)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(psycopg.Connection, "execute", listening)
            erase(database.store(), matcher(["p1"]))
        assert not [each for each in statements if "p1" in each]
        left = database.run("SELECT count(*) FROM pg_class WHERE relname LIKE 'veil%'")
        assert left == [(0,)]


def _verbose(connection: Any) -> str:
    told: list[str] = []
    connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
    connection.execute("VACUUM (VERBOSE) people")
    return "\n".join(told)


class TestWriters:
    @pytest.mark.parametrize("mask", [(), ("note",)])
    def test_a_row_that_changes_meanwhile(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, mask: tuple[str, ...]
    ) -> None:
        """The transaction fails, to be tried again, and erases nothing."""
        database.people(4)
        lose = PostgresStore._lose

        def late(self: PostgresStore, *arguments: Any) -> None:
            database.run("UPDATE people SET note = 'new' WHERE id = 'p1'")
            lose(self, *arguments)

        monkeypatch.setattr(PostgresStore, "_lose", late)
        looked = matcher(["p1", "p2"], edge("id", mask))
        with pytest.raises(StorageError, match="40001") as error:
            erase(database.store(), looked)
        monkeypatch.undo()
        assert error.value.retryable
        assert len(database.numbers("note IS NOT NULL")) == 4
        changed = erase(database.store(), looked)
        assert (changed.tally.deleted + changed.tally.masked).tolist() == [2]
