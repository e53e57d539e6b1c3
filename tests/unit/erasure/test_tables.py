"""Tables of SQLite and PostgreSQL: what holds of both."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.erasure.looking import edge, erase, find, keeper, matcher
from tests.unit.erasure.tables import Database

from airflow_veil.privacy.errors import SchemaError, StorageError


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    place = tmp_path / "data.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    if isinstance(place, Path):
        place.touch()
    return Database(place)


class TestErase:
    def test_rows_by_request_and_keys(self, database: Database) -> None:
        """A second run finds it clean."""
        database.people(10)
        looked = matcher({"p3": 1, "p9": 0, "p99": 0})

        found = find(database.store(), looked, "number", "id", requests=2)
        changed = erase(database.store(), looked, requests=2)

        assert (found.rows, changed.rows, found.files, found.untouched) == (10, 10, 0, 0)
        assert found.tally.deleted.tolist() == changed.tally.deleted.tolist() == [1, 1]
        assert found.keys["number"].texts.to_pylist() == ["1003", "1009"]
        assert found.keys["id"].owners.tolist() == [1, 0]
        assert database.numbers() == [1000 + n for n in range(10) if n not in (3, 9)]
        again = erase(database.store(), looked, requests=2)
        assert (again.rows, again.tally.deleted.tolist()) == (8, [0, 0])

    def test_cells_become_null(self, database: Database) -> None:
        """Of rows that stay, all of a row at once; what is null already is clean."""
        database.people(6)
        looked = matcher(["p2"], edge("id"), edge("parent", ["parent", "note"]))

        found = find(database.store(), looked, "number")
        changed = erase(database.store(), looked)

        assert found.tally.masked.tolist() == changed.tally.masked.tolist() == [1]
        assert changed.tally.deleted.tolist() == [1]
        assert found.keys["number"].texts.to_pylist() == ["1002"]
        assert database.numbers("parent IS NULL AND note IS NULL") == [1003]
        assert database.numbers("note IS NOT NULL AND parent IS NOT NULL") == [1000, 1001, 1004, 1005]
        assert erase(database.store(), looked).tally.masked.tolist() == [0]

        only_note = matcher(["p4"], edge("id", ["note"]))
        assert erase(database.store(), only_note).tally.masked.tolist() == [1]
        assert find(database.store(), only_note).tally.masked.tolist() == [0]

    def test_numbers_are_numbers_and_texts_are_texts(self, database: Database) -> None:
        """7 in a column of numbers; "007" only where texts are."""
        database.run(
            "CREATE TABLE people (id INTEGER, code TEXT, number INTEGER)",
            "INSERT INTO people VALUES (7, '007', 1), (8, '7', 2), (NULL, NULL, 3)",
        )

        assert find(
            database.store(), matcher(["007", "x", "99999999999999999999"])
        ).tally.deleted.tolist() == [0]
        assert find(database.store(), matcher(["007"], edge("code")), "number").keys[
            "number"
        ].texts.to_pylist() == ["1"]
        erase(database.store(), matcher(["7"]))
        assert database.numbers() == [2, 3]
        erase(database.store(), matcher(["7"], edge("code")))
        assert database.numbers() == [3]

    @pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "DECIMAL(9, 2)", "DOUBLE PRECISION"])
    def test_other_types(self, database: Database, kind: str) -> None:
        """Are looked through row by row."""
        values = {
            "DATE": ("'2026-01-31'", "'2026-02-01'", "2026-01-31"),
            "TIMESTAMP": ("'2026-01-31 10:00:00'", "'2026-01-31 10:00:01'", "2026-01-31T10:00:00"),
        }
        first, second, text = values.get(kind, ("7", "8", "7"))
        database.run(
            f"CREATE TABLE people (id {kind}, number INTEGER)",
            f"INSERT INTO people VALUES ({first}, 1), ({second}, 2), (NULL, 3)",
        )

        assert erase(database.store(), matcher([text])).tally.deleted.tolist() == [1]
        assert database.numbers() == [2, 3]

    def test_two_columns_and_many_values(self, database: Database) -> None:
        """One look, each row once."""
        database.people(50)
        looked = matcher({f"p{n}": n % 3 for n in range(5_000)}, edge("id"), edge("parent"))

        assert find(database.store(), looked, requests=3).tally.deleted.tolist() == [17, 17, 16]
        assert erase(
            database.store(), matcher(["p7"], edge("id"), edge("parent"))
        ).tally.deleted.tolist() == [2]

    def test_nobody(self, database: Database) -> None:
        """Rows are counted all the same."""
        database.people(3)

        assert find(database.store(), matcher([])).rows == 3
        assert erase(database.store(), matcher([])).tally.deleted.tolist() == [0]

    def test_names_with_per_cent_signs_and_quotes(self, database: Database) -> None:
        """They are names, not SQL."""
        name = 'a%s "t"'
        quoted = name.replace('"', '""')
        database.run(
            f'CREATE TABLE "{quoted}" ("{quoted}" TEXT, number INTEGER)',
            f"INSERT INTO \"{quoted}\" VALUES ('a', 1), ('b', 2), ('it''s %s', 3)",
        )

        store = database.store(table=name)
        assert find(store, matcher(["a"], edge(name)), name).keys[name].texts.to_pylist() == ["a"]
        assert erase(store, matcher(["a", "it's %s"], edge(name))).tally.deleted.tolist() == [2]
        assert erase(store, matcher(["b"], edge(name, [name]))).tally.masked.tolist() == [1]


class TestHolds:
    def test_held_rows_stay(self, database: Database) -> None:
        """Also where the hold is placed while rows are being erased."""
        database.people(6)
        looked = matcher(["p1", "p2", "p3"])

        changed = erase(database.store(), looked, keeper("p1"), keeper("p1", "p3"))

        assert (changed.tally.deleted.tolist(), changed.tally.held.tolist()) == ([1], [2])
        assert database.numbers() == [1000, 1001, 1003, 1004, 1005]

    def test_everything_held(self, database: Database) -> None:
        """Nothing goes, and keys still lead on."""
        database.people(3)
        looked = matcher(["p1"], held=keeper(everything=True))

        assert find(database.store(), looked, "number").keys["number"].texts.to_pylist() == ["1001"]
        assert erase(database.store(), looked).tally.held.tolist() == [1]
        assert len(database.numbers()) == 3


class TestReferences:
    def test_rows_that_others_refer_to(self, database: Database) -> None:
        """The table that refers is named, nothing is erased, and no value is told."""
        database.run(
            "CREATE TABLE people (id TEXT PRIMARY KEY, number INTEGER)",
            "CREATE TABLE orders (who TEXT REFERENCES people (id))",
            "INSERT INTO people VALUES ('canary-1', 1), ('canary-2', 2)",
            "INSERT INTO orders VALUES ('canary-1')",
        )

        with pytest.raises(StorageError, match="orders still refer") as error:
            erase(database.store(), matcher(["canary-1", "canary-2"]))
        assert "canary" not in str(error.value)
        assert database.numbers() == [1, 2]

        erase(database.store(table="orders"), matcher(["canary-1"], edge("who")))
        assert erase(database.store(), matcher(["canary-1"])).tally.deleted.tolist() == [1]

    def test_rows_that_refer_to_each_other(self, database: Database) -> None:
        """Go together, and cells that refer to one that goes become null first."""
        database.run(
            "CREATE TABLE people (id TEXT PRIMARY KEY, parent TEXT REFERENCES people (id), number INTEGER)",
            "INSERT INTO people VALUES ('a', NULL, 1), ('b', 'a', 2), ('c', 'b', 3), ('d', 'a', 4)",
        )

        erase(database.store(), matcher(["a", "b"], edge("id"), edge("parent", ["parent"])))

        assert database.numbers("parent IS NULL") == [3, 4]
        assert database.numbers() == [3, 4]

    def test_cascades_are_refused(self, database: Database) -> None:
        """Rows of another table would go uncounted, held or not."""
        database.run(
            "CREATE TABLE people (id TEXT PRIMARY KEY)",
            "CREATE TABLE orders (who TEXT REFERENCES people (id) ON DELETE CASCADE)",
        )

        with pytest.raises(StorageError, match="orders would change"):
            find(database.store(), matcher(["a"]))


class TestRefusals:
    def test_a_view(self, database: Database) -> None:
        """It says what it is."""
        database.people(2)
        database.run("CREATE VIEW shown AS SELECT * FROM people")

        with pytest.raises(StorageError, match=r"shown.*deleted from a view"):
            find(database.store(table="shown"), matcher(["p1"]))

    def test_columns(self, database: Database) -> None:
        """That are missing, take no null, or name nobody."""
        database.run("CREATE TABLE people (id TEXT NOT NULL, flag BOOLEAN)")

        with pytest.raises(SchemaError, match="no column other"):
            find(database.store(), matcher(["a"]), "other")
        with pytest.raises(SchemaError, match="id cannot be masked"):
            find(database.store(), matcher(["a"], edge("id", ["id"])))
        with pytest.raises(SchemaError, match="cannot name people"):
            find(database.store(), matcher(["a"], edge("flag")))
        with pytest.raises(SchemaError, match="no such table"):
            find(database.store(table="nobody"), matcher(["a"]))

    def test_a_trigger_that_keeps_rows(self, database: Database) -> None:
        """What the database did not do is no success."""
        database.people(3)
        if isinstance(database.place, Path):
            database.run(
                "CREATE TRIGGER keeps BEFORE DELETE ON people BEGIN SELECT RAISE(IGNORE); END",
            )
        else:
            database.run(
                "CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                "CREATE TRIGGER keeps BEFORE DELETE ON people FOR EACH ROW EXECUTE FUNCTION keeps()",
            )

        with pytest.raises(StorageError, match="changed 0 of 1 rows"):
            erase(database.store(), matcher(["p1"]))
        assert len(database.numbers()) == 3
