"""Measures releases: the risk of one that is staged or published, and of published ones together.

What an attacker knows and wants to know is what the policy calls quasi-identifiers and sensitive, as far as it leaves.
The figures are for those who answer for a release: they go to the ledger and the manifest, never by XCom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_veil.privacy.errors import ReleaseError, SchemaError
from airflow_veil.privacy.gate.figures import output_digest
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.policy.models import ColumnClass, Dataset
from airflow_veil.privacy.release.done import Done, already
from airflow_veil.privacy.release.manifest import digest_of
from airflow_veil.privacy.release.planning import made_by, same_plan
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.useful import utility_staged, wanted
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.risk.joined import Linked, joined
from airflow_veil.privacy.risk.report import LARGEST, Risk, assess
from airflow_veil.privacy.storage.base import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What of a release an attacker knows, wants to know, and can join by.

    Attributes:
        quasi_identifiers: The quasi-identifiers that leave.
        sensitive: The sensitive columns that leave.
        subject: The column that says whose row it is, if it leaves.
    """

    quasi_identifiers: tuple[str, ...]
    sensitive: tuple[str, ...]
    subject: str | None


def assess_staged(
    workspace: Workspace,
    reference: Reference,
    *,
    actor: str,
    population: int | None = None,
    largest: int | None = LARGEST,
) -> Done:
    """Measure a staged release, and put the figures into its draft of a manifest; nothing is decided by them.

    Its utility is measured, too, where the policy asks for it or its gate has a bound on it.

    A data set without quasi-identifiers that leave has no risk of this kind: the draft says so.

    Args:
        workspace: The policy and its systems.
        reference: The release.
        actor: Who measures.
        population: How many people the data set is a sample of, if known.
        largest: The largest sets of columns that are looked at; None for all.

    Raises:
        ReleaseError: It is not staged any more, or not what was planned.
        SchemaError: The population is smaller than the release.
        StorageError: It cannot be read.
        LedgerError: The ledger cannot be used.
    """
    if reference.published:
        return already(reference)
    plan = same_plan(workspace, reference)
    staged = workspace.destination.source(plan.dataset, reference.release_id)
    known = known_of(workspace, plan.dataset, staged)
    told, said = None, "has no quasi-identifier"
    if known.quasi_identifiers:
        risk = measured(staged, known, population=population, largest=largest)
        told = {**risk.as_dict(), "digest": risk.digest}
        said = (
            f"is assessed: {risk.rows:,} rows, {len(known.quasi_identifiers)} quasi-identifiers,"
            f" {len(known.sensitive)} sensitive columns, figures {risk.digest[:12]} in the ledger"
        )
    draft = workspace.ledger.release(reference.release_id).manifest or {}
    # Of which files the figures are: what is staged anew after them was not measured.
    facts: dict[str, Any] = {"risk": told, "risk_of": output_digest(draft)}
    payload = {"figures_digest": told and told["digest"], "output_digest": facts["risk_of"]}
    how = wanted(workspace)
    if how is not None:
        useful = utility_staged(workspace, plan, staged, draft, how)
        facts |= {"utility": useful, "utility_of": facts["risk_of"]}
        payload["utility_digest"] = useful and digest_of(useful)
        said += ", utility, too" if useful else "; its source changed, so its utility is not known"
    note = Note(kind="release.assessed", payload=payload, actor=actor)
    workspace.ledger.draft(reference.release_id, facts, note)
    return Done(
        reference=replace(reference, step="assess"),
        lineage=lineage.of_reading(made_by(workspace, reference)),
        summary=f"Release {reference.release_id} of {plan.dataset} {said}",
    )


def risk_of(
    workspace: Workspace,
    dataset: str,
    release_id: str | None = None,
    *,
    known: Known | None = None,
    population: int | None = None,
    largest: int | None = LARGEST,
) -> Risk:
    """Measure a release that is published, or else staged.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        release_id: The release; the current one if not said.
        known: What an attacker knows; what the policy says if not said.
        population: How many people the data set is a sample of, if known.
        largest: The largest sets of columns that are looked at; None for all.

    Raises:
        ReleaseError: There is no such release.
        SchemaError: There is no such data set or column, or no quasi-identifier leaves.
        StorageError: It cannot be read.
    """
    source = released(workspace, dataset, release_id)
    return measured(
        source, known or known_of(workspace, dataset, source), population=population, largest=largest
    )


def risk_of_source(
    workspace: Workspace,
    dataset: str,
    *,
    known: Known | None = None,
    population: int | None = None,
    largest: int | None = LARGEST,
) -> Risk:
    """Measure the source of a data set: the risk before anything is done.

    Raises:
        SchemaError: There is no such data set or column, or it has no quasi-identifier.
        StorageError: It cannot be read.
    """
    source = workspace.source(dataset)
    return measured(
        source, known or known_of(workspace, dataset, source), population=population, largest=largest
    )


def linked(workspace: Workspace, datasets: tuple[str, ...] | None = None) -> dict[str, tuple[str, ...]]:
    """Which released data sets are of the same people by a token that leaves, by the column that their subjects are.

    Args:
        workspace: The policy and its systems.
        datasets: Data sets to look at; all if not said.
    """
    policy = workspace.loaded.policy
    found: dict[str, tuple[str, ...]] = {}
    for name in datasets or tuple(policy.datasets):
        root = subject_root(policy, name)
        current = (
            workspace.destination.current(name) if root and policy.datasets[name].releases_rows else None
        )
        if current is None:
            continue
        known = known_of(workspace, name, workspace.destination.source(name, current))
        if known.subject:
            found[root] = (*found.get(root, ()), name)
    return {root: names for root, names in found.items() if len(names) > 1}


def risk_of_join(
    workspace: Workspace,
    datasets: tuple[str, ...],
    *,
    population: int | None = None,
    largest: int | None = LARGEST,
) -> Risk:
    """Measure the current releases of data sets of the same people together.

    Raises:
        ReleaseError: One has no release.
        SchemaError: They are not of the same people, or no column that leaves says whose rows are.
        StorageError: One cannot be read.
    """
    policy = workspace.loaded.policy
    roots = {subject_root(policy, name) for name in datasets if name in policy.datasets}
    tables = {}
    for name in datasets:
        source = released(workspace, name, None)
        known = known_of(workspace, name, source)
        if known.subject is None or len(roots) != 1:
            raise SchemaError(
                "the releases cannot be joined by people",
                where=f"data set {name}",
                expected="data sets whose `subject` is the same, and leaves as a token or as it is",
            )
        tables[name] = Linked(
            data=source,
            token=known.subject,
            quasi_identifiers=known.quasi_identifiers,
            sensitive=known.sensitive,
        )
    return joined(tables, population=population, largest=largest)


def released(workspace: Workspace, dataset: str, release_id: str | None) -> Source:
    """The rows of a release; of the current one if not said.

    Raises:
        SchemaError: There is no such data set.
        ReleaseError: There is no such release, or none is current.
    """
    if dataset not in workspace.loaded.policy.datasets:
        raise SchemaError(f"the policy {workspace.loaded.policy.name} has no data set {dataset}")
    wanted = release_id or workspace.destination.current(dataset)
    if wanted is None:
        raise ReleaseError("there is no release yet", where=dataset, fix=f"run `veil run … -d {dataset}`")
    return workspace.destination.source(dataset, wanted)


def known_of(workspace: Workspace, dataset: str, source: Source) -> Known:
    """What the policy says of the columns that a source has.

    Raises:
        SchemaError: There is no such data set.
    """
    policy = workspace.loaded.policy
    if dataset not in policy.datasets:
        raise SchemaError(f"the policy {policy.name} has no data set {dataset}")
    return known_in(policy.datasets[dataset], source.schema().names)


def known_in(data: Dataset, columns: Sequence[str]) -> Known:
    """What the policy says of the columns that are there."""
    names = set(columns)

    def of(kind: ColumnClass) -> tuple[str, ...]:
        return tuple(
            name for name, column in data.columns.items() if column.column_class is kind and name in names
        )

    subject = data.subject.column if data.subject else None
    return Known(
        quasi_identifiers=tuple(name for name in of(ColumnClass.QUASI_IDENTIFIER) if name != subject),
        sensitive=of(ColumnClass.SENSITIVE),
        subject=subject if subject in names else None,
    )


def measured(
    data: pa.Table | Source, known: Known, *, population: int | None = None, largest: int | None = LARGEST
) -> Risk:
    """The risk of rows by what is known of them; see `assess`."""
    return assess(
        data,
        known.quasi_identifiers,
        known.sensitive,
        subject=known.subject,
        population=population,
        largest=largest,
    )
