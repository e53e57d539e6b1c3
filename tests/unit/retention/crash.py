"""A process that is killed at a given moment of its deleting; see `tests/unit/release/crash.py`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.release.crash import KILLED, dies_at, in_own_process
from tests.unit.retention.conftest import Place

__all__ = ["KILLED", "run"]


def work(folder: Path, moment: int) -> None:
    """Delete what is over until the moment of death."""
    dies_at(moment)
    Place(folder).enforce()


def run(folder: Path, moment: int) -> int:
    """Do it in a process of its own; returns its exit code, `KILLED` if it was."""
    return in_own_process(work, folder, moment)
