"""From when on rows stay: days of the policy's time zone, counted back from the run's own clock.

    now ──day in the zone──► today ──minus grace, minus after──► due        rows of the days before are over
                                   └──minus at_the_latest──────► limit      rows of the days before wait for nothing

A cut-off is the start of a day, so that all tries of a run delete the same. It is half-open: a row whose time is before
it goes, one whose time it is stays. A time without a zone is wall time of the policy's zone; a date is its whole day.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.period import before
from airflow_veil.privacy.policy.retention import Retention

FIRST_DAY = date(1970, 1, 2)
"""Times before are of clocks that were never set: whatever zone they are told in, zero is on 1 January 1970 at most."""

_EPOCH = datetime.combine(date(1970, 1, 1), time())
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """What a rule says at a moment.

    Attributes:
        at: The moment, by the clock of the run.
        zone: The policy's time zone.
        due: The first day whose rows are not over yet.
        until: The first day whose rows stay: `due`, or an earlier one where rows wait for releases.
    """

    at: datetime
    zone: ZoneInfo
    due: date
    until: date

    @property
    def moment(self) -> datetime:
        """When `until` starts, UTC."""
        return start_of(self.until, self.zone)

    @property
    def today(self) -> date:
        """The day of the run in the zone."""
        return self.at.astimezone(self.zone).date()


def cut_off(rule: Retention, at: datetime, covered: Iterable[datetime | None] = ()) -> CutOff:
    """What a rule says at a moment.

    Args:
        rule: The rule.
        at: The moment, aware.
        covered: For each release that rows wait for, until when its newest one covers them; None where there is none.
    """
    zone = ZoneInfo(rule.time_zone)
    today = datetime.combine(at.astimezone(zone).date(), time())
    due = before(before(today, rule.grace), rule.after).date()
    until = due
    if rule.at_the_latest is not None:
        limit = before(today, rule.at_the_latest).date()
        days = [limit if end is None else end.astimezone(zone).date() for end in covered]
        until = max(limit, min([due, *days]))
    return CutOff(at=at, zone=zone, due=due, until=until)


def moments(cut: CutOff, kind: pa.DataType) -> tuple[date, date, date, date]:
    """The bounds for a column of dates or times, as Python has them: first, until, due and now."""
    days = (FIRST_DAY, cut.until, cut.due)
    if pa.types.is_date(kind):
        return (*days, cut.today)
    if kind.tz is not None:
        first, until, due = (start_of(day, cut.zone) for day in days)
        return first, until, due, cut.at
    first, until, due = (datetime.combine(day, time()) for day in days)
    return first, until, due, cut.at.astimezone(cut.zone).replace(tzinfo=None)


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """When a day starts, UTC; the first of two midnights, or the moment that clocks are put forward over midnight."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The moments that times are compared with, as whole numbers of the unit that a column counts in.

    Attributes:
        first: Times before are no times.
        until: Times before go.
        due: Times before are over.
        now: Times after are not yet.
    """

    first: int
    until: int
    due: int
    now: int


def bounds(cut: CutOff, kind: pa.DataType) -> Bounds:
    """The bounds for a column of dates or times.

    Args:
        cut: The cut-off.
        kind: `date32`, `date64` or a timestamp.
    """
    if pa.types.is_date(kind):
        unit = 1 if pa.types.is_date32(kind) else 86_400_000
        days = [(day - _EPOCH.date()).days * unit for day in (FIRST_DAY, cut.until, cut.due, cut.today)]
        # A date is its whole day: the days of one such type are told apart by their starts.
        return Bounds(first=days[0], until=days[1], due=days[2], now=days[3] + unit - 1)
    moments = [
        _in_units(_start(day, cut.zone, aware=kind.tz is not None), kind.unit)
        for day in (FIRST_DAY, cut.until, cut.due)
    ]
    at = cut.at.astimezone(UTC if kind.tz is not None else cut.zone).replace(tzinfo=None)
    return Bounds(first=moments[0], until=moments[1], due=moments[2], now=_in_units(at, kind.unit))


def _start(day: date, zone: ZoneInfo, *, aware: bool) -> datetime:
    """When a day starts: in UTC, or by the clocks of the zone."""
    return start_of(day, zone).replace(tzinfo=None) if aware else datetime.combine(day, time())


def _in_units(moment: datetime, unit: str) -> int:
    """Whole units since 1970, rounded down; computed with whole numbers."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return microseconds * _UNITS[unit] // 1_000_000


def day_of_partition(text: str, cut: CutOff) -> date | None:
    """The day that stands for all rows of a hive partition: the last one, so that its end decides.

    Args:
        text: The value in the folder's name: a day, a month or a year, as 2024-01-31, 2024-01 or 2024.
        cut: The cut-off.

    Returns:
        The day; today for a partition that has begun and not ended. None where the text is none of these.
    """
    parts = text.split("-")
    try:
        first = date.fromisoformat("-".join([*parts, "01", "01"][: max(3, len(parts))]))
    except ValueError:
        return None
    months = {1: 12, 2: first.month}.get(len(parts))
    last = first if months is None else date(first.year, months, monthrange(first.year, months)[1])
    if last <= cut.today:
        return last
    return cut.today if first <= cut.today else first
