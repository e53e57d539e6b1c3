"""What the manifest of a synthetic release tells: of what it was made, how, with which guarantee; no score."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow_veil.privacy.ledger.models import ModelRecord
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.manifest import head
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity
from airflow_veil.privacy.synthetic.specification import Specification

SDV = ("gaussian_copula", "ctgan", "tvae", "hma", "par")
"""Methods that SDV fits."""
LICENCE = (
    "The model was fitted by SDV, whose license, the Business Source License 1.1, allows all use but in a commercial"
    " offering that lets third parties synthesize data with it."
)
"""What is to be known of SDV's licence."""


def guarantee_of(specification: Specification) -> str:
    """What protects people in the rows, in a sentence for everybody."""
    if specification.word == "faker":
        return "No row was read: all is invented from what the policy says of the columns, so the rows tell of nobody."
    if specification.method.private:
        return (
            "Differential privacy: whether any one person's rows were learned from changes the chance of any outcome"
            " only within the budget that was spent."
        )
    return (
        "No mathematical guarantee: the model learned from real people, and attacks were tried on what it made. It may"
        " still repeat something of somebody."
    )


def drawn(
    workspace: Workspace,
    specification: Specification,
    table: str,
    release: str,
    model: ModelRecord,
    interval: Interval,
    source: DatasetIdentity | None,
    *,
    given: Collection[str],
    seed: int,
) -> dict[str, Any]:
    """What is known of a synthetic table when it is drawn. Of its source only the name: sizes and times tell of it.

    Args:
        workspace: The policy and its systems.
        specification: The synthesis.
        table: The table.
        release: The name that it is released under.
        model: The model.
        interval: What it stands for.
        source: What the model learned of, of this table; None where it read no row.
        given: Columns whose value was given; not the values.
        seed: What the rows were drawn by.
    """
    columns = specification.tables[table].columns
    return {
        **head(workspace, release, interval),
        "plan_digest": model.specification,
        "source": None if source is None else {"namespace": source.namespace, "name": source.name},
        **_paid(workspace, specification),
        "synthetic": {
            "synthesis": specification.name,
            "table": table,
            "tables": list(specification.tables),
            "method": specification.word,
            "private": specification.method.private,
            "guarantee": guarantee_of(specification),
            "specification": model.specification,
            "model": {"id": model.model_id, "digest": model.digest},
            "columns": {column.name: column.word for column in columns},
            "given": sorted(given),
            "seed": seed,
            "licence": LICENCE if specification.word in SDV else None,
        },
    }


def _paid(workspace: Workspace, specification: Specification) -> dict[str, Any]:
    """What the model cost, where it is differentially private."""
    if not specification.method.private:
        return {}
    from airflow_veil.privacy.release.synthetic_price import Price

    return {"differential_privacy": Price(workspace, specification).record()}
