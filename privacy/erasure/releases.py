"""What was released of people to erase: releases that hold them are made anew without them, or withdrawn.

A release never changes, so the current one is replaced by one that is the same less their rows, and ends when it would
have ended. Earlier ones, which are kept to roll back to, are withdrawn. Where a release cannot be looked through, for
what names people in it was dropped or blurred, it is withdrawn, too: nobody can say that they are not in it.

Runs that are under way have read the source before it was clean: what they staged is discarded, and they cannot
publish it any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.graph import Edge, Graph
from airflow_veil.privacy.erasure.match import Matched, Matcher
from airflow_veil.privacy.erasure.resolve import NOTHING_HELD
from airflow_veil.privacy.erasure.subjects import Known, Subjects
from airflow_veil.privacy.errors import KeyRingError, ReleaseError, TransformError, VeilError
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState, utc_now
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.policy.erasure import Mask as MaskCells
from airflow_veil.privacy.policy.erasure import Recompute
from airflow_veil.privacy.policy.treatment import Treatment
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.publish import commit
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.retention.expiry import end
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.transforms.base import Binding

BATCH_ROWS = 1 << 16
LIVE = (ReleaseState.CURRENT, ReleaseState.SUPERSEDED, ReleaseState.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What became of the releases of one data set.

    Attributes:
        clean: Releases in which nobody of the batch is.
        remade: Old release to the one that took its place.
        withdrawn: Releases that consumers no longer see.
        discarded: Staged runs that cannot be published any more.
        rows: How many rows of the batch's people were in releases that could be looked through.
        problems: What could not be reached, and why.
    """

    clean: tuple[str, ...] = ()
    remade: Mapping[str, str] | None = None
    withdrawn: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()
    rows: int = 0
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same for a machine to read: names and counts."""
        return {
            "clean": list(self.clean),
            "remade": dict(self.remade or {}),
            "withdrawn": list(self.withdrawn),
            "discarded": list(self.discarded),
            "rows": self.rows,
            "problems": list(self.problems),
        }


def discard_staged(workspace: Workspace, dataset: str, *, batch_id: str, actor: str) -> tuple[str, ...]:
    """Discard what runs of a data set have staged, and make sure that none of it can be published.

    The ledger says so first: whoever comes to publish later is refused; who was faster is found among the releases.

    Returns:
        The releases that were discarded.
    """
    policy, ledger = workspace.loaded.policy.name, workspace.ledger
    staged = [each for each in ledger.list(policy, dataset) if each.state is ReleaseState.STAGED]
    for record in staged:
        try:
            ledger.discard(record.release_id, reason=f"erasure {batch_id}", actor=actor)
        except ReleaseError:
            # It was published just now, so it is looked through with the others.
            continue
    for record in ledger.list(policy, dataset):
        if record.state is ReleaseState.DISCARDED:
            workspace.scratch.scrub(dataset, record.release_id)
            at = place_of(workspace, record)
            if at is not None:
                at.destination.discard(dataset, record.release_id)
    return tuple(each.release_id for each in staged)


def reach(
    workspace: Workspace, dataset: str, graph: Graph, subjects: Subjects, *, batch_id: str, actor: str
) -> Reached:
    """Take people out of all releases of a data set; done again, it finds them clean.

    Raises:
        StorageError: A release cannot be read, made anew or withdrawn; the same call goes on from there.
        LedgerError: The ledger cannot be used.
    """
    discarded = discard_staged(workspace, dataset, batch_id=batch_id, actor=actor)
    done = Reached(discarded=discarded, remade={})
    for record in workspace.ledger.list(workspace.loaded.policy.name, dataset):
        if record.state in LIVE:
            done = _one(workspace, record, graph, subjects, done, batch_id=batch_id, actor=actor)
    _withdraw_unpublished(workspace, dataset)
    return replace(done, problems=(*done.problems, *_unknown(workspace, dataset)))


def _one(
    workspace: Workspace,
    record: ReleaseRecord,
    graph: Graph,
    subjects: Subjects,
    done: Reached,
    *,
    batch_id: str,
    actor: str,
) -> Reached:
    at, name = place_of(workspace, record), record.release_id
    if at is None:
        problem = f"release {name} is at {record.destination}, which is not reached from here"
        return replace(done, problems=(*done.problems, problem))
    if name not in at.destination.releases(record.dataset):
        # A kill came between its withdrawal and the ledger.
        end(at, record, actor=actor)
        return replace(done, withdrawn=(*done.withdrawn, name))
    matcher = look(at, record, graph, subjects)
    rows = None if matcher is None else _count(rows_of(at, record), matcher)
    if rows == 0:
        return replace(done, clean=(*done.clean, name))
    if matcher is not None and record.state is ReleaseState.CURRENT:
        made = _remake(at, record, matcher, batch_id=batch_id, actor=actor)
        end(at, record, actor=actor)
        if made is None:
            return replace(done, withdrawn=(*done.withdrawn, name), rows=done.rows + (rows or 0))
        return replace(done, remade={**(done.remade or {}), name: made}, rows=done.rows + (rows or 0))
    end(at, record, actor=actor)
    return replace(done, withdrawn=(*done.withdrawn, name), rows=done.rows + (rows or 0))


def look(at: Workspace, record: ReleaseRecord, graph: Graph, subjects: Subjects) -> Matcher | None:
    """What finds people in a release, by what their values were turned into there.

    Returns:
        None where the release does not tell whose its rows are.
    """
    erasure = at.loaded.policy.datasets[record.dataset].erasure
    if erasure is None or isinstance(erasure.rows, Recompute):
        return None
    edges: list[tuple[Edge, Known]] = []
    planned = {each["name"]: each for each in ((record.manifest or {}).get("plan") or {}).get("columns", [])}
    for edge in graph.of(record.dataset):
        known = subjects.of(edge.target)
        action = _left_to_mask(edge, planned)
        if action is None or not len(known):
            continue
        turned = _turned(at, record.dataset, planned.get(edge.column), known)
        if turned is None:
            return None
        edges.append((replace(edge, action=action), turned))
    return Matcher(edges, NOTHING_HELD, where=f"release {record.release_id} of {record.dataset}")


def _left_to_mask(edge: Edge, planned: Mapping[str, Any]) -> Any:
    """The edge's action on what the release has of its columns; None where it has nothing.

    What the law makes stay in the source need not be in a release, so exempt rows go from there.
    """
    if not isinstance(edge.action, MaskCells):
        return "delete"
    left = tuple(name for name in edge.action.mask if planned.get(name, {}).get("output_type"))
    return MaskCells(mask=left) if left else None


def _turned(at: Workspace, dataset: str, planned: Mapping[str, Any] | None, known: Known) -> Known | None:
    """What values became in a release; None where that cannot be told, or others became the same."""
    if planned is None or planned["output_type"] is None:
        return None
    transform = Treatment.model_validate(planned["treat"]).transform
    promised = transform.properties
    if not (promised.deterministic and promised.unique) or planned["inputs"]:
        return None
    kind = at.source(dataset).schema().field(planned["name"]).type
    if str(kind) != planned["source_type"]:
        return None
    edge = Edge(dataset, planned["name"], "", "delete", subject=True)
    typed, owners = Matcher([(edge, known)], NOTHING_HELD, where=dataset).typed(0, kind)
    data = at.loaded.policy.datasets[dataset]
    binding = Binding(
        dataset=dataset,
        column=planned["name"],
        type=kind,
        subject=data.subject.column if data.subject else None,
        domain=planned["key_domain"] or subject_root(at.loaded.policy, dataset) or None,
        key_version=planned["key_version"] or 0,
        keys=at.keys if planned["key_version"] else None,
        root=at.loaded.path.resolve().parent,
    )
    try:
        turned = transform.prepare(binding)(typed, {})
    except (KeyRingError, TransformError):
        # A destroyed key, or a value that the treatment does not take: it cannot be looked for.
        return None
    return Subjects().with_("turned", _spelled(turned), owners).of("turned")


def _spelled(values: pa.Array) -> pa.StringArray:
    from airflow_veil.privacy.transforms.canonical import canonical

    return canonical(values, where="release")


def _count(source: Source, matcher: Matcher) -> int:
    if matcher.empty:
        return 0
    total = 0
    for batch in source.batches(matcher.columns, batch_rows=BATCH_ROWS):
        matched = matcher(dict(zip(matcher.columns, batch.columns, strict=True)), batch.num_rows)
        total += int((matched.delete | matched.masked).sum())
    return total


def _remake(at: Workspace, old: ReleaseRecord, matcher: Matcher, *, batch_id: str, actor: str) -> str | None:
    """Make the current release anew, without people; it is the current one then. None where a newer one is."""
    identity = hashlib.sha256(f"{old.release_id}\0{batch_id}".encode()).hexdigest()[:12]
    now = utc_now()
    release = at.ledger.begin_release(
        replace(
            old,
            release_id=f"{old.release_id[:100]}-{identity}",
            run_key=f"{old.run_key[:480]}/{identity}",
            state=ReleaseState.STAGED,
            manifest=None,
            manifest_digest=None,
            rows_out=None,
            created_at=now,
            published_at=None,
            published_seq=None,
            expires_at=None,
        ),
        actor=actor,
    )
    if release.state is not ReleaseState.STAGED:
        return release.release_id
    source = rows_of(at, old)
    writer = at.destination.writer(old.dataset, release.release_id, source.schema())
    with writer:
        for batch in _without(source, matcher):
            writer.write(batch)
        written = writer.close()
    told = {**(old.manifest or {}), "release_id": release.release_id, "published_at": now.isoformat()}
    told |= {"output": manifest.output_of(written), "made_from": old.release_id, "erasure": batch_id}
    now_current = at.ledger.current(old.policy, old.dataset, destination=old.destination)
    if now_current is not None and now_current.release_id != old.release_id:
        # A newer one was published meanwhile, and must stay the current one.
        at.destination.discard(old.dataset, release.release_id)
        at.ledger.discard(release.release_id, reason="a newer release is current", actor=actor)
        return None
    commit(at, release, told, rows_out=written.rows, actor=actor)
    return release.release_id


def _without(source: Source, matcher: Matcher) -> Iterator[pa.RecordBatch]:
    """The rows of a release without those of people, and without cells that are masked."""
    names = source.schema().names
    for batch in source.batches(names, batch_rows=BATCH_ROWS):
        columns = dict(zip(names, batch.columns, strict=True))
        matched = matcher(columns, batch.num_rows)
        stays = pa.array(~matched.delete)
        kept = [_masked(name, columns[name], matched).filter(stays) for name in names]
        yield pa.RecordBatch.from_arrays(kept, schema=batch.schema)


def _masked(name: str, column: pa.Array, matched: Matched) -> pa.Array:
    if name not in matched.cells or not matched.cells[name].any():
        return column
    places = np.where(matched.cells[name], -1, np.arange(len(column)))
    return column.take(pa.array(places, mask=places < 0))


def rows_of(at: Workspace, record: ReleaseRecord) -> Source:
    """The rows of a release."""
    return at.destination.source(record.dataset, record.release_id)


def place_of(workspace: Workspace, record: ReleaseRecord) -> Workspace | None:
    """The workspace with the destination that a release is at; None where that cannot be opened from here."""
    try:
        if record.destination == workspace.destination.name:
            return workspace
    except VeilError:
        pass
    if not record.destination.startswith("file://"):
        return None
    return replace(workspace, destination_uri=record.destination, open_ledger=lambda _: workspace.ledger)


def _withdraw_unpublished(workspace: Workspace, dataset: str) -> None:
    """Withdraw what a run that was killed has made visible, and the ledger knows as discarded or ended."""
    there = set(workspace.destination.releases(dataset))
    for record in workspace.ledger.list(workspace.loaded.policy.name, dataset):
        ended = record.state in (ReleaseState.DISCARDED, ReleaseState.EXPIRED)
        if ended and record.release_id in there and record.destination == workspace.destination.name:
            workspace.destination.withdraw(dataset, record.release_id)


def _unknown(workspace: Workspace, dataset: str) -> tuple[str, ...]:
    """Releases that consumers can see and the ledger does not know as published: copies that nobody accounts for."""
    known = {
        each.release_id
        for each in workspace.ledger.list(workspace.loaded.policy.name, dataset)
        if each.state in LIVE
    }
    there = workspace.destination.releases(dataset)
    return tuple(
        f"release {name} of {dataset} is at the destination, and the ledger does not know it"
        for name in there
        if name not in known
    )
