"""The interval that a release stands for: one night, one hour, or one run by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What a release stands for.

    Attributes:
        key: Its name; equal keys are the same interval.
        start: Its beginning, inclusive, aware; None for a run by hand.
        end: Its end, exclusive, aware.
    """

    key: str
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def by_hand(cls) -> Interval:
        """A run by hand stands for its own moment."""
        now = datetime.now(UTC)
        return cls(key=f"{now:%Y%m%dT%H%M%S%fZ}", end=now)
