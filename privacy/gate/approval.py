"""Who approved a release: exactly this one, by how many different people, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow_veil.privacy.errors import ReleaseError

SHORTEST_REASON = 5
LONGEST_REASON = 500
"""Characters of a reason: a sentence or two, and no document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person's yes to one release.

    Attributes:
        by: Who, by the id that Airflow knows them by.
        name: Their name there.
        at: When, aware, in ISO 8601.
        until: Until when it holds.
        reason: Why; it must not hold personal data.
        digest: Digest of what was approved.
    """

    by: str
    name: str
    at: str
    until: str
    reason: str
    digest: str

    def as_dict(self) -> dict[str, str]:
        """The approval for a machine to read."""
        return asdict(self)


def valid(approvals: Iterable[Mapping[str, Any]], *, digest: str, now: datetime) -> tuple[Approval, ...]:
    """The approvals that count: of this very release, still holding, the first of each person.

    Args:
        approvals: Approvals as they were recorded.
        digest: Digest of what is to be approved.
        now: The time, aware.

    Raises:
        ReleaseError: What was recorded is no approval.
    """
    found: dict[str, Approval] = {}
    for each in approvals:
        approval = _read(each)
        if approval.digest == digest and now < datetime.fromisoformat(approval.until):
            found.setdefault(approval.by, approval)
    return tuple(found.values())


def checked_reason(reason: Any) -> str:
    """A reason that somebody wrote.

    Raises:
        ReleaseError: There is none, or it is too long.
    """
    text = reason.strip() if isinstance(reason, str) else ""
    if not SHORTEST_REASON <= len(text) <= LONGEST_REASON:
        raise ReleaseError(
            "an approval has a reason",
            expected=f"{SHORTEST_REASON} to {LONGEST_REASON} characters, without personal data",
            fix="clear the task, and answer again",
        )
    return text


def _read(recorded: Mapping[str, Any]) -> Approval:
    try:
        approval = Approval(**recorded)
        datetime.fromisoformat(approval.until)
    except (TypeError, ValueError):
        raise ReleaseError(
            "what was recorded is no approval", fix="clear the gate, and approve again"
        ) from None
    return approval
