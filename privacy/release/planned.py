"""The lineage of a task before it runs: as planned, without counts."""

from __future__ import annotations

from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.plan.stage import fused, stage
from airflow_veil.privacy.release.planning import made_by, plan_for
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity
from airflow_veil.privacy.transforms.base import Step


def planned_step(
    workspace: Workspace, dataset: str, step: Step | None, reference: Reference | None
) -> LineageRecord | None:
    """The lineage of a step before it runs; None where its tables are not known yet.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        step: The step; None for all in one pass.
        reference: What the step before handed on.
    """
    source = workspace.source(dataset)
    plan = plan_for(workspace, dataset, source)
    part = fused(plan) if step is None else stage(plan, step)
    # Where it will be staged is not known before the release has begun; the name is the step's alone.
    target = DatasetIdentity("veil", f"staging/{plan.policy}.{dataset}/{part.name}")
    if reference is None:
        return lineage.of_stage(part, source.identity, target)
    before = workspace.scratch.identity(dataset, reference.release_id, reference.step)
    return lineage.of_stage(part, before, target)


def planned_validation(workspace: Workspace, reference: Reference) -> LineageRecord:
    """The lineage of a validation before it runs."""
    made = made_by(workspace, reference)
    return lineage.of_reading(made)


def planned_publication(workspace: Workspace, reference: Reference) -> LineageRecord:
    """The lineage of a publication before it happens."""
    made = made_by(workspace, reference)
    target = workspace.destination.identity(reference.dataset)
    return lineage.of_copy(made, target, stage="publish", version=reference.release_id)
