"""Charges, claims and answers."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
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

from airflow_veil.privacy.dp.loss import Limits, Loss
from airflow_veil.privacy.errors import AnswerBusyError, BudgetError, BudgetExhaustedError, LedgerError
from airflow_veil.privacy.ledger.budget import Claim, StoredAnswer
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.ledger.database import writing
from airflow_veil.privacy.ledger.lease import held
from airflow_veil.privacy.ledger.ledger import Ledger

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def budgets(ledger: Ledger) -> Budgets:
    """The budgets of a ledger with one account of epsilon 1."""
    ledger.budgets.open(account(), actor=ACTOR)
    return ledger.budgets


def states(budgets: Budgets) -> list[str]:
    return [str(charge.state) for charge in budgets.charges("people")]


class TestReserve:
    """`Budgets.reserve`."""

    def test_sets_money_aside(self, budgets: Budgets) -> None:
        """It counts from then on, up to the limit and not a unit beyond."""
        for number in range(4):
            claimed(budgets, request(str(number)))
        assert spent(budgets) == "1"

        with pytest.raises(
            BudgetExhaustedError,
            match=r"query retail\.by_region, budget people: the answer costs epsilon 0\.000000000001,"
            r" and of epsilon 1 there is left: epsilon 0\. Fix: raise the limit",
        ) as caught:
            budgets.reserve(request("4", "0.000000000001"), actor=ACTOR)
        assert not caught.value.retryable
        assert states(budgets) == ["reserved"] * 4

    def test_gives_the_answer_where_there_is_one(self, budgets: Budgets) -> None:
        """Asking again costs nothing, not even where nothing is left or the price has changed."""
        stored = answered(budgets, request(cost="1"))

        assert budgets.reserve(request(cost="1"), actor="another") == stored
        assert budgets.reserve(request(cost="5"), actor="another") == stored
        assert budgets.answer(stored.answer_id) == stored
        assert spent(budgets) == "1"

    @pytest.mark.parametrize("word", ["query_digest", "data_version", "interval_key"])
    def test_another_question_is_another_answer(self, budgets: Budgets, word: str) -> None:
        """Another query, other rows or another interval are paid for."""
        first = answered(budgets)
        claim = claimed(budgets, replace(request(), **{word: "other"}))

        assert claim.answer_id != first.answer_id
        assert spent(budgets) == "0.5"

    def test_accounts_have_answers_of_their_own(self, ledger: Ledger, budgets: Budgets) -> None:
        """What one account has paid for is not another's."""
        budgets.open(account("others"), actor=ACTOR)
        answered(budgets)

        assert isinstance(budgets.reserve(request(budget="others"), actor=ACTOR), Claim)

    def test_asking_again_is_paid_for_and_on_record(self, ledger: Ledger, budgets: Budgets) -> None:
        """A further answer to the same question needs a reason."""
        first = answered(budgets)
        with pytest.raises(BudgetError, match="no reason given"):
            request(again="2")
        second = answered(budgets, request(again="2", reason=WHY), b"another")

        assert (second.again, second.answer, first.answer) == ("2", b"another", b"answer")
        assert spent(budgets) == "0.5"
        asked = [entry.content for entry in ledger.evidence() if entry.kind == "budget.asked_again"]
        assert [(content["again"], content["reason"]) for content in asked] == [("2", WHY)]
        assert [charge.reason for charge in budgets.charges("people")] == [None, WHY]

    @pytest.mark.parametrize(
        ("allowed", "loss"),
        [
            (limits("1"), Loss.zcdp(0.01)),
            (limits("1"), Loss.approx_pure(0.1, 1e-9)),
            (Limits(rho=Decimal(1)), Loss.zcdp(0.01, 1e-9)),
        ],
        ids=["gaussian from pure", "threshold from pure", "threshold without a delta"],
    )
    def test_refuses_a_loss_that_the_account_does_not_count(
        self, ledger: Ledger, allowed: Limits, loss: Loss
    ) -> None:
        """That is no question of how much is left."""
        ledger.budgets.open(account(limits=allowed), actor=ACTOR)
        with pytest.raises(BudgetError, match="is no amount of it") as caught:
            ledger.budgets.reserve(request(loss=loss), actor=ACTOR)
        assert not isinstance(caught.value, BudgetExhaustedError)

    def test_refuses_an_account_that_is_not_open(self, ledger: Ledger) -> None:
        """Nothing is spent of nowhere."""
        with pytest.raises(BudgetError, match="no such budget"):
            ledger.budgets.reserve(request(), actor=ACTOR)

    def test_many_nights_at_a_delta(self, ledger: Ledger) -> None:
        """An account with a delta counts by rho, where that goes further than the sum of epsilons."""
        ledger.budgets.open(account(limits=limits("1", "1e-6")), actor=ACTOR)
        for night in range(60):
            claimed(ledger.budgets, request(str(night), "0.02"))
        told = ledger.budgets.statement("people")

        assert told.spent.as_dict()["epsilon"] == "1.2"
        assert told.remaining.epsilon is not None
        assert told.remaining.epsilon > Decimal("0.1")


class TestLease:
    """What becomes of an answer that somebody else is making."""

    def test_while_it_lasts_the_answer_is_busy(self, budgets: Budgets) -> None:
        """A retry later gets the answer; nothing is charged twice."""
        claim = claimed(budgets, now=NOW)
        for begin in (lambda: None, lambda: budgets.drawing(claim, [measurement()], NOW)):
            begin()
            with pytest.raises(AnswerBusyError) as caught:
                budgets.reserve(request(), actor="another", now=NOW + timedelta(seconds=59))
            assert caught.value.retryable
        assert spent(budgets) == "0.25"

    def test_a_reserved_charge_is_taken_over(self, budgets: Budgets) -> None:
        """Nothing was drawn and nothing is charged; the former holder can no longer begin."""
        former = claimed(budgets, now=NOW)
        latter = claimed(budgets, now=LATER)

        assert latter.charge_id == former.charge_id
        assert spent(budgets) == "0.25"
        for use in (
            lambda: budgets.drawing(former, [measurement()]),
            lambda: budgets.renew_lease(former),
            lambda: budgets.store(former, b"mine"),
            lambda: budgets.void(former, WHY),
        ):
            with pytest.raises(AnswerBusyError, match="another has taken over"):
                use()
        budgets.drawing(latter, [measurement()])
        assert budgets.store(latter, b"answer").answer == b"answer"

    def test_a_drawing_charge_stays_spent(self, budgets: Budgets) -> None:
        """Noise may be out: whoever asks again pays again."""
        former = claimed(budgets, now=NOW)
        budgets.drawing(former, [measurement()], NOW)
        latter = claimed(budgets, now=LATER)

        assert latter.charge_id != former.charge_id
        assert spent(budgets) == "0.5"
        assert sorted(states(budgets)) == ["drawing", "reserved"]

    def test_of_two_that_draw_the_first_to_store_has_the_answer(self, budgets: Budgets) -> None:
        """The other one's noise is paid for and forgotten."""
        slow = claimed(budgets, now=NOW)
        budgets.drawing(slow, [measurement()], NOW)
        fast = claimed(budgets, now=LATER)
        budgets.drawing(fast, [measurement()], LATER)
        stored = budgets.store(fast, b"fast")

        assert budgets.store(slow, b"slow") == stored
        assert stored.answer == b"fast"
        assert sorted(states(budgets)) == ["drawing", "stored"]

    def test_who_has_not_begun_when_the_answer_comes_need_not_pay(self, budgets: Budgets) -> None:
        """A late answer gives back what was set aside for the next attempt."""
        slow = claimed(budgets, now=NOW)
        budgets.drawing(slow, [measurement()], NOW)
        waiting = claimed(budgets, now=LATER)
        budgets.store(slow, b"slow")

        with pytest.raises(AnswerBusyError, match="theirs will be yours"):
            budgets.drawing(waiting, [measurement()])
        assert sorted(states(budgets)) == ["stored", "void"]
        assert spent(budgets) == "0.25"

    def test_renewing_keeps_it(self, budgets: Budgets) -> None:
        """Reserved or drawing, the lease is counted from the renewal."""
        claim = claimed(budgets, now=NOW)
        for at in (LATER, LATER + timedelta(seconds=50)):
            budgets.renew_lease(claim, at)
            with pytest.raises(AnswerBusyError):
                budgets.reserve(request(), actor=ACTOR, now=at + timedelta(seconds=59))
        budgets.drawing(claim, [measurement()], LATER)
        budgets.renew_lease(claim, LATER + timedelta(hours=1))
        with pytest.raises(AnswerBusyError):
            budgets.reserve(request(), actor=ACTOR, now=LATER + timedelta(hours=1))

    def test_what_is_left_of_another_period_is_given_back(self, ledger: Ledger) -> None:
        """The answer is paid for by the period it is drawn in."""
        budgets = ledger.budgets
        budgets.open(monthly(), actor=ACTOR)
        former = claimed(budgets, now=datetime(2026, 2, 27, tzinfo=UTC))
        latter = claimed(budgets, now=datetime(2026, 2, 28, tzinfo=UTC))

        assert (former.period_key, latter.period_key) == ("2026-01-31", "2026-02-28")
        assert states(budgets) == ["void", "reserved"]
        with pytest.raises(AnswerBusyError):
            budgets.drawing(former, [measurement()])

    def test_a_changed_price_is_charged_anew(self, budgets: Budgets) -> None:
        """What was set aside at the old price is given back."""
        claimed(budgets, request(cost="0.25"), now=NOW)
        claimed(budgets, request(cost="0.5"), now=LATER)

        assert spent(budgets) == "0.5"

    def test_survives_a_trip_between_processes(self, budgets: Budgets) -> None:
        """A claim can be handed on."""
        claim = pickle.loads(pickle.dumps(claimed(budgets)))

        budgets.drawing(claim, [measurement()])
        assert budgets.store(claim, b"answer").charge_id == claim.charge_id


class TestHeld:
    """`held`."""

    def test_renews_while_the_block_runs(self, budgets: Budgets, monkeypatch: pytest.MonkeyPatch) -> None:
        """Several times a lease, from another thread, and no longer when the block is over."""
        renewed = threading.Semaphore(0)
        renew = Budgets.renew_lease

        def counted(self: Budgets, claim: Claim, now: datetime | None = None) -> Claim:
            found = renew(self, claim, now)
            renewed.release()
            return found

        monkeypatch.setattr(Budgets, "renew_lease", counted)
        claim = claimed(budgets, lease_seconds=0.1)
        with held(budgets, claim) as same:
            assert same == claim
            assert all(renewed.acquire(timeout=60) for _ in range(3))
        assert "veil-lease" not in {thread.name for thread in threading.enumerate()}

    @pytest.mark.parametrize("failure", [LedgerError("away"), AnswerBusyError("lost")])
    def test_never_hides_the_blocks_error(
        self, budgets: Budgets, monkeypatch: pytest.MonkeyPatch, failure: LedgerError
    ) -> None:
        """A renewal that fails is not the block's business."""
        tried = threading.Event()

        def fail(*_: Any) -> Claim:
            tried.set()
            raise failure

        monkeypatch.setattr(Budgets, "renew_lease", fail)
        claim = claimed(budgets, lease_seconds=0.01)

        def work() -> None:
            with held(budgets, claim):
                assert tried.wait(60)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert "veil-lease" not in {thread.name for thread in threading.enumerate()}


class TestReserveWaiting:
    """`Budgets.reserve_waiting`."""

    def test_the_second_gets_the_firsts_answer(self, budgets: Budgets) -> None:
        """Two tasks at once draw once, and pay once."""
        claim = claimed(budgets)
        found: list[Claim | StoredAnswer] = []

        def wait() -> None:
            found.append(
                budgets.reserve_waiting(request(), actor="second", patience_seconds=60, poll_seconds=0.01)
            )

        second = threading.Thread(target=wait)
        second.start()
        budgets.drawing(claim, [measurement()])
        stored = budgets.store(claim, b"answer")
        second.join(60)

        assert found == [stored]
        assert spent(budgets) == "0.25"

    def test_patience_ends(self, budgets: Budgets) -> None:
        """The error is the one that a retry may help against."""
        claimed(budgets)
        with pytest.raises(AnswerBusyError):
            budgets.reserve_waiting(request(), actor="second", patience_seconds=0.05, poll_seconds=0.01)


class TestDrawing:
    """`Budgets.drawing`."""

    def test_keeps_what_is_drawn(self, ledger: Ledger, budgets: Budgets) -> None:
        """Every measurement with what another accountant needs, and a digest in the evidence."""
        drawn = [measurement(pure("0.1")), measurement(pure("0.15"), statistic="units", scale="6.7")]
        claim = claimed(budgets)
        budgets.drawing(claim, drawn)
        events = budgets.events("people")

        assert [event.measurement for event in events] == drawn
        assert [(event.charge_id, event.ordinal, event.budget) for event in events] == [
            (claim.charge_id, 1, "people"),
            (claim.charge_id, 2, "people"),
        ]
        entry = ledger.evidence()[-1]
        assert (entry.kind, entry.content["measurements"]) == ("budget.drawn", 2)

    def test_works_once(self, budgets: Budgets) -> None:
        """Whoever would draw a second time for the same money is refused."""
        claim = claimed(budgets)
        budgets.drawing(claim, [measurement()])

        with pytest.raises(BudgetError, match="drawing, so nothing more can be drawn"):
            budgets.drawing(claim, [measurement()])
        assert len(budgets.events()) == 1

    @pytest.mark.parametrize(
        "losses",
        [
            [],
            [pure("0.250000000001")],
            [pure("0.2"), pure("0.06")],
            [Loss.zcdp(0.001)],
            [Loss.approx_pure(0.1, 1e-12)],
        ],
        ids=["nothing", "more", "more in all", "not pure", "delta"],
    )
    def test_refuses_what_was_not_charged(self, budgets: Budgets, losses: list[Loss]) -> None:
        """Nothing is written, and the money can still be used or given back."""
        claim = claimed(budgets)
        with pytest.raises(BudgetError, match="not covered"):
            budgets.drawing(claim, [measurement(loss) for loss in losses])

        assert states(budgets) == ["reserved"]
        assert budgets.events() == ()
        budgets.drawing(claim, [measurement()])

    @pytest.mark.parametrize("word", ["statistic", "library", "scale"])
    def test_refuses_names_that_do_not_fit(self, budgets: Budgets, word: str) -> None:
        """The error says which, and nothing is drawn."""
        claim = claimed(budgets)
        for name in ("", "n" * 600):
            with pytest.raises(BudgetError, match=f"the {word} of a measurement"):
                budgets.drawing(claim, [measurement(**{word: name})])
        assert states(budgets) == ["reserved"]

    def test_events_can_be_read_from_a_time(self, budgets: Budgets) -> None:
        """Of one account or all, the oldest first."""
        for number, at in enumerate((NOW, LATER)):
            budgets.drawing(claimed(budgets, request(str(number)), now=at), [measurement()], at)

        assert [event.drawn_at for event in budgets.events()] == [NOW, LATER]
        assert [event.drawn_at for event in budgets.events(since=LATER)] == [LATER]


class TestStore:
    """`Budgets.store`."""

    def test_is_repeated_without_harm(self, budgets: Budgets) -> None:
        """A retry after a lost connection gets the same answer, whatever it brings."""
        claim = claimed(budgets)
        budgets.drawing(claim, [measurement()])
        stored = budgets.store(claim, b"\x00answer\xff")

        assert budgets.store(claim, b"other") == stored
        assert stored.answer == b"\x00answer\xff"
        assert "answer\\xff" not in repr(stored)

    def test_takes_only_what_was_drawn(self, budgets: Budgets) -> None:
        """An answer without a measurement on record would be noise that nobody counts."""
        claim = claimed(budgets)
        with pytest.raises(BudgetError, match="reserved, so it has no answer"):
            budgets.store(claim, b"answer")
        budgets.void(claim, WHY)
        with pytest.raises(BudgetError, match="void, so it has no answer"):
            budgets.store(claim, b"answer")

    def test_an_answer_that_was_tampered_with_is_told(self, ledger: Ledger, budgets: Budgets) -> None:
        """Its digest is checked whenever it is read."""
        stored = answered(budgets)
        trigger = "dp_answers_no_update"
        if ledger._engine.dialect.name == "postgresql":
            trigger = "dp_answers_no_change ON dp_answers"
        with writing(ledger._engine) as connection:
            connection.execute(text(f"DROP TRIGGER {trigger}"))
            connection.execute(text("UPDATE dp_answers SET answer = :answer"), {"answer": b"better"})

        with pytest.raises(LedgerError, match="not what was stored") as caught:
            budgets.answer(stored.answer_id)
        assert not caught.value.retryable


class TestVoid:
    """`Budgets.void`."""

    def test_gives_back_what_was_not_drawn(self, ledger: Ledger, budgets: Budgets) -> None:
        """Twice is once; the claim is of no use then."""
        claim = claimed(budgets)
        budgets.void(claim, WHY)
        budgets.void(claim, WHY)

        assert spent(budgets) == "0"
        assert [entry.kind for entry in ledger.evidence()].count("budget.voided") == 1
        with pytest.raises(BudgetError, match="void, so nothing more can be drawn"):
            budgets.drawing(claim, [measurement()])
        assert claimed(budgets).charge_id != claim.charge_id

    def test_never_what_may_have_been(self, budgets: Budgets) -> None:
        """Once noise may be out there is no refund."""
        claim = claimed(budgets)
        budgets.drawing(claim, [measurement()])
        with pytest.raises(BudgetError, match="money stays spent"):
            budgets.void(claim, WHY)
        budgets.store(claim, b"answer")
        with pytest.raises(BudgetError, match="money stays spent"):
            budgets.void(claim, WHY)
        assert spent(budgets) == "0.25"


class TestTables:
    """What the tables themselves refuse."""

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE budget_events SET scale = '1'",
            "DELETE FROM budget_events",
            "UPDATE dp_answers SET again = 'x'",
            "DELETE FROM dp_answers",
            "DELETE FROM budget_charges",
            "UPDATE budget_charges SET epsilon = 0",
            "UPDATE budget_charges SET rho = 0",
            "UPDATE budget_charges SET period_key = 'earlier'",
            "UPDATE budget_charges SET budget = 'others'",
            "UPDATE budget_charges SET state = 'void'",
            "UPDATE budget_charges SET state = 'drawing'",
            "UPDATE budget_charges SET state = 'reserved'",
            "DELETE FROM budgets",
        ],
    )
    def test_refuse_to_give_money_back(self, ledger: Ledger, budgets: Budgets, statement: str) -> None:
        """Measurements and answers are only added to, and charges only move on."""
        budgets.open(account("others"), actor=ACTOR)
        answered(budgets)
        before = budgets.events(), budgets.charges("people")

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(ledger._engine) as connection:
            connection.execute(text(statement))
        assert before == (budgets.events(), budgets.charges("people"))

    @pytest.mark.parametrize("table", ["budget_events", "dp_answers", "budget_charges"])
    def test_by_what_else_a_database_offers(self, ledger: Ledger, budgets: Budgets, table: str) -> None:
        """Replacing rows on insertion, and emptying a table at once, do not get through either."""
        answered(budgets)
        statement = {
            "sqlite": f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
            "postgresql": f"TRUNCATE {table} CASCADE",
        }[ledger._engine.dialect.name]

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(ledger._engine) as connection:
            connection.execute(text(statement))

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE budget_charges SET state = 'lost'",
            "UPDATE budgets SET delta = '0.1'",
            "UPDATE budgets SET epsilon = NULL",
            "UPDATE budgets SET period = 'P1M'",
        ],
    )
    def test_refuse_what_makes_no_sense(self, ledger: Ledger, budgets: Budgets, statement: str) -> None:
        """States are those of the code, and limits are of their kind."""
        claimed(budgets)
        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(ledger._engine) as connection:
            connection.execute(text(statement))


class TestEvidence:
    """What is left of it all."""

    def test_tells_what_was_done_and_holds_no_answer(self, ledger: Ledger, budgets: Budgets) -> None:
        """Names, amounts and digests; the chain holds."""
        answered(budgets, answer=b"canary-7d2e91")
        budgets.void(claimed(budgets, request("2026-03-02")), WHY)

        assert [entry.kind for entry in ledger.evidence()] == [
            "budget.opened",
            "budget.charged",
            "budget.drawn",
            "answer.stored",
            "budget.charged",
            "budget.voided",
        ]
        assert "canary" not in "".join(entry.payload for entry in ledger.evidence())
        assert ledger.verify_chain() == ledger.evidence()[-1].head

    @pytest.mark.parametrize(
        "use",
        [
            lambda budgets, claim: budgets.drawing(claim, [measurement()]),
            lambda budgets, claim: budgets.void(claim, WHY),
            lambda budgets, claim: budgets.reserve(request("other"), actor=ACTOR),
            lambda budgets, claim: budgets.change("people", limits("2"), reason=WHY, actor=ACTOR),
        ],
        ids=["drawing", "void", "reserve", "change"],
    )
    def test_without_evidence_nothing_is_done(
        self,
        budgets: Budgets,
        monkeypatch: pytest.MonkeyPatch,
        use: Callable[[Budgets, Claim], object],
    ) -> None:
        """A crash within a transaction undoes all of it."""
        claim = claimed(budgets)
        before = budgets.accounts(), budgets.charges("people"), budgets.events()

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError

        with monkeypatch.context() as patched:
            patched.setattr("airflow_veil.privacy.ledger.evidence.append", fail)
            with pytest.raises(RuntimeError):
                use(budgets, claim)
        assert before == (budgets.accounts(), budgets.charges("people"), budgets.events())
