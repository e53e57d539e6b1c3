"""Runs the plan: all of it in one pass, or a step over what the step before has staged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow_veil.privacy.engine import local
from airflow_veil.privacy.engine.counts import Counts
from airflow_veil.privacy.erasure.suppressing import LeftOut, left_out, suppressing
from airflow_veil.privacy.errors import ReleaseError, StorageError
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.plan.stage import FUSED, Stage, fused, stage
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.done import Done, already
from airflow_veil.privacy.release.planning import same_plan
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity, Source, Writer, Written
from airflow_veil.privacy.transforms.base import Step

Progress = Callable[[int, int], None]

_STEPS = tuple(Step)
_LAST = (FUSED, _STEPS[-1].value)
"""The stages whose output is what is published."""

SUPPRESSED = "suppressed"
"""Under this word, among those of filters, are rows counted that erased people are in."""


def sanitize(
    workspace: Workspace, reference: Reference, *, actor: str, progress: Progress | None = None
) -> Done:
    """Run the whole plan in one pass, and stage the release beside its destination.

    Raises:
        TransformError: A column cannot be treated.
        StorageError: The source or the destination fails, or the source changed while it was read.
    """
    if reference.published:
        return already(reference)
    source = workspace.source(reference.dataset)
    whole = fused(same_plan(workspace, reference, source))
    source = suppressing(workspace, reference.dataset, source)
    return _stage_release(workspace, reference, whole, source, actor=actor, progress=progress)


def run_step(
    workspace: Workspace, reference: Reference, step: Step, *, actor: str, progress: Progress | None = None
) -> Done:
    """Run one step over what the step before has staged.

    Raises:
        ReleaseError: The steps are out of order, or the plan changed since the run began.
        TransformError: A column cannot be treated.
        StorageError: A table cannot be read or written.
    """
    if reference.published:
        return already(reference)
    _in_order(reference, step)
    source = workspace.source(reference.dataset)
    part = stage(same_plan(workspace, reference, source), step)
    if step is _STEPS[0]:
        source = suppressing(workspace, reference.dataset, source)
    else:
        source = workspace.scratch.source(reference.dataset, reference.release_id, reference.step)
    if step is _STEPS[-1]:
        return _stage_release(workspace, reference, part, source, actor=actor, progress=progress)
    return _stage_privately(workspace, reference, part, source, actor=actor, progress=progress)


def _stage_release(
    workspace: Workspace,
    reference: Reference,
    part: Stage,
    source: Source,
    *,
    actor: str,
    progress: Progress | None,
) -> Done:
    """Run a last stage into a staging place beside the destination.

    What is to be anonymized still goes to the private staging area: nothing beside the destination is less than that.
    """
    if workspace.loaded.policy.datasets[reference.dataset].anonymize is not None:
        return _stage_privately(workspace, reference, part, source, actor=actor, progress=progress)
    destination = workspace.destination
    writer = destination.writer(reference.dataset, reference.release_id, part.output_schema)
    target = destination.staged_identity(reference.dataset, reference.release_id)
    return _run(workspace, reference, part, source, writer, target, actor=actor, progress=progress)


def _stage_privately(
    workspace: Workspace,
    reference: Reference,
    part: Stage,
    source: Source,
    *,
    actor: str,
    progress: Progress | None,
) -> Done:
    """Run a stage into the private staging area, for the step that comes next."""
    scratch, named = workspace.scratch, (reference.dataset, reference.release_id, part.name)
    writer = scratch.writer(*named, part.output_schema)
    return _run(
        workspace, reference, part, source, writer, scratch.identity(*named), actor=actor, progress=progress
    )


def _run(
    workspace: Workspace,
    reference: Reference,
    part: Stage,
    source: Source,
    writer: Writer,
    target: DatasetIdentity,
    *,
    actor: str,
    progress: Progress | None,
) -> Done:
    """Run a stage, and note what it did in the draft of the manifest and in the evidence."""
    keys = workspace.keys if part.plan.needs_keys else None
    reads_source = part.name in (FUSED, _STEPS[0].value)
    with writer:
        counts = local.run(part, source, writer, keys=keys, progress=progress)
        if reads_source:
            _unchanged(workspace, reference, source)
        written = writer.close()
    gone = left_out(source)
    counts = _with_left_out(counts, gone)
    handed_on = replace(
        reference,
        step=part.name,
        rows_in=counts.rows_in if reads_source else reference.rows_in,
        rows_out=counts.rows_out,
    )
    made = lineage.of_stage(part, source.identity, target, counts, written)
    last = part.name in _LAST and workspace.loaded.policy.datasets[reference.dataset].anonymize is None
    facts = _step_facts(part, counts, written, made, last=last)
    if reads_source:
        facts |= _left_out_facts(workspace, gone)
    workspace.ledger.draft(reference.release_id, facts, _note(part, counts, written, actor, last=last))
    return Done(reference=handed_on, lineage=made, summary=_summary(part, counts, gone))


def _with_left_out(counts: Counts, gone: LeftOut) -> Counts:
    """Rows of erased people were read, and held back before any filter saw them."""
    if not gone.rows:
        return counts
    dropped = {SUPPRESSED: gone.rows, **counts.dropped_rows}
    return replace(counts, rows_in=counts.rows_in + gone.rows, dropped_rows=dropped)


def _left_out_facts(workspace: Workspace, gone: LeftOut) -> dict[str, Any]:
    """What the manifest tells where people can be erased: zero, too, so that a retry leaves no count of another try."""
    if workspace.loaded.policy.erasure is None:
        return {}
    return {"suppressed_rows": gone.rows, "suppressed_cells": gone.cells}


def _unchanged(workspace: Workspace, reference: Reference, source: Source) -> None:
    """What was read is the version that the release began with, and that its manifest names."""
    begun = workspace.ledger.release(reference.release_id).manifest or {}
    if manifest.digest_of(begun["source"]["fingerprint"]) != manifest.digest_of(source.fingerprint()):
        raise StorageError(
            "The source changed while it was read",
            where=reference.dataset,
            fix="run again, from the first task, when nobody writes it",
        )


def _step_facts(
    part: Stage, counts: Counts, written: Written, made: LineageRecord, *, last: bool
) -> dict[str, Any]:
    """What a stage adds to the draft; the last one brings the files and the lineage of what is published.

    A validation counts for the rows that it saw, not for those that were staged after it; so does an anonymization.
    """
    facts: dict[str, Any] = {f"counts_{part.name}": counts.as_dict()}
    if part.name in _LAST and not last:
        facts |= {"output": None, "lineage": None, "expectations": None, "anonymization": None}
    if last:
        facts |= {"output": manifest.output_of(written), "lineage": made.as_dict(), "expectations": None}
    return facts


def _note(part: Stage, counts: Counts, written: Written, actor: str, *, last: bool) -> Note:
    """What is told of a stage: which plan, and how many rows and columns.

    Of the last one also the digest of what it staged. What others staged is still personal: who has its digest could
    test guesses.
    """
    payload: dict[str, Any] = {
        "step": part.name,
        "plan_digest": part.plan.digest,
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "columns_out": len(part.output_schema),
        "columns_dropped": len(part.dropped),
    }
    if SUPPRESSED in counts.dropped_rows:
        payload["suppressed_rows"] = counts.dropped_rows[SUPPRESSED]
    if last:
        payload["output_digest"] = manifest.digest_of(manifest.output_of(written))
    return Note(kind="release.step", payload=payload, actor=actor)


def _summary(part: Stage, counts: Counts, gone: LeftOut) -> str:
    erased = f"; {gone}" if gone else ""
    dropped = f"; columns that end here: {', '.join(part.dropped)}" if part.dropped else ""
    return (
        f"{part.plan.dataset}, {part.name}: {counts.rows_in} rows in, {counts.rows_out} out{erased}{dropped}"
    )


def _in_order(reference: Reference, step: Step) -> None:
    """Each step follows the one before it."""
    expected = "begin" if step is _STEPS[0] else _STEPS[_STEPS.index(step) - 1].value
    if reference.step != expected:
        raise ReleaseError(
            f"The step {step.value} follows {reference.step}",
            where=reference.dataset,
            expected=f"it follows {expected}",
            fix="chain minimize, tokenize, mask, generalize",
        )
