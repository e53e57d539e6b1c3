"""Erases the people of a batch from the source of one data set, and tells what is there still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure.dossier import Dossier
from airflow_veil.privacy.erasure.graph import Graph, graph_of
from airflow_veil.privacy.erasure.planning import opened_store
from airflow_veil.privacy.erasure.resolve import matcher_of
from airflow_veil.privacy.erasure.store import Tally
from airflow_veil.privacy.ledger.erasures import Batch
from airflow_veil.privacy.retention.holds import Keeper, keeper_of

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace


def erase_source(workspace: Workspace, dataset: str, dossier: Dossier, count: int) -> dict[str, Any]:
    """Erase people from a source; holds are looked up once more right before each change.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        dossier: What is known of the people.
        count: How many requests there are.

    Returns:
        What was done, in counts.

    Raises:
        StorageError: The source cannot be changed; what was not changed is as it was.
    """
    graph = graph_of(workspace.loaded.policy)
    matcher = matcher_of(graph, dataset, dossier.subjects, keeper_of(workspace, dataset))
    policy, holds = workspace.loaded.policy.name, workspace.ledger.holds

    @contextmanager
    def frozen() -> Iterator[Keeper]:
        with holds.frozen(policy, dataset) as held:
            yield keeper_of(workspace, dataset, held)

    store = opened_store(workspace, dataset)
    with store.alone():
        changed = store.erase(matcher, frozen, count)
    return {
        "rows": changed.rows,
        "deleted": int(changed.tally.deleted.sum()),
        "masked": int(changed.tally.masked.sum()),
        "held": int(changed.tally.held.sum()),
        "rewritten": changed.rewritten,
        "dropped": changed.dropped,
        "untouched": changed.untouched,
    }


def left_in(workspace: Workspace, graph: Graph, dataset: str, dossier: Dossier, batch: Batch) -> Tally:
    """What is there still of the batch's people: to be erased, or held."""
    matcher = matcher_of(graph, dataset, dossier.subjects, keeper_of(workspace, dataset))
    return opened_store(workspace, dataset).find(matcher, (), len(batch.requests)).tally


def all_left(workspace: Workspace, dossier: Dossier, batch: Batch) -> dict[str, Tally]:
    """What is there still of a batch's people, by data set and request."""
    graph = graph_of(workspace.loaded.policy)
    return {name: left_in(workspace, graph, name, dossier, batch) for name in graph.touched}
