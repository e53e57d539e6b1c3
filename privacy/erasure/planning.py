"""What a plan is made of: the closure of the people of a batch, and what is going to be touched, in counts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure import requests
from airflow_veil.privacy.erasure.dossier import Dossier, tally_lists
from airflow_veil.privacy.erasure.graph import Graph
from airflow_veil.privacy.erasure.resolve import Resolved, resolve
from airflow_veil.privacy.erasure.several import Several
from airflow_veil.privacy.erasure.store import Store
from airflow_veil.privacy.erasure.stores import store_of
from airflow_veil.privacy.ledger.erasures import Request
from airflow_veil.privacy.policy.erasure import Exempt, Recompute
from airflow_veil.privacy.retention import archive
from airflow_veil.privacy.retention.holds import keeper_of

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.storage.parquet import ParquetSource


def resolved(workspace: Workspace, graph: Graph, found: list[Request]) -> Resolved:
    """All that the people of some requests are known by.

    Raises:
        StorageError: A store cannot be read.
        SchemaError: A column is missing, or of a type that names nobody.
        KeyRingError: A request cannot be opened.
    """
    ring = workspace.keys
    named = [requests.opened(request, ring) for request in found]
    return resolve(
        graph, named, open_store=partial(opened_store, workspace), holding=partial(keeper_of, workspace)
    )


def opened_store(workspace: Workspace, dataset: str) -> Store:
    """The source of a data set, and its archive where it has one, as something that people can be erased from."""
    source, archived = store_of(workspace.source(dataset)), archive_of(workspace, dataset)
    return source if archived is None else Several((source, store_of(archived)))


def archive_of(workspace: Workspace, dataset: str) -> ParquetSource | None:
    """What retention has archived of a data set; None where there is nothing."""
    from airflow_veil.privacy.storage.parquet import ParquetSource

    folder = archive.folder_of(workspace, dataset)
    return None if folder is None or not archive.files(folder) else ParquetSource(folder)


def dossier_of(resolved: Resolved) -> Dossier:
    """What a batch has to know of its people until they are erased."""
    counts = {dataset: tally_lists(found.tally) for dataset, found in resolved.found.items()}
    for dataset, tally in resolved.exempt.items():
        counts[dataset] = {**counts.get(dataset, {}), "exempt": tally.deleted.tolist()}
    return Dossier(resolved.subjects, counts, resolved.problems, resolved.together)


def counts(workspace: Workspace, graph: Graph, resolved: Resolved, requests: int) -> dict[str, Any]:
    """The plan in counts."""
    datasets = {
        dataset: {
            "rows": found.rows,
            "delete": int(found.tally.deleted.sum()),
            "mask": int(found.tally.masked.sum()),
            "held": int(found.tally.held.sum()),
            "files": found.files,
            "untouched": found.untouched,
        }
        for dataset, found in resolved.found.items()
    }
    return {
        "requests": requests,
        "refused": len(resolved.problems),
        "values": resolved.subjects.values,
        "datasets": datasets,
        "exempt": {
            dataset: {"rows": int(tally.deleted.sum()), "why": _why(graph, dataset)}
            for dataset, tally in resolved.exempt.items()
        },
        "answers": workspace.loaded.policy.erasure.answers.exempt
        if workspace.loaded.policy.erasure and workspace.loaded.policy.erasure.answers
        else None,
        "recompute": {
            dataset: {"how": how, "since": workspace.source(dataset).fingerprint()}
            for dataset, how in _recomputed(workspace).items()
        },
    }


def _why(graph: Graph, dataset: str) -> list[str]:
    return [edge.action.exempt for edge in graph.of(dataset) if isinstance(edge.action, Exempt)]


def _recomputed(workspace: Workspace) -> dict[str, str]:
    """Data sets that are made anew by somebody, and how."""
    found = {}
    for dataset, data in workspace.loaded.policy.datasets.items():
        if data.erasure is not None and isinstance(data.erasure.rows, Recompute):
            found[dataset] = data.erasure.rows.recompute
    return found
