"""What there is to see of releases: the current ones, those that wait for approval, and how figures change.

Read off the ledger alone, in names, counts and figures, and nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.gate import approval
from airflow_veil.privacy.gate.figures import figures_of
from airflow_veil.privacy.gate.trend import GOOD
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.period import after

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger

SHOWN = 60
"""How many of a data set's newest releases are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is seen of one release.

    Attributes:
        release_id: Its name.
        policy: Its policy.
        dataset: Its data set, or the query that it answers.
        destination: Where it went.
        state: Where it is in its life.
        created_at: When it was begun.
        published_at: When it was published; None if it was not.
        expires_at: When it may no longer be used; None for never.
        overdue: Whether that time is over.
        rows: How many rows it has; None before it is published.
        figures: Its figures, by the words of the gate; None where one does not apply, left out where not measured.
        outcome: What the gate said; empty where the policy has none.
        reasons: The gate's codes.
    """

    release_id: str
    policy: str
    dataset: str
    destination: str
    state: ReleaseState
    created_at: datetime
    published_at: datetime | None
    expires_at: datetime | None
    overdue: bool
    rows: int | None
    figures: Mapping[str, Any]
    outcome: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A release that the gate holds until people approve it.

    Attributes:
        release: The release.
        people: How many have to approve.
        approved: Who has, by name.
        since: When the gate decided.
        until: When it is no longer waited for.
    """

    release: Seen
    people: int
    approved: tuple[str, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one figure changed.

    Attributes:
        word: The figure, by the word of the gate.
        points: Releases with it, the oldest first: when it was published, its value, its name.
        bounds: What the newest release's rule says of it: `deny` and `approve`, as far as they are there.
    """

    word: str
    points: tuple[tuple[datetime, float, str], ...]
    bounds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The releases of a data set.

    Attributes:
        releases: The newest ones, the newest first.
        lines: How their figures changed, of releases that were published and not found bad.
        more: How many older ones are not shown.
    """

    releases: tuple[Seen, ...]
    lines: tuple[Line, ...]
    more: int


def latest(ledger: Ledger, now: datetime) -> tuple[Seen, ...]:
    """The current release of each data set, or else the last that was published, by policy and name.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    return tuple(seen(record, now) for record in ledger.latest())


def waiting(ledger: Ledger, now: datetime) -> tuple[Waiting, ...]:
    """What is waited for, the oldest first. What nobody answered in time is no longer waited for.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    found = (_waiting(record, now) for record in ledger.staged())
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.since))


def history(ledger: Ledger, policy: str, dataset: str, now: datetime) -> History:
    """The releases of a data set, and how their figures changed.

    Raises:
        ReleaseError: There is no release of that name.
        LedgerError: The ledger cannot be used.
    """
    records = ledger.list(policy, dataset)
    if not records:
        raise ReleaseError(f"there is no release of {policy}.{dataset}", fix="look at what there is")
    shown = records[:SHOWN]
    return History(
        releases=tuple(seen(record, now) for record in shown),
        lines=_lines(shown),
        more=len(records) - len(shown),
    )


def seen(record: ReleaseRecord, now: datetime) -> Seen:
    """What is seen of a release."""
    told = record.manifest or {}
    held = told.get("gate") or {}
    return Seen(
        release_id=record.release_id,
        policy=record.policy,
        dataset=record.dataset,
        destination=record.destination,
        state=record.state,
        created_at=record.created_at,
        published_at=record.published_at,
        expires_at=record.expires_at,
        overdue=record.expires_at is not None and record.expires_at <= now,
        rows=record.rows_out,
        figures=figures_of(told),
        outcome=str(held.get("outcome", "")),
        reasons=tuple(held.get("reasons", ())),
    )


def _waiting(record: ReleaseRecord, now: datetime) -> Waiting | None:
    held = (record.manifest or {}).get("gate") or {}
    if held.get("outcome") != "approval":
        return None
    given = approval.valid(held["approvals"], digest=held["digest"], now=now)
    since = datetime.fromisoformat(held["decided_at"])
    asked = max([since, *(datetime.fromisoformat(each.at) for each in given)])
    until = after(asked, held["rule"]["wait"])
    people = held["rule"]["people"]
    if len(given) >= people or until <= now:
        return None
    return Waiting(
        release=seen(record, now),
        people=people,
        approved=tuple(each.name or each.by for each in given),
        since=since,
        until=until,
    )


def _lines(records: Iterable[ReleaseRecord]) -> tuple[Line, ...]:
    """A line a figure, of releases at the destination of the newest one, that were not found bad."""
    good = [each for each in records if each.state in GOOD]
    if not good:
        return ()
    good = [each for each in good if each.destination == good[0].destination]
    rule = ((good[0].manifest or {}).get("gate") or {}).get("rule") or {}
    points: dict[str, list[tuple[datetime, float, str]]] = defaultdict(list)
    for record in reversed(good):
        for word, value in figures_of(record.manifest or {}).items():
            if record.published_at is not None and value is not None:
                points[word].append((record.published_at, float(value), record.release_id))
    return tuple(
        Line(
            word=word,
            points=tuple(line),
            bounds={part: rule[part][word] for part in ("deny", "approve") if word in rule.get(part, {})},
        )
        for word, line in points.items()
    )
