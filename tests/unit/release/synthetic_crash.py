"""Processes that make up rows: killed at a given moment, or two at once. Fits are written down before they begin."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from tests.unit.release.conftest import ACTOR, Shop, night
from tests.unit.release.crash import dies_at
from tests.unit.release.synthesis import silent

from airflow_veil.privacy.release import synthesize, synthetic_fit

_right = synthetic_fit.synthesizer_for


def write_fits(folder: Path) -> None:
    """Let each fit be written down, on the disk, before it begins."""

    def noting(specification: Any) -> Any:
        with (folder / "fits").open("a") as file:
            file.write(f"{specification.name}\n")
            file.flush()
            os.fsync(file.fileno())
        return _right(specification)

    synthetic_fit.synthesizer_for = noting  # type: ignore[assignment]


def fits(folder: Path) -> list[str]:
    """What was fitted so far: a synthesis a line."""
    path = folder / "fits"
    return path.read_text().splitlines() if path.exists() else []


def killed(folder: Path, name: str, number: int, moment: int) -> None:
    """Make a night's release until the moment of death."""
    write_fits(folder.parent)
    shop = Shop(folder)
    workspace = shop.workspace()
    dies_at(moment)
    synthesize.run(workspace, name, night(number), actor=ACTOR, progress=silent)


def together(folder: Path, name: str, start: Any, results: Any) -> None:
    """Make a release when all are ready; tell which one."""
    workspace = Shop(folder).workspace()
    start.wait()
    try:
        done = synthesize.run(workspace, name, night(0), actor=f"process {os.getpid()}", progress=silent)
    except BaseException as error:
        results.put(repr(error))
        raise
    results.put(dict(done[-1].reference.releases))


def context() -> ForkServerContext:
    """Processes that are forked from one that has imported what they need."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(
        [__name__, "airflow_veil.privacy.ledger.schema", "pandas", "sdv.single_table"]
    )
    return found


def run_killed(folder: Path, name: str, number: int, moment: int) -> int:
    """`killed` in a process of its own; returns its exit code."""
    process = context().Process(target=killed, args=(folder, name, number, moment))
    process.start()
    process.join()
    code: int | None = process.exitcode
    assert code is not None
    return code


def run_together(folder: Path, name: str, count: int) -> list[Any]:
    """Some processes at once; returns what each published."""
    started = context()
    start, results = started.Barrier(count), started.Queue()
    processes = [started.Process(target=together, args=(folder, name, start, results)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return found
