"""Cut-offs: by the calendar, in the policy's zone, and never before a row had its whole time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.period import after, before
from airflow_veil.privacy.policy.retention import Retention
from airflow_veil.privacy.retention.counts import Counts
from airflow_veil.privacy.retention.cutoff import FIRST_DAY, cut_off, day_of_partition, start_of
from airflow_veil.privacy.retention.sorting import goes, settled

ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "America/Santiago", "Pacific/Apia"]
PERIODS = ["P1D", "P30D", "P1M", "P3M", "P1Y", "P1M10D", "P1Y2M3D", "P2W", "P11M20D"]
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def rule(after: str = "P1Y", zone: str = "UTC", **more: object) -> Retention:
    return Retention.model_validate({"after": after, "from": "at", "time_zone": zone, **more})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestDays:
    @pytest.mark.parametrize(
        ("now", "period", "due"),
        [
            ("2026-03-31", "P1M", "2026-02-28"),
            ("2028-03-31", "P1M", "2028-02-29"),
            ("2026-03-01", "P1M", "2026-02-01"),
            ("2028-02-29", "P1Y", "2027-02-28"),
            ("2028-02-29", "P4Y", "2024-02-29"),
            ("2026-01-15", "P1M", "2025-12-15"),
            ("2026-03-05", "P1M10D", "2026-01-23"),
            ("2026-03-02", "P30D", "2026-01-31"),
        ],
    )
    def test_month_ends_and_leap_years(self, now: str, period: str, due: str) -> None:
        """A month is not thirty days, and a day that a month lacks is its last one."""
        assert cut_off(rule(period), at(now)).due == date.fromisoformat(due)

    @settings(deadline=None)
    @given(MOMENTS, st.sampled_from(PERIODS))
    def test_nothing_goes_before_it_had_its_time(self, moment: datetime, period: str) -> None:
        """Counted forward from any day before the cut-off, the whole period is over; of the latest such, too."""
        assert after(before(moment, period), period) <= moment

    @settings(deadline=None)
    @given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from(PERIODS))
    def test_a_later_run_never_has_an_earlier_cut_off(
        self, moment: datetime, later: timedelta, period: str
    ) -> None:
        """Otherwise rows would come back into their time."""
        assert before(moment, period) <= before(moment + later, period)

    @pytest.mark.parametrize("period", ["P2100Y", "P999999999D"])
    def test_beyond_the_calendar(self, period: str) -> None:
        """An error of its own, not the library's."""
        with pytest.raises(ValueError, match="beyond the calendar"):
            before(at("2026-01-01"), period)

    def test_the_day_is_the_policys(self) -> None:
        """At half past eleven in the evening of UTC it is tomorrow in Vienna."""
        late = at("2026-06-30T22:30:00")

        assert cut_off(rule("P1M", "UTC"), late).due == date(2026, 5, 30)
        assert cut_off(rule("P1M", "Europe/Vienna"), late).due == date(2026, 6, 1)

    def test_grace_comes_on_top(self) -> None:
        """Rows stay longer by it."""
        assert cut_off(rule("P1Y", grace="P10D"), at("2026-03-11")).due == date(2025, 3, 1)

    @pytest.mark.parametrize(
        ("day", "zone", "start"),
        [
            (date(2026, 3, 29), "Europe/Vienna", "2026-03-28T23:00:00"),
            (date(2026, 3, 30), "Europe/Vienna", "2026-03-29T22:00:00"),
            # Clocks go from midnight to one o'clock, or back from midnight to eleven.
            (date(2024, 9, 8), "America/Santiago", "2024-09-08T04:00:00"),
            (date(2024, 4, 7), "America/Santiago", "2024-04-07T04:00:00"),
        ],
    )
    def test_days_start_where_clocks_change(self, day: date, zone: str, start: str) -> None:
        """The first moment of the day, also where midnight is twice or never."""
        assert start_of(day, ZoneInfo(zone)) == at(start)


def slow(value: datetime | date | None, now: datetime, spec: Retention) -> str:
    """What becomes of one row, by the definition and without any whole numbers."""
    zone = ZoneInfo(spec.time_zone)
    if value is None:
        return "null"
    if isinstance(value, datetime):
        local = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
        day, future = (
            local.date(),
            (value > now if value.tzinfo else value > now.astimezone(zone).replace(tzinfo=None)),
        )
    else:
        day, future = value, value > now.astimezone(zone).date()
    if day < FIRST_DAY:
        return "before_1970"
    if future:
        return "future"
    today = datetime.combine(now.astimezone(zone).date(), datetime.min.time())
    limit = before(before(today, spec.grace), spec.after).date()
    return "delete" if day < limit else "stays"


class TestRows:
    @settings(deadline=None)
    @given(
        st.data(),
        st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
        st.sampled_from(PERIODS),
        st.sampled_from(ZONES),
        st.sampled_from(
            [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")]
            + [pa.date32(), pa.date64()]
        ),
    )
    def test_as_the_slow_reference(
        self, data: st.DataObject, now: datetime, period: str, zone: str, kind: pa.DataType
    ) -> None:
        """Every type and unit sorts rows as the definition does, around every boundary."""
        spec = rule(period, zone, grace="P2D")
        limit = cut_off(spec, now).due
        near = st.integers(-3 * 86400, 3 * 86400).map(
            lambda s: datetime.combine(limit, datetime.min.time()) + timedelta(seconds=s)
        )
        edges = st.sampled_from(
            [datetime.combine(limit, datetime.min.time()), now.replace(tzinfo=None, microsecond=0)]
        )
        far = st.datetimes(datetime(1960, 1, 1), datetime(2060, 1, 1)).map(lambda d: d.replace(microsecond=0))
        rows = data.draw(st.lists(st.one_of(st.none(), near, edges, far), max_size=8))
        if pa.types.is_date(kind):
            values: list = [row and row.date() for row in rows]
        else:
            values = [row and (row.replace(tzinfo=UTC) if kind.tz else row) for row in rows]

        gone, counts = goes(pa.array(values, kind), np.zeros(len(rows), bool), cut_off(spec, now))

        expected = [slow(value, now, spec) for value in values]
        assert gone.tolist() == [fate == "delete" for fate in expected]
        for fate in ("delete", "null", "before_1970", "future"):
            assert getattr(counts, fate) == expected.count(fate)

    def test_half_open(self) -> None:
        """A row at the cut-off stays; one of the smallest unit before goes."""
        cut = cut_off(rule(), at("2026-03-01"))
        edge = datetime(2025, 3, 1)
        times = pa.array([edge - timedelta(microseconds=1), edge, edge + timedelta(microseconds=1)])

        assert goes(times, np.zeros(3, bool), cut)[0].tolist() == [True, False, False]

    def test_held_rows_stay(self) -> None:
        """They are counted apart."""
        times = pa.array([datetime(2020, 1, 1), datetime(2020, 1, 2)])

        gone, counts = goes(times, np.array([True, False]), cut_off(rule(), at("2026-03-01")))

        assert gone.tolist() == [False, True]
        assert (counts.held, counts.delete) == (1, 1)

    @settings(deadline=None)
    @given(st.lists(st.integers(-400, 800), min_size=1, max_size=6), st.integers(0, 2))
    def test_footers_agree_with_rows(self, offsets: list[int], nulls: int) -> None:
        """What the least and the greatest time settle is what the rows say."""
        cut = cut_off(rule(), at("2026-03-01"))
        days = [(date(2025, 3, 1) - date(1970, 1, 1)).days + offset for offset in offsets]
        times = pa.array([*days, *[None] * nulls], pa.int32()).cast(pa.date32())

        told = settled(
            pa.date32(), least=min(days), greatest=max(days), nulls=nulls, rows=len(times), cut=cut
        )

        assert told in (None, goes(times, np.zeros(len(times), bool), cut)[1])


WAITING = {"after_releases": ["report"], "at_the_latest": "P2Y"}


class TestReleases:
    def test_rows_wait_for_a_release(self) -> None:
        """They go up to where the newest one covers them."""
        cut = cut_off(rule(**WAITING), at("2026-03-01"), [at("2024-12-10T05:00:00")])

        assert (cut.until, cut.due) == (date(2024, 12, 10), date(2025, 3, 1))

    @pytest.mark.parametrize("covered", [[None], [at("2026-01-01"), None], [at("2020-01-01")]])
    def test_but_not_for_ever(self, covered: list[datetime | None]) -> None:
        """The hard limit holds without a release, or with an old one."""
        assert cut_off(rule(**WAITING), at("2026-03-01"), covered).until == date(2024, 3, 1)

    def test_a_release_that_covers_all_holds_nothing_back(self) -> None:
        """The newest is of last night."""
        cut = cut_off(rule(**WAITING), at("2026-03-01"), [at("2026-02-28")])

        assert cut.until == cut.due

    def test_waiting_rows_are_counted(self) -> None:
        """They are over, and stay."""
        cut = cut_off(rule(**WAITING), at("2026-03-01"), [at("2024-12-10")])
        times = pa.array([date(2024, 12, 9), date(2024, 12, 10), date(2025, 2, 28), date(2025, 3, 1)])

        assert goes(times, np.zeros(4, bool), cut)[1] == Counts(rows=4, delete=1, waiting=2)


class TestPartitions:
    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("2024", date(2024, 12, 31)),
            ("2024-02", date(2024, 2, 29)),
            ("2024-02-03", date(2024, 2, 3)),
            ("2026-03", date(2026, 3, 1)),
            ("2026", date(2026, 3, 1)),
            ("2027", date(2027, 1, 1)),
            ("9999-12", date(9999, 12, 1)),
            ("2024-13", None),
            ("spring", None),
            ("", None),
            ("2024-02-30", None),
            ("2024-02-03-04", None),
        ],
    )
    def test_the_end_decides(self, text: str, day: date | None) -> None:
        """A partition stands for its last day; one that is not over yet is never over."""
        assert day_of_partition(text, cut_off(rule(), at("2026-03-01"))) == day
