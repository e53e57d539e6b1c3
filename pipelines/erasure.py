"""Erasure: a DAG that starts when somebody asks to be forgotten, made of a policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, TriggerRule, chain
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from airflow_veil.hooks.deadline import warn
from airflow_veil.operators.erasure import (
    CertifyErasureOperator,
    EraseSubjectsOperator,
    ErasureRequestsSensor,
    PlanErasureOperator,
    VerifyErasureOperator,
)
from airflow_veil.pipelines.sanitized_release import EPOCH
from airflow_veil.privacy.erasure.stages import SOURCE, stages_of
from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.period import after
from airflow_veil.privacy.policy.erasure import Erasure
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.workspace import checked

REQUEST = "{{ (dag_run.conf or {}).get('request', '') }}"
"""One request, by its opaque name, from the configuration of a run; identifiers have no place there."""
PLAN = """
{% set plan = ti.xcom_pull(task_ids='plan') %}
Batch {{ plan['batch'] }}: {{ plan['requests'] }} requests.

| data set | rows | go | lose cells | are held |
|---|---|---|---|---|
{% for name, counts in plan['datasets'].items() %}| {{ name }} | {{ counts['rows'] }} | {{ counts['delete'] }} | \
{{ counts['mask'] }} | {{ counts['held'] }} |
{% endfor %}
"""
"""What a person sees who is asked to approve: names and counts."""


def erasure_dag(
    policy: str | Path,
    *,
    dag_id: str | None = None,
    destination: str | None = None,
    certificates: str | None = None,
    approvers: list[str] | None = None,
    ledger_conn_id: str | None = None,
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG that erases people: it waits for requests, and all that wait are one batch.

    ```
    wait → plan → (approve) → suppress → sources, leaves first → releases → verify → certificate
    ```

    Also triggered with `{"request": "erasure-…"}` for one request alone. A run that is not through some days before
    its requests are due gives an alert (`DeadlineAlert`).

    Args:
        policy: Path of the policy file.
        dag_id: The DAG's id; `veil_<policy name>_erasure` if None.
        destination: URI that releases went to instead of the policy's.
        certificates: Folder of the certificates; that of the installation if None.
        approvers: Who may approve a plan, by user name, where the policy wants it approved; anybody if None.
        ledger_conn_id: Connection of the ledger; the installation's own if None.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes; goes before what the policy says.

    Returns:
        The DAG.

    Raises:
        PolicyError: The policy does not check; Airflow shows it as an import error of the DAG file.
        ErasureError: The policy says nothing of erasure.
    """
    loaded = checked(policy)
    stages, rule = stages_of(loaded.policy), loaded.policy.erasure
    if rule is None:
        raise ErasureError("the policy says nothing of erasure", where=str(policy))
    arguments = {
        "dag_id": dag_id or f"veil_{loaded.policy.name}_erasure",
        "schedule": "@continuous",
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", "erasure", loaded.policy.name],
        "description": f"Erases people from {loaded.policy.name} who asked for it",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": loaded.policy.owner},
        "deadline": _alert(rule),
        **dag_arguments,
    }
    common: dict[str, Any] = {"policy": str(policy), "ledger_conn_id": ledger_conn_id}
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        wait = ErasureRequestsSensor(
            task_id="wait", request=REQUEST, soft_fail=True, timeout=24 * 3_600, **common
        )
        plan = PlanErasureOperator(task_id="plan", request=REQUEST, destination=destination, **common)
        batch = {**common, "destination": destination, "after": plan.output}
        steps: list[Any] = [
            EraseSubjectsOperator.partial(
                task_id=_task(number, stage), map_index_template="{{ task.step }}", **batch
            ).expand(step=list(stage))
            for number, stage in enumerate(stages)
        ]
        verify = VerifyErasureOperator(task_id="verify", **batch)
        # Also after a step that failed: the requests are then not complete, and the certificate names what is left.
        certificate = CertifyErasureOperator(
            task_id="certificate", certificates=certificates, trigger_rule=TriggerRule.NONE_SKIPPED, **batch
        )
        chain(wait, plan, *_approval(rule, approvers), *steps, verify, certificate)
    return dag


def has_erasure(policy: LoadedPolicy | str | Path) -> bool:
    """Whether a policy says how people are erased.

    Raises:
        PolicyError: The policy does not check.
    """
    loaded = policy if isinstance(policy, LoadedPolicy) else checked(policy)
    return loaded.policy.erasure is not None


def _task(number: int, stage: tuple[str, ...]) -> str:
    """The name of a stage's task; its mapped instances bear the names of the steps."""
    kind = stage[0].partition(" ")[0]
    return f"{kind}_{number}" if kind == SOURCE else kind


def _approval(rule: Erasure, approvers: list[str] | None) -> list[Any]:
    if not rule.approval:
        return []
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    return [
        ApprovalOperator(
            task_id="approve",
            subject="Erase what the plan says?",
            body=PLAN,
            # A rejection is no quiet skip: the requests stay open, and somebody has to answer them.
            fail_on_reject=True,
            assigned_users=approvers,
        )
    ]


def _alert(rule: Erasure) -> DeadlineAlert:
    """An alert some days before the deadline of requests that have just come; months count as the shortest."""
    first = datetime(2023, 2, 1, tzinfo=UTC)
    within, margin = (after(first, period) - first for period in (rule.within, rule.warn))
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=max(within - margin, timedelta(hours=1)),
        callback=AsyncCallback(warn),
        name="erasure",
    )
