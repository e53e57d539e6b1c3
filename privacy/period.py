"""Calendar periods of ISO 8601, as policies write them: P30D, P1M, P3Y."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

_PERIOD = re.compile(r"^P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?$")
_LONGEST_MONTH = 31


def after(moment: datetime, period: str, *, times: int = 1) -> datetime:
    """The moment one period later, by the calendar, or some periods later.

    A month later keeps the day of the month where that day exists, and else takes the month's last: one month after
    31 January is 28 or 29 February, and two months after it is 31 March.

    Args:
        moment: An aware time.
        period: Years, months, weeks and days, as `P1Y6M`.
        times: How many periods later.

    Raises:
        ValueError: The text is no period, or the calendar ends before.
    """
    months, days = _length(period)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months * times, 12)
    try:
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day) + timedelta(days=days * times)
    except (ValueError, OverflowError):
        raise ValueError(f"{times} times {period} leads beyond the calendar") from None


def before(moment: datetime, period: str) -> datetime:
    """The latest moment, with this time of day, that has the whole period behind it at the given moment.

    Days are taken away first, and then months, the last day of a shorter month standing for those that it lacks: so
    `after(before(moment, period), period)` is never later than the moment.

    Args:
        moment: A time.
        period: Years, months, weeks and days, as `P1Y6M`.

    Raises:
        ValueError: The text is no period, or the calendar begins after.
    """
    months, days = _length(period)
    try:
        return after(moment - timedelta(days=days), f"P{months}M", times=-1)
    except OverflowError:
        raise ValueError(f"{period} leads beyond the calendar") from None


def around(moment: datetime, first: datetime, period: str) -> tuple[datetime, datetime]:
    """The period that a moment is in, where one follows the other: its start, and the start of the next.

    Every start is counted from the first one, so that a month's end stays a month's end.

    Args:
        moment: An aware time, not before the first start.
        first: When the first period starts, aware.
        period: How long each is.

    Raises:
        ValueError: The text is no period, or one of no length; or the moment is before the first start.
    """
    months, days = _length(period)
    if months == days == 0:
        raise ValueError(f"{period} has no length")
    if moment < first:
        raise ValueError("the first period has not started")
    # Never too many: no period is longer than its months of 31 days.
    number = (moment - first).days // (months * _LONGEST_MONTH + days)
    while (end := after(first, period, times=number + 1)) <= moment:
        number += 1
    return after(first, period, times=number), end


def in_words(period: str) -> str:
    """A period as people say it: `3 years`, `1 month and 7 days`.

    Raises:
        ValueError: The text is no period.
    """
    match = _PERIOD.match(period)
    if match is None or period == "P":
        raise ValueError(f"{period} is not a period such as P30D or P1M")
    units = zip(("year", "month", "week", "day"), (int(part or 0) for part in match.groups()), strict=True)
    told = [f"{number} {unit if number == 1 else f'{unit}s'}" for unit, number in units if number]
    return " and ".join(filter(None, (", ".join(told[:-1]), *told[-1:]))) or "0 days"


def _length(period: str) -> tuple[int, int]:
    """Months and days of a period."""
    match = _PERIOD.match(period)
    if match is None or period == "P":
        raise ValueError(f"{period} is not a period such as P30D or P1M")
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    return years * 12 + months, weeks * 7 + days
