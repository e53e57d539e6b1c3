"""A log with entries, its key, and a place outside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_veil.privacy.audit import anchor, record, verify
from airflow_veil.privacy.audit.checkpoint import SignedCheckpoint
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.places import place
from airflow_veil.privacy.audit.verify import Report
from airflow_veil.privacy.ledger.ledger import Ledger

ENTRIES = 11
ANCHORED = 8
KEY = SigningKey.generate("example.com/veil")


def fill(ledger: Ledger, first: int, last: int, *, what: str = "made") -> None:
    """Add entries with some numbers."""
    for number in range(first, last + 1):
        ledger.append_evidence(f"test.{what}", f"thing/{number}", {"rows": number}, actor="tester")


@dataclass(frozen=True)
class Log:
    """A ledger, and where it is anchored."""

    ledger: Ledger
    anchors: Path | str

    def anchor(self, key: SigningKey = KEY) -> anchor.Anchored:
        return anchor.anchor(self.ledger, key, place(self.anchors))

    def checkpoints(self) -> tuple[SignedCheckpoint, ...]:
        return anchor.checkpoints(place(self.anchors), [KEY.verifier])

    def verify(self) -> Report:
        return verify.verify(record.of_ledger(self.ledger), self.checkpoints())


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """An empty log in SQLite."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield Log(ledger, tmp_path / "checkpoints.txt")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log of some entries, one of them without its payload, anchored twice, with more entries since; not changed."""
    folder = tmp_path_factory.mktemp("made")
    made = Log(Ledger.open(folder / "ledger.db"), folder / "checkpoints.txt")
    fill(made.ledger, 1, 5)
    made.anchor()
    made.ledger.erase_payload(2, "ticket 4711", "officer")
    fill(made.ledger, 7, ANCHORED)
    made.anchor()
    fill(made.ledger, ANCHORED + 1, ENTRIES)
    return made


@pytest.fixture
def copy(made: Log, tmp_path: Path) -> Log:
    """A copy of that log, to change."""
    return copied(made, tmp_path)


def copied(made: Log, folder: Path) -> Log:
    """A copy of a log in another folder."""
    source = made.anchors.parent
    for name in ("ledger.db", "checkpoints.txt"):
        shutil.copy(source / name, folder / name)
    return Log(Ledger.open(folder / "ledger.db"), folder / "checkpoints.txt")
