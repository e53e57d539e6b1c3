"""Why somebody did what has to be accounted for: a text that somebody else can follow, without personal data."""

from __future__ import annotations

from airflow_veil.privacy.errors import VeilError

SHORTEST_REASON = 10
LONGEST_REASON = 1024


def check_reason(reason: str, *, where: str, failure: type[VeilError]) -> None:
    """Refuse what is no reason, with the error of whoever needs one.

    Raises:
        VeilError: It is too short or too long.
    """
    length = len(reason.strip())
    if not SHORTEST_REASON <= length <= LONGEST_REASON:
        raise failure(
            f"the reason has {length} characters",
            where=where,
            expected=f"{SHORTEST_REASON} to {LONGEST_REASON}, without personal data",
        )
