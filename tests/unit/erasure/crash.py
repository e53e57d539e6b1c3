"""A process that is killed at a given moment of its erasing; see `tests/unit/release/crash.py`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.erasure.looking import edge, keeper, matcher
from tests.unit.release.crash import KILLED, Death

from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.stores import store_of
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource

__all__ = ["KILLED", "before_the_step", "looked", "run", "source"]


def source(folder: Path) -> ParquetSource | CsvSource:
    return CsvSource(folder) if any(folder.rglob("*.csv")) else ParquetSource(folder)


def looked() -> Matcher:
    """Some rows go, some lose their notes."""
    return matcher(["p1", "p2"], edge("id"), edge("parent", ["parent", "note"]))


@contextmanager
def nobody() -> Iterator[Keeper]:
    yield keeper()


def work(folder: Path, moment: int) -> None:
    """Erase until the moment of death."""
    store = store_of(source(folder))
    death = Death(moment)
    sys.addaudithook(death.audit)
    with store.alone():
        store.erase(looked(), nobody, 1)


def run(folder: Path, moment: int) -> int:
    """Do it in a process of its own; returns its exit code, `KILLED` if it was."""
    return _in_a_process(work, folder, moment)


def _prepared(store: Any) -> None:
    calls: list[int] = []

    @contextmanager
    def killing() -> Iterator[Keeper]:
        calls.append(1)
        if len(calls) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield keeper()

    store.erase(looked(), killing, 1)


def before_the_step(store: Any) -> int:
    """Kill a run when all is prepared and nothing is done."""
    return _in_a_process(_prepared, store)


def _in_a_process(target: Callable[..., None], *arguments: Any) -> int:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    code: int | None = process.exitcode
    assert code is not None
    return code
