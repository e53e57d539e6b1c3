"""Accounts of privacy budgets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.ledger.budgeting import (
    ACTOR,
    NOW,
    WHY,
    account,
    answered,
    claimed,
    limits,
    measurement,
    monthly,
    pure,
    request,
    spent,
)

from airflow_veil.privacy.dp.loss import Limits, Loss, remaining
from airflow_veil.privacy.errors import AnswerBusyError, BudgetError, BudgetExhaustedError
from airflow_veil.privacy.ledger.budget import Account
from airflow_veil.privacy.ledger.ledger import Ledger


@pytest.fixture
def opened(ledger: Ledger) -> Ledger:
    """A ledger with one account."""
    ledger.budgets.open(account(), actor=ACTOR)
    return ledger


class TestOpen:
    """`Budgets.open`."""

    @pytest.mark.parametrize(
        "declared",
        [
            account(),
            account(limits=limits("1.50", "1e-9")),
            account(limits=Limits(rho=Decimal("0.5"))),
            account(limits=Limits(rho=Decimal("0.5"), delta=Decimal("1e-7"))),
            monthly(),
        ],
        ids=["pure", "approx", "zcdp", "zcdp with delta", "monthly"],
    )
    def test_makes_the_account_once(self, ledger: Ledger, declared: Account) -> None:
        """It is read as it was declared; a second opening confirms it and leaves no evidence."""
        assert ledger.budgets.open(declared, actor=ACTOR) == declared
        assert ledger.budgets.open(declared, actor="another") == declared
        assert ledger.budgets.accounts() == (declared,)
        assert [entry.kind for entry in ledger.evidence()] == ["budget.opened"]
        assert ledger.evidence()[0].subject == "budget/people"

    def test_the_same_amount_may_be_written_otherwise(self, opened: Ledger) -> None:
        """1 and 1.0 are the same limit, and a renewal may be worded anew."""
        opened.budgets.open(account(limits=limits("1.00")), actor=ACTOR)
        opened.budgets.open(monthly("other"), actor=ACTOR)
        opened.budgets.open(monthly("other", renewal="the same in other words"), actor=ACTOR)

    def test_a_limit_is_not_changed_by_a_policy(self, opened: Ledger) -> None:
        """The error says both, and the command that changes it with a reason."""
        with pytest.raises(
            BudgetError,
            match=r"budget people: the policy allows epsilon 2, and the ledger epsilon 1\."
            r" Fix: `veil budget change people --epsilon 2 --reason",
        ):
            opened.budgets.open(account(limits=limits("2")), actor=ACTOR)
        assert opened.budgets.accounts() == (account(),)

    @pytest.mark.parametrize(
        "changed",
        [
            {"unit": "orders.id"},
            {"limits": limits("1", "1e-9")},
            {"limits": Limits(rho=Decimal(1))},
            {"per": "P1M", "starts": date(2026, 1, 1), "renewal": "each month is another"},
        ],
        ids="+".join,
    )
    def test_nothing_else_ever_changes(self, opened: Ledger, changed: dict[str, Any]) -> None:
        """What was counted in one way for some people cannot be counted in another for others."""
        with pytest.raises(BudgetError, match="another name"):
            opened.budgets.open(account(**changed), actor=ACTOR)

    @pytest.mark.parametrize(
        "changed",
        [
            {"name": ""},
            {"name": "n" * 129},
            {"unit": ""},
            {"unit": "two\nlines"},
            {"per": "P1M"},
            {"per": "P1M", "starts": date(2026, 1, 1)},
            {"starts": date(2026, 1, 1)},
            {"per": "P1M", "starts": date(2026, 1, 1), "renewal": "short"},
            {"per": "P0D", "starts": date(2026, 1, 1), "renewal": "each day is another"},
            {"per": "monthly", "starts": date(2026, 1, 1), "renewal": "each day is another"},
        ],
        ids=str,
    )
    def test_refuses_what_is_no_account(self, changed: dict[str, Any]) -> None:
        """Names are there, and a period is whole."""
        with pytest.raises(BudgetError) as caught:
            account(**changed)
        assert not caught.value.retryable


class TestStatement:
    """`Budgets.statement`."""

    def test_tells_what_is_spent_and_left(self, opened: Ledger) -> None:
        """Charges count from when they are set aside; those without an answer are told apart."""
        answered(opened.budgets, request("2026-03-01"))
        claimed(opened.budgets, request("2026-03-02", "0.5"))
        told = opened.budgets.statement("people")

        assert told.account == account()
        assert told.spent == told.spent_ever == pure("0.25") + pure("0.5")
        assert str(told.remaining) == "epsilon 0.25"
        assert (told.answers, told.unanswered) == (1, 1)
        assert (told.period.key, told.period.start, told.period.end) == ("total", None, None)

    def test_of_an_account_that_is_not_there(self, ledger: Ledger) -> None:
        """The error says where to look."""
        for ask in (ledger.budgets.statement, ledger.budgets.charges, ledger.budgets.events):
            with pytest.raises(BudgetError, match="no such budget"):
                ask("nobody")

    def test_a_sum_that_is_not_pure_has_no_epsilon(self, ledger: Ledger) -> None:
        """Gaussian and Laplace noise add up as rho."""
        ledger.budgets.open(account(limits=Limits(rho=Decimal(1), delta=Decimal("1e-6"))), actor=ACTOR)
        claimed(ledger.budgets, request("1"))
        claimed(ledger.budgets, request("2", loss=Loss.zcdp(Decimal("0.5"), Decimal("1e-7"))))
        told = ledger.budgets.statement("people")

        assert told.spent.as_dict() == {"epsilon": None, "rho": "0.53125", "delta": "0.0000001"}
        assert str(told.remaining) == "rho 0.46875, delta 0.0000009"


class TestPeriods:
    """Accounts that are renewed."""

    def test_unspent_money_does_not_carry_over(self, ledger: Ledger) -> None:
        """Each period has the whole limit and no more; what was ever spent is told too."""
        budgets = ledger.budgets
        budgets.open(monthly(), actor=ACTOR)
        february, march = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)
        claimed(budgets, request("1", "0.5"), now=february)
        claimed(budgets, request("2", "1"), now=march)

        with pytest.raises(BudgetExhaustedError, match="wait until 2026-03-31"):
            budgets.reserve(request("3", "0.1"), actor=ACTOR, now=march)
        assert (spent(budgets, now=february), spent(budgets, now=march)) == ("0.5", "1")
        assert budgets.statement("people", march).spent_ever == pure("0.5") + pure("1")

    def test_money_of_abandoned_answers_comes_back_when_it_is_needed(self, ledger: Ledger) -> None:
        """Nothing was drawn of what was set aside, and once it is given back nothing can be."""
        budgets = ledger.budgets
        budgets.open(account(), actor=ACTOR)
        abandoned = claimed(budgets, request("1", "1"), now=NOW)
        with pytest.raises(BudgetExhaustedError):
            budgets.reserve(request("2", "1"), actor=ACTOR, now=NOW + timedelta(seconds=59))
        later = NOW + timedelta(seconds=61)

        claimed(budgets, request("2", "1"), now=later)

        assert spent(budgets, now=later) == "1"
        with pytest.raises(AnswerBusyError):
            budgets.drawing(abandoned, [measurement(pure("1"))], now=later)

    def test_the_last_moment_counts_in_the_period(self, ledger: Ledger) -> None:
        """A period ends when the next one starts, at midnight UTC."""
        ledger.budgets.open(monthly(), actor=ACTOR)
        end = datetime(2026, 2, 28, tzinfo=UTC)

        assert claimed(ledger.budgets, request("1"), now=end - timedelta(microseconds=1)).period_key == (
            "2026-01-31"
        )
        assert claimed(ledger.budgets, request("2"), now=end).period_key == "2026-02-28"
        assert claimed(ledger.budgets, request("3"), now=NOW).period_key == "2026-02-28"

    def test_the_first_charge_of_a_period_is_evidence(self, ledger: Ledger) -> None:
        """Why the people may be asked anew is on record each time, and the first period renews nothing."""
        ledger.budgets.open(monthly(), actor=ACTOR)
        for number, day in enumerate(("2026-02-01", "2026-03-01", "2026-03-02", "2026-05-01")):
            when = datetime.fromisoformat(f"{day}T00:00:00+00:00")
            claimed(ledger.budgets, request(str(number)), now=when)
        renewed = [entry.content for entry in ledger.evidence() if entry.kind == "budget.renewed"]

        assert renewed == [
            {"period": "2026-02-28", "renewal": "each month has its own purpose"},
            {"period": "2026-04-30", "renewal": "each month has its own purpose"},
        ]

    def test_before_the_first_period_nothing_is_allowed(self, ledger: Ledger) -> None:
        """The statement shows the period to come."""
        ledger.budgets.open(monthly(), actor=ACTOR)
        early = datetime(2026, 1, 30, 23, 59, tzinfo=UTC)

        with pytest.raises(BudgetError, match="has not started"):
            ledger.budgets.reserve(request(), actor=ACTOR, now=early)
        assert ledger.budgets.statement("people", early).period.key == "2026-01-31"

    def test_a_time_without_a_zone_is_refused(self, opened: Ledger) -> None:
        """It could be any day."""
        with pytest.raises(BudgetError, match="no time zone"):
            opened.budgets.reserve(request(), actor=ACTOR, now=datetime(2026, 1, 1))


class TestChange:
    """`Budgets.change`."""

    @pytest.mark.parametrize("epsilon", ["2", "0.1", "0"])
    def test_raises_or_lowers_with_a_reason(self, opened: Ledger, epsilon: str) -> None:
        """Below what is spent, nothing more can be spent, and nothing is taken back."""
        claimed(opened.budgets, request("1", "0.5"))
        changed = opened.budgets.change("people", limits(epsilon), reason=WHY, actor="alice")

        assert changed == account(limits=limits(epsilon)) == opened.budgets.accounts()[0]
        assert opened.budgets.open(changed, actor=ACTOR) == changed
        entry = opened.evidence()[-1]
        assert (entry.kind, entry.actor, entry.content["reason"]) == ("budget.changed", "alice", WHY)
        assert (entry.content["from"]["epsilon"], entry.content["to"]["epsilon"]) == ("1", epsilon)
        if epsilon == "2":
            claimed(opened.budgets, request("2", "1.5"))
            return
        with pytest.raises(BudgetExhaustedError, match="left: epsilon 0"):
            opened.budgets.reserve(request("2", "0.000000000001"), actor=ACTOR)

    @pytest.mark.parametrize("reason", ["", "because", " " * 20, "x" * 1_001])
    def test_needs_a_reason(self, opened: Ledger, reason: str) -> None:
        """A sentence, not a letter."""
        with pytest.raises(BudgetError, match="no reason given"):
            opened.budgets.change("people", limits("2"), reason=reason, actor=ACTOR)
        assert opened.budgets.accounts() == (account(),)

    def test_counts_in_the_same_way(self, opened: Ledger) -> None:
        """Epsilons that were spent are no rho."""
        with pytest.raises(BudgetError, match="another name"):
            opened.budgets.change("people", Limits(rho=Decimal(1)), reason=WHY, actor=ACTOR)

    def test_to_the_same_does_nothing(self, opened: Ledger) -> None:
        """A retry leaves no second entry."""
        for _ in range(2):
            opened.budgets.change("people", limits("2"), reason=WHY, actor=ACTOR)
        assert [entry.kind for entry in opened.evidence()] == ["budget.opened", "budget.changed"]


class TestTransfer:
    """`Budgets.transfer`."""

    @pytest.fixture
    def two(self, opened: Ledger) -> Ledger:
        opened.budgets.open(account("others", limits=limits("0.5")), actor=ACTOR)
        return opened

    @pytest.mark.parametrize("amount", ["0.000000000001", "0.3", "0.75"])
    def test_keeps_the_sum(self, two: Ledger, amount: str) -> None:
        """What one loses, the other gains, to the last unit."""
        claimed(two.budgets)
        less, more = two.budgets.transfer("people", "others", amount=Decimal(amount), reason=WHY, actor=ACTOR)

        assert less.limits.amount + more.limits.amount == Decimal("1.5")
        assert less.limits.amount == 1 - Decimal(amount)
        assert set(two.budgets.accounts()) == {less, more}
        entries = [entry for entry in two.evidence() if entry.kind == "budget.transferred"]
        assert [entry.subject for entry in entries] == ["budget/people", "budget/others"]
        assert all(entry.content["amount"] == amount for entry in entries)

    def test_never_more_than_remains(self, two: Ledger) -> None:
        """What is spent cannot be given away."""
        claimed(two.budgets)
        with pytest.raises(BudgetExhaustedError, match=r"has epsilon 0\.75 left"):
            two.budgets.transfer(
                "people", "others", amount=Decimal("0.750000000001"), reason=WHY, actor=ACTOR
            )
        assert [each.limits.amount for each in two.budgets.accounts()] == [Decimal("0.5"), Decimal(1)]

    def test_with_a_delta_what_is_left_is_counted_by_the_account(self, ledger: Ledger) -> None:
        """After a transfer of what remains, what was spent still fits."""
        for name in ("people", "others"):
            ledger.budgets.open(account(name, limits=limits("1", "1e-6")), actor=ACTOR)
        claimed(ledger.budgets, request(loss=Loss.zcdp(Decimal("0.01"))))
        left = ledger.budgets.statement("people").remaining.epsilon
        assert left is not None

        ledger.budgets.transfer("people", "others", amount=left, reason=WHY, actor=ACTOR)
        told = ledger.budgets.statement("people")
        assert Decimal(0) <= (told.remaining.epsilon or 0) < Decimal("1e-9")
        assert remaining(told.account.limits, told.spent) == told.remaining

    @pytest.mark.parametrize("amount", ["0", "-0.1", "NaN", "2000", "0.0000000000001"])
    def test_refuses_what_is_no_amount(self, two: Ledger, amount: str) -> None:
        """A negative one would take instead of give."""
        with pytest.raises(BudgetError):
            two.budgets.transfer("people", "others", amount=Decimal(amount), reason=WHY, actor=ACTOR)

    @pytest.mark.parametrize(
        "other",
        [
            account("others", unit="orders.id"),
            account("others", limits=limits("1", "1e-9")),
            account("others", limits=Limits(rho=Decimal(1))),
            monthly("others"),
            account("people"),
        ],
        ids=["unit", "delta", "kind", "period", "itself"],
    )
    def test_only_between_accounts_that_are_alike(self, opened: Ledger, other: Account) -> None:
        """One person's epsilon is not another's."""
        opened.budgets.open(other, actor=ACTOR)
        with pytest.raises(BudgetError, match="same unit, kind and period"):
            opened.budgets.transfer("people", other.name, amount=Decimal("0.1"), reason=WHY, actor=ACTOR)
