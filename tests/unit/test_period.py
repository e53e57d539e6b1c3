"""Calendar periods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.period import after, around, in_words

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
PERIODS = ["P1D", "P30D", "P1M", "P3M", "P1Y", "P1M3D", "P2W"]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T22:30:00+00:00")


class TestAfter:
    @pytest.mark.parametrize(
        ("start", "period", "end"),
        [
            ("2026-01-31", "P1M", "2026-02-28"),
            ("2028-01-31", "P1M", "2028-02-29"),
            ("2026-03-31", "P1M", "2026-04-30"),
            ("2026-12-15", "P1M", "2027-01-15"),
            ("2028-02-29", "P1Y", "2029-02-28"),
            ("2028-02-29", "P4Y", "2032-02-29"),
            ("2026-11-30", "P3M", "2027-02-28"),
            ("2026-01-01", "P30D", "2026-01-31"),
            ("2026-01-01", "P2W", "2026-01-15"),
            ("2026-01-31", "P1Y1M1W1D", "2027-03-08"),
            ("2026-06-15", "P24M", "2028-06-15"),
            ("2026-06-15", "P0D", "2026-06-15"),
        ],
    )
    def test_follows_the_calendar(self, start: str, period: str, end: str) -> None:
        """A month later is the same day of the next month, or its last; weeks and days come after that."""
        assert after(_at(start), period) == _at(end)

    @pytest.mark.parametrize(
        "period", ["", "P", "1M", "P1H", "PT1H", "P1M1Y", "P-1D", "p1d", "P1.5D", "P1D "]
    )
    def test_anything_else_is_refused(self, period: str) -> None:
        """What is no period of years, months, weeks and days is an error, not a guess."""
        with pytest.raises(ValueError, match="period"):
            after(_at("2026-01-01"), period)

    @given(MOMENTS, st.integers(0, 600))
    def test_months_lead_to_the_month_counted(self, moment: datetime, months: int) -> None:
        """Months later is that many months on, at the same time of day, never beyond the month's end."""
        later = after(moment, f"P{months}M")

        assert (later.year * 12 + later.month) - (moment.year * 12 + moment.month) == months
        assert later.timetz() == moment.timetz()
        assert later.day <= moment.day
        assert later.day == moment.day or (later + timedelta(days=1)).day == 1


class TestAround:
    """`around`."""

    @pytest.mark.parametrize(
        ("moment", "start", "end"),
        [
            ("2026-01-31", "2026-01-31", "2026-02-28"),
            ("2026-02-27", "2026-01-31", "2026-02-28"),
            ("2026-02-28", "2026-02-28", "2026-03-31"),
            ("2026-03-30", "2026-02-28", "2026-03-31"),
            ("2026-03-31", "2026-03-31", "2026-04-30"),
            ("2028-02-29", "2028-02-29", "2028-03-31"),
            ("2036-12-31", "2036-12-31", "2037-01-31"),
        ],
    )
    def test_months_from_a_31st_end_with_the_month(self, moment: str, start: str, end: str) -> None:
        """Starts are counted from the first: February's end does not make the 28th of all months after."""
        assert around(_at(moment), _at("2026-01-31"), "P1M") == (_at(start), _at(end))

    @given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=20_000)), st.sampled_from(PERIODS))
    def test_periods_leave_no_gap(self, first: datetime, later: timedelta, period: str) -> None:
        """A moment is in one period, and the next one starts where it ends."""
        start, end = around(first + later, first, period)

        assert start <= first + later < end
        assert around(end, first, period)[0] == end
        assert around(start, first, period) == (start, end)

    @pytest.mark.parametrize("period", ["P0D", "P0M", "P", "monthly", "P9999Y"])
    def test_refuses_what_no_moment_is_in(self, period: str) -> None:
        """A period of no length would never end, and one past the calendar has no end."""
        with pytest.raises(ValueError):
            around(_at("2026-01-31"), _at("2026-01-01"), period)

    def test_refuses_a_moment_before_the_first(self) -> None:
        """There is no period yet."""
        with pytest.raises(ValueError, match="has not started"):
            around(_at("2025-12-31"), _at("2026-01-01"), "P1M")


class TestInWords:
    @pytest.mark.parametrize(
        ("period", "words"),
        [
            ("P3Y", "3 years"),
            ("P1M", "1 month"),
            ("P1Y2M3W4D", "1 year, 2 months, 3 weeks and 4 days"),
            ("P0Y7D", "7 days"),
            ("P0D", "0 days"),
        ],
    )
    def test_as_people_say_it(self, period: str, words: str) -> None:
        """Units that are none are left out."""
        assert in_words(period) == words

    @pytest.mark.parametrize("period", ["P", "", "3 years"])
    def test_refuses_what_is_none(self, period: str) -> None:
        """It has no words."""
        with pytest.raises(ValueError):
            in_words(period)
