"""Publishes a staged release, and rolls back to an earlier one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.gate import is_open
from airflow_veil.privacy.release.planning import made_by
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import Destination


def publish(workspace: Workspace, reference: Reference, *, actor: str) -> Done:
    """Commit a staged release with its manifest, and make it the current one.

    Raises:
        ReleaseError: It is not staged any more, the policy demands expectations that were not run, or its gate did not
            let exactly this release through.
        StorageError: It cannot be committed; the release before stays current.
        LedgerError: The ledger cannot be used.
    """
    made = made_by(workspace, reference)
    destination = workspace.destination
    release = workspace.ledger.release(reference.release_id)
    published = release.state in (ReleaseState.CURRENT, ReleaseState.SUPERSEDED)
    if not published:
        _commit(workspace, release, rows_out=reference.rows_out, actor=actor)
    copied = lineage.of_copy(
        made, destination.identity(reference.dataset), stage="publish", version=reference.release_id
    )
    said = "was published before" if published else "is published"
    return Done(
        reference=replace(reference, step="publish", published=True),
        lineage=copied,
        summary=f"Release {reference.release_id} of {reference.dataset} {said}: {reference.rows_out} rows",
    )


def _commit(workspace: Workspace, release: ReleaseRecord, *, rows_out: int, actor: str) -> None:
    """Publish a release that is still staged, and was validated where the policy demands it."""
    if release.state is not ReleaseState.STAGED:
        # Told before readers see anything: a late task of a bad release must not bring it back.
        raise ReleaseError(
            f"The release is {release.state}, so it cannot be published",
            where=f"release {release.release_id} of {release.dataset}",
            fix="clear the run from its first task, or roll forward to the release",
        )
    final = manifest.final(release, workspace.loaded, now=datetime.now(UTC))
    _was_validated(workspace, final, release)
    is_open(workspace, release, final, now=datetime.now(UTC))
    commit(workspace, release, final, rows_out=rows_out, actor=actor)


def commit(
    workspace: Workspace,
    release: ReleaseRecord,
    final: dict[str, Any],
    *,
    rows_out: int,
    actor: str,
    destination: Destination | None = None,
) -> None:
    """Publish what is staged: first for readers, then in the ledger; a kill in between is mended by the same call.

    Two tasks at once may both come here with the same release: the first to commit publishes, and both say the same to
    the ledger.

    Args:
        workspace: The policy and its systems.
        release: The release.
        final: Its manifest; what is there already, by a run that was killed here or before a rollback, goes before it.
        rows_out: How many rows it has.
        actor: Who publishes it.
        destination: Where it is staged, if not at the policy's destination.
    """
    destination = destination or workspace.destination
    if not destination.commit(release.dataset, release.release_id, manifest=final):
        final = destination.manifest(release.dataset, release.release_id)
    workspace.ledger.publish(
        release.release_id, final, rows_out=rows_out, expires_at=manifest.expiry(final), actor=actor
    )


def rollback(
    workspace: Workspace,
    dataset: str,
    *,
    release_id: str | None,
    reason: str,
    actor: str,
    replacing: str | None = None,
) -> Done:
    """Make an earlier release current again: first for readers, then in the ledger.

    In this order a kill in between is mended by the same call: until the ledger has it, the same release is meant.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        release_id: Which release; the last good one before the current if None.
        reason: Why.
        actor: Who.
        replacing: The release that is bad, where the call may be repeated: once it is no longer current, there is
            nothing left to do.

    Raises:
        ReleaseError: There is no such release, or its rows are gone.
    """
    policy, ledger = workspace.loaded.policy.name, workspace.ledger
    destination = workspace.destination_of(dataset)
    where = destination.name
    target = ledger.current(policy, dataset, destination=where)
    if target is None or replacing in (None, target.release_id):
        target = ledger.rollback_target(policy, dataset, release_id, destination=where)
    destination.switch(dataset, target.release_id)
    target = ledger.rollback(
        policy, dataset, target.release_id, reason=reason, actor=actor, destination=where
    )
    made = LineageRecord.from_dict((target.manifest or {})["lineage"])
    return Done(
        reference=Reference(
            policy=policy,
            dataset=dataset,
            release_id=target.release_id,
            interval=target.run_key.partition("/")[0],
            plan_digest=target.plan_digest,
            step="rollback",
            published=True,
            rows_out=target.rows_out or 0,
        ),
        lineage=lineage.of_copy(
            made, destination.identity(dataset), stage="rollback", version=target.release_id
        ),
        summary=f"Release {target.release_id} of {dataset} is current again",
    )


def _was_validated(workspace: Workspace, final: dict[str, Any], release: ReleaseRecord) -> None:
    """Nothing is published past its expectations, also by a DAG that forgot the task."""
    if workspace.loaded.policy.datasets[release.dataset].expectations and not final.get("expectations"):
        raise ReleaseError(
            "The policy names expectations, and they were not run",
            where=f"release {release.release_id} of {release.dataset}",
            fix="put a ValidateOperator before the publication",
        )
