"""Calendar periods of ISO 8601, as policies write them: P30D, P1M, P3Y."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

_PERIOD = re.compile(r"^P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?$")


def after(moment: datetime, period: str) -> datetime:
    """The moment one period later, by the calendar.

    A month later keeps the day of the month where that day exists, and else takes the month's last: one month after
    31 January is 28 or 29 February.

    Args:
        moment: An aware time.
        period: Years, months, weeks and days, as `P1Y6M`.

    Raises:
        ValueError: The text is no period.
    """
    match = _PERIOD.match(period)
    if match is None or period == "P":
        raise ValueError(f"{period} is not a period such as P30D or P1M")
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    count = moment.year * 12 + moment.month - 1 + years * 12 + months
    year, month = divmod(count, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day) + timedelta(weeks=weeks, days=days)
