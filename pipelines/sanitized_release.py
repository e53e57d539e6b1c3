"""The nightly sanitized release: a DAG, or a task group a data set, made of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, TaskGroup, chain

from airflow_veil.hooks.settings import settings
from airflow_veil.operators.anonymize import AnonymizeOperator
from airflow_veil.operators.base import VeilOperator
from airflow_veil.operators.classify import ClassifyColumnsOperator
from airflow_veil.operators.generalize import GeneralizeOperator
from airflow_veil.operators.mask import MaskOperator
from airflow_veil.operators.minimize import MinimizeOperator
from airflow_veil.operators.publish import PublishReleaseOperator
from airflow_veil.operators.risk import AssessRiskOperator
from airflow_veil.operators.sanitize import SanitizeOperator
from airflow_veil.operators.scrub import ScrubStagingOperator
from airflow_veil.operators.tokenize import TokenizeOperator
from airflow_veil.operators.validate import ValidateOperator
from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.workspace import checked, release_uri

EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def sanitized_release_dag(
    policy: str | Path,
    *,
    dag_id: str | None = None,
    source: Mapping[str, str] | None = None,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG of a policy: for each data set a group of tasks, all groups in parallel.

    A data set whose columns are all dropped releases nothing, and has no group: queries may ask it.

    Args:
        policy: Path of the policy file.
        dag_id: The DAG's id; `veil_<policy name>` if None.
        source: URIs to read instead of the policy's sources, by data set.
        destination: URI to release to instead of the policy's.
        ledger_conn_id: Connection of the ledger; the installation's own if None.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes; goes before what the policy says.

    Returns:
        The DAG. Each published data set is an Asset, `release_asset(policy, data set)`, to schedule on.

    Raises:
        PolicyError: The policy does not check; Airflow shows it as an import error of the DAG file.
        ReleaseError: The policy names no destination, or releases no column.
    """
    loaded = checked(policy)
    released = released_datasets(loaded)
    if not released:
        raise ReleaseError(
            "the policy releases no column of any data set",
            where=str(policy),
            fix="treat one otherwise than by `drop`; queries are answered by `dp_release_dag`",
        )
    arguments = {
        "dag_id": dag_id or f"veil_{loaded.policy.name}",
        "schedule": loaded.policy.release.schedule if loaded.policy.release else None,
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", loaded.policy.name],
        "description": loaded.policy.description or f"Sanitized release of {loaded.policy.name}",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": loaded.policy.owner},
        **dag_arguments,
    }
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        for dataset in released:
            sanitized_release_group(
                policy,
                dataset,
                source=(source or {}).get(dataset),
                destination=destination,
                ledger_conn_id=ledger_conn_id,
            )
    return dag


def sanitized_release_group(
    policy: str | Path,
    dataset: str,
    *,
    group_id: str | None = None,
    source: str | None = None,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
) -> TaskGroup:
    """Make the tasks of one data set, for a DAG of your own: put other tasks before and after the group.

    Args:
        policy: Path of the policy file.
        dataset: The data set.
        group_id: The group's id; the data set's name if None.
        source: URI to read instead of the policy's source.
        destination: URI to release to instead of the policy's.
        ledger_conn_id: Connection of the ledger.

    Raises:
        PolicyError: The policy does not check.
        ReleaseError: The policy names no destination, or not this data set.
    """
    loaded = checked(policy)
    if dataset not in loaded.policy.datasets:
        raise ReleaseError(f"there is no data set {dataset}", where=str(policy), fix="name one of the policy")
    common: dict[str, Any] = {
        "policy": str(policy),
        "dataset": dataset,
        "source": source,
        "destination": destination,
        "ledger_conn_id": ledger_conn_id,
    }
    with TaskGroup(group_id or dataset) as group:
        staged = _staging_tasks(loaded, common)
        validate = ValidateOperator(task_id="validate", after=staged[-1].output, **common)
        gates = _gate_tasks(loaded, validate, common)
        publish = PublishReleaseOperator(
            task_id="publish",
            after=[validate, *gates][-1].output,
            outlets=[release_asset(loaded, dataset, destination=destination)],
            **common,
        )
        scrub = ScrubStagingOperator(task_id="scrub", **common)
        # A teardown of its own: as one of `staged[0]` it would not run where that task itself fails or is killed.
        chain(*_looking_tasks(loaded, common), *staged, validate, *gates, publish, scrub.as_teardown())
    return group


def released_datasets(policy: LoadedPolicy | str | Path) -> tuple[str, ...]:
    """The data sets of which rows are released: all but those whose columns are all dropped.

    Raises:
        PolicyError: The policy does not check.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    return tuple(name for name, data in loaded.policy.datasets.items() if data.releases_rows)


def release_asset(
    policy: LoadedPolicy | str | Path, dataset: str, *, destination: str | None = None
) -> Asset:
    """The Asset that stands for the current release of a data set.

    Raises:
        PolicyError: The policy does not check.
        ReleaseError: The policy names no destination.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    uri = release_uri(loaded, dataset, settings=settings(), destination=destination)
    # For Airflow a name has one URI: what is released elsewhere than the policy says bears its URI as its name.
    name = f"veil_{loaded.policy.name}_{dataset}" if destination is None else uri
    return Asset(name=name, uri=uri, group="veil")


def _gate_tasks(loaded: LoadedPolicy, validate: VeilOperator, common: dict[str, Any]) -> list[VeilOperator]:
    """The tasks between validation and publication: risk, and where the policy has a gate one a person to be asked."""
    rule = loaded.policy.release.gate if loaded.policy.release else None
    tasks: list[VeilOperator] = []
    if loaded.policy.measured(common["dataset"]):
        tasks.append(AssessRiskOperator(task_id="risk", after=validate.output, **common))
    if rule is None:
        return tasks
    # Here, since it brings Airflow's human in the loop: only policies with a gate wait for that.
    from airflow_veil.operators.gate import ReleaseGateOperator

    for person, task_id in zip(range(1, rule.people + 1), ("gate", "gate_second"), strict=False):
        tasks.append(ReleaseGateOperator(task_id=task_id, after=tasks[-1].output, person=person, **common))
    return tasks


def _looking_tasks(loaded: LoadedPolicy, common: dict[str, Any]) -> list[VeilOperator]:
    """The task that looks at the columns before a row is staged, if the policy wants it."""
    if loaded.policy.release is None or not loaded.policy.release.classify:
        return []
    return [ClassifyColumnsOperator(task_id="classify", **common)]


def _staging_tasks(loaded: LoadedPolicy, common: dict[str, Any]) -> list[VeilOperator]:
    """The tasks up to the staged release: the treatment, and the anonymization where the policy asks for it."""
    treated = _treating_tasks(loaded, common)
    if loaded.policy.datasets[common["dataset"]].anonymize is None:
        return treated
    return [*treated, AnonymizeOperator(task_id="anonymize", after=treated[-1].output, **common)]


def _treating_tasks(loaded: LoadedPolicy, common: dict[str, Any]) -> list[VeilOperator]:
    """The tasks that treat: one for all steps, or one a step, as the policy says."""
    if loaded.policy.release is None or loaded.policy.release.run == "fused":
        return [SanitizeOperator(task_id="sanitize", **common)]
    minimize = MinimizeOperator(task_id="minimize", **common)
    tokenize = TokenizeOperator(task_id="tokenize", after=minimize.output, **common)
    mask = MaskOperator(task_id="mask", after=tokenize.output, **common)
    generalize = GeneralizeOperator(task_id="generalize", after=mask.output, **common)
    return [minimize, tokenize, mask, generalize]
