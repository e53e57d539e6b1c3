"""The lineage of deleting rows: a data set goes into itself, column by column, less some of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.lineage.model import Edge, Field, Kind, LineageRecord, Subtype, Table
from airflow_veil.privacy.lineage.technique import technique_of
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.storage.base import DatasetIdentity

STAGE = "retention"
ERASURE = "erasure"


def of_deleting(
    loaded: LoadedPolicy,
    dataset: str,
    identity: DatasetIdentity,
    *,
    rows: int | None = None,
    left: int | None = None,
) -> LineageRecord:
    """What a run of retention does to a data set.

    Args:
        loaded: The policy.
        dataset: The data set, which has a retention.
        identity: Its name in lineage.
        rows: How many rows there were; None before the run.
        left: How many are left; None before the run.
    """
    retention = loaded.policy.datasets[dataset].retention
    rule = retention.model_dump(mode="json", by_alias=True) if retention else {}
    treatments = retention.treatments if retention else {}
    if treatments:
        told = "cells of rows whose time is over are treated"
        masked = {name: f"{technique_of(each)}, where the time is over" for name, each in treatments.items()}
    else:
        archives = retention is not None and retention.archive is not None
        told = f"rows whose time is over {'go into an archive' if archives else 'are deleted'}"
        masked = {}
    filters = {rule["from"]: told} if rule else {}
    return _into_itself(loaded, dataset, identity, STAGE, rule, filters, masked, rows=rows, left=left)


def of_erasing(
    loaded: LoadedPolicy,
    dataset: str,
    identity: DatasetIdentity,
    *,
    rows: int | None = None,
    left: int | None = None,
) -> LineageRecord:
    """What an erasure does to a data set.

    Args:
        loaded: The policy.
        dataset: The data set, which says what becomes of erased people.
        identity: Its name in lineage.
        rows: How many rows there were; None before.
        left: How many are left; None before.
    """
    data = loaded.policy.datasets[dataset]
    rule = data.erasure.model_dump(mode="json") if data.erasure else {}
    subject = [data.subject.column] if data.subject and data.subject.column else []
    names = [*subject, *(data.erasure.links if data.erasure else ())]
    filters = dict.fromkeys(names, "rows and cells of people who asked to be erased are erased")
    return _into_itself(loaded, dataset, identity, ERASURE, rule, filters, {}, rows=rows, left=left)


def _into_itself(
    loaded: LoadedPolicy,
    dataset: str,
    identity: DatasetIdentity,
    stage: str,
    rule: Mapping[str, Any],
    filters: Mapping[str, str],
    masked: Mapping[str, str],
    *,
    rows: int | None,
    left: int | None,
) -> LineageRecord:
    data = loaded.policy.datasets[dataset]
    fields = tuple(
        Field(name=name, type=column.type, column_class=column.column_class, category=column.category)
        for name, column in data.columns.items()
    )
    edges = [
        _edge(name, name, Kind.DIRECT, Subtype.TRANSFORMATION, masked[name], masking=True)
        if name in masked
        else _edge(name, name, Kind.DIRECT, Subtype.IDENTITY, "kept as it is")
        for name in data.columns
    ]
    decides = Subtype.CONDITIONAL if masked else Subtype.FILTER
    edges += [_edge(name, None, Kind.INDIRECT, decides, why) for name, why in filters.items()]
    return LineageRecord(
        policy=loaded.policy.name,
        policy_digest=loaded.digest,
        plan_digest=sha256_of(canonical_json(rule)),
        dataset=dataset,
        stage=stage,
        input=Table(identity=identity, fields=fields, rows=rows),
        output=Table(identity=identity, fields=fields, rows=left, overwritten=True),
        edges=tuple(edges),
    )


def _edge(
    source: str,
    target: str | None,
    kind: Kind,
    subtype: Subtype,
    description: str,
    *,
    masking: bool = False,
) -> Edge:
    return Edge(
        source=source, target=target, kind=kind, subtype=subtype, masking=masking, description=description
    )
