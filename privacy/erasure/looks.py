"""All looks at all places for whatever is left of the people of a batch: rows, bytes, releases, other policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_veil.privacy.erasure import model_looks, release_looks
from airflow_veil.privacy.erasure import verify as independent
from airflow_veil.privacy.erasure.batch import since
from airflow_veil.privacy.erasure.dossier import Dossier
from airflow_veil.privacy.erasure.graph import Edge, Graph, graph_of
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.planning import archive_of, opened_store
from airflow_veil.privacy.erasure.resolve import NOTHING_HELD
from airflow_veil.privacy.erasure.source import left_in
from airflow_veil.privacy.erasure.stages import SOURCE
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.ledger.erasures import Batch

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace


def checks(workspace: Workspace, batch: Batch, dossier: Dossier) -> Iterator[independent.Check]:
    """All looks at all places."""
    graph, subjects, before = graph_of(workspace.loaded.policy), dossier.subjects, since(batch)
    held = {name: int(left_in(workspace, graph, name, dossier, batch).held.sum()) for name in graph.touched}
    for dataset in graph.order:
        yield from independent.verify_dataset(
            workspace, dataset, subjects, graph, since=before.get(dataset), allowed=held
        )
        yield from independent.verify_archive(
            archive_of(workspace, dataset), dataset, subjects, graph, allowed=held
        )
    for dataset in before.keys() - set(graph.order):
        yield independent.recomputed(workspace, dataset, before[dataset])
    kept = {name: "a legal hold keeps rows of it" for name, rows in held.items() if rows}
    alone = _theirs_alone(workspace, graph, subjects, len(batch.requests))
    archives = [
        found.path for name in graph.touched if name not in kept and (found := archive_of(workspace, name))
    ]
    yield from independent.verify_bytes(workspace, alone, graph, skipped=kept, also=archives)
    yield from release_looks.verify(workspace, graph, subjects)
    yield from _elsewhere(workspace, batch, dossier)


def _theirs_alone(workspace: Workspace, graph: Graph, subjects: Subjects, count: int) -> Subjects:
    """The people's values without those that somebody else has, too, such as an address that two share."""
    targets = {edge.target for edge in graph.edges}
    for identifier in graph.identifiers:
        known = subjects.of(identifier)
        if identifier in targets or not len(known):
            continue
        dataset, _, column = identifier.partition(".")
        edge = Edge(dataset, column, identifier, "delete", subject=False)
        matcher = Matcher([(edge, known)], NOTHING_HELD, where=dataset)
        others = opened_store(workspace, dataset).find(matcher, (column,), count).keys[column]
        subjects = subjects.less(identifier, others.texts)
    return subjects


def _elsewhere(workspace: Workspace, batch: Batch, dossier: Dossier) -> Iterator[independent.Check]:
    """Releases and models that were made of the sources before these were clean, by other policies as well."""
    changed = [
        name
        for name, counts in dossier.counts.items()
        if any(any(counts.get(kind, ())) for kind in ("deleted", "masked"))
    ]
    steps = workspace.ledger.erasures.steps(batch.batch_id)
    clean = max(
        (step.done_at for step in steps if step.name.startswith(SOURCE) and step.done_at), default=None
    )
    if clean is not None:
        identities = {workspace.source(name).identity for name in changed}
        yield from release_looks.derived_elsewhere(workspace, identities, since=clean)
        yield from model_looks.verify(workspace, changed, identities, since=clean)
