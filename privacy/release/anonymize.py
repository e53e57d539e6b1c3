"""Anonymizes a treated data set: its quasi-identifiers become as coarse as the classes that leave need them.

    sanitize, or generalize ──► scratch ──► anonymize ──► staged beside the destination

Rows that are not anonymous yet lie in the private staging area, never beside the destination: a release whose
anonymization was left out has nothing to publish. The recoding is part of the manifest; the next release uses it again
while what is asked is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_veil.privacy.anonymize.criteria import Close, Criteria, Diverse
from airflow_veil.privacy.anonymize.fit import fit_coded
from airflow_veil.privacy.anonymize.levels import Levels, read_levels
from airflow_veil.privacy.anonymize.recoding import Decision, Recoding, decide
from airflow_veil.privacy.anonymize.table import Coded, read
from airflow_veil.privacy.engine.counts import Counts
from airflow_veil.privacy.engine.treated import TreatedSource
from airflow_veil.privacy.erasure.suppressing import suppressing
from airflow_veil.privacy.errors import ReleaseError, TransformError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import FUSED, fused, stage
from airflow_veil.privacy.policy.anonymize import Anonymize
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.done import Done, already
from airflow_veil.privacy.release.planning import plan_for, same_plan
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import Source, Writer, Written
from airflow_veil.privacy.transforms.base import Step

STEP = "anonymize"
BATCH_ROWS = 1 << 16
LAST = (FUSED, tuple(Step)[-1].value)
"""The stages that come before."""


def anonymize(workspace: Workspace, reference: Reference, *, actor: str) -> Done:
    """Find, or take up, the recoding of a treated data set, apply it, and stage the release.

    Raises:
        ReleaseError: The policy asks for no anonymization of it, or it is not treated to its end.
        TransformError: No recoding holds what is asked, a hierarchy does not cover a value, or with the stored recoding
            more rows would be left out than may.
        StorageError: A table cannot be read or written.
        LedgerError: The ledger cannot be used.
    """
    if reference.published:
        return already(reference)
    words = asked(workspace, reference.dataset)
    if reference.step not in LAST:
        raise ReleaseError(
            f"The step {STEP} follows {reference.step}",
            where=reference.dataset,
            expected=f"it follows {' or '.join(LAST)}",
        )
    plan = same_plan(workspace, reference)
    source = workspace.scratch.source(reference.dataset, reference.release_id, reference.step)
    coded = coded_by(workspace.loaded, words, plan, source)
    before = None if words.refit == "always" else stored(workspace, reference.dataset)
    reused = before if before is not None and same_question(before, words, coded) else None
    recoding = reused or fitted(words, coded)
    decision = decide(recoding, coded)
    schema = schema_of(words, source.schema())
    with workspace.destination.writer(reference.dataset, reference.release_id, schema) as writer:
        _write(decision, source, writer)
        written = writer.close()
    made = _lineage(workspace, reference, words, plan, decision, written)
    _note(workspace, reference, decision, written, made, reused=reused is not None, actor=actor)
    return Done(
        reference=replace(reference, step=STEP, rows_out=written.rows),
        lineage=made,
        summary=_summary(reference, decision, reused=reused is not None),
    )


def optimum(workspace: Workspace, dataset: str) -> Recoding:
    """The recoding that a release of the source as it is now would be fitted with; nothing is written.

    Raises:
        ReleaseError: The policy asks for no anonymization of it.
        TransformError: No recoding holds what is asked, a column cannot be treated, or a hierarchy does not cover it.
        KeyRingError: A key is needed and cannot be had.
        StorageError: The source cannot be read.
    """
    words = asked(workspace, dataset)
    source = workspace.source(dataset)
    plan = plan_for(workspace, dataset, source)
    keys = workspace.keys if plan.needs_keys else None
    treated = TreatedSource(fused(plan), suppressing(workspace, dataset, source), keys)
    return fitted(words, coded_by(workspace.loaded, words, plan, treated))


def asked(workspace: Workspace, dataset: str) -> Anonymize:
    """What the policy asks of a data set's classes.

    Raises:
        ReleaseError: It asks nothing.
    """
    data = workspace.loaded.policy.datasets.get(dataset)
    if data is None or data.anonymize is None:
        raise ReleaseError(
            "the policy does not ask for anonymization",
            where=f"data set {dataset}",
            fix="write `anonymize: {k: 5, quasi_identifiers: {…}}`",
        )
    return data.anonymize


def coded_by(loaded: LoadedPolicy, words: Anonymize, plan: Plan, treated: pa.Table | Source) -> Coded:
    """The columns that count, as codes; people count where a column that leaves says whose a row is.

    Raises:
        TransformError: A hierarchy cannot be read, or does not cover a value.
        StorageError: The source cannot be read.
    """
    schema = treated.schema if isinstance(treated, pa.Table) else treated.schema()
    subject = plan.subject if plan.subject in schema.names else None
    return read(treated, hierarchies_of(loaded, words), criteria_of(words).sensitive, subject=subject)


def hierarchies_of(loaded: LoadedPolicy, words: Anonymize) -> dict[str, Levels]:
    """The hierarchies that a policy names.

    Raises:
        TransformError: One cannot be read, or is none.
    """
    folder = loaded.path.resolve().parent
    return {
        name: read_levels(name, folder / each.file, delimiter=each.delimiter)
        for name, each in words.quasi_identifiers.items()
    }


def criteria_of(words: Anonymize) -> Criteria:
    """What every class must hold."""
    return Criteria(
        k=words.k,
        l={name: Diverse(at_least=each.at_least, by=each.by) for name, each in words.l.items()},
        t={name: Close(at_most=each.at_most, ordered=each.ordered) for name, each in words.t.items()},
    )


def fitted(words: Anonymize, coded: Coded) -> Recoding:
    """The recoding that costs least.

    Raises:
        TransformError: None holds what is asked, or there are no rows.
    """
    return fit_coded(
        coded,
        criteria_of(words),
        suppress_at_most=words.suppress_at_most,
        quality=words.quality,
        local=words.local_suppression,
    )


def stored(workspace: Workspace, dataset: str) -> Recoding | None:
    """The recoding of the last good release; None where there is none that can be read."""
    last = workspace.ledger.last_manifest(workspace.loaded.policy.name, dataset) or {}
    kept = last.get("anonymization")
    if not isinstance(kept, dict):
        return None
    try:
        return Recoding.from_dict(kept["recoding"])
    except (TransformError, KeyError):
        return None


def same_question(recoding: Recoding, words: Anonymize, coded: Coded) -> bool:
    """Whether a recoding answers what is asked now: the same criteria, metric and hierarchies."""
    return (
        recoding.criteria == criteria_of(words)
        and recoding.quality == words.quality
        and recoding.suppress_at_most == words.suppress_at_most
        and recoding.local == words.local_suppression
        and recoding.subject == (coded.subject.name if coded.subject else None)
        and list(recoding.hierarchies.items()) == [(each.column, each.digest) for each in coded.levels]
    )


def _write(decision: Decision, source: Source, writer: Writer) -> None:
    """Recode all rows, batch by batch."""
    start = 0
    for batch in source.batches(source.schema().names, batch_rows=BATCH_ROWS):
        recoded = decision.recode(batch, start)
        start += batch.num_rows
        if recoded.num_rows:
            writer.write(recoded)
    if start != len(decision.keep):
        raise ReleaseError("What is staged changed while it was read", where="the private staging area")


def schema_of(words: Anonymize | None, treated: pa.Schema) -> pa.Schema:
    """The schema that leaves: quasi-identifiers are text."""
    if words is None:
        return treated
    return pa.schema(
        [
            pa.field(field.name, pa.string()) if field.name in words.quasi_identifiers else field
            for field in treated
        ]
    )


def _note(
    workspace: Workspace,
    reference: Reference,
    decision: Decision,
    written: Written,
    made: LineageRecord,
    *,
    reused: bool,
    actor: str,
) -> None:
    """What is told: in the draft the recoding and the files, in the evidence counts and digests."""
    recoding = decision.recoding.as_dict()
    counts = {
        "rows_in": len(decision.keep),
        "rows_out": written.rows,
        "suppressed_rows": decision.suppressed_rows,
        "suppressed_cells": decision.suppressed_cells,
    }
    facts: dict[str, Any] = {
        "anonymization": {"recoding": recoding, "reused": reused, **counts},
        "output": manifest.output_of(written),
        "lineage": made.as_dict(),
        "expectations": None,
    }
    told = {
        **counts,
        "reused": reused,
        "recoding_digest": manifest.digest_of(recoding),
        "output_digest": manifest.digest_of(facts["output"]),
    }
    note = Note(kind="release.anonymized", payload=told, actor=actor)
    workspace.ledger.draft(reference.release_id, facts, note)


def _lineage(
    workspace: Workspace,
    reference: Reference,
    words: Anonymize,
    plan: Plan,
    decision: Decision,
    written: Written,
) -> LineageRecord:
    """Quasi-identifiers are generalized, and decide which rows leave; other columns pass as they are."""
    counts = Counts(rows_in=len(decision.keep), rows_out=written.rows)
    levels, whose = decision.recoding.levels, decision.recoding.subject
    return lineage.of_anonymizing(
        _treated(workspace, reference, plan),
        workspace.destination.staged_identity(reference.dataset, reference.release_id),
        generalized={name: levels[name] > 0 for name in words.quasi_identifiers},
        deciding=(*decision.recoding.criteria.sensitive, *((whose,) if whose else ())),
        counts=counts,
        written=written,
    )


def planned(workspace: Workspace, reference: Reference) -> LineageRecord:
    """The lineage of an anonymization before it is done: any quasi-identifier may become coarser.

    Raises:
        ReleaseError: The policy asks for none.
    """
    words, plan = asked(workspace, reference.dataset), same_plan(workspace, reference)
    return lineage.of_anonymizing(
        _treated(workspace, reference, plan),
        workspace.destination.staged_identity(reference.dataset, reference.release_id),
        generalized=dict.fromkeys(words.quasi_identifiers, True),
        deciding=criteria_of(words).sensitive,
    )


def _treated(workspace: Workspace, reference: Reference, plan: Plan) -> LineageRecord:
    """What the task before did."""
    part = fused(plan) if reference.step == FUSED else stage(plan, Step(reference.step))
    read_from = workspace.scratch.identity(reference.dataset, reference.release_id, reference.step)
    return lineage.of_stage(part, workspace.source(reference.dataset).identity, read_from)


def _summary(reference: Reference, decision: Decision, *, reused: bool) -> str:
    recoding = decision.recoding
    how = "as before" if reused else f"the optimum of {recoding.nodes:,} recodings"
    levels = ", ".join(f"{name} {level}/{recoding.heights[name]}" for name, level in recoding.levels.items())
    return (
        f"{reference.dataset}, {STEP}: {how}, levels {levels}; {decision.suppressed_rows:,} of"
        f" {len(decision.keep):,} rows and {decision.suppressed_cells:,} cells suppressed"
    )
