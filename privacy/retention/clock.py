"""The clock of a run: the wall clock, whatever date a DAG run stands for, and whether it can be right.

A backfill of last year deletes what is over today, and nothing by last year's date or a future one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SKEW = timedelta(hours=1)
"""By how much the clocks of two machines may differ."""
LONGEST_PAUSE = timedelta(days=92)
"""How long no run may have been: longer, and it is the clock that is doubted."""


def wall_clock() -> datetime:
    """The time, UTC; tests put another one in its place."""
    return datetime.now(UTC)


def doubt(at: datetime, last: datetime | None) -> str | None:
    """Why a clock cannot be believed; None where it can.

    Args:
        at: What the clock says, aware.
        last: What the clock of the last run said; None before the first.
    """
    if last is None:
        return None
    if at < last - SKEW:
        return f"the clock says {_told(at)}, and at the last run it was {_told(last)}: it went backwards"
    if at > last + LONGEST_PAUSE:
        days = (at - last).days
        return f"the clock says {_told(at)}, {days} days after the last run: it may have gone ahead"
    return None


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
