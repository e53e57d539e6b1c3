"""Looks at the columns of a source before a release: personal data that the policy does not declare stops it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

from airflow_veil.privacy.classify.compare import Discrepancy, compare, recorded
from airflow_veil.privacy.classify.service import SAMPLE_ROWS
from airflow_veil.privacy.classify.service import classify as classify_source
from airflow_veil.privacy.errors import PersonalDataFoundError, ReleaseError
from airflow_veil.privacy.release.done import Done, already
from airflow_veil.privacy.release.planning import same_plan
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace

OnFinding = Literal["fail", "warn"]
KEY = "classification"
"""Where a manifest keeps what was found."""


def classify(
    workspace: Workspace,
    reference: Reference,
    *,
    actor: str,
    sample_rows: int | None = SAMPLE_ROWS,
    on_finding: OnFinding = "fail",
) -> Done:
    """Classify the columns that the policy names, and compare with it and with the last release.

    What was found goes into the draft of the manifest, as kinds and whole percents: the next release under the same
    policy is compared with it. A changed policy was looked at by somebody, so it begins anew.

    Args:
        workspace: The policy and its systems.
        reference: The release, begun.
        actor: Who does it, for the evidence.
        sample_rows: How many rows are looked at; None for all of them.
        on_finding: Whether a discrepancy stops the release, or is only told and recorded.

    Raises:
        PersonalDataFoundError: A column that leaves in clear holds personal data which the policy does not declare, or
            other data than at the last release.
        ReleaseError: `on_finding` is neither word.
    """
    if on_finding not in get_args(OnFinding):
        raise ReleaseError(
            "`on_finding` is no word that is known",
            where=f"data set {reference.dataset}",
            expected=" or ".join(get_args(OnFinding)),
        )
    if reference.published:
        return already(reference)
    dataset, source = reference.dataset, workspace.source(reference.dataset)
    same_plan(workspace, reference, source)
    data, there = workspace.loaded.policy.datasets[dataset], source.schema().names
    named = [name for name in data.columns if name in there]
    suggestions = classify_source(source, sample_rows=sample_rows, columns=named)
    found = compare(dataset, data, suggestions, before=_before(workspace, dataset))
    workspace.ledger.draft(
        reference.release_id,
        {KEY: {"columns": recorded(suggestions), "found": [item.as_dict() for item in found]}},
    )
    if found:
        told = {"on_finding": on_finding, "found": [item.as_dict() for item in found]}
        workspace.ledger.append_evidence("release.classified", reference.release_id, told, actor=actor)
    if found and on_finding == "fail":
        raise _stopped(reference, found)
    personal = sum(item.is_personal for item in suggestions)
    return Done(
        reference=replace(reference, step="classify"),
        lineage=None,
        summary=f"{personal} of {len(suggestions)} columns of {dataset} hold personal data; "
        + ("; ".join(map(str, found)) or "all as the policy declares"),
        warns=bool(found),
    )


def _before(workspace: Workspace, dataset: str) -> dict[str, Any] | None:
    """What the last good release found, if it was made under this very policy."""
    manifest = workspace.ledger.last_manifest(workspace.loaded.policy.name, dataset)
    if manifest is None or manifest.get("policy", {}).get("digest") != workspace.loaded.digest:
        return None
    columns = manifest.get(KEY, {}).get("columns")
    return columns if isinstance(columns, dict) else None


def _stopped(reference: Reference, found: tuple[Discrepancy, ...]) -> PersonalDataFoundError:
    return PersonalDataFoundError(
        "personal data stands where the policy does not declare it: " + "; ".join(map(str, found)),
        where=f"release {reference.release_id} of {reference.dataset}",
        expected="columns that hold what the policy says",
        fix="give the columns their class and a treatment, or say in `unsafe_reason` why they may leave as they are;"
        " nothing was released",
    )
