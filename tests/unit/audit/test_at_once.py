"""Several processes that append at once, and killed ones, while the log is anchored."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.at_once import Ready
from tests.unit.audit.conftest import Log

from airflow_veil.privacy.ledger.ledger import Ledger

APPENDER = "tests.unit.audit.appender"
PROCESSES = 8
ROUNDS, EACH = 3, 8


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a ledger in it, on each that it runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    database: str = request.getfixturevalue("postgres")
    return database


class TestProcessesAtOnce:
    def test_make_one_log(self, url: str, tmp_path: Path) -> None:
        """Eight append; every checkpoint that is taken meanwhile is of the one log that comes of it."""
        appenders = [Ready(APPENDER, url, f"worker-{number}", str(EACH)) for number in range(PROCESSES)]
        with Ledger.open(url) as ledger:
            log = Log(ledger, tmp_path / "checkpoints.txt")
            for _ in range(ROUNDS):
                for appender in appenders:
                    appender.go()
                log.anchor()
                for appender in appenders:
                    appender.told(EACH)
                log.anchor()
            for appender in appenders:
                appender.ended()

            report = log.verify()
            assert report.size == report.anchored == PROCESSES * ROUNDS * EACH
            assert report.checkpoints >= ROUNDS
            assert ledger.verify_chain().seq == PROCESSES * ROUNDS * EACH


class TestKilledProcess:
    def test_leaves_entry_and_node_or_neither(self, url: str, tmp_path: Path) -> None:
        """Whenever it is killed, the tree is that of the entries, and goes on from what was anchored."""
        with Ledger.open(url) as ledger:
            log = Log(ledger, tmp_path / "checkpoints.txt")
            for number in range(6):
                appender = Ready(APPENDER, url, f"killed-{number}", str(1_000_000))
                appender.go()
                appender.told(2 + number)
                appender.kill()
                appender.communicate()
                log.anchor()

                assert log.verify().size == log.verify().anchored
            assert log.verify().checkpoints == 6
