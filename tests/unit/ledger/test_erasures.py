"""Requests for erasure, and the journal of the batches that they are done in."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from tests.unit.ledger.erasing import (
    COMPLETE,
    DUE,
    HELD,
    INCOMPLETE,
    POLICY,
    STEPS,
    WHY,
    asked,
    ended,
    frozen,
    in_days,
    through,
)

from airflow_veil.privacy.audit.merkle import leaf_hash, verify_inclusion
from airflow_veil.privacy.errors import ErasureError, LedgerError
from airflow_veil.privacy.ledger import erasure_batches
from airflow_veil.privacy.ledger.database import connect, writing
from airflow_veil.privacy.ledger.erasures import Erasures, Outcome, Request, RequestState
from airflow_veil.privacy.ledger.ledger import Ledger


@pytest.fixture
def erasures(ledger: Ledger) -> Erasures:
    return ledger.erasures


def told(ledger: Ledger) -> Counter[str]:
    """The kinds of evidence of erasure, and how many of each."""
    return Counter(entry.kind for entry in ledger.evidence() if entry.kind.startswith("erasure."))


class TestRequest:
    def test_is_taken_down(self, ledger: Ledger) -> None:
        """What comes back is what was asked, and evidence has names and times, neither hash nor seal."""
        request = asked(ledger.erasures, requested_at=datetime(2026, 1, 31, 9, tzinfo=UTC))

        assert ledger.erasures.find(request.request_id) == request
        assert (request.state, request.due_at, request.first_due_at) == (RequestState.WAITING, DUE, DUE)
        assert request.sealed == b"sealed-one"
        assert "sealed" not in repr(request)
        (entry,) = ledger.evidence()
        assert (entry.kind, entry.subject) == ("erasure.requested", f"{POLICY}/{request.request_id}")
        assert entry.content == {
            "identifiers": ["customers.email"],
            "requested_at": "2026-01-31T09:00:00+00:00",
            "due_at": "2026-02-28T23:59:59+00:00",
        }

    def test_same_person_twice(self, ledger: Ledger) -> None:
        """An open request is returned, with the deadline it had; one that is through is not in the way."""
        first = asked(ledger.erasures)
        again = asked(ledger.erasures, due_at=in_days(99))
        elsewhere = asked(ledger.erasures, policy="bank")

        assert (again, told(ledger)) == (first, {"erasure.requested": 2})
        assert elsewhere.request_id != first.request_id
        ledger.erasures.cancel(first.request_id, reason=WHY, actor="test")
        assert asked(ledger.erasures).request_id != first.request_id

    def test_all_or_none(self, ledger: Ledger) -> None:
        """Several in one transaction: a person twice has one request, and one that is wrong leaves none."""
        erasures = ledger.erasures
        one = asked(erasures, "one")
        erasures.cancel(one.request_id, reason=WHY, actor="test")
        fresh = [replace(one, request_id=f"erasure-{n}", subject=f"{n % 2}" * 64) for n in range(3)]
        with pytest.raises(ErasureError, match="time zone"):
            erasures.request_all([*fresh, replace(one, request_id="x", due_at=datetime(2026, 1, 1))])
        assert len(erasures.listed()) == 1
        placed = erasures.request_all(fresh)
        assert [each.request_id for each in placed] == ["erasure-0", "erasure-1", "erasure-0"]
        assert erasures.request_all(fresh) == placed
        # One that ended since it was looked up is not taken down anew under its name.
        assert erasures.request_all([one]) == (erasures.find(one.request_id),)

    @pytest.mark.parametrize("word", ["due_at", "requested_at"])
    def test_naive_times(self, erasures: Erasures, word: str) -> None:
        with pytest.raises(ErasureError, match="time zone"):
            asked(erasures, **{word: datetime(2026, 1, 1)})
        assert erasures.listed() == ()

    def test_unknown(self, erasures: Erasures) -> None:
        for look in (erasures.find, erasures.batch):
            with pytest.raises(ErasureError, match="there is no such"):
                look("erasure-0")

    def test_listed(self, erasures: Erasures) -> None:
        """What is due first comes first."""
        late = asked(erasures, "late", due_at=DUE + timedelta(days=9))
        soon = asked(erasures, "soon")
        other = asked(erasures, "other", policy="bank", due_at=DUE - timedelta(days=1))
        erasures.cancel(soon.request_id, reason=WHY, actor="test")

        assert [each.request_id for each in erasures.listed()] == [
            each.request_id for each in (other, soon, late)
        ]
        assert erasures.listed(POLICY, states=[RequestState.WAITING]) == (late,)


class TestWaiting:
    def test_leaves_out(self, erasures: Erasures) -> None:
        """What is paused, through, cancelled or has ended incomplete just now does not make a sensor spin."""
        incomplete = ended(erasures, INCOMPLETE, "incomplete")
        ended(erasures, COMPLETE, "complete")
        ended(erasures, HELD, "held")
        paused, cancelled, ready = (asked(erasures, person) for person in ("paused", "cancelled", "ready"))
        erasures.pause(paused.request_id, reason=WHY, actor="test")
        erasures.cancel(cancelled.request_id, reason=WHY, actor="test")

        assert erasures.waiting(POLICY) == (ready,)
        assert {each.request_id for each in erasures.waiting(POLICY, now=in_days(2))} == {
            ready.request_id,
            incomplete.request_id,
        }
        assert erasures.waiting("bank") == ()


class TestDelays:
    def test_extend(self, ledger: Ledger) -> None:
        """Later only; twice is once; the first deadline stays known."""
        request = asked(ledger.erasures)
        for _ in range(2):
            longer = ledger.erasures.extend(request.request_id, due_at=in_days(9), reason=WHY, actor="me")
            due = longer.due_at
            again = ledger.erasures.extend(request.request_id, due_at=due, reason=WHY, actor="me")
            assert (again, again.first_due_at) == (longer, DUE)
        assert told(ledger)["erasure.extended"] == 2
        for wrong, match in ((DUE, "brought forward"), (datetime(2099, 1, 1), "time zone")):
            with pytest.raises(ErasureError, match=match):
                ledger.erasures.extend(request.request_id, due_at=wrong, reason=WHY, actor="me")

    def test_pause_and_resume(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both deadlines move by as long as the clock stood, once, and extensions stay."""
        erasures, request = ledger.erasures, asked(ledger.erasures)
        erasures.extend(request.request_id, due_at=DUE + timedelta(days=60), reason=WHY, actor="me")
        paused = erasures.pause(request.request_id, reason=WHY, actor="me")
        assert erasures.pause(request.request_id, reason="another reason", actor="me") == paused
        assert paused.paused_at is not None
        later = paused.paused_at + timedelta(days=3, seconds=7)
        monkeypatch.setattr("airflow_veil.privacy.ledger.erasure_changes.utc_now", lambda: later)
        resumed = [erasures.resume(request.request_id, reason=WHY, actor="me") for _ in range(2)]

        assert resumed[0] == resumed[1]
        assert resumed[0].due_at == DUE + timedelta(days=63, seconds=7)
        assert resumed[0].first_due_at == DUE + timedelta(days=3, seconds=7)
        assert resumed[0].paused_reason is None
        assert (told(ledger)["erasure.paused"], told(ledger)["erasure.resumed"]) == (1, 1)

    def test_clock_put_back(self, erasures: Erasures, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pause is never of a negative length."""
        request = asked(erasures)
        erasures.pause(request.request_id, reason=WHY, actor="me")
        monkeypatch.setattr("airflow_veil.privacy.ledger.erasure_changes.utc_now", lambda: DUE)
        assert erasures.resume(request.request_id, reason=WHY, actor="me").due_at == DUE

    def test_reasons(self, erasures: Erasures) -> None:
        request = asked(erasures).request_id
        batch = erasures.begin(POLICY, actor="me")
        assert batch is not None
        with pytest.raises(ErasureError, match="reason has 5"):
            erasures.extend(request, due_at=in_days(9), reason="short", actor="me")
        for change in (erasures.pause, erasures.resume, erasures.cancel):
            with pytest.raises(ErasureError, match="reason has 5"):
                change(request, reason="short", actor="me")
        with pytest.raises(ErasureError, match="reason has 0"):
            erasures.abandon(batch.batch_id, reason="          ", actor="me")

    def test_only_what_is_open(self, erasures: Erasures) -> None:
        request = ended(erasures, COMPLETE).request_id
        for change in (erasures.pause, erasures.resume):
            with pytest.raises(ErasureError, match="is complete"):
                change(request, reason=WHY, actor="me")
        with pytest.raises(ErasureError, match="is complete"):
            erasures.extend(request, due_at=in_days(9), reason=WHY, actor="me")
        with pytest.raises(ErasureError, match="taken back"):
            erasures.cancel(request, reason=WHY, actor="me")


class TestCancel:
    def test_destroys(self, ledger: Ledger) -> None:
        """What names the person is gone; twice is once."""
        request = asked(ledger.erasures)
        ledger.erasures.pause(request.request_id, reason=WHY, actor="me")
        cancelled = [ledger.erasures.cancel(request.request_id, reason=WHY, actor="me") for _ in range(2)]

        assert cancelled[0] == cancelled[1]
        assert (cancelled[0].state, cancelled[0].sealed) == (RequestState.CANCELLED, None)
        assert told(ledger)["erasure.cancelled"] == 1

    @pytest.mark.parametrize("word", ["cancel", "pause"])
    def test_gives_up_the_batch(self, ledger: Ledger, word: str) -> None:
        """Whoever resolves the batch just now cannot freeze it any more, so nobody is erased who took it back."""
        erasures = ledger.erasures
        request, other = asked(erasures), asked(erasures, "two")
        batch = erasures.begin(POLICY, actor="me")
        assert batch is not None
        getattr(erasures, word)(request.request_id, reason=WHY, actor="me")

        with pytest.raises(ErasureError, match="was abandoned"):
            frozen(erasures, batch)
        assert erasures.find(other.request_id).state is RequestState.WAITING
        anew = erasures.begin(POLICY, actor="me")
        assert anew is not None
        assert anew.requests == (other.request_id,)

    @pytest.mark.parametrize("word", ["cancel", "pause"])
    def test_not_once_frozen(self, erasures: Erasures, word: str) -> None:
        request = asked(erasures)
        frozen(erasures, erasures.begin(POLICY, actor="me"))
        with pytest.raises(ErasureError, match="frozen"):
            getattr(erasures, word)(request.request_id, reason=WHY, actor="me")
        assert erasures.find(request.request_id).state is RequestState.ERASING


class TestBegin:
    def test_takes_what_waits(self, ledger: Ledger) -> None:
        """The one that is due first is owner number 0; a retry gets the same batch, and later requests wait."""
        erasures = ledger.erasures
        late = asked(erasures, "late", due_at=in_days(99))
        soon = asked(erasures, "soon")
        batch = erasures.begin(POLICY, actor="me")
        asked(erasures, "later")

        assert batch is not None
        assert re.fullmatch(r"batch-[0-9a-f]{16}", batch.batch_id)
        assert batch.requests == (soon.request_id, late.request_id)
        assert erasures.begin(POLICY, actor="other") == batch == erasures.open(POLICY)
        assert erasures.find(soon.request_id).batch_id == batch.batch_id
        assert told(ledger)["erasure.begun"] == 1

    def test_nothing_waits(self, erasures: Erasures) -> None:
        assert erasures.begin(POLICY, actor="me") is None
        assert erasures.open(POLICY) is None

    def test_limit(self, erasures: Erasures) -> None:
        for number in range(3):
            asked(erasures, str(number))
        batch = erasures.begin(POLICY, actor="me", limit=2)
        assert batch is not None
        assert len(batch.requests) == 2

    def test_only(self, erasures: Erasures) -> None:
        """One that ended incomplete just now, at once; one that is through, never; others not."""
        request = ended(erasures, INCOMPLETE)
        asked(erasures, "other")
        batch = erasures.begin(POLICY, actor="me", only=request.request_id)
        assert batch is not None
        assert batch.requests == (request.request_id,)
        assert erasures.find(request.request_id).finished_at is None
        erasures.abandon(batch.batch_id, reason=WHY, actor="me")

        done = ended(erasures, COMPLETE, "done")
        assert erasures.begin(POLICY, actor="me", only=done.request_id) is None
        with pytest.raises(ErasureError, match="another policy"):
            erasures.begin("bank", actor="me", only=done.request_id)
        erasures.pause(request.request_id, reason=WHY, actor="me")
        with pytest.raises(ErasureError, match="paused"):
            erasures.begin(POLICY, actor="me", only=request.request_id)

    def test_abandon(self, ledger: Ledger) -> None:
        """Requests wait again; not once it is frozen."""
        erasures, request = ledger.erasures, asked(ledger.erasures)
        batch = erasures.begin(POLICY, actor="me")
        assert batch is not None
        for _ in range(2):
            erasures.abandon(batch.batch_id, reason=WHY, actor="me")
        assert erasures.waiting(POLICY) == (erasures.find(request.request_id),)
        assert (erasures.open(POLICY), told(ledger)["erasure.abandoned"]) == (None, 1)
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"))
        with pytest.raises(ErasureError, match="is frozen"):
            erasures.abandon(batch.batch_id, reason=WHY, actor="me")


class TestSteps:
    def test_freeze_once(self, ledger: Ledger) -> None:
        """A second worker gets what the first one settled, however different its own."""
        erasures = ledger.erasures
        asked(erasures)
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"))
        again = erasures.freeze(
            batch.batch_id, sealed=b"other", key_version=2, plan={"rows": 9}, stages=[["x"]], actor="other"
        )

        assert again == batch
        assert (batch.sealed, batch.plan) == (b"sealed-closure", {"rows": 3})
        assert [step.name for step in erasures.steps(batch.batch_id)] == list(STEPS)
        assert told(ledger)["erasure.planned"] == 1
        assert "sealed-closure" not in repr(batch)

    @pytest.mark.parametrize("steps", [("a", "a"), ("",), ("a\n",), ("a" * 513,)])
    def test_steps_that_are_none(self, erasures: Erasures, steps: tuple[str, ...]) -> None:
        asked(erasures)
        batch = erasures.begin(POLICY, actor="me")
        with pytest.raises(ErasureError, match="the steps are not"):
            frozen(erasures, batch, [steps, ["b"]])
        assert erasures.open(POLICY) == batch

    def test_large_plans(self, ledger: Ledger) -> None:
        """What evidence cannot hold stands there by its digest."""
        asked(ledger.erasures)
        batch = ledger.erasures.begin(POLICY, actor="me")
        assert batch is not None
        plan = {f"release {number}": 1 for number in range(9_000)}
        given = {"sealed": b"s", "key_version": 1, "stages": [["a"]], "actor": "me"}
        kept = ledger.erasures.freeze(batch.batch_id, plan=plan, **given)  # type: ignore[arg-type]
        assert kept.plan == plan
        assert set(ledger.evidence()[-1].content["plan"]) == {"digest"}

    def test_in_order(self, ledger: Ledger) -> None:
        """Each is durable before it is done; none is begun before those before it are done; twice is once."""
        erasures = ledger.erasures
        asked(erasures)
        batch = frozen(erasures, erasures.begin(POLICY, actor="me")).batch_id
        with pytest.raises(ErasureError, match="step `suppress` is not done"):
            erasures.begin_step(batch, "source orders", actor="me")
        with pytest.raises(ErasureError, match="was not begun"):
            erasures.finish_step(batch, "suppress", {}, actor="me")
        with pytest.raises(ErasureError, match="has no step"):
            erasures.begin_step(batch, "nothing", actor="me")

        begun = [erasures.begin_step(batch, "suppress", actor="me") for _ in range(2)]
        assert begun[0] == begun[1] == erasures.steps(batch)[0]
        assert (begun[0].begun_at is not None, begun[0].done_at) == (True, None)
        with pytest.raises(ErasureError, match="step `suppress` is not done"):
            erasures.begin_step(batch, "source orders", actor="me")
        done = erasures.finish_step(batch, "suppress", {"values": 2}, actor="me")
        again = erasures.finish_step(batch, "suppress", {"values": 9}, actor="me")
        assert done == again == erasures.begin_step(batch, "suppress", actor="me")
        assert done.done == {"values": 2}
        assert erasures.begin_step(batch, "source orders", actor="me").begun_at is not None
        assert told(ledger)["erasure.step"] == 3

    def test_side_by_side(self, erasures: Erasures) -> None:
        """Steps of a stage are begun in any order; those of the next one wait for all of them."""
        asked(erasures)
        stages = (("suppress",), ("source a", "source b"), ("source c",))
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"), stages).batch_id
        assert [step.stage for step in erasures.steps(batch)] == [0, 1, 1, 2]
        erasures.begin_step(batch, "suppress", actor="me")
        erasures.finish_step(batch, "suppress", {}, actor="me")
        for name in ("source b", "source a"):
            erasures.begin_step(batch, name, actor="me")
        erasures.finish_step(batch, "source b", {}, actor="me")
        with pytest.raises(ErasureError, match="step `source a` is not done"):
            erasures.begin_step(batch, "source c", actor="me")

    def test_without_steps(self, erasures: Erasures) -> None:
        """Where nothing can be read, nothing is planned, and the batch ends incomplete."""
        request = asked(erasures)
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"), ())
        assert erasures.steps(batch.batch_id) == ()
        with pytest.raises(ErasureError, match="nobody has looked"):
            erasures.conclude(batch.batch_id, {request.request_id: COMPLETE}, actor="me")
        erasures.conclude(batch.batch_id, {request.request_id: INCOMPLETE}, actor="me")
        assert erasures.find(request.request_id).state is RequestState.INCOMPLETE

    def test_verified(self, ledger: Ledger) -> None:
        """Only once all steps that erase are done; a later look counts."""
        erasures, request = ledger.erasures, asked(ledger.erasures)
        batch = erasures.begin(POLICY, actor="me")
        assert batch is not None
        with pytest.raises(ErasureError, match="not frozen"):
            erasures.verified(batch.batch_id, {"left": 0}, actor="me")
        frozen(erasures, batch)
        for name in STEPS[:-1]:
            with pytest.raises(ErasureError, match="steps are not done"):
                erasures.verified(batch.batch_id, {"left": 0}, actor="me")
            erasures.begin_step(batch.batch_id, name, actor="me")
            erasures.finish_step(batch.batch_id, name, {}, actor="me")
        for left in (1, 0, 0):
            erasures.verified(batch.batch_id, {"left": left}, actor="me")
        assert (erasures.batch(batch.batch_id).verified, told(ledger)["erasure.verified"]) == ({"left": 0}, 2)
        erasures.conclude(batch.batch_id, {request.request_id: COMPLETE}, actor="me")
        erasures.verified(batch.batch_id, {"left": 0}, actor="me")
        with pytest.raises(ErasureError, match="was concluded"):
            erasures.verified(batch.batch_id, {"left": 5}, actor="me")


class TestConclude:
    def test_each_request_its_own_way(self, ledger: Ledger) -> None:
        """The closure is destroyed, and what names the people who are through; twice is once."""
        erasures = ledger.erasures
        requests = [asked(erasures, person).request_id for person in ("one", "two", "three")]
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"))
        through(erasures, batch)
        kept = Outcome(state=RequestState.INCOMPLETE, facts={"left": 1}, sealed=b"sealed-anew")
        outcomes = dict(zip(requests, (COMPLETE, kept, HELD), strict=True))
        for _ in range(2):
            erasures.conclude(batch.batch_id, outcomes, actor="me")
        one, two, three = map(erasures.find, requests)

        assert [each.state for each in (one, two, three)] == [each.state for each in outcomes.values()]
        assert [each.outcome for each in (one, two, three)] == [each.facts for each in outcomes.values()]
        assert (one.sealed, two.sealed, three.sealed) == (None, b"sealed-anew", b"sealed-three")
        assert "sealed-anew" not in repr(two) + repr(kept)
        ended = erasures.batch(batch.batch_id)
        assert (ended.sealed, ended.plan, erasures.open(POLICY)) == (None, {"rows": 3}, None)
        assert told(ledger)["erasure.concluded"] == 1

    def test_outcomes_are_proven_by_evidence(self, ledger: Ledger) -> None:
        """The root in the evidence proves the outcome of one request, without those of the others."""
        erasures = ledger.erasures
        requests = [asked(erasures, person).request_id for person in ("one", "two", "three")]
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"))
        through(erasures, batch)
        outcomes = dict.fromkeys(requests, COMPLETE)
        erasures.conclude(batch.batch_id, outcomes, actor="me")
        (entry,) = (entry for entry in ledger.evidence() if entry.kind == "erasure.concluded")
        tree = erasure_batches.outcomes_tree(batch, outcomes)
        leaf = erasure_batches.outcome_leaf(requests[1], "complete", {"deleted": 3})
        number = batch.requests.index(requests[1])

        assert {**entry.content, "outcomes": ""} == {"requests": 3, "complete": 3, "outcomes": ""}
        root = bytes.fromhex(entry.content["outcomes"])
        verify_inclusion(number, 3, leaf_hash(leaf), tree.inclusion_proof(number), root)

    def test_refuses_what_was_not_done(self, erasures: Erasures) -> None:
        """COMPLETE needs every step and a look for what is left; INCOMPLETE needs neither."""
        request = asked(erasures).request_id
        batch = erasures.begin(POLICY, actor="me")
        assert batch is not None
        for better in (COMPLETE, HELD):
            with pytest.raises(ErasureError, match="not frozen"):
                erasures.conclude(batch.batch_id, {request: better}, actor="me")
        frozen(erasures, batch)
        for name in STEPS:
            with pytest.raises(ErasureError, match="steps are not done"):
                erasures.conclude(batch.batch_id, {request: COMPLETE}, actor="me")
            erasures.begin_step(batch.batch_id, name, actor="me")
            erasures.finish_step(batch.batch_id, name, {}, actor="me")
            if name == STEPS[-2]:
                break
        with pytest.raises(ErasureError, match="nobody has looked"):
            erasures.conclude(batch.batch_id, {request: COMPLETE}, actor="me")
        erasures.conclude(batch.batch_id, {request: INCOMPLETE}, actor="me")
        assert erasures.find(request).state is RequestState.INCOMPLETE
        with pytest.raises(ErasureError, match="was concluded"):
            erasures.begin_step(batch.batch_id, "verify", actor="me")

    def test_refuses_other_outcomes(self, erasures: Erasures) -> None:
        request = asked(erasures).request_id
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"))
        through(erasures, batch)
        wrong = [
            {},
            {request: COMPLETE, "erasure-0": COMPLETE},
            {request: Outcome(state=RequestState.WAITING, facts={})},
            {request: Outcome(state=RequestState.COMPLETE, facts={}, sealed=b"x")},
        ]
        for outcomes in wrong:
            with pytest.raises(ErasureError):
                erasures.conclude(batch.batch_id, outcomes, actor="me")
        assert erasures.open(POLICY) is not None

    def test_again(self, erasures: Erasures) -> None:
        """What was kept is there for the next batch, and goes when the request is through."""
        kept = Outcome(state=RequestState.HELD, facts={}, sealed=b"closure")
        request = ended(erasures, kept)
        batch = frozen(erasures, erasures.begin(POLICY, actor="me", only=request.request_id))
        assert erasures.find(request.request_id).sealed == b"closure"
        through(erasures, batch)
        erasures.conclude(batch.batch_id, {request.request_id: HELD}, actor="me")
        assert erasures.find(request.request_id).sealed == b"closure"
        batch = frozen(erasures, erasures.begin(POLICY, actor="me", only=request.request_id))
        through(erasures, batch)
        erasures.conclude(batch.batch_id, {request.request_id: COMPLETE}, actor="me")
        assert erasures.find(request.request_id).sealed is None


class TestHolds:
    def test_lifted(self, ledger: Ledger) -> None:
        """What is held waits again, in the transaction that lifts; other policies' stay."""
        hold = ledger.holds.place(POLICY, "orders", reason=WHY, actor="me")
        request = ended(ledger.erasures, HELD)
        with pytest.raises(ErasureError, match="a hold keeps"):
            ledger.erasures.begin(POLICY, actor="me", only=request.request_id)
        elsewhere = ledger.holds.place("bank", "accounts", reason=WHY, actor="me")
        ledger.holds.lift(elsewhere.hold_id, reason=WHY, actor="me")
        assert ledger.erasures.find(request.request_id).state is RequestState.HELD

        for _ in range(2):
            ledger.holds.lift(hold.hold_id, reason=WHY, actor="me")
        again = ledger.erasures.find(request.request_id)
        assert (again.state, again.finished_at) == (RequestState.WAITING, None)
        assert again.outcome == HELD.facts
        assert told(ledger)["erasure.requeued"] == 1

    def test_lifted_meanwhile(self, ledger: Ledger) -> None:
        """A hold that is lifted after its rows were skipped and before the end lets the request wait again."""
        erasures, request = ledger.erasures, asked(ledger.erasures)
        hold = ledger.holds.place(POLICY, "orders", reason=WHY, actor="me")
        batch = frozen(erasures, erasures.begin(POLICY, actor="me"))
        through(erasures, batch)
        ledger.holds.lift(hold.hold_id, reason=WHY, actor="me")
        erasures.conclude(batch.batch_id, {request.request_id: HELD}, actor="me")

        assert erasures.waiting(POLICY) == (erasures.find(request.request_id),)
        assert told(ledger)["erasure.requeued"] == 1


class TestTables:
    """What triggers hold, whoever writes."""

    @pytest.fixture
    def complete(self, erasures: Erasures) -> Request:
        return ended(erasures, COMPLETE)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE erasure_requests SET state = 'waiting', finished_at = NULL, sealed = 'x'",
            "UPDATE erasure_requests SET outcome = '{}'",
            "UPDATE erasure_requests SET requested_at = '2020-01-01'",
            "DELETE FROM erasure_requests",
            "UPDATE erasure_batches SET concluded_at = NULL, sealed = 'x'",
            "UPDATE erasure_batches SET verified = '{}'",
            "DELETE FROM erasure_batches",
            "UPDATE erasure_batch_requests SET number = 7",
            "DELETE FROM erasure_batch_requests",
            "UPDATE erasure_steps SET done_at = NULL, done = NULL",
            "UPDATE erasure_steps SET done = '{}'",
            "UPDATE erasure_steps SET name = 'other'",
            "DELETE FROM erasure_steps",
        ],
    )
    def test_only_move_on(self, url: str, complete: Request, statement: str) -> None:
        with pytest.raises(LedgerError, match="rule of the ledger"), writing(connect(url)) as connection:
            connection.execute(text(statement))

    def test_are_not_replaced(self, url: str, complete: Request) -> None:
        """SQLite's REPLACE deletes without asking."""
        if not url.startswith("sqlite"):
            pytest.skip("PostgreSQL has no REPLACE")
        for table in ("requests", "batches", "steps", "batch_requests"):
            with pytest.raises(LedgerError, match="rule of the ledger"), writing(connect(url)) as connection:
                connection.execute(
                    text(f"INSERT OR REPLACE INTO erasure_{table} SELECT * FROM erasure_{table}")
                )

    def test_frozen_stays(self, url: str, erasures: Erasures) -> None:
        asked(erasures)
        frozen(erasures, erasures.begin(POLICY, actor="me"))
        for change in ("plan = '{}'", "key_version = 9", "sealed = 'x'", "frozen_at = NULL, plan = NULL"):
            with pytest.raises(LedgerError, match="rule of the ledger"), writing(connect(url)) as connection:
                connection.execute(text(f"UPDATE erasure_batches SET {change}"))

    def test_one_batch_is_open(self, url: str, erasures: Erasures) -> None:
        asked(erasures)
        assert erasures.begin(POLICY, actor="me") is not None
        copied = "policy, begun_by, begun_at, begun_seq"
        with pytest.raises(LedgerError, match="rule of the ledger"), writing(connect(url)) as connection:
            connection.execute(
                text(
                    f"INSERT INTO erasure_batches (batch_id, {copied})"
                    f" SELECT 'batch-2', {copied} FROM erasure_batches"
                )
            )
