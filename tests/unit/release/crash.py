"""A process that is killed at a given moment of its work on a release.

Moments are the changes that it makes to the file system, and the commits of the ledger: right before each of them,
which is right after the one before it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.unit.release.conftest import ACTOR, Shop, night

from airflow_veil.privacy.release import service

CHANGES = frozenset({"os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.chmod"})
KILLED = -signal.SIGKILL


class Death:
    """Kills this process, as `kill -9` does, at its n-th moment."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        """See `sys.addaudithook`; opening a file to write is a change as well."""
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ours = not writes or "/shop" in str(arguments[0])
        if name in CHANGES or (writes and ours):
            self()


def work(task: str, folder: Path, number: int, moment: int, steps: bool) -> None:
    """Do a task on a shop until the moment of death."""
    shop = Shop(folder)
    dies_at(moment)
    if task == "release":
        shop.release(night(number), steps=steps)
    else:
        service.rollback(
            shop.workspace(), "people", release_id=None, reason="a bad release", actor=ACTOR, replacing=task
        )


def run(task: str, folder: Path, number: int, moment: int, *, steps: bool = False) -> int:
    """Do it in a process of its own; returns its exit code, `KILLED` if it was."""
    return in_own_process(work, task, folder, number, moment, steps)


def in_own_process(work: Callable[..., None], *arguments: Any) -> int:
    """Do some work of a module's own in a process of its own; returns its exit code, `KILLED` if it was."""
    context = multiprocessing.get_context("forkserver")
    # Imported once by the server that all of them are forked from, not by each.
    context.set_forkserver_preload([work.__module__, "airflow_veil.privacy.ledger.schema", "pandas"])
    process = context.Process(target=work, args=arguments)
    process.start()
    process.join()
    code: int | None = process.exitcode
    assert code is not None
    return code


def dies_at(moment: int) -> None:
    """Let this process die at its n-th moment."""
    death = Death(moment)
    sys.addaudithook(death.audit)
    event.listen(Engine, "commit", death)
