"""Removes staged personal data: of a run, and of runs that were killed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_veil.privacy.period import before
from airflow_veil.privacy.policy.models import Release
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What a scrub removed.

    Attributes:
        own: Staged outputs of the run itself.
        orphans: Staged outputs that killed runs left.
    """

    own: int
    orphans: int


def scrub(
    workspace: Workspace,
    dataset: str,
    interval: Interval,
    *,
    actor: str,
    orphans_after: float | None = None,
) -> Scrubbed:
    """Remove what the runs of an interval staged and did not publish, and what killed runs left behind.

    That nothing was left is evidence as well.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        interval: The run's interval.
        actor: Who scrubs.
        orphans_after: Seconds after which staging that nobody holds is an orphan; as the policy says where None.
    """
    own, limit = 0, seconds_of(workspace) if orphans_after is None else orphans_after
    for release in workspace.ledger.list(workspace.loaded.policy.name, dataset):
        # Another DAG may be at work on the same interval, for another destination.
        mine = release.destination == workspace.destination.name
        if not mine or release.run_key.partition("/")[0] != interval.key:
            continue
        own += workspace.scratch.scrub(dataset, release.release_id)
        own += workspace.destination.discard(dataset, release.release_id)
    orphans = workspace.scratch.sweep(limit) + workspace.destination.sweep(dataset, limit)
    workspace.ledger.append_evidence(
        "staging.scrubbed",
        f"{workspace.loaded.policy.name}/{dataset}",
        {"interval": interval.key, "own": own, "orphans": orphans},
        actor=actor,
    )
    return Scrubbed(own=own, orphans=orphans)


def seconds_of(workspace: Workspace, now: datetime | None = None) -> float:
    """How long staging that nobody holds may stay, in seconds: `staging_expires_after` of the policy."""
    moment = now or datetime.now(UTC)
    return (moment - before(moment, period_of(workspace))).total_seconds()


def period_of(workspace: Workspace) -> str:
    """The same as the policy writes it."""
    release = workspace.loaded.policy.release
    default: str = Release.model_fields["staging_expires_after"].default
    return default if release is None else release.staging_expires_after
