"""Processes that answer queries: killed at a given moment, or many at once. Draws are written down before they are."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import nullcontext
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.unit.dp.asking import House, night
from tests.unit.release.crash import dies_at

from airflow_veil.privacy.errors import BudgetExhaustedError
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.release import dp_release

FOLDER = "shop"
"""The house's folder: `Death` counts the files that are written below one of this name."""
LEASE_SECONDS = 0.05
_right = dp_release.draw


def house(folder: Path) -> House:
    """The house of a test, as it stands."""
    return House(
        folder / FOLDER, pa.table({"id": pa.array(range(40)), "g": pa.array([n % 4 for n in range(40)])})
    )


def write_draws(folder: Path) -> None:
    """Let each draw be written down, on the disk, before it is drawn."""

    def draw(query: Any, planned: Any, totals: Any) -> Any:
        with (folder / "draws").open("a") as file:
            file.write(f"{query.name} {query.spend}\n")
            file.flush()
            os.fsync(file.fileno())
        return _right(query, planned, totals)

    dp_release.draw = draw


def draws(folder: Path) -> list[str]:
    """What was drawn so far: a query a line, with what it spends."""
    path = folder / "draws"
    return path.read_text().splitlines() if path.exists() else []


def short_leases() -> dict[str, Any]:
    """The defaults of a claim, where it is waited for a moment only."""
    return {"lease_seconds": LEASE_SECONDS, "poll_seconds": 0.02}


def killed(folder: Path, number: int, moment: int) -> None:
    """Answer a night's query until the moment of death."""
    write_draws(folder)
    Budgets.reserve_waiting.__kwdefaults__.update(short_leases())
    # Renewals come by the clock, and would be moments that come and go.
    dp_release.held = lambda budgets, claim: nullcontext(claim)  # type: ignore[assignment]
    dies_at(moment)
    House.release(_as_it_is(folder), number=number)


def together(folder: Path, name: str, start: Any, results: Any) -> None:
    """Answer a query when all are ready; tell what became of it."""
    write_draws(folder)
    Budgets.reserve_waiting.__kwdefaults__["poll_seconds"] = 0.02
    here = _as_it_is(folder)
    workspace = here.workspace()
    start.wait()
    try:
        done = dp_release.release(workspace, name, night(), actor=f"process {os.getpid()}")
    except BudgetExhaustedError:
        results.put((name, None))
    except BaseException as error:
        results.put((name, repr(error)))
        raise
    else:
        results.put((name, done.reference.release_id))


def _as_it_is(folder: Path) -> House:
    made = House.__new__(House)
    made.path, made._open = folder / FOLDER, []
    return made


def context() -> ForkServerContext:
    """Processes that are forked from one that has imported what they need."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(
        [__name__, "airflow_veil.privacy.ledger.schema", "pandas", "opendp.measurements"]
    )
    return found


def run_killed(folder: Path, number: int, moment: int) -> int:
    """`killed` in a process of its own; returns its exit code."""
    process = context().Process(target=killed, args=(folder, number, moment))
    process.start()
    process.join()
    code: int | None = process.exitcode
    assert code is not None
    return code


def run_together(folder: Path, names: list[str]) -> list[tuple[str, str | None]]:
    """A process a name, all at once; returns each name with its release, None where the budget did not pay."""
    started = context()
    start, results = started.Barrier(len(names)), started.Queue()
    processes = [started.Process(target=together, args=(folder, name, start, results)) for name in names]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return found
