"""Looks through releases once more for the people of a batch, by code other than what made these anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from airflow_veil.privacy.erasure.graph import Graph
from airflow_veil.privacy.erasure.releases import LIVE, look, place_of, rows_of
from airflow_veil.privacy.erasure.rows_left import Question
from airflow_veil.privacy.erasure.rows_left import look as looked_through
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.erasure.verify import Check
from airflow_veil.privacy.ledger.record import ReleaseRecord
from airflow_veil.privacy.policy.erasure import Mask as MaskCells
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity
from airflow_veil.privacy.storage.retyped import Retyped


def verify(workspace: Workspace, graph: Graph, subjects: Subjects) -> Iterator[Check]:
    """Look through all releases once more, by code other than what made them anew: nobody is in any of them."""
    policy = workspace.loaded.policy
    for record in workspace.ledger.list(policy.name):
        if (
            record.state in LIVE
            and record.dataset in policy.datasets
            and policy.datasets[record.dataset].erasure
        ):
            yield from _verify_one(workspace, record, graph, subjects)


def _verify_one(
    workspace: Workspace, record: ReleaseRecord, graph: Graph, subjects: Subjects
) -> Iterator[Check]:
    store, what = f"release {record.release_id} of {record.dataset}", "rows of the people"
    at = place_of(workspace, record)
    matcher = None if at is None else look(at, record, graph, subjects)
    if at is None or matcher is None:
        yield Check(store=store, what=what, error="it cannot be looked through, and is there still")
        return
    source: Any = rows_of(at, record)
    plain = source.source if isinstance(source, Retyped) else source
    for edge, known in matcher.edges:
        masked = edge.action.mask if isinstance(edge.action, MaskCells) else None
        question = Question(edge.column, frozenset(known.texts.to_pylist()), masked)
        try:
            left = looked_through(plain, question)
        except Exception as error:  # noqa: BLE001 - whatever it is, the release was not looked at
            yield Check(store=store, what=what, error=type(error).__name__)
        else:
            yield Check(store=store, what=what, looked_at=left.rows, found=left.found)


def derived_elsewhere(
    workspace: Workspace, sources: Collection[DatasetIdentity], *, since: datetime
) -> Iterator[Check]:
    """Releases of other policies that were made of the same sources before these were clean.

    Args:
        workspace: The policy and its systems.
        sources: The sources that were changed.
        since: When they were clean.

    Returns:
        A check that does not pass for each of them: it is to be erased by the other policy.
    """
    mine = workspace.loaded.policy.name
    for record in workspace.ledger.list():
        made_of = (record.manifest or {}).get("source") or {}
        same = DatasetIdentity(made_of.get("namespace", ""), made_of.get("name", "")) in sources
        remade = "erasure" in (record.manifest or {})
        if record.policy == mine or record.state not in LIVE or not same or remade:
            continue
        if record.created_at < since:
            yield Check(
                store=f"release {record.release_id} of {record.policy}.{record.dataset}",
                what="release that was made of the same source before that was clean",
                looked_at=1,
                found=1,
                told=f"request the erasure with policy {record.policy}, too",
            )
