"""Publishes what was drawn: parents first, each table by one step, and only what its evaluation let through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.gate import is_open
from airflow_veil.privacy.release.publish import commit
from airflow_veil.privacy.release.scrub import seconds_of
from airflow_veil.privacy.release.synthetic_evaluate import passed
from airflow_veil.privacy.release.synthetic_names import names_of, same_specification
from airflow_veil.privacy.release.synthetic_reference import Made, SyntheticReference
from airflow_veil.privacy.release.synthetic_sample import PUBLISHED
from airflow_veil.privacy.release.workspace import Workspace


def publish(workspace: Workspace, reference: SyntheticReference, *, actor: str) -> Made:
    """Commit the tables of a synthetic release with their manifests, and make them the current ones.

    A kill between two tables is mended by the same call. Readers of several tables may see the new parent beside the
    old child for a moment; the manifests name the model, which tells what belongs together.

    Raises:
        ReleaseError: A table is not staged any more, the policy changed, or the evaluation that the policy wants did
            not let exactly these rows through.
        SyntheticError: The model has ended meanwhile: somebody in it is erased, or its rows' time is over.
        StorageError: A table cannot be committed; the release before stays current.
        LedgerError: The ledger cannot be used.
    """
    specification = same_specification(workspace, reference)
    names = names_of(workspace.loaded, reference.dataset, reference.suffix)
    releases = {table: workspace.ledger.release(reference.releases[table]) for table in specification.tables}
    waiting = {table: each for table, each in releases.items() if each.state not in PUBLISHED}
    for table, release in waiting.items():
        _may_go(workspace, reference, table, release)
    finals = {table: _final(workspace, release) for table, release in waiting.items()}
    for table, release in waiting.items():
        is_open(workspace, release, finals[table], now=datetime.now(UTC))
    for table, release in waiting.items():
        final = finals[table]
        commit(workspace, release, final, rows_out=reference.rows[table], actor=actor)
    for name in names.values():
        workspace.destination.sweep(name, seconds_of(workspace))
    said = "is published" if waiting else "was published before"
    told = ", ".join(f"{reference.rows[table]:,} rows of {name}" for table, name in names.items())
    return Made(
        reference=replace(reference, step="publish", published=True),
        lineage=tuple(_copied(workspace, release) for release in releases.values()),
        summary=f"The synthetic release of {reference.dataset} {said}: {told}",
    )


def _may_go(workspace: Workspace, reference: SyntheticReference, table: str, release: ReleaseRecord) -> None:
    """Told before readers see anything of any table."""
    if release.state is not ReleaseState.STAGED or not (release.manifest or {}).get("output"):
        raise ReleaseError(
            f"the release is {release.state}, and nothing of it is staged"
            if release.state is ReleaseState.STAGED
            else f"the release is {release.state}, so it cannot be published",
            where=release.where,
            fix="clear the run from its first task",
        )
    record = workspace.ledger.models.find(reference.model_id)
    if record.state is not ModelState.FITTED:
        raise ReleaseError(
            f"the model that it was drawn from is {record.state}",
            where=release.where,
            fix="clear the run from its first task: a new model is fitted",
        )
    passed(workspace, reference, table, release)


def _final(workspace: Workspace, release: ReleaseRecord) -> dict[str, Any]:
    """The manifest as it is published: scores of the draft are left out, unless the policy shows them."""
    return manifest.final(release, workspace.loaded, now=datetime.now(UTC))


def _copied(workspace: Workspace, release: ReleaseRecord) -> LineageRecord:
    """The lineage of the publication of one table."""
    made = LineageRecord.from_dict((release.manifest or {})["lineage"])
    target = workspace.destination.identity(release.dataset)
    return lineage.of_copy(made, target, stage="publish", version=release.release_id)
