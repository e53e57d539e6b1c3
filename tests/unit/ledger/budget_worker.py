"""One of several processes that draw on a budget: `budget_worker.py <url> <name> spend | die-after <step>`.

It says that it is ready on its output, and begins when it is told to on its input.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.unit.ledger.budgeting import measurement, request

from airflow_veil.privacy.errors import BudgetExhaustedError
from airflow_veil.privacy.ledger.budget import Claim
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.ledger.ledger import Ledger

COST = "0.02"
SHARED = 5


def answer(budgets: Budgets, name: str, interval: str) -> bytes:
    """The answer of an interval, made by whoever is first."""
    wanted = request(interval, COST)
    found = budgets.reserve_waiting(wanted, actor=name, patience_seconds=120, poll_seconds=0.01)
    if not isinstance(found, Claim):
        return found.answer
    budgets.drawing(found, [measurement(wanted.loss)])
    return budgets.store(found, f"drawn by {name}".encode()).answer


def spend(budgets: Budgets, name: str) -> None:
    """Ask for answers, some of which all processes want, until nothing is left."""
    for number in range(SHARED):
        print(f"shared-{number} {answer(budgets, name, f'shared-{number}').decode()}", flush=True)
    number = 0
    while True:
        try:
            answer(budgets, name, f"{name}-{number}")
        except BudgetExhaustedError:
            return
        number += 1
        print(f"own {number}", flush=True)


def die_after(budgets: Budgets, name: str, step: str) -> None:
    """Make an answer, and be killed on the way."""
    claim = budgets.reserve(request(), actor=name)
    assert isinstance(claim, Claim)
    if step == "reserve":
        os.kill(os.getpid(), signal.SIGKILL)
    budgets.drawing(claim, [measurement()])
    if step == "drawing":
        os.kill(os.getpid(), signal.SIGKILL)
    budgets.store(claim, b"answer")
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, name: str, mode: str, *step: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    with Ledger.open(url) as ledger:
        if mode == "spend":
            spend(ledger.budgets, name)
        else:
            die_after(ledger.budgets, name, *step)


if __name__ == "__main__":
    main(*sys.argv[1:])
