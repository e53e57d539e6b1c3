"""Until when a request has to be done: days of the policy's time zone, by the calendar.

    received on 31 January, within P1M ──► end of 28 February, or of 29 in a leap year
                                               └──extended by P2M──► end of 28 April

A deadline is the last second of its day. While a request is paused its clock stands; what a hold keeps has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.erasure_record import ENDED, Request, RequestState
from airflow_veil.privacy.period import after, before
from airflow_veil.privacy.retention.cutoff import start_of


def due(received_at: datetime, within: str, zone: str) -> datetime:
    """When a request has to be done: the end of the day that is so long after the day it was received on.

    Args:
        received_at: When it was received, aware.
        within: The time it may take, such as `P1M`.
        zone: Whose days count, such as `Europe/Vienna`.

    Returns:
        The last second of that day, UTC.

    Raises:
        ErasureError: The time has no zone, or the calendar ends before.
    """
    return _end_of_day_after(received_at, within, zone)


def extended(first_due_at: datetime, by: str, zone: str) -> datetime:
    """When a request has to be done that was extended: counted from the day it was due on without extensions.

    Args:
        first_due_at: When it was due: `Request.first_due_at`.
        by: The extension, such as `P2M`.
        zone: Whose days count.

    Returns:
        The last second of that day, UTC.

    Raises:
        ErasureError: The time has no zone, the text is no period, or the calendar ends before.
    """
    return _end_of_day_after(first_due_at, by, zone)


def overdue(requests: Iterable[Request], now: datetime) -> tuple[Request, ...]:
    """Those whose deadline is over and that somebody has to do; a paused one if it was over when its clock stopped.

    Raises:
        ErasureError: The time has no zone.
    """
    _check_aware(now)
    return tuple(each for each in requests if _runs(each) and each.due_at < _clock(each, now))


def near(requests: Iterable[Request], now: datetime, warn: str) -> tuple[Request, ...]:
    """Those that are due within some time, and not overdue.

    Args:
        requests: The requests.
        now: The time, aware.
        warn: How long before a deadline it is near, such as `P7D`.

    Raises:
        ErasureError: The time has no zone, or the text is no period.
    """
    _check_aware(now)
    return tuple(
        each
        for each in requests
        if _runs(each) and _warned(each.due_at, warn) <= _clock(each, now) <= each.due_at
    )


def _runs(request: Request) -> bool:
    """Whether somebody has to do something: what is through is done, and what is held may not be."""
    return request.state not in (*ENDED, RequestState.HELD)


def _clock(request: Request, now: datetime) -> datetime:
    return now if request.paused_at is None else min(now, request.paused_at)


def _warned(due_at: datetime, warn: str) -> datetime:
    try:
        return before(due_at, warn)
    except ValueError as error:
        raise ErasureError(str(error), expected="a period such as P7D") from None


def _end_of_day_after(moment: datetime, period: str, zone: str) -> datetime:
    _check_aware(moment)
    place = ZoneInfo(zone)
    day = datetime.combine(moment.astimezone(place).date(), time())
    try:
        following = after(day, period).date() + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ErasureError(
            "there is no day so long after", expected="a period such as P1M, within the calendar"
        ) from None
    # The start of the next day is found in UTC, so that a day of 23 or 25 hours ends when its clocks say so.
    return start_of(following, place) - timedelta(seconds=1)


def _check_aware(moment: datetime) -> None:
    if moment.utcoffset() is None:
        raise ErasureError("a time without a time zone", fix="give an aware time")
