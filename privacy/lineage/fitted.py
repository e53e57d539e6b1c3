"""The lineage of a model: its parameters are made of the columns that it was fitted on, and nothing hides them."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_veil.privacy.lineage.model import Edge, Field, Kind, LineageRecord, Subtype, Table
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.model_release import ModelRelease
from airflow_veil.privacy.storage.base import DatasetIdentity

STAGE = "model_test"
PARAMETERS = "parameters"
"""What of a model its columns reach."""
_TECHNIQUE = "fitted into a model's parameters"


def of_model(
    loaded: LoadedPolicy,
    name: str,
    identity: str,
    sources: Mapping[str, DatasetIdentity],
    target: DatasetIdentity | None,
    *,
    size: int | None = None,
    version: str | None = None,
) -> LineageRecord:
    """What a model is made of.

    Args:
        loaded: The policy.
        name: The model.
        identity: SHA-256 of what is tested, in hex.
        sources: Where the rows are: `train` and `holdout`.
        target: Where it is shared; None for a test alone.
        size: Bytes of its files; None before the run.
        version: The release; None where it is not published.
    """
    model = loaded.policy.models[name]
    columns = (*model.features, model.target)
    output = None
    if target is not None:
        output = Table(
            identity=target,
            fields=(Field(name=PARAMETERS, technique=_TECHNIQUE),),
            bytes=size,
            version=version,
            published=version is not None,
        )
    return LineageRecord(
        policy=loaded.policy.name,
        policy_digest=loaded.digest,
        plan_digest=identity,
        dataset=name,
        stage=STAGE,
        input=Table(identity=sources["train"], fields=_fields(loaded, model, model.trained_on.train.dataset)),
        output=output,
        edges=tuple(
            Edge(
                source=column,
                target=PARAMETERS,
                kind=Kind.DIRECT,
                subtype=Subtype.AGGREGATION,
                masking=False,
                description=_TECHNIQUE,
            )
            for column in columns
        )
        if output
        else (),
        others=(
            Table(
                identity=sources["holdout"], fields=_fields(loaded, model, model.trained_on.holdout.dataset)
            ),
        ),
    )


def _fields(loaded: LoadedPolicy, model: ModelRelease, dataset: str | None) -> tuple[Field, ...]:
    """The columns as the policy sees them, where it names their data set."""
    known = loaded.policy.datasets[dataset].columns if dataset else {}
    return tuple(
        Field(
            name=name,
            type=known[name].type if name in known else None,
            column_class=known[name].column_class.value if name in known else None,
            category=known[name].category if name in known else None,
        )
        for name in (*model.features, model.target)
    )
