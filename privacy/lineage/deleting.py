"""The lineage of deleting rows: a data set goes into itself, column by column, less some of its rows."""

from __future__ import annotations

from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.lineage.model import Edge, Field, Kind, LineageRecord, Subtype, Table
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.storage.base import DatasetIdentity

STAGE = "retention"


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
    data = loaded.policy.datasets[dataset]
    rule = data.retention.model_dump(mode="json", by_alias=True) if data.retention else {}
    fields = tuple(
        Field(name=name, type=column.type, column_class=column.column_class, category=column.category)
        for name, column in data.columns.items()
    )
    edges = [_edge(name, name, Kind.DIRECT, Subtype.IDENTITY, "kept as it is") for name in data.columns]
    if rule:
        edges.append(
            _edge(rule["from"], None, Kind.INDIRECT, Subtype.FILTER, "rows whose time is over are deleted")
        )
    return LineageRecord(
        policy=loaded.policy.name,
        policy_digest=loaded.digest,
        plan_digest=sha256_of(canonical_json(rule)),
        dataset=dataset,
        stage=STAGE,
        input=Table(identity=identity, fields=fields, rows=rows),
        output=Table(identity=identity, fields=fields, rows=left, overwritten=True),
        edges=tuple(edges),
    )


def _edge(source: str, target: str | None, kind: Kind, subtype: Subtype, description: str) -> Edge:
    return Edge(
        source=source, target=target, kind=kind, subtype=subtype, masking=False, description=description
    )
