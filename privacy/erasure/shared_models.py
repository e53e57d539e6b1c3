"""What becomes of models that were shared, when somebody is erased whom they may have learned of.

Nobody can look into a model for a person. So a release of a model is withdrawn if the person was in the data set that
it was trained on, or that has changed since, or if its rows were outside of the policy, so that nobody can say that the
person was not among them. It stays where the policy says why (`after_erasure`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure.dossier import Dossier
from airflow_veil.privacy.errors import VeilError
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace

BY_ERASURE = "erasure "
"""What reasons begin with that the ledger has of whatever an erasure ends; the batch follows."""


def may_know(workspace: Workspace, release: ReleaseRecord, dossier: Dossier) -> bool:
    """Whether it is a release of a model that may have learned of somebody of a batch.

    Args:
        workspace: The policy and its systems.
        release: A release of the policy.
        dossier: Who is erased, and what was found of them.
    """
    if not is_model(workspace, release):
        return False
    dataset = trained_on(workspace, release)
    if dataset not in workspace.loaded.policy.datasets:
        return True
    counts = dossier.counts.get(dataset, {})
    return any(any(kind) for kind in counts.values()) or _changed(workspace, release, dataset)


def is_model(workspace: Workspace, release: ReleaseRecord) -> bool:
    """Whether a release is one of a model: its manifest says so, or, before there is one, the policy."""
    if release.manifest is None:
        return release.dataset in workspace.loaded.policy.models
    return "model" in release.manifest


def trained_on(workspace: Workspace, release: ReleaseRecord) -> str:
    """The data set that a model was trained on; another text where its rows were outside of the policy."""
    if release.manifest is not None:
        return str(release.manifest["model"]["trained_on"])
    return workspace.loaded.policy.models[release.dataset].trained_on.train.dataset or ""


def why_it_stays(workspace: Workspace, release: ReleaseRecord) -> str | None:
    """What the policy says; None where it goes."""
    said = workspace.loaded.policy.models.get(release.dataset)
    return said.after_erasure.exempt if said is not None and said.after_erasure is not None else None


def was_withdrawn(workspace: Workspace, name: str, digest: str) -> bool:
    """Whether a model's file was withdrawn when somebody was erased whom it may have learned of.

    Args:
        workspace: The policy and its systems.
        name: The model.
        digest: SHA-256 of its file, in hex.
    """
    for release in workspace.ledger.list(workspace.loaded.policy.name, name):
        same = (release.manifest or {}).get("model", {}).get("digest") == digest
        if same and release.state is ReleaseState.EXPIRED:
            for entry in workspace.ledger.evidence_of(release.subject, "release.expired"):
                if entry.payload and entry.content.get("reason", "").startswith(BY_ERASURE):
                    return True
    return False


def _changed(workspace: Workspace, release: ReleaseRecord, dataset: str) -> bool:
    """Whether the rows that it was trained on are no longer there to be looked at."""
    from airflow_veil.privacy.release.synthetic_sources import version_of

    subject = f"{release.policy}/{release.dataset}"
    known: set[Any] = {
        entry.content.get("data_version")
        for entry in workspace.ledger.evidence_of(subject, "model.tested")
        if entry.payload is not None and entry.content["tested"] == release.plan_digest
    }
    try:
        return version_of({dataset: workspace.source(dataset)}) not in known
    except VeilError:
        return True
