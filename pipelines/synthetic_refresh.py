"""The refresh of synthetic data: a DAG, a group of tasks a synthesis, made of a policy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, TaskGroup, chain

from airflow_veil.operators.base import VeilOperator
from airflow_veil.operators.synthetic import (
    EvaluateSyntheticOperator,
    FitModelOperator,
    Given,
    PublishSyntheticOperator,
    ScrubSyntheticOperator,
    SynthesizeOperator,
)
from airflow_veil.pipelines.sanitized_release import EPOCH, release_asset
from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.synthetic_names import names_of
from airflow_veil.privacy.release.workspace import checked


def synthetic_refresh_dag(
    policy: str | Path,
    *,
    dag_id: str | None = None,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG that makes up the tables of a policy anew: for each synthesis fit, synthesize, evaluate, publish.

    Args:
        policy: Path of the policy file.
        dag_id: The DAG's id; `veil_<policy name>_synthetic` if None.
        destination: URI to release to instead of the policy's.
        ledger_conn_id: Connection of the ledger, which knows the models; the installation's own if None.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes; goes before what the policy says.

    Returns:
        The DAG. Each table is an Asset, `synthetic_assets(policy, synthesis)`, to schedule on.

    Raises:
        PolicyError: The policy does not check; Airflow shows it as an import error of the DAG file.
        ReleaseError: The policy makes up nothing, or names no destination.
    """
    loaded = checked(policy)
    synthetic = loaded.policy.synthetic
    if synthetic is None:
        raise ReleaseError("the policy makes up nothing", where=str(policy), fix="add a section `synthetic`")
    arguments = {
        "dag_id": dag_id or f"veil_{loaded.policy.name}_synthetic",
        "schedule": synthetic.schedule,
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", "synthetic-data", loaded.policy.name],
        "description": loaded.policy.description or f"Synthetic tables of {loaded.policy.name}",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": loaded.policy.owner},
        **dag_arguments,
    }
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        for name in synthetic.releases:
            synthetic_refresh_group(policy, name, destination=destination, ledger_conn_id=ledger_conn_id)
    return dag


def synthetic_refresh_group(
    policy: str | Path,
    synthesis: str,
    *,
    group_id: str | None = None,
    rows: int | None = None,
    given: Given | None = None,
    suffix: str = "",
    destination: str | None = None,
    ledger_conn_id: str | None = None,
) -> TaskGroup:
    """Make the tasks of one synthesis, for a DAG of your own: put other tasks before and after the group.

    Args:
        policy: Path of the policy file.
        synthesis: The synthesis.
        group_id: The group's id; the synthesis's name, with the suffix, if None.
        rows: How many rows, of the table that refers to no other; as the policy says if None.
        given: Values that columns have in every row: a release of its own, under a suffix.
        suffix: What tells that release from the one of the whole.
        destination: URI to release to instead of the policy's.
        ledger_conn_id: Connection of the ledger.

    Raises:
        PolicyError: The policy does not check.
        ReleaseError: The policy names no destination, or not this synthesis.
    """
    loaded = checked(policy)
    assets = synthetic_assets(loaded, synthesis, suffix=suffix, destination=destination)
    common: dict[str, Any] = {
        "policy": str(policy),
        "synthesis": synthesis,
        "destination": destination,
        "ledger_conn_id": ledger_conn_id,
    }
    with TaskGroup(group_id or "_".join(filter(None, (synthesis, suffix)))) as group:
        fit = FitModelOperator(task_id="fit", **common)
        draw = SynthesizeOperator(
            task_id="synthesize", after=fit.output, rows=rows, given=given, suffix=suffix, **common
        )
        look = EvaluateSyntheticOperator(task_id="evaluate", after=draw.output, **common)
        gates = _gate_tasks(loaded, look, common)
        publish = PublishSyntheticOperator(
            task_id="publish", after=[look, *gates][-1].output, outlets=list(assets.values()), **common
        )
        # A teardown of its own: as one of `fit` it would not run where that task itself fails or is killed.
        scrub = ScrubSyntheticOperator(task_id="scrub", suffix=suffix, **common)
        chain(fit, draw, look, *gates, publish, scrub.as_teardown())
    return group


def _gate_tasks(loaded: LoadedPolicy, look: VeilOperator, common: dict[str, Any]) -> list[VeilOperator]:
    """The tasks between evaluation and publication where the policy has a gate, one a person to be asked."""
    rule = loaded.policy.release.gate if loaded.policy.release else None
    if rule is None:
        return []
    # Here, since it brings Airflow's human in the loop: only policies with a gate wait for that.
    from airflow_veil.operators.synthetic_gate import SyntheticGateOperator

    tasks: list[VeilOperator] = []
    for person, task_id in zip(range(1, rule.people + 1), ("gate", "gate_second"), strict=False):
        before = tasks[-1] if tasks else look
        tasks.append(SyntheticGateOperator(task_id=task_id, after=before.output, person=person, **common))
    return tasks


def synthetic_assets(
    policy: LoadedPolicy | str | Path, synthesis: str, *, suffix: str = "", destination: str | None = None
) -> dict[str, Asset]:
    """The Assets that stand for the current synthetic tables of a synthesis, by table.

    Raises:
        PolicyError: The policy does not check.
        ReleaseError: The policy names no destination, or makes up nothing of that name.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    return {
        table: release_asset(loaded, name, destination=destination)
        for table, name in names_of(loaded, synthesis, suffix).items()
    }
