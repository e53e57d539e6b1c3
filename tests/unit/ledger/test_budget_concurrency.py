"""Several processes that draw on one budget, and killed ones."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from tests.unit.at_once import Ready
from tests.unit.ledger.budget_worker import COST, SHARED
from tests.unit.ledger.budgeting import ACTOR, account, answered, claimed, measurement, request, spent

from airflow_veil.privacy.errors import AnswerBusyError
from airflow_veil.privacy.ledger.budget import StoredAnswer
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import utc_now

WORKER = "tests.unit.ledger.budget_worker"
PROCESSES = 8
ANSWERS = 50
"""How many the budget pays for: 50 times 0.02 is 1."""


def opened(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.budgets.open(account(), actor=ACTOR)


def killed_after(url: str, step: str) -> None:
    worker = Ready(WORKER, url, "killed", "die-after", step)
    worker.go()
    worker.communicate()
    assert worker.returncode == -signal.SIGKILL


class TestProcessesAtOnce:
    """Processes that draw on one budget at the same time."""

    def test_spend_what_there_is_and_no_more(self, url: str) -> None:
        """They end exactly at the limit, and an answer that all want is drawn once."""
        opened(url)
        workers = [Ready(WORKER, url, f"worker-{number}", "spend") for number in range(PROCESSES)]
        for worker in workers:
            worker.go()
        printed = [worker.communicate()[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * PROCESSES

        shared = defaultdict(set)
        for line in "".join(printed).splitlines():
            key, _, answer = line.partition(" ")
            shared[key].add(answer)
        assert [len(shared[f"shared-{number}"]) for number in range(SHARED)] == [1] * SHARED
        with Ledger.open(url) as ledger:
            charges = ledger.budgets.charges("people")
            assert spent(ledger.budgets) == "1"
            assert Counter(charge.state for charge in charges) == {"stored": ANSWERS}
            assert len({charge.answer_id for charge in charges}) == ANSWERS == len(ledger.budgets.events())
            assert ledger.verify_chain() == ledger.evidence()[-1].head


class TestKilledProcess:
    """A process that is killed while it makes an answer."""

    def test_before_it_draws_leaves_money_that_the_retry_uses(self, url: str) -> None:
        """The answer is busy until the lease is over; then the charge is taken over."""
        opened(url)
        killed_after(url, "reserve")
        with Ledger.open(url) as ledger:
            budgets = ledger.budgets
            assert [charge.state for charge in budgets.charges("people")] == ["reserved"]
            with pytest.raises(AnswerBusyError):
                budgets.reserve(request(), actor=ACTOR)

            claim = claimed(budgets, now=utc_now() + timedelta(hours=1))
            budgets.drawing(claim, [measurement()])
            budgets.store(claim, b"retried")
            assert spent(budgets) == "0.25"

    def test_while_it_draws_leaves_money_spent(self, url: str) -> None:
        """Noise may be out; the retry draws, and pays, anew."""
        opened(url)
        killed_after(url, "drawing")
        with Ledger.open(url) as ledger:
            budgets = ledger.budgets
            assert [charge.state for charge in budgets.charges("people")] == ["drawing"]
            assert len(budgets.events()) == 1
            with pytest.raises(AnswerBusyError):
                budgets.reserve(request(), actor=ACTOR)

            claim = claimed(budgets, now=utc_now() + timedelta(hours=1))
            budgets.drawing(claim, [measurement()])
            budgets.store(claim, b"retried")
            assert spent(budgets) == "0.5"
            assert [charge.state for charge in budgets.charges("people")] == ["drawing", "stored"]

    def test_after_it_stored_leaves_the_answer(self, url: str) -> None:
        """The retry gets it and pays nothing."""
        opened(url)
        killed_after(url, "store")
        with Ledger.open(url) as ledger:
            found = ledger.budgets.reserve(request(), actor=ACTOR)

            assert isinstance(found, StoredAnswer)
            assert found.answer == b"answer"
            assert spent(ledger.budgets) == "0.25"

    def test_at_any_moment_leaves_the_ledger_in_order(self, url: str) -> None:
        """Whatever it was doing: every answer has its charge, and every charge its evidence."""
        opened(url)
        for number in range(4):
            worker = Ready(WORKER, url, f"killed-{number}", "spend")
            worker.go()
            # The shared answers are there already, but for the first one.
            worker.told(SHARED + number)
            worker.kill()
            worker.communicate()
        with Ledger.open(url) as ledger:
            budgets = ledger.budgets
            charges = budgets.charges("people")
            kinds = Counter(entry.kind for entry in ledger.evidence())
            drawn = [charge for charge in charges if charge.state in ("drawing", "stored")]
            stored = [charge for charge in charges if charge.state == "stored"]

            assert ledger.verify_chain() == ledger.evidence()[-1].head
            assert kinds["budget.charged"] == len(charges)
            assert {event.charge_id for event in budgets.events()} == {charge.charge_id for charge in drawn}
            assert kinds["answer.stored"] == len(stored)
            assert all(budgets.answer(charge.answer_id) for charge in stored)
            assert answered(budgets, request("next", COST)).answer == b"answer"
