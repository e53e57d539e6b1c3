"""Models that are shared: a DAG, a task a model, made of a policy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset

from airflow_veil.operators.privacy_test import PrivacyTestOperator
from airflow_veil.pipelines.sanitized_release import EPOCH, release_asset
from airflow_veil.privacy.errors import ReleaseError, SchemaError
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.workspace import checked


def model_release_dag(
    policy: str | Path,
    *,
    dag_id: str | None = None,
    publish: bool = True,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG that shares the models of a policy: each is attacked, and published with its card if it passes.

    The tasks stand side by side: a model that is denied fails its own task, without a retry, and keeps back no other.

    Args:
        policy: Path of the policy file.
        dag_id: The DAG's id; `veil_<policy name>_models` if None.
        publish: Whether models that pass are shared; else they are tested only.
        destination: URI to share them in instead of the policy's, and of each model's own.
        ledger_conn_id: Connection of the ledger; the installation's own if None.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes, such as `schedule`, which is None where not said: a
            model is tested when somebody has trained one, or when the Asset of its rows changes.

    Returns:
        The DAG. Each model is an Asset, `model_asset(policy, model)`, to schedule on.

    Raises:
        PolicyError: The policy does not check; Airflow shows it as an import error of the DAG file.
        ReleaseError: The policy has no models.
    """
    loaded = checked(policy)
    if not loaded.policy.models:
        raise ReleaseError("the policy shares no model", where=str(policy), fix="add a section `models`")
    arguments = {
        "dag_id": dag_id or f"veil_{loaded.policy.name}_models",
        "schedule": None,
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", "model-release", loaded.policy.name],
        "description": loaded.policy.description or f"Models of {loaded.policy.name}",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": loaded.policy.owner},
        **dag_arguments,
    }
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        for name in loaded.policy.models:
            PrivacyTestOperator(
                task_id=name,
                policy=str(policy),
                model=name,
                publish=publish,
                destination=destination,
                ledger_conn_id=ledger_conn_id,
                outlets=[model_asset(loaded, name, destination=destination)] if publish else [],
            )
    return dag


def model_asset(policy: LoadedPolicy | str | Path, model: str, *, destination: str | None = None) -> Asset:
    """The Asset that stands for the model that is shared now, in the folder of its own where it has one.

    Raises:
        PolicyError: The policy does not check.
        SchemaError: The policy has no such model.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    known = loaded.policy.models
    if model not in known:
        raise SchemaError(
            f"the policy {loaded.policy.name} has no model {model}",
            expected=f"one of {', '.join(known)}" if known else "a model under `models`",
        )
    return release_asset(loaded, model, destination=destination)
