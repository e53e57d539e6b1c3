"""Draws the rows of a synthetic release from its model, and stages them beside the destination.

The same model, seed and number of rows give the same rows, so a retry stages the same again. Nothing is drawn from a
model that has ended; what was drawn from it and is not published yet is discarded by whoever ends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_veil.privacy.errors import InternalError, ReleaseError
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.ledger.models import ModelRecord
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.lineage.synthetic import of_table
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.synthetic_manifest import drawn
from airflow_veil.privacy.release.synthetic_names import names_of, same_specification, synthesis_of
from airflow_veil.privacy.release.synthetic_reference import Made, SyntheticReference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity, Writer, Written
from airflow_veil.privacy.synthetic.methods import synthesizer_for
from airflow_veil.privacy.synthetic.model_store import ModelStore

if TYPE_CHECKING:
    from airflow_veil.privacy.synthetic.specification import Specification
    from airflow_veil.privacy.synthetic.synthesizer import Model

Given: TypeAlias = Mapping[str, str | int | float | bool]
"""Column to the value that it has in every row."""
Progress: TypeAlias = Callable[[str], None]

PUBLISHED = (ReleaseState.CURRENT, ReleaseState.SUPERSEDED)


def sample(
    workspace: Workspace,
    reference: SyntheticReference,
    interval: Interval,
    *,
    actor: str,
    progress: Progress,
    rows: int | None = None,
    given: Given | None = None,
    suffix: str = "",
    seed: int | None = None,
) -> Made:
    """Draw the rows of all tables and stage them; whoever asks again for the same gets the same releases.

    Args:
        workspace: The policy and its systems.
        reference: What the task that fits handed on.
        interval: What the release stands for.
        actor: Who draws.
        progress: Told how far it is: names and counts.
        rows: How many, of the table that refers to no other; as the policy says if None.
        given: Values that columns have in every row: a release of its own, under a suffix.
        suffix: What tells that release from the one of the whole.
        seed: What rows are drawn by; the policy's if None.

    Raises:
        ReleaseError: The policy changed since the model was fitted, or values are given without a suffix.
        SyntheticError: The model has ended, or cannot draw that.
        TamperedError: The model is not what was kept.
        StorageError: The rows cannot be written.
        LedgerError: The ledger cannot be used.
    """
    specification = same_specification(workspace, reference)
    if bool(given) != bool(suffix):
        raise ReleaseError(
            "values are given without a suffix" if given else "there is a suffix, and no value is given",
            where=reference.dataset,
            expected="both: a release of some values is one of its own, named by the suffix",
        )
    by = synthesis_of(workspace, reference.dataset).seed if seed is None else seed
    asked = {"rows": rows, "given": dict(given or {}), "seed": by}
    names = names_of(workspace.loaded, reference.dataset, suffix)
    record = workspace.ledger.models.find(reference.model_id)
    begun = _published(workspace, record, names, interval, asked)
    if begun is None:
        model = _opened(workspace, specification, record)
        begun = _begin(workspace, record, names, interval, asked, actor=actor)
        written, counts = _draw(workspace, specification, model, begun, asked, progress)
        _note(workspace, specification, record, begun, interval, written, counts, given or {}, by, actor)
    else:
        counts = {table: each.rows_out or 0 for table, each in begun.items()}
        written = {}
    done = replace(
        reference,
        suffix=suffix,
        step="synthesize",
        published=not written,
        releases={table: each.release_id for table, each in begun.items()},
        rows=counts,
    )
    if not written:
        return Made(reference=done, summary=f"The release of {reference.dataset} was published before")
    told = ", ".join(f"{count:,} of {table}" for table, count in counts.items())
    lineage = tuple(
        _lineage(workspace, specification, table, begun[table], record, counts[table], written[table])
        for table in written
    )
    return Made(reference=done, lineage=lineage, summary=f"Drew rows by {specification.word}: {told}")


def _opened(workspace: Workspace, specification: Specification, record: ModelRecord) -> Model:
    """The model, once its bytes are known to be those that were kept."""
    content = ModelStore(workspace.settings.models).get(record, workspace.keys)
    return synthesizer_for(specification).from_bytes(content)


def record_of(
    workspace: Workspace,
    model: ModelRecord,
    name: str,
    table: str,
    interval: Interval,
    asked: Mapping[str, object],
) -> ReleaseRecord:
    """The release of a table: the model's random name, and nothing of the data, makes its own.

    Args:
        workspace: The policy and its systems.
        model: The model.
        name: The name that the table is released under.
        table: The table.
        interval: What it stands for.
        asked: What was asked for: rows, given values, seed.
    """
    where = workspace.destination.name
    parts = (model.model_id, where, model.policy, name, table, canonical_json(dict(asked)))
    identity = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return ReleaseRecord(
        release_id=f"{interval.key.replace(':', '').replace('+', '_')}-{identity[:12]}",
        policy=model.policy,
        dataset=name,
        destination=where,
        run_key=f"{interval.key}/{identity[:12]}",
        policy_digest=workspace.loaded.digest,
        plan_digest=model.specification,
        interval_start=interval.start,
        interval_end=interval.end,
    )


def _published(
    workspace: Workspace,
    model: ModelRecord,
    names: Mapping[str, str],
    interval: Interval,
    asked: Mapping[str, object],
) -> dict[str, ReleaseRecord] | None:
    """The very releases that are asked for, where all of them are out already."""
    found = {}
    for table, name in names.items():
        wanted = record_of(workspace, model, name, table, interval, asked)
        there = [
            each
            for each in workspace.ledger.list(wanted.policy, name)
            if each.run_key == wanted.run_key and each.state in PUBLISHED
        ]
        if not there:
            return None
        found[table] = there[0]
    return found


def _begin(
    workspace: Workspace,
    model: ModelRecord,
    names: Mapping[str, str],
    interval: Interval,
    asked: Mapping[str, object],
    *,
    actor: str,
) -> dict[str, ReleaseRecord]:
    return {
        table: workspace.ledger.begin_release(
            record_of(workspace, model, name, table, interval, asked), actor=actor
        )
        for table, name in names.items()
    }


def _draw(
    workspace: Workspace,
    specification: Specification,
    model: Model,
    begun: Mapping[str, ReleaseRecord],
    asked: Mapping[str, object],
    progress: Progress,
) -> tuple[dict[str, Written], dict[str, int]]:
    """Write what is drawn where no reader looks; of a table that is out already, the same rows are only counted."""
    counts = dict.fromkeys(specification.tables, 0)
    with ExitStack() as stack:
        writers: dict[str, Writer] = {}
        for table, release in begun.items():
            if release.state is ReleaseState.STAGED:
                schema = specification.tables[table].schema
                writer = workspace.destination.writer(release.dataset, release.release_id, schema)
                writers[table] = stack.enter_context(writer)
        batches = model.sample(seed=asked["seed"], rows=asked["rows"], given=asked["given"] or None)  # type: ignore[arg-type]
        for table, batch in batches:
            if table not in counts or not batch.schema.equals(specification.tables[table].schema):
                raise InternalError("the model drew something else than was specified", where=table)
            if table in writers:
                writers[table].write(batch)
            counts[table] += batch.num_rows
            progress(f"{table}: {counts[table]:,} rows")
        written = {table: writer.close() for table, writer in writers.items()}
    return written, counts


def _note(
    workspace: Workspace,
    specification: Specification,
    model: ModelRecord,
    begun: Mapping[str, ReleaseRecord],
    interval: Interval,
    written: Mapping[str, Written],
    counts: Mapping[str, int],
    given: Given,
    seed: int,
    actor: str,
) -> None:
    """Note in the drafts, and in the evidence, what was staged. What was found out of other rows does not hold."""
    for table, each in written.items():
        release, source = begun[table], _source(model, table)
        made = _lineage(workspace, specification, table, release, model, counts[table], each)
        facts = {
            **drawn(
                workspace,
                specification,
                table,
                release.dataset,
                model,
                interval,
                source,
                given=given,
                seed=seed,
            ),
            "output": manifest.output_of(each),
            "lineage": made.as_dict(),
            "evaluation": None,
            "gate": None,
        }
        payload = {
            "model": model.model_id,
            "method": specification.word,
            "specification": model.specification,
            "rows_out": counts[table],
            "given": sorted(given),
            "output_digest": manifest.digest_of(manifest.output_of(each)),
        }
        note = Note(kind="synthetic.drawn", payload=payload, actor=actor)
        draft(workspace, release, facts, note)


def draft(workspace: Workspace, release: ReleaseRecord, facts: Mapping[str, Any], note: Note) -> None:
    """Add facts to the draft of a table; where another run of the same was faster and has published it, it is through.

    The same model and seed give the same rows, so what was published is what would have been; what is staged goes.

    Raises:
        ReleaseError: It is not staged any more, and was not published.
        LedgerError: The ledger cannot be used.
    """
    try:
        workspace.ledger.draft(release.release_id, facts, note)
    except ReleaseError:
        if workspace.ledger.release(release.release_id).state not in PUBLISHED:
            raise
        workspace.destination.discard(release.dataset, release.release_id)


def _lineage(
    workspace: Workspace,
    specification: Specification,
    table: str,
    release: ReleaseRecord,
    model: ModelRecord,
    rows: int,
    written: Written,
) -> LineageRecord:
    return of_table(
        workspace.loaded,
        specification,
        table,
        release.dataset,
        {name: DatasetIdentity(**told) for name, told in model.learned_from.items()},
        workspace.destination.staged_identity(release.dataset, release.release_id),
        rows=rows,
        written=written,
    )


def _source(model: ModelRecord, table: str) -> DatasetIdentity | None:
    told = model.learned_from.get(table)
    return None if told is None else DatasetIdentity(**told)
