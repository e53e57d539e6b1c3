"""Validates a staged release: its schema is the plan's, and it meets its expectations."""

from __future__ import annotations

from dataclasses import replace

from airflow_veil.privacy.errors import ExpectationsFailedError, ReleaseError
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.policy.anonymize import Anonymize
from airflow_veil.privacy.release import expectations
from airflow_veil.privacy.release.anonymize import schema_of
from airflow_veil.privacy.release.done import Done, already
from airflow_veil.privacy.release.manifest import digest_of
from airflow_veil.privacy.release.planning import made_by, same_plan
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import Source


def validate(workspace: Workspace, reference: Reference, *, actor: str) -> Done:
    """Check a staged release: its schema is the plan's, and it meets the expectations that the policy names.

    Raises:
        ExpectationsFailedError: An expectation does not hold, or cannot be evaluated.
        ReleaseError: What is staged is not what was planned, or the suite cannot be read.
    """
    if reference.published:
        return already(reference)
    plan = same_plan(workspace, reference)
    staged = workspace.destination.source(plan.dataset, reference.release_id)
    _planned_schema(plan, staged, workspace.loaded.policy.datasets[plan.dataset].anonymize)
    suite_name = workspace.loaded.policy.datasets[plan.dataset].expectations
    results: tuple[expectations.ExpectationResult, ...] = ()
    if suite_name is not None:
        path = workspace.loaded.path.resolve().parent / "expectations" / f"{suite_name}.json"
        results = expectations.evaluate(expectations.load_suite(path), staged)
    failed = [result for result in results if not result.success]
    checked = {"suite": suite_name, "results": [result.as_dict() for result in results]}
    told = {
        "suite": suite_name,
        "held": len(results) - len(failed),
        "failed": len(failed),
        "results_digest": digest_of(checked),
    }
    if failed:
        release = workspace.ledger.release(reference.release_id)
        workspace.ledger.append_evidence("release.refused", release.subject, told, actor=actor)
        raise ExpectationsFailedError(
            f"{len(failed)} of {len(results)} expectations of {suite_name} do not hold: "
            + "; ".join(map(str, failed)),
            where=f"release {reference.release_id} of {plan.dataset}",
            fix="look at the plan with `veil plan`, mend the policy or the suite, and run again; nothing was published",
        )
    note = Note(kind="release.validated", payload=told, actor=actor)
    workspace.ledger.draft(reference.release_id, {"expectations": checked}, note)
    assertions = [lineage.Assertion(name=r.type, success=r.success, column=r.column) for r in results]
    made = made_by(workspace, reference)
    return Done(
        reference=replace(reference, step="validate"),
        lineage=lineage.of_reading(made, assertions=assertions),
        summary=f"{len(results)} expectations hold for release {reference.release_id} of {plan.dataset}",
    )


def _planned_schema(plan: Plan, staged: Source, words: Anonymize | None) -> None:
    if not staged.schema().equals(schema_of(words, plan.output_schema)):
        raise ReleaseError("What is staged has other columns or types than planned", where=plan.dataset)
