"""DAGs that use the operators one by one, for their tests."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_veil.operators.detokenize import DetokenizeOperator
from airflow_veil.operators.rollback import RollbackReleaseOperator
from airflow_veil.pipelines.sanitized_release import EPOCH, sanitized_release_dag

HOME = Path(os.environ["AIRFLOW_HOME"])
POLICY = HOME / "policies" / "customers.yaml"
CUSTOMERS = {"policy": str(POLICY), "dataset": "customers"}
ONCE = {"default_args": {"retries": 0}}

night = sanitized_release_dag(POLICY, dag_id="night", schedule=None, **ONCE)


def _night_elsewhere(dag_id: str, source: Path) -> DAG:
    """A night that tries twice."""
    return sanitized_release_dag(
        HOME / "policies" / "unchecked.yaml",
        dag_id=dag_id,
        schedule=None,
        source={"customers": str(source)},
        destination=str(HOME / "releases" / dag_id),
        default_args={"retries": 1, "retry_delay": timedelta(0)},
    )


def _come_late(context: dict[str, Any]) -> None:
    """Let the source be there at the second try only."""
    late = HOME / "data" / "late.parquet"
    if context["ti"].try_number > 1:
        late.write_bytes((HOME / "data" / "retail" / "customers.parquet").read_bytes())


flaky = _night_elsewhere("flaky", HOME / "data" / "late.parquet")
flaky.get_task("customers.sanitize").pre_execute = _come_late

killed_once = _night_elsewhere("killed_once", HOME / "data" / "large.parquet")


def _fail_after_the_first_try(context: dict[str, Any], result: Any = None) -> None:
    """Let the work be done and the task fail, as a worker does that is lost right after."""
    if context["ti"].try_number == 1:
        raise ConnectionError("lost right after the work was done")


with DAG("rollback", schedule=None, start_date=EPOCH, **ONCE):
    RollbackReleaseOperator(
        task_id="rollback",
        reason="ticket {{ dag_run.conf['ticket'] }}",
        post_execute=_fail_after_the_first_try,
        **CUSTOMERS,
    )

with DAG("detokenize", schedule=None, start_date=EPOCH, **ONCE):
    DetokenizeOperator(
        task_id="detokenize",
        input_path=str(HOME / "releases" / "customers" / "customers" / "current"),
        output_path=str(HOME / "turned_back" / "{{ dag_run.conf['ticket'] }}"),
        columns=["email", "card"],
        reason="support case {{ dag_run.conf['ticket'] }}",
        **CUSTOMERS,
    )
    DetokenizeOperator(
        task_id="one_way",
        input_path=str(HOME / "releases" / "customers" / "customers" / "current"),
        output_path=str(HOME / "never"),
        columns=["customer_id"],
        reason="support case {{ dag_run.conf['ticket'] }}",
        **CUSTOMERS,
    )
