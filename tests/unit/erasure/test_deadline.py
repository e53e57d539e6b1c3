"""Deadlines: days of the policy's time zone, by the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_veil.privacy.erasure.deadline import due, extended, near, overdue
from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.erasure_record import Request, RequestState

VIENNA = "Europe/Vienna"
DUE = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def request(**facts: Any) -> Request:
    given = {
        "request_id": "erasure-0",
        "policy": "shop",
        "state": RequestState.WAITING,
        "identifiers": ("customers.email",),
        "subject": "0" * 64,
        "key_version": 1,
        "sealed": b"",
        "requested_by": "test",
        "requested_at": datetime(2026, 1, 31, tzinfo=UTC),
        "first_due_at": DUE,
        "due_at": DUE,
    }
    return Request(**given | facts)


class TestDue:
    @pytest.mark.parametrize(
        ("received", "within", "day"),
        [
            ("2026-01-31T09:00", "P1M", "2026-02-28"),
            ("2028-01-31T09:00", "P1M", "2028-02-29"),
            ("2026-01-30T09:00", "P1M", "2026-02-28"),
            ("2026-02-28T09:00", "P1M", "2026-03-28"),
            ("2028-02-29T09:00", "P1Y", "2029-02-28"),
            ("2026-12-31T23:59", "P2M", "2027-02-28"),
            ("2026-01-01T00:00", "P45D", "2026-02-15"),
            ("2026-05-15T00:00", "P6W", "2026-06-26"),
            ("2026-05-15T00:00", "P0D", "2026-05-15"),
        ],
    )
    def test_calendar(self, received: str, within: str, day: str) -> None:
        """The last second of the day; a shorter month's end stands for the days that it lacks."""
        found = due(datetime.fromisoformat(f"{received}+00:00"), within, "UTC")
        assert found == datetime.fromisoformat(f"{day}T23:59:59+00:00")

    @pytest.mark.parametrize(
        ("received", "zone", "expected"),
        [
            # Half past midnight in Vienna is still the day before in UTC: Vienna's day counts.
            ("2026-01-30T23:30", VIENNA, "2026-02-28T22:59:59"),
            ("2026-01-30T22:30", VIENNA, "2026-02-28T22:59:59"),
            ("2026-03-15T12:00", VIENNA, "2026-04-15T21:59:59"),
            # Clocks are put forward on 29 March and back on 25 October 2026: days of 23 and of 25 hours.
            ("2026-02-28T23:30", VIENNA, "2026-04-01T21:59:59"),
            ("2026-02-28T12:00", VIENNA, "2026-03-28T22:59:59"),
            ("2026-09-25T12:00", VIENNA, "2026-10-25T22:59:59"),
            ("2026-09-24T12:00", VIENNA, "2026-10-24T21:59:59"),
            # Midnight of 6 September 2026 does not exist in Santiago: the day before ends an hour earlier in UTC.
            ("2026-08-05T12:00", "America/Santiago", "2026-09-06T03:59:59"),
            ("2026-01-31T12:00", "Pacific/Kiritimati", "2026-03-01T09:59:59"),
        ],
    )
    def test_zones(self, received: str, zone: str, expected: str) -> None:
        found = due(datetime.fromisoformat(f"{received}+00:00"), "P1M", zone)
        assert found == datetime.fromisoformat(f"{expected}+00:00")
        assert (found + SECOND).astimezone(ZoneInfo(zone)).date() > found.astimezone(ZoneInfo(zone)).date()

    def test_every_day_of_four_years(self) -> None:
        """Never more than 31 days, never less than 28, and a day later is never due earlier."""
        moments = [datetime(2025, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(1461)]
        found = [due(moment, "P1M", VIENNA) for moment in moments]
        spans = {
            (end.astimezone(ZoneInfo(VIENNA)).date() - start.astimezone(ZoneInfo(VIENNA)).date()).days
            for start, end in zip(moments, found, strict=True)
        }
        assert spans == {28, 29, 30, 31}
        assert found == sorted(found)

    @pytest.mark.parametrize("within", ["P", "1M", "PT1H", "", "P99999Y"])
    def test_no_period(self, within: str) -> None:
        with pytest.raises(ErasureError, match="no day"):
            due(datetime(2026, 1, 1, tzinfo=UTC), within, "UTC")

    def test_naive(self) -> None:
        for call in (
            lambda naive: due(naive, "P1M", "UTC"),
            lambda naive: extended(naive, "P1M", "UTC"),
            lambda naive: overdue([request()], naive),
            lambda naive: near([request()], naive, "P7D"),
        ):
            with pytest.raises(ErasureError, match="time zone"):
                call(datetime(2026, 1, 1))


class TestExtended:
    def test_from_the_first_day(self) -> None:
        """From the day it was due on, not from now and not from an extension."""
        first = due(datetime(2026, 1, 31, 9, tzinfo=UTC), "P1M", VIENNA)
        assert extended(first, "P2M", VIENNA) == datetime(2026, 4, 28, 21, 59, 59, tzinfo=UTC)
        assert extended(first, "P45D", "UTC") == datetime(2026, 4, 14, 23, 59, 59, tzinfo=UTC)


class TestLooks:
    def test_at_the_second(self) -> None:
        """The last second is in time."""
        one = request()
        assert overdue([one], DUE) == ()
        assert overdue([one], DUE + SECOND) == (one,)
        assert near([one], DUE, "P7D") == (one,)
        assert near([one], DUE + SECOND, "P7D") == ()
        assert near([one], DUE - timedelta(days=7), "P7D") == (one,)
        assert near([one], DUE - timedelta(days=7) - SECOND, "P7D") == ()

    @pytest.mark.parametrize("state", RequestState)
    def test_states(self, state: RequestState) -> None:
        """What is through needs nobody, and what is held may not be done."""
        later = DUE + timedelta(days=1)
        found = overdue([request(state=state)], later)
        assert bool(found) == (state in ("waiting", "erasing", "incomplete"))

    def test_paused(self) -> None:
        """The clock stands: neither near nor over, unless it was when it stopped."""
        far = timedelta(days=400)
        stopped = request(paused_at=DUE - timedelta(days=20), paused_reason="identity in doubt")
        was_near = request(paused_at=DUE - timedelta(days=2), paused_reason="identity in doubt")
        was_over = request(paused_at=DUE + timedelta(days=2), paused_reason="identity in doubt")
        found = [stopped, was_near, was_over]
        assert overdue(found, DUE + far) == (was_over,)
        assert near(found, DUE + far, "P7D") == (was_near,)

    def test_no_period(self) -> None:
        with pytest.raises(ErasureError, match="not a period"):
            near([request()], DUE, "a week")
