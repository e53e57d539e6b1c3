"""How the ledger's database is reached, and what it refuses."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from airflow_veil.privacy.errors import LedgerError
from airflow_veil.privacy.ledger import database, evidence
from airflow_veil.privacy.ledger.database import connect, reading, writing
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.tables import releases


def shown(error: BaseException | None) -> str:
    """All that a traceback could show of an error."""
    return "" if error is None else f"{error} {error!r} {shown(error.__cause__)}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestConnect:
    """`connect`."""

    @pytest.mark.parametrize("umask", [0o000, 0o022], ids=oct)
    def test_makes_a_file_for_its_owner_alone(self, tmp_path: Path, umask: int) -> None:
        """The mode is 0600 whatever the umask."""
        before = os.umask(umask)
        try:
            Ledger.open(tmp_path / "ledger.db")
        finally:
            os.umask(before)

        assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        "target",
        [
            lambda path: path,
            str,
            lambda path: f"sqlite:///{path}",
            lambda path: f"sqlite:///file:{path}?uri=true",
        ],
        ids=["path", "text", "url", "file url"],
    )
    def test_takes_a_file_in_any_form(self, tmp_path: Path, target: Callable[[Path], str | Path]) -> None:
        """A path, a name or a URL mean the same file."""
        Ledger.open(target(tmp_path / "ledger.db"))

        assert (tmp_path / "ledger.db").stat().st_size > 0

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
    def test_takes_postgresql_in_any_form(self, postgres: str, scheme: str) -> None:
        """The URL may be SQLAlchemy's or the short one that Airflow gives."""
        with Ledger.open(postgres.replace("postgresql", scheme, 1)) as ledger:
            assert ledger.evidence() == ()

    @pytest.mark.parametrize(
        "target",
        [
            "mysql://user:hunter2@host/db",
            "postgresql//user:hunter2@host://",
            "postgresql://user:hunter2@host:port/db",
            "sqlite://",
            "sqlite:///:memory:",
            "://hunter2",
        ],
        ids=["other database", "no url", "no port", "no file", "memory", "no scheme"],
    )
    def test_refuses_other_urls(self, target: str) -> None:
        """The error does not show the URL: it may hold a password."""
        with pytest.raises(LedgerError, match="URL cannot be used") as caught:
            connect(target)

        assert "hunter2" not in shown(caught.value)
        assert not caught.value.retryable

    def test_names_a_missing_folder(self, tmp_path: Path) -> None:
        """The error says what to make."""
        with pytest.raises(LedgerError, match=r"No such file or directory.*make its folder") as caught:
            connect(tmp_path / "missing" / "ledger.db")
        assert not caught.value.retryable

    def test_refuses_a_file_that_is_no_ledger(self, tmp_path: Path) -> None:
        """Something else is left alone."""
        other = tmp_path / "ledger.db"
        other.write_text("a file of somebody else's, long enough not to be taken for an empty one" * 100)

        with pytest.raises(LedgerError, match="this is no ledger"):
            Ledger.open(other)

    def test_says_that_a_server_is_away(self) -> None:
        """A server that does not answer may answer later; the password is not shown."""
        url = f"postgresql://user:hunter2@127.0.0.1:{free_port()}/db?application_name=hunter2"

        with pytest.raises(LedgerError, match="cannot be reached") as caught:
            Ledger.open(url)

        assert caught.value.retryable
        assert "hunter2" not in shown(caught.value)

    def test_shows_no_password(self, postgres: str) -> None:
        """The ledger's text names the database only."""
        url = postgres.replace("postgres@", "postgres:hunter2@")

        with Ledger.open(url) as ledger:
            assert "hunter2" not in repr(ledger)


class TestTransactions:
    """`reading` and `writing`."""

    def test_refuse_a_read_only_file(self, tmp_path: Path) -> None:
        """What can only be read is read, and the first change says so."""
        Ledger.open(tmp_path / "ledger.db").append_evidence("test.made", "here", {}, actor="test")
        ledger = Ledger.open(f"sqlite:///file:{tmp_path / 'ledger.db'}?mode=ro&uri=true")

        assert len(ledger.evidence()) == 1
        with pytest.raises(LedgerError, match="can only be read") as caught:
            ledger.append_evidence("test.made", "here", {}, actor="test")
        assert not caught.value.retryable

    def test_refuse_a_read_only_server(self, postgres: str) -> None:
        """The same on a standby of PostgreSQL."""
        ledger = Ledger.open(postgres)
        with writing(connect(postgres)) as connection:
            name = connection.scalar(text("SELECT current_database()"))
            connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))

        assert ledger.evidence() == ()
        with pytest.raises(LedgerError, match="can only be read"):
            ledger.append_evidence("test.made", "here", {}, actor="test")

    def test_give_up_on_a_lock(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who waits too long for the writer before gets an error that says to try again."""
        ledger = Ledger.open(url)
        monkeypatch.setattr(database, "LOCK_SECONDS", 0.2)
        impatient = Ledger(connect(url))

        with writing(ledger._engine), pytest.raises(LedgerError, match="another process held") as caught:
            impatient.append_evidence("test.made", "here", {}, actor="test")
        assert caught.value.retryable

    def test_let_others_read_meanwhile(self, ledger: Ledger, url: str) -> None:
        """A writer does not keep readers out until it commits."""
        with writing(ledger._engine):
            assert Ledger(connect(url)).evidence() == ()

    def test_wait_for_the_writer_before(self, ledger: Ledger) -> None:
        """The second writer sees what the first has committed."""
        second = threading.Thread(
            target=lambda: ledger.append_evidence("test.second", "here", {}, actor="test")
        )
        with writing(ledger._engine) as connection:
            second.start()
            second.join(0.2)
            evidence.append(connection, kind="test.first", subject="here", payload={}, actor="test")
        second.join()

        assert [entry.kind for entry in ledger.evidence()] == ["test.first", "test.second"]

    def test_drop_what_an_exception_interrupts(self, ledger: Ledger) -> None:
        """A transaction is done whole or not at all."""

        def interrupted() -> None:
            with writing(ledger._engine) as connection:
                evidence.append(connection, kind="test.made", subject="here", payload={}, actor="test")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert ledger.evidence() == ()

    def test_show_no_parameters(self, ledger: Ledger) -> None:
        """An error of the database holds neither statement nor values."""
        row = {"release_id": "canary", "policy": "canary", "dataset": "d", "state": "canary"}

        with (
            pytest.raises(LedgerError, match="a rule of the ledger") as caught,
            writing(ledger._engine) as connection,
        ):
            connection.execute(insert(releases), row)
        assert "canary" not in shown(caught.value)


class TestUtcDateTime:
    """Times in the tables."""

    def test_come_back_in_utc(self, ledger: Ledger) -> None:
        """A time of any zone comes back as the same moment, aware, in UTC, to the microsecond."""
        time = datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=-5)))
        row = dict.fromkeys(["release_id", "policy", "dataset", "destination", "run_key"], "x")
        row |= {"state": "staged", "policy_digest": "0", "plan_digest": "0"}
        with writing(ledger._engine) as connection:
            connection.execute(insert(releases), row | {"created_at": time})
        with reading(ledger._engine) as connection:
            found = connection.scalar(select(releases.c.created_at))

        assert time == found
        assert found.tzinfo is UTC

    def test_refuse_a_naive_time(self, ledger: Ledger) -> None:
        """A time without a zone is never guessed at."""
        with pytest.raises(LedgerError), writing(ledger._engine) as connection:
            connection.execute(insert(releases), {"release_id": "x", "created_at": datetime(2026, 1, 31)})
