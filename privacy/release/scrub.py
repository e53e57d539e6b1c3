"""Removes staged personal data: of a run, and of runs that were killed."""

from __future__ import annotations

from dataclasses import dataclass

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


def scrub(workspace: Workspace, dataset: str, interval: Interval, *, orphans_after: float) -> Scrubbed:
    """Remove what the runs of an interval staged and did not publish, and what killed runs left behind.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        interval: The run's interval.
        orphans_after: Seconds after which staging that nobody holds is an orphan.
    """
    own = 0
    for release in workspace.ledger.list(workspace.loaded.policy.name, dataset):
        # Another DAG may be at work on the same interval, for another destination.
        mine = release.destination == workspace.destination.name
        if not mine or release.run_key.partition("/")[0] != interval.key:
            continue
        own += workspace.scratch.scrub(dataset, release.release_id)
        own += workspace.destination.discard(dataset, release.release_id)
    orphans = workspace.scratch.sweep(orphans_after) + workspace.destination.sweep(dataset, orphans_after)
    return Scrubbed(own=own, orphans=orphans)
