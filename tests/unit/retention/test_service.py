"""Plans and runs: the cap, the clock, approval, evidence, holds, and releases that are waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.retention.conftest import ACTOR, APPROVED, CUT, NOW, RULE, Place, days_around, visits

from airflow_veil.privacy.errors import ApprovalNeededError, KeyRingError, RetentionError, SchemaError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.holds import Held, Holds
from airflow_veil.privacy.ledger.record import ReleaseRecord
from airflow_veil.privacy.retention import holds, service
from airflow_veil.privacy.retention.clock import LONGEST_PAUSE, doubt

WAITS = f"{RULE}, after_releases: [visits], at_the_latest: P2Y"
CAPPED = "after: P1Y, from: at, at_most: 0.25"


def kinds(place: Place) -> list[str]:
    return [entry.kind for entry in place.ledger.evidence()]


class TestCap:
    def test_more_than_one_run_may_delete(self, place: Place) -> None:
        """Nothing is changed, noted or left behind until somebody approves it; then who and why is evidence."""
        place.write(rule=CAPPED)
        path = place.file("a.parquet", visits(days_around(3, 5)))
        before = path.read_bytes()

        assert len(place.plan().objections) == 1
        with pytest.raises(
            ApprovalNeededError, match=r"3 of 8 rows would go, 37.5%.*may delete 25.0%"
        ) as error:
            place.enforce()
        assert not error.value.retryable
        assert path.read_bytes() == before
        assert kinds(place) == []

        assert place.enforce(approval=APPROVED).counts.delete == 3
        assert kinds(place) == ["retention.planned", "retention.enforced", "retention.verified"]
        planned = place.ledger.evidence()[0]
        assert planned.content["approved_by"] == "test:officer"
        assert planned.content["approval"] == APPROVED.reason

    def test_exactly_the_cap_may_go(self, place: Place) -> None:
        """The cap is the largest share that goes without approval."""
        place.write(rule=CAPPED)
        place.file("a.parquet", visits(days_around(2, 6)))

        assert place.enforce().counts.delete == 2

    def test_an_approval_that_was_not_needed_is_not_noted(self, place: Place) -> None:
        """It approved nothing."""
        place.file("a.parquet", visits(days_around(2, 6)))

        place.enforce(approval=APPROVED)

        assert place.ledger.retention.listed()[0].approval is None

    @pytest.mark.parametrize("reason", ["", "short", "x" * 1025])
    def test_a_reason_is_one(self, reason: str) -> None:
        """Not a word, not a document."""
        with pytest.raises(RetentionError, match="reason"):
            service.Approval(by="a", reason=reason)


class TestClock:
    def test_a_clock_that_went_back(self, place: Place) -> None:
        """It stops with an error, though it would delete less."""
        place.file("a.parquet", visits(days_around(3, 5)))
        place.enforce()

        with pytest.raises(ApprovalNeededError, match="went backwards"):
            place.enforce(NOW - timedelta(days=400))

    def test_a_clock_far_ahead(self, place: Place) -> None:
        """It would delete what is not over."""
        path = place.file("a.parquet", visits(days_around(3, 5)))
        place.enforce()

        with pytest.raises(ApprovalNeededError, match="gone ahead"):
            place.enforce(NOW + LONGEST_PAUSE + timedelta(days=1))
        assert pq.read_table(path).num_rows == 5

    def test_clocks_of_two_machines_may_differ(self) -> None:
        """A little."""
        assert doubt(NOW - timedelta(minutes=59), NOW) is None
        assert doubt(NOW, None) is None
        assert doubt(NOW + LONGEST_PAUSE, NOW) is None

    def test_a_time_without_a_zone(self, place: Place) -> None:
        """Whose midnight would it be?"""
        place.file("a.parquet", visits(days_around(3, 5)))

        with pytest.raises(RetentionError, match="no time zone"):
            place.plan(NOW.replace(tzinfo=None))

    def test_the_wall_clock_is_the_default(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """And can be put elsewhere by tests."""
        place.file("a.parquet", visits(days_around(3, 5)))
        monkeypatch.setattr(service, "wall_clock", lambda: NOW)

        assert service.plan(place.workspace(), "visits").cut.until == CUT


class TestEvidence:
    def test_counts_and_nothing_of_the_rows(self, place: Place) -> None:
        """Runs, evidence and plans hold names, times and counts."""
        place.file("a.parquet", visits([*days_around(3, 5), None]))
        holds.place(
            place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
        )

        done = place.enforce()

        told = json.dumps([done.as_dict(), done.plan.as_dict(), done.lineage.as_dict()])
        raw = (place.path / "home" / "ledger.db").read_bytes().decode("latin-1")
        assert "canary" not in told + raw
        assert "customer-0" not in told + raw
        assert kinds(place) == [
            "hold.placed",
            "retention.planned",
            "retention.held",
            "retention.enforced",
            "retention.verified",
        ]
        run = place.ledger.retention.last("shop", "visits")
        assert run is not None
        assert (run.cut_off.date(), run.at, run.actor) == (CUT, NOW, ACTOR)
        assert run.done == done.as_dict()
        place.ledger.verify_chain()

    def test_a_clean_run_is_noted_too(self, place: Place) -> None:
        """That nothing was over is evidence as well, and the clock is known."""
        place.file("a.parquet", visits(days_around(0, 5)))

        assert place.enforce().counts.delete == 0
        assert kinds(place) == ["retention.planned", "retention.enforced", "retention.verified"]

    def test_what_has_no_retention(self, place: Place) -> None:
        """Each is told apart."""
        place.policy.write_text(place.policy.read_text().replace(f"    retention: {{{RULE}}}\n", ""))

        with pytest.raises(RetentionError, match="nothing of how long"):
            place.plan()
        with pytest.raises(SchemaError, match="no data set nowhere"):
            service.plan(place.workspace(), "nowhere", NOW)


class TestHolds:
    def _placing(self, place: Place, late: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Place one more hold right before the second look at them: after a file was planned and written anew."""
        frozen, looks = Holds.frozen, []

        @contextmanager
        def placing(self: Holds, policy: str, dataset: str) -> Iterator[Held]:
            looks.append(policy)
            if len(looks) == 2:
                holds.place(place.workspace(), "visits", reason="case 2026-18", actor=ACTOR, subjects=[late])
            with frozen(self, policy, dataset) as held:
                yield held

        monkeypatch.setattr(Holds, "frozen", placing)

    @pytest.mark.parametrize("late", ["customer-00002", "customer-00005"])
    def test_a_hold_that_is_placed_meanwhile(
        self, place: Place, late: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between plan and step, in a file that goes whole, and in one that is rewritten: exactly its rows stay."""
        place.file("a.parquet", visits(days_around(3, 0)))
        place.file("b.parquet", visits(days_around(3, 2), first=4))
        self._placing(place, late, monkeypatch)

        done = place.enforce()

        assert (done.counts.delete, done.counts.held) == (5, 1)
        assert set(place.left()) == {f"canary-{late[-5:]}-note", "canary-00007-note", "canary-00008-note"}

    def test_a_lifted_hold_lets_rows_go(self, place: Place) -> None:
        """By the next run; lifting it twice is lifting it once."""
        place.file("a.parquet", visits(days_around(3, 2)))
        hold = holds.place(
            place.workspace(),
            "visits",
            reason="case 2026-17",
            actor=ACTOR,
            subjects=["customer-00001", "nobody"],
        )
        assert place.enforce().counts.held == 1

        place.ledger.holds.lift(hold.hold_id, reason="case 2026-17 is closed", actor="test:court")
        again = place.ledger.holds.lift(hold.hold_id, reason="case 2026-17 is closed", actor="test:other")

        assert (again.lifted_by, again.subjects) == ("test:court", 2)
        assert place.enforce().counts.delete == 1
        assert kinds(place).count("hold.lifted") == 1

    def test_all_rows(self, place: Place) -> None:
        """Also those of nobody, without a key ring."""
        place.file("a.parquet", visits(days_around(3, 2)))
        place.settings.key_file.unlink()
        hold = holds.place(place.workspace(), "visits", reason="case 2026-17", actor=ACTOR)

        done = place.enforce()

        assert (hold.domain, hold.key_version, hold.subjects) == (None, None, 0)
        assert (done.counts.delete, done.counts.held) == (0, 3)

    def test_rotated_keys(self, place: Place) -> None:
        """A hold is compared under the version that it was placed with; without it nothing is deleted."""
        place.file("a.parquet", visits(days_around(3, 2)))
        holds.place(
            place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
        )
        file = KeyFile(place.settings.key_file)
        rotated = file.load().rotate()
        place.settings.key_file.write_text(rotated.to_json())
        assert place.plan().counts.held == 1

        place.settings.key_file.write_text(rotated.destroy(1).to_json())

        with pytest.raises(KeyRingError, match="destroyed"):
            place.enforce()
        assert len(place.left()) == 5

    def test_numbers_are_spelled_as_the_source_does(self, place: Place) -> None:
        """A customer's number may be an integer, or a float where nulls are about."""
        table = visits(days_around(3, 2))
        for kind in (pa.int64(), pa.float64()):
            number = pa.array([17850, None, 12345, 1, 2], kind)
            place.file("a.parquet", table.set_column(0, "customer", number))
            hold = holds.place(
                place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["17850"]
            )
            assert place.plan().counts.held == 1
            place.ledger.holds.lift(hold.hold_id, reason="case 2026-17 is closed", actor=ACTOR)

    def test_what_cannot_be_held(self, place: Place) -> None:
        """Each says why, without the value."""
        place.file("a.parquet", visits(days_around(3, 2)).set_column(0, "customer", pa.array(range(5))))
        workspace = place.workspace()

        for subjects, told in ((["canary"], "a subject is no int64"), ([], "no subject is named")):
            with pytest.raises(RetentionError, match=told) as error:
                holds.place(workspace, "visits", reason="case 2026-17", actor=ACTOR, subjects=subjects)
            assert "canary" not in str(error.value)
        with pytest.raises(RetentionError, match="the reason has 5"):
            holds.place(workspace, "visits", reason="short", actor=ACTOR)
        with pytest.raises(RetentionError, match="no such hold"):
            place.ledger.holds.lift("hold-0", reason="case 2026-17 is closed", actor=ACTOR)
        text = place.policy.read_text().replace("subject: customer", "subject: {none: sensors of machines}")
        place.policy.write_text(text)
        with pytest.raises(RetentionError, match="nobody's"):
            holds.place(place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["1"])

    def test_a_subject_that_the_policy_no_longer_names(self, place: Place) -> None:
        """Nobody can tell whose rows are held: nothing is deleted."""
        place.file("a.parquet", visits(days_around(3, 2)))
        holds.place(
            place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
        )
        text = place.policy.read_text().replace("subject: customer", "subject: {none: sensors of machines}")
        place.policy.write_text(text)

        with pytest.raises(RetentionError, match="no longer says whose"):
            place.enforce()


class TestReleases:
    def _release(self, place: Place, end: datetime | None, number: int) -> None:
        record = ReleaseRecord(
            release_id=f"r{number}",
            policy="shop",
            dataset="visits",
            destination="out",
            run_key=str(number),
            policy_digest="0" * 64,
            plan_digest="0" * 64,
            interval_start=end and end - timedelta(days=1),
            interval_end=end,
        )
        ledger = place.ledger
        ledger.begin_release(record, actor=ACTOR)
        ledger.publish(record.release_id, {"source_schema": {}}, rows_out=1, actor=ACTOR)

    def test_rows_wait_for_a_release_that_covers_them(self, place: Place) -> None:
        """And go up to its end; the plan says what waits, and for what."""
        place.write(rule=WAITS)
        place.file("a.parquet", visits(days_around(5, 2)))

        assert place.plan().counts.as_dict()["waiting"] == 5
        assert place.plan().waits_for == ("visits",)

        self._release(place, datetime(2025, 2, 26, tzinfo=UTC), 1)
        done = place.enforce()
        assert (done.counts.delete, done.counts.waiting) == (2, 3)

        self._release(place, datetime(2026, 2, 28, tzinfo=UTC), 2)
        done = place.enforce()
        assert (done.counts.delete, done.plan.waits_for) == (3, ())

    def test_a_release_that_was_found_bad_covers_nothing(self, place: Place) -> None:
        """Rows wait for a good one."""
        place.write(rule=WAITS)
        place.file("a.parquet", visits(days_around(5, 2)))
        self._release(place, datetime(2025, 1, 1, tzinfo=UTC), 1)
        self._release(place, datetime(2026, 2, 28, tzinfo=UTC), 2)
        place.ledger.rollback("shop", "visits", reason="a bad release", actor=ACTOR)

        assert place.plan().counts.delete == 0

    def test_but_not_for_ever(self, place: Place) -> None:
        """Two years are the limit."""
        place.write(rule=WAITS)
        place.file("a.parquet", visits([CUT.replace(year=2024) - timedelta(days=1), CUT.replace(year=2024)]))

        done = place.enforce()

        assert (done.counts.delete, done.counts.waiting) == (1, 1)
