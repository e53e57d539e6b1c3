"""Removes what killed runs have staged, once it is older than the policy lets it lie: it is personal data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.release.scrub import period_of, seconds_of
from airflow_veil.privacy.retention.clock import wall_clock
from airflow_veil.privacy.retention.models import sweep_models

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was removed.

    Attributes:
        after: How long it may lie, as the policy writes it.
        runs: Staged runs of the installation: what stepwise releases stage between tasks.
        attempts: Attempts beside the releases of each data set, query and synthetic table that had some.
        models: Files of models that nobody knows or that have ended.
    """

    after: str
    runs: int
    attempts: dict[str, int]
    models: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The same for XCom, evidence and machines."""
        return {
            "after": self.after,
            "runs": self.runs,
            "attempts": dict(self.attempts),
            "models": self.models,
        }


def sweep(workspace: Workspace, *, actor: str) -> Swept:
    """Remove staged leavings that nobody has touched for longer than `staging_expires_after`, with evidence.

    An attempt that a living task writes is not old. Whose task comes back later than that begins again from its source.

    Raises:
        ReleaseError: The policy names no destination.
        StorageError: Something cannot be removed; it is by the next call.
        LedgerError: The ledger cannot be used.
    """
    policy = workspace.loaded.policy
    seconds = seconds_of(workspace, wall_clock())
    queries = policy.differential_privacy.queries if policy.differential_privacy else ()
    # Releases of given values have names that the policy does not know.
    others = {each.dataset for each in workspace.ledger.list(policy.name)} if policy.synthetic else ()
    names = dict.fromkeys((*policy.datasets, *queries, *policy.models, *sorted(others)))
    found = {name: workspace.destination_of(name).sweep(name, seconds) for name in names}
    swept = Swept(
        after=period_of(workspace),
        runs=workspace.scratch.sweep(seconds),
        attempts={name: count for name, count in found.items() if count},
        models=sweep_models(workspace, seconds),
    )
    workspace.ledger.append_evidence("staging.swept", policy.name, swept.as_dict(), actor=actor)
    return swept
