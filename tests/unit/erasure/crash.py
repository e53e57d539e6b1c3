"""A process that is killed at a given moment of an erasure; see `tests/unit/release/crash.py`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.erasure.shop import Shop
from tests.unit.release.crash import KILLED, dies_at, in_own_process

__all__ = ["KILLED", "run"]


def work(folder: Path, moment: int) -> None:
    """Erase who waits until the moment of death."""
    dies_at(moment)
    Shop(folder).run()


def run(folder: Path, moment: int) -> int:
    """Do it in a process of its own; returns its exit code, `KILLED` if it was."""
    return in_own_process(work, folder, moment)
