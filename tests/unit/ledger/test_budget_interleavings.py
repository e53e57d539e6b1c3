"""Any number of tasks, in any order, dying anywhere: the limit holds, and an answer is drawn once."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from tests.unit.ledger.budgeting import ACTOR, NOW, WHY, limits, measurement, monthly, request

from airflow_veil.privacy.dp.loss import Loss, fits
from airflow_veil.privacy.errors import AnswerBusyError, BudgetError, BudgetExhaustedError
from airflow_veil.privacy.ledger.accounts import spent_by_period
from airflow_veil.privacy.ledger.budget import ChargeState, Claim, StoredAnswer
from airflow_veil.privacy.ledger.database import reading
from airflow_veil.privacy.ledger.ledger import Ledger

COSTS = st.sampled_from(["0.4", "0.55", "0.7"])
INTERVALS = st.sampled_from(["1", "2", "3", "4"])


class Tasks(RuleBasedStateMachine):
    """Tasks hold claims as long as they like, and use them in any order; what is not used is a crash."""

    claims: Bundle[Claim] = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="veil-budget-")
        self.ledger = Ledger.open(Path(self.folder.name) / "ledger.db")
        self.budgets = self.ledger.budgets
        self.account = self.budgets.open(monthly(limits=limits("1")), actor=ACTOR)
        self.now: datetime = NOW
        self.answers: dict[str, StoredAnswer] = {}
        self.drawn: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.ledger.close()
            self.folder.cleanup()

    @rule(target=claims, interval=INTERVALS, cost=COSTS)
    def reserve(self, interval: str, cost: str) -> object:
        wanted = request(interval, cost)
        try:
            found = self.budgets.reserve(wanted, actor=ACTOR, now=self.now)
        except (AnswerBusyError, BudgetExhaustedError):
            return multiple()
        if isinstance(found, StoredAnswer):
            assert found == self.answers[found.answer_id]
            return multiple()
        assert found.answer_id not in self.answers
        return found

    @rule(claim=claims)
    def draw(self, claim: Claim) -> None:
        try:
            self.budgets.drawing(claim, [measurement(claim.request.loss)], self.now)
        except (AnswerBusyError, BudgetError):
            return
        assert claim.charge_id not in self.drawn
        assert claim.answer_id not in self.answers
        self.drawn.add(claim.charge_id)

    @rule(claim=claims, answer=st.binary(max_size=4))
    def store(self, claim: Claim, answer: bytes) -> None:
        try:
            stored = self.budgets.store(claim, answer)
        except (AnswerBusyError, BudgetError):
            assert claim.answer_id not in self.answers
            return
        assert stored == self.answers.setdefault(claim.answer_id, stored)
        assert stored.charge_id in self.drawn

    @rule(claim=claims)
    def void(self, claim: Claim) -> None:
        try:
            self.budgets.void(claim, WHY)
        except (AnswerBusyError, BudgetError):
            return
        assert claim.charge_id not in self.drawn

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        try:
            self.budgets.renew_lease(claim, self.now)
        except AnswerBusyError:
            return

    @rule(seconds=st.sampled_from([10, 61, 86_400 * 20]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def never_more_than_the_limit(self) -> None:
        """Counted by the ledger, and counted here from the charges."""
        if not hasattr(self, "budgets"):
            return
        with reading(self.ledger._engine) as connection:
            told = spent_by_period(connection, "people")
        counted: dict[str, Loss] = {}
        for charge in self.budgets.charges("people"):
            if charge.state is not ChargeState.VOID:
                counted[charge.period_key] = counted.get(charge.period_key, Loss()) + charge.loss
        assert told == counted
        assert all(fits(self.account.limits, loss) for loss in counted.values())

    @invariant()
    def what_was_drawn_is_paid_for(self) -> None:
        """Each draw has a charge of its own, which is not void, and at most one of them is the answer."""
        if not hasattr(self, "budgets"):
            return
        charges = {charge.charge_id: charge for charge in self.budgets.charges("people")}
        drawn = {event.charge_id for event in self.budgets.events()}
        assert drawn == self.drawn
        assert all(charges[each].state in ("drawing", "stored") for each in drawn)
        stored = [charge.answer_id for charge in charges.values() if charge.state == "stored"]
        assert sorted(stored) == sorted(self.answers)


TestTasks = Tasks.TestCase
TestTasks.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
