"""How figures change from release to release: read off the manifests of what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.gate.figures import figures_of
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.policy.check_gate import AT_LEAST

GOOD = (ReleaseState.CURRENT, ReleaseState.SUPERSEDED, ReleaseState.EXPIRED)
"""What was published and not found bad."""
_DIGITS = 12
"""Differences are rounded to so many digits: 0.3 - 0.2 is 0.1 here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The figures of one release.

    Attributes:
        release_id: The release.
        figures: Its figures; None where one does not apply, and left out where it was not measured.
    """

    release_id: str
    figures: Mapping[str, Any]


def worse_by(word: str, now: float, then: float) -> float:
    """By how much a figure is worse than it was; below 0 where it is better."""
    return round(then - now if word in AT_LEAST else now - then, _DIGITS)


def history(releases: Iterable[ReleaseRecord], *, destination: str) -> tuple[Point, ...]:
    """The figures of a data set's published releases, the newest first.

    Releases that were rolled back are left out: nothing is to be measured by what was found bad.

    Args:
        releases: Releases of the data set, in any order.
        destination: Where they went; those that went elsewhere are left out.
    """
    good = [
        record
        for record in releases
        if record.state in GOOD and record.destination == destination and record.published_seq is not None
    ]
    good.sort(key=lambda record: (record.state is ReleaseState.CURRENT, record.published_seq), reverse=True)
    return tuple(Point(release_id=r.release_id, figures=figures_of(r.manifest or {})) for r in good)
