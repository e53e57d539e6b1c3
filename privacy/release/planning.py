"""The plan of a run: bound anew in every task, and the same in all of them."""

from __future__ import annotations

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import Source


def plan_for(workspace: Workspace, dataset: str, source: Source | None = None) -> Plan:
    """Bind a data set to what its source has now; the key ring is opened only if a treatment needs it.

    Raises:
        SchemaError: The source does not fit the policy, or a type changed since the last release.
        StorageError: The source cannot be opened.
        KeyRingError: A key is needed and cannot be had.
    """
    source = source or workspace.source(dataset)
    schema = source.schema()
    previous = workspace.ledger.last_schema(workspace.loaded.policy.name, dataset)
    plan = bind(workspace.loaded, dataset, schema, previous=previous)
    if not plan.needs_keys:
        return plan
    return bind(workspace.loaded, dataset, schema, key_version=workspace.keys.current, previous=previous)


def same_plan(workspace: Workspace, reference: Reference, source: Source | None = None) -> Plan:
    """The plan of the run; it must be the one that the run began with."""
    plan = plan_for(workspace, reference.dataset, source)
    if plan.digest != reference.plan_digest:
        raise ReleaseError(
            "The policy, the source's columns or the key version changed since the run began",
            where=f"release {reference.release_id} of {reference.dataset}",
            fix="clear the run from its first task, so that all of it follows one plan",
        )
    return plan


def made_by(workspace: Workspace, reference: Reference) -> LineageRecord:
    """The lineage of the task that staged the release."""
    release = workspace.ledger.release(reference.release_id)
    if release.manifest is not None and release.manifest.get("lineage"):
        return LineageRecord.from_dict(release.manifest["lineage"])
    raise ReleaseError(
        "The release was not staged to its end",
        where=f"release {reference.release_id} of {reference.dataset}",
    )
