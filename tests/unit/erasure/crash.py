"""A process that is killed at a given moment of an erasure; see `tests/unit/release/crash.py`."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.unit.erasure.shop import Shop
from tests.unit.release.crash import KILLED, Death

__all__ = ["KILLED", "run"]


def work(folder: Path, moment: int) -> None:
    """Erase who waits until the moment of death."""
    death = Death(moment)
    sys.addaudithook(death.audit)
    event.listen(Engine, "commit", death)
    Shop(folder).run()


def run(folder: Path, moment: int) -> int:
    """Do it in a process of its own; returns its exit code, `KILLED` if it was."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "airflow_veil.privacy.ledger.schema"])
    process = context.Process(target=work, args=(folder, moment))
    process.start()
    process.join()
    code: int | None = process.exitcode
    assert code is not None
    return code
