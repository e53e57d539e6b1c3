"""The ledger's tables and their migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from tests.unit.ledger.budgeting import account, answered
from tests.unit.ledger.worker import publish

from airflow_veil.privacy.audit.merkle import Tree, leaf_hash
from airflow_veil.privacy.errors import LedgerError
from airflow_veil.privacy.ledger import migrations, schema, tree
from airflow_veil.privacy.ledger.database import connect, reading, writing
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.tables import VERSION_TABLE, metadata


def checks(connection: Connection) -> set[tuple[str, str]]:
    """The CHECK constraints as the database has them."""
    found = inspect(connection)
    return {
        (str(check["name"]), " ".join(check["sqltext"].split()))
        for table in metadata.tables
        for check in found.get_check_constraints(table)
    }


def uniques(connection: Connection) -> set[tuple[object, ...]]:
    """The indexes as the database has them, with what makes them partial."""
    return {
        (index["name"], tuple(index["column_names"]), bool(index["unique"]), where(index))
        for table in metadata.tables
        for index in inspect(connection).get_indexes(table)
    }


def where(index: object) -> str:
    options = index["dialect_options"]  # type: ignore[index]
    return str(options.get("sqlite_where", options.get("postgresql_where"))).strip("()")


@pytest.fixture
def engine(url: str) -> Engine:
    """A database without a ledger in it."""
    return connect(url)


@contextmanager
def older_code(version: str) -> Iterator[None]:
    """The code of an older airflow-veil: it makes fewer tables, and keeps no tree over the evidence."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schema, "VERSION", version)
        patched.setattr(tree, "append", lambda *_: None)
        yield


class TestMigrations:
    """The migrations make the tables that the code uses."""

    def test_make_the_tables_of_the_metadata(self, engine: Engine) -> None:
        """Alembic finds no difference in tables, columns, types, keys and indexes."""
        schema.upgrade(engine)
        with reading(engine) as connection:
            options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
            context = MigrationContext.configure(connection, opts=options)

            assert compare_metadata(context, metadata) == []

    def test_make_the_same_rules(self, engine: Engine) -> None:
        """Checks and partial indexes, which Alembic does not compare, are those of the metadata too."""
        schema.upgrade(engine)
        with reading(engine) as connection:
            migrated = checks(connection), uniques(connection)
        with writing(engine) as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(text(f"DROP TABLE {table.name}"))
            metadata.create_all(connection)
        with reading(engine) as connection:
            assert migrated == (checks(connection), uniques(connection))
        assert len(migrated[0]) == 29
        assert ("ix_releases_one_current", ("policy", "dataset", "destination"), True) in {
            index[:3] for index in migrated[1]
        }

    def test_end_at_the_version_of_the_code(self) -> None:
        """`schema.VERSION` is the newest migration, and there is one line of them."""
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))

        assert ScriptDirectory.from_config(config).get_heads() == [schema.VERSION]

    def test_are_numbered_so_that_newer_ones_sort_last(self) -> None:
        """Older code tells a newer version by comparing texts."""
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]

        assert revisions == sorted(revisions, reverse=True)
        assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


class TestUpgrade:
    """`schema.upgrade`."""

    def test_is_idempotent(self, url: str) -> None:
        """Opening again changes nothing and keeps what is there."""
        with Ledger.open(url) as ledger:
            ledger.append_evidence("test.made", "here", {}, actor="test")
        with Ledger.open(url) as ledger:
            assert len(ledger.evidence()) == 1

    def test_keeps_what_an_older_ledger_holds(self, url: str, engine: Engine) -> None:
        """A ledger from before there were budgets gets them, and its releases and evidence stay as they were."""
        with older_code("0001"), Ledger(engine) as old:
            schema.upgrade(engine)
            publish(old, "worker", "night")
            kept = old.list(), old.evidence(), old.verify_chain()

        with Ledger.open(url) as ledger:
            assert (ledger.list(), ledger.evidence(), ledger.verify_chain()) == kept
            assert ledger.budgets.accounts() == ()
            ledger.budgets.open(account(), actor="test")
            assert answered(ledger.budgets).answer == b"answer"

    def test_makes_the_tree_of_older_evidence(self, url: str, engine: Engine) -> None:
        """Entries from before there was a tree are leaves of it, and new ones follow them."""
        with older_code("0002"), Ledger(engine) as old:
            schema.upgrade(engine)
            for number in range(1, 12):
                old.append_evidence("test.made", f"thing/{number}", {"rows": number}, actor="test")
            kept = old.evidence()

        with Ledger.open(url) as ledger:
            ledger.append_evidence("test.made", "thing/12", {}, actor="test")
            entries = ledger.evidence()
            leaves = Tree(leaf_hash(entry.leaf) for entry in entries)

            assert entries[:-1] == kept
            assert [ledger.tree.root(size) for size in range(13)] == [leaves.root(size) for size in range(13)]
            ledger.erase_payload(3, "ticket 4711", "test")
            assert ledger.evidence()[2].payload is None
        if engine.dialect.name == "sqlite":
            with reading(engine) as connection:
                assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
                assert connection.execute(text("PRAGMA foreign_key_check")).all() == []

    def test_refuses_older_evidence_with_a_gap(self, url: str, engine: Engine) -> None:
        """No tree is made over what is left of evidence: somebody has deleted some, and is not to be helped."""
        with older_code("0002"), Ledger(engine) as old:
            schema.upgrade(engine)
            for number in range(1, 6):
                old.append_evidence("test.made", f"thing/{number}", {}, actor="test")
        with writing(engine) as connection:
            on_table = " ON evidence" if engine.dialect.name == "postgresql" else ""
            name = "no_change" if on_table else "no_delete"
            connection.execute(text(f"DROP TRIGGER evidence_{name}{on_table}"))
            connection.execute(text("DELETE FROM evidence WHERE seq = 3"))

        with pytest.raises(LedgerError, match="no entry 3, and later ones") as caught:
            Ledger.open(url)
        assert not caught.value.retryable

    def test_is_all_or_nothing(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        """A migration that fails half-way leaves no table behind."""
        migrate = schema._migrate

        def fail(connection: Connection) -> None:
            migrate(connection)
            raise RuntimeError

        monkeypatch.setattr(schema, "_migrate", fail)

        with pytest.raises(RuntimeError):
            schema.upgrade(engine)
        with reading(engine) as connection:
            assert inspect(connection).get_table_names() == []

    def test_refuses_a_newer_ledger(self, url: str, engine: Engine) -> None:
        """Code that is too old keeps its hands off."""
        schema.upgrade(engine)
        with writing(engine) as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))

        with pytest.raises(
            LedgerError, match=rf"version 9999.*knows {schema.VERSION}.*Fix: upgrade"
        ) as caught:
            Ledger.open(url)
        assert not caught.value.retryable

    def test_works_in_a_folder_with_a_per_cent_sign(self, tmp_path: Path) -> None:
        """Neither the ledger's path nor Alembic's format is in the way."""
        folder = tmp_path / "100% safe"
        folder.mkdir()

        Ledger.open(folder / "ledger.db").append_evidence("test.made", "here", {}, actor="test")
