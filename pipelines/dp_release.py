"""The release of differentially private answers: a DAG, a task a query, made of a policy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from airflow.sdk import DAG, Asset

from airflow_veil.operators.dp_release import DPReleaseOperator
from airflow_veil.pipelines.sanitized_release import EPOCH, release_asset
from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.workspace import checked


def dp_release_dag(
    policy: str | Path,
    *,
    dag_id: str | None = None,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
    on_exhausted: Literal["fail", "skip"] = "fail",
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG that answers the queries of a policy, each in a task of its own, in parallel.

    Args:
        policy: Path of the policy file.
        dag_id: The DAG's id; `veil_<policy name>_dp` if None.
        destination: URI to release to instead of the policy's.
        ledger_conn_id: Connection of the ledger, which holds the budgets; the installation's own if None.
        on_exhausted: What becomes of a task whose budget does not pay: see `DPReleaseOperator`.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes; goes before what the policy says.

    Returns:
        The DAG. Each answer is an Asset, `answer_asset(policy, query)`, to schedule on.

    Raises:
        PolicyError: The policy does not check; Airflow shows it as an import error of the DAG file.
        ReleaseError: The policy asks nothing, or names no destination.
    """
    loaded = checked(policy)
    dp = loaded.policy.differential_privacy
    if dp is None or not dp.queries:
        raise ReleaseError(
            "the policy asks no queries", where=str(policy), fix="add a section `differential_privacy`"
        )
    arguments = {
        "dag_id": dag_id or f"veil_{loaded.policy.name}_dp",
        "schedule": dp.schedule,
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", "differential-privacy", loaded.policy.name],
        "description": loaded.policy.description or f"Differentially private answers of {loaded.policy.name}",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": loaded.policy.owner},
        **dag_arguments,
    }
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        for query in dp.queries:
            DPReleaseOperator(
                task_id=query,
                policy=str(policy),
                query=query,
                destination=destination,
                ledger_conn_id=ledger_conn_id,
                on_exhausted=on_exhausted,
                outlets=[answer_asset(loaded, query, destination=destination)],
            )
    return dag


def answer_asset(policy: LoadedPolicy | str | Path, query: str, *, destination: str | None = None) -> Asset:
    """The Asset that stands for the current answer to a query.

    Raises:
        PolicyError: The policy does not check.
        ReleaseError: The policy names no destination.
    """
    return release_asset(policy, query, destination=destination)
