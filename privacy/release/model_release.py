"""Shares a model: attacks on it first, and only if they stay within bounds its file and its card are published.

    read artefact ──► its digest ──► attack ──► judge ──► evidence ──► stage ──► publish

What is shared is the bytes that were attacked: they are read once. A test is the same for the same artefact, rows and
words of the policy, so nobody tries again until it passes. Killed at any moment, the same call ends in one release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure.shared_models import was_withdrawn
from airflow_veil.privacy.errors import ModelError, SchemaError
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.lineage.fitted import of_model
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.model_test.report import Attacked, attack_model
from airflow_veil.privacy.model_test.verdict import Outcome, Verdict, figures_of, judge
from airflow_veil.privacy.policy.model_release import ModelRelease, ModelRows
from airflow_veil.privacy.policy.models import FileDestination, FileSource
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.model_card import CARD, markdown, words_of
from airflow_veil.privacy.release.publish import commit
from airflow_veil.privacy.release.scrub import seconds_of
from airflow_veil.privacy.release.synthetic_sources import version_of
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.folder import FolderDestination
from airflow_veil.privacy.storage.open import local_path, open_source

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_veil.privacy.storage.base import Source

_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDone:
    """What became of a model.

    Attributes:
        policy: The policy.
        model: The model.
        digest: SHA-256 of its file, in hex.
        tested: SHA-256 of what was tested, in hex: artefact, rows and words of the policy.
        outcome: `passed` or `denied`.
        reasons: Codes that say why not.
        published: Whether it is shared.
        release_id: The release; None where it is not shared.
        people: People in it, and outside, who were looked at; None where it was shared before, and not tested again.
        figures: What attacks reached; for the ledger and for people on the spot, never for XCom.
        lineage: What it is made of.
        again: Whether it was shared before.
    """

    policy: str
    model: str
    digest: str
    tested: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    published: bool = False
    release_id: str | None = None
    people: tuple[int, int] | None = None
    figures: Attacked | None = None
    verdict: Verdict | None = None
    lineage: LineageRecord | None = None
    again: bool = False

    def as_xcom(self) -> dict[str, Any]:
        """The outcome with counts and digests: no figure of an attack."""
        inside, outside = self.people or (None, None)
        return {
            "policy": self.policy,
            "model": self.model,
            "digest": self.digest,
            "tested": self.tested,
            "outcome": self.outcome.value,
            "reasons": list(self.reasons),
            "published": self.published,
            "release_id": self.release_id,
            "people_inside": inside,
            "people_outside": outside,
        }

    @property
    def summary(self) -> str:
        """The same in a sentence, for the log."""
        if self.again:
            return (
                f"Model {self.model} was shared before, as release {self.release_id}; there is nothing to do"
            )
        said = f"is shared as release {self.release_id}" if self.published else "is not shared"
        told = f": {', '.join(self.reasons)}" if self.reasons else ""
        return f"Model {self.model} {self.outcome}{told}; it {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A model and all that its test depends on, read once."""

    name: str
    model: ModelRelease
    artefact: bytes
    file: str
    train: pa.Table
    holdout: pa.Table
    subject: str | None
    sources: Mapping[str, Source]
    data_version: str | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.artefact).hexdigest()

    @property
    def rows_digest(self) -> dict[str, str]:
        return {"train": _digest_of(self.train), "holdout": _digest_of(self.holdout)}


def release_model(workspace: Workspace, name: str, *, actor: str, publish: bool = True) -> ModelDone:
    """Attack a model, and share it with its card if it passes; evidence is left either way.

    Args:
        workspace: The policy and its systems. Its source, if given, is the artefact in place of the policy's.
        name: The model.
        actor: Who does it.
        publish: Whether it is shared; else it is tested only.

    Returns:
        What became of it; one that is denied is an outcome, no error.

    Raises:
        SchemaError: There is no such model, or the rows do not fit it.
        ModelError: Its file is not the trusted one, was withdrawn by an erasure, or cannot be loaded or attacked.
        StorageError: Rows, artefact or destination cannot be used; nothing is shared.
        LedgerError: The ledger cannot be used.
    """
    _has_libraries(_model(workspace, name), name)
    asked = _asked(workspace, name)
    destination = _destination(workspace, name) if publish else None
    identity = _identity(workspace, asked, destination)
    done = ModelDone(
        policy=workspace.loaded.policy.name,
        model=name,
        digest=asked.digest,
        tested=identity,
        outcome=Outcome.PASSED,
    )
    if destination is not None and (before := _published(workspace, name, identity, destination)):
        made = LineageRecord.from_dict((before.manifest or {})["lineage"])
        return replace(done, published=True, release_id=before.release_id, again=True, lineage=made)
    if was_withdrawn(workspace, name, asked.digest):
        raise ModelError(
            "this very file was withdrawn when somebody was erased whom it may have learned of",
            where=f"model {name}",
            fix="train it anew, on the rows that are there now",
        )
    tested = attack_model(
        asked.model,
        asked.artefact,
        asked.train,
        asked.holdout,
        subject=asked.subject,
        seed=int(asked.digest[:8], 16),
        where=f"model {name}",
    )
    verdict = judge(asked.model.bounds, figures_of(tested), sensitive=bool(asked.model.sensitive))
    _leave_evidence(workspace, asked, identity, tested, verdict, actor=actor)
    done = replace(
        done,
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        people=(tested.people_inside, tested.people_outside),
        figures=tested,
        verdict=verdict,
        lineage=_lineage(workspace, asked, identity, None),
    )
    if destination is None or verdict.outcome is Outcome.DENIED:
        return done
    return _publish(workspace, asked, done, destination, actor=actor)


def planned_model(workspace: Workspace, name: str) -> LineageRecord:
    """The lineage of a model before it is tested."""
    model = _model(workspace, name)
    sources = {side: _source(workspace, rows).identity for side, rows in _sides(model).items()}
    target = _destination(workspace, name).identity(name)
    return of_model(workspace.loaded, name, workspace.loaded.digest, sources, target)


def _asked(workspace: Workspace, name: str) -> _Asked:
    model = _model(workspace, name)
    path = local_path(workspace.source_uri or model.artefact, root=workspace.root)
    with storing("reading the model", str(path)):
        artefact = path.read_bytes()
    digest = hashlib.sha256(artefact).hexdigest()
    if model.trusted_digest is not None and digest != model.trusted_digest:
        raise ModelError(
            f"The artefact is not the one that is trusted: its SHA-256 is {digest}",
            where=f"model {name}",
            expected="the file whose SHA-256 stands under `trusted_digest`",
            fix="find out who changed it; if it is right, write its digest into the policy. It was not loaded",
        )
    sources = {side: _source(workspace, rows) for side, rows in _sides(model).items()}
    # Before a row is read: what changes meanwhile is another version, and the model is not taken for one of it.
    trained = model.trained_on.train.dataset
    version = version_of({trained: sources["train"]}) if trained is not None else None
    subject = _subject(workspace, model)
    columns = tuple(dict.fromkeys([*model.features, model.target, *([subject] if subject else [])]))
    return _Asked(
        name=name,
        model=model,
        artefact=artefact,
        file=f"{name}.{model.format}",
        train=_table(sources["train"], columns, name),
        holdout=_table(sources["holdout"], columns, name),
        subject=subject,
        sources=sources,
        data_version=version,
    )


def _model(workspace: Workspace, name: str) -> ModelRelease:
    known = workspace.loaded.policy.models
    if name not in known:
        raise SchemaError(
            f"the policy {workspace.loaded.policy.name} has no model {name}",
            expected=f"one of {', '.join(known)}" if known else "a model under `models`",
        )
    return known[name]


def _has_libraries(model: ModelRelease, name: str) -> None:
    """Look for what an extra brings, without importing it."""
    wanted = {
        "scikit-learn": "sklearn",
        "scipy": "scipy",
        **({"skops": "skops"} if model.format == "skops" else {}),
    }
    missing = [package for package, module in wanted.items() if find_spec(module) is None]
    if missing:
        raise ModelError(
            f"{', '.join(missing)} is not installed, by which models are attacked",
            where=f"model {name}",
            fix="pip install 'airflow-veil[models]'",
        )


def _sides(model: ModelRelease) -> dict[str, ModelRows]:
    return {"train": model.trained_on.train, "holdout": model.trained_on.holdout}


def _source(workspace: Workspace, rows: ModelRows) -> Source:
    if rows.dataset is not None:
        # What stands in for a source is the artefact here.
        return replace(workspace, source_uri=None).source(rows.dataset)
    return open_source(FileSource(uri=str(rows.uri)), root=workspace.root)


def _subject(workspace: Workspace, model: ModelRelease) -> str | None:
    """The column that says whose a row is: as the model names it, or the data sets of both sides alike."""
    if model.subject is not None:
        return model.subject
    datasets = workspace.loaded.policy.datasets
    told = [datasets[rows.dataset].subject if rows.dataset else None for rows in _sides(model).values()]
    columns = {each.column if each else None for each in told}
    return columns.pop() if len(columns) == 1 else None


def _table(source: Source, columns: tuple[str, ...], name: str) -> pa.Table:
    import pyarrow as pa

    schema = source.schema()
    missing = [column for column in columns if column not in schema.names]
    if missing:
        raise SchemaError(
            f"the rows have no column {', '.join(missing)}",
            where=f"model {name}, {source.identity.name}",
            expected="its features, target and subject",
        )
    batches = source.batches(columns, batch_rows=_BATCH_ROWS)
    return pa.Table.from_batches(batches, pa.schema([schema.field(column) for column in columns]))


def _digest_of(table: pa.Table) -> str:
    """SHA-256 over the rows in Arrow's format, in hex."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _identity(workspace: Workspace, asked: _Asked, destination: FolderDestination | None) -> str:
    """One digest of all that the outcome depends on, and of where it goes."""
    facts = {
        "policy": workspace.loaded.policy.name,
        "model": asked.name,
        "words": asked.model.model_dump(mode="json"),
        "destination": destination.name if destination else None,
        "artefact": asked.digest,
        "rows": asked.rows_digest,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def _destination(workspace: Workspace, name: str) -> FolderDestination:
    """The folder that the model is shared in."""
    release = workspace.loaded.policy.release
    named = workspace.destination_uri or workspace.loaded.policy.models[name].destination
    if named is None and (release is None or not isinstance(release.destination, FileDestination)):
        raise unfit(
            "there is no folder that a model is shared in",
            where=workspace.loaded.path.name,
            fix="add `destination: <folder>` to the model",
        )
    found = workspace.destination_of(name)
    assert isinstance(found, FolderDestination)  # noqa: S101 - so it is named
    return found


def _published(
    workspace: Workspace, name: str, identity: str, destination: FolderDestination
) -> ReleaseRecord | None:
    """The release of exactly this test, if it is shared already."""
    for release in workspace.ledger.list(workspace.loaded.policy.name, name):
        same = release.plan_digest == identity and release.destination == destination.name
        if same and release.state in (ReleaseState.CURRENT, ReleaseState.SUPERSEDED):
            return release
    return None


def _leave_evidence(
    workspace: Workspace, asked: _Asked, identity: str, tested: Attacked, verdict: Verdict, *, actor: str
) -> None:
    payload = {
        "tested": identity,
        "artefact": {"sha256": asked.digest, "bytes": len(asked.artefact), "format": asked.model.format},
        "trusted_types": list(asked.model.trusted_types),
        "rows": asked.rows_digest,
        "data_version": asked.data_version,
        "bounds": asked.model.bounds.model_dump(mode="json"),
        "attacks": tested.as_dict(),
        "verdict": verdict.as_dict(),
    }
    subject = f"{workspace.loaded.policy.name}/{asked.name}"
    workspace.ledger.append_evidence("model.tested", subject, payload, actor=actor, once=True)


def _lineage(
    workspace: Workspace,
    asked: _Asked,
    identity: str,
    destination: FolderDestination | None,
    *,
    size: int | None = None,
    version: str | None = None,
) -> LineageRecord:
    sources = {side: source.identity for side, source in asked.sources.items()}
    target = destination.identity(asked.name) if destination else None
    return of_model(workspace.loaded, asked.name, identity, sources, target, size=size, version=version)


def _publish(
    workspace: Workspace, asked: _Asked, done: ModelDone, destination: FolderDestination, *, actor: str
) -> ModelDone:
    """Stage file and card where nobody looks, and publish both with one rename."""
    begun = workspace.ledger.begin_release(
        ReleaseRecord(
            release_id=f"{asked.digest[:12]}-{done.tested[:12]}",
            policy=done.policy,
            dataset=done.model,
            destination=destination.name,
            run_key=f"model-{done.digest[:12]}/{done.tested[:12]}",
            policy_digest=workspace.loaded.digest,
            plan_digest=done.tested,
        ),
        actor=actor,
    )
    words = words_of(asked.model, done, file=asked.file)
    facts = manifest.tested(workspace, done.model, asked.sources["train"].identity, done.tested, words)
    files = {asked.file: asked.artefact, CARD: markdown(facts).encode()}
    written = destination.stage_files(done.model, begun.release_id, files)
    made = _lineage(workspace, asked, done.tested, destination, size=written.bytes, version=begun.release_id)
    facts |= {"output": manifest.output_of(written), "lineage": made.as_dict()}
    final = manifest.final(replace(begun, manifest=facts), workspace.loaded, now=datetime.now(UTC))
    commit(workspace, begun, final, rows_out=0, actor=actor, destination=destination)
    destination.sweep(done.model, seconds_of(workspace))
    return replace(done, published=True, release_id=begun.release_id, lineage=made)
