"""Retention: a DAG, a task a data set, made of a policy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, TriggerRule, chain

from airflow_veil.operators.retention import EnforceRetentionOperator, ExpireReleasesOperator
from airflow_veil.operators.sweep import SweepStagingOperator
from airflow_veil.pipelines.sanitized_release import EPOCH
from airflow_veil.privacy.errors import RetentionError
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.workspace import checked

APPROVE = "{{ ((dag_run.conf or {}).get('approve') or {}).get('%s', '') }}"
"""Why more may go, from the configuration of a run: `{"approve": {"orders": "ticket 4711: looked at"}}`."""


def retention_dag(
    policy: str | Path,
    *,
    dag_id: str | None = None,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
    certificates: str | None = None,
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG that deletes what is over: rows of each data set, in parallel, then releases; and staged leavings.

    A night that was missed is not caught up with: what is over is over today. Where more would go than one run may
    delete, the data set's task fails; whoever has looked at `veil retention plan` triggers the DAG with the reason in
    its configuration, `{"approve": {"<data set>": "<reason>"}}`.

    Args:
        policy: Path of the policy file.
        dag_id: The DAG's id; `veil_<policy name>_retention` if None.
        destination: URI that releases went to instead of the policy's.
        ledger_conn_id: Connection of the ledger; the installation's own if None.
        certificates: The folder that certificates are filed in; the installation's own if None.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes; goes before what the policy says.

    Returns:
        The DAG.

    Raises:
        PolicyError: The policy does not check; Airflow shows it as an import error of the DAG file.
        RetentionError: The policy says nothing of how long anything is kept.
    """
    loaded = checked(policy)
    if not has_retention(loaded):
        raise RetentionError(
            "the policy says nothing of how long rows or releases are kept",
            where=str(policy),
            fix="add `retention:` to a data set, or `expires_after` to `release`",
        )
    arguments = {
        "dag_id": dag_id or f"veil_{loaded.policy.name}_retention",
        "schedule": "@daily",
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", "retention", loaded.policy.name],
        "description": f"Deletes what is over of {loaded.policy.name}",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": loaded.policy.owner},
        **dag_arguments,
    }
    common: dict[str, Any] = {
        "policy": str(policy),
        "destination": destination,
        "ledger_conn_id": ledger_conn_id,
    }
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        rows = [
            EnforceRetentionOperator(
                task_id=dataset,
                dataset=dataset,
                approve=APPROVE.replace("%s", dataset),
                certificates=certificates,
                **common,
            )
            for dataset in kept_datasets(loaded)
        ]
        if loaded.policy.release is not None:
            # Releases end whether or not somebody has to look at rows.
            expire = ExpireReleasesOperator(
                task_id="expire_releases", trigger_rule=TriggerRule.ALL_DONE, **common
            )
            chain(rows, expire)
            SweepStagingOperator(task_id="sweep_staging", **common)
    return dag


def kept_datasets(policy: LoadedPolicy | str | Path) -> tuple[str, ...]:
    """The data sets whose rows are kept for a time.

    Raises:
        PolicyError: The policy does not check.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    return tuple(name for name, data in loaded.policy.datasets.items() if data.retention is not None)


def has_retention(policy: LoadedPolicy | str | Path) -> bool:
    """Whether a policy says how long anything is kept: rows, releases, or models of synthetic data.

    Raises:
        PolicyError: The policy does not check.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    release = loaded.policy.release
    expires = release is not None and (
        release.expires_after is not None or loaded.policy.synthetic is not None
    )
    return bool(kept_datasets(loaded)) or expires
