"""DAGs that use every operator of the suite on one small policy, for the test that each leaves evidence."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, chain

from airflow_veil.operators.anonymize import AnonymizeOperator
from airflow_veil.operators.budget_sensor import BudgetSensor
from airflow_veil.operators.detokenize import DetokenizeOperator
from airflow_veil.operators.gate import ReleaseGateOperator
from airflow_veil.operators.privacy_test import PrivacyTestOperator
from airflow_veil.operators.publish import PublishReleaseOperator
from airflow_veil.operators.risk import AssessRiskOperator
from airflow_veil.operators.rollback import RollbackReleaseOperator
from airflow_veil.operators.sanitize import SanitizeOperator
from airflow_veil.operators.synthetic import SyntheticDataOperator
from airflow_veil.operators.validate import ValidateOperator
from airflow_veil.pipelines.dp_release import dp_release_dag
from airflow_veil.pipelines.erasure import erasure_dag
from airflow_veil.pipelines.evidence import evidence_dag
from airflow_veil.pipelines.retention import retention_dag
from airflow_veil.pipelines.sanitized_release import EPOCH, sanitized_release_dag
from airflow_veil.pipelines.synthetic_refresh import synthetic_refresh_dag
from airflow_veil.privacy.retention import expiry

HOME = Path(os.environ["AIRFLOW_HOME"])
POLICY = HOME / "policies" / "people.yaml"
PEOPLE = {"policy": str(POLICY), "dataset": "people"}
ONCE = {"default_args": {"retries": 0}}

stepwise = sanitized_release_dag(POLICY, dag_id="stepwise", schedule=None, **ONCE)
answers = dp_release_dag(POLICY, dag_id="answers", schedule=None, **ONCE)
retention = retention_dag(POLICY, dag_id="retention", schedule=None, **ONCE)
# `dag.test` of Airflow 3.3 cannot make a run of a DAG with a deadline.
erasure = erasure_dag(POLICY, dag_id="erasure", schedule=None, deadline=None, **ONCE)
synthetic = synthetic_refresh_dag(POLICY, dag_id="synthetic", schedule=None, **ONCE)
evidence = evidence_dag(to=str(HOME / "checkpoints") + "/", schedule=None, **ONCE)

with DAG("fused", schedule=None, start_date=EPOCH, **ONCE):
    elsewhere = {**PEOPLE, "destination": str(HOME / "elsewhere")}
    sanitize = SanitizeOperator(task_id="sanitize", **elsewhere)
    anonymize = AnonymizeOperator(task_id="anonymize", after=sanitize.output, **elsewhere)
    validate = ValidateOperator(task_id="validate", after=anonymize.output, **elsewhere)
    assess = AssessRiskOperator(task_id="assess_risk", after=validate.output, **elsewhere)
    gate = ReleaseGateOperator(task_id="gate", after=assess.output, **elsewhere)
    PublishReleaseOperator(task_id="publish", after=gate.output, **elsewhere)

with DAG("others", schedule=None, start_date=EPOCH, **ONCE):
    chain(
        RollbackReleaseOperator(task_id="rollback", reason="ticket 4711", **PEOPLE),
        DetokenizeOperator(
            task_id="detokenize",
            input_path=str(HOME / "releases" / "people" / "current"),
            output_path=str(HOME / "turned_back"),
            columns=["email"],
            reason="support case 4712",
            **PEOPLE,
        ),
        PrivacyTestOperator(task_id="model", policy=str(POLICY), model="country"),
        BudgetSensor(task_id="budget", policy=str(POLICY), query="born", mode="poke"),
        SyntheticDataOperator(
            task_id="austrians",
            policy=str(POLICY),
            synthesis="made_up",
            given={"country": "AT"},
            suffix="austrians",
        ),
    )


def _in_half_a_year(context: dict[str, Any]) -> None:
    """Put the clock ahead, so that releases are past their time."""
    later = datetime.now(UTC) + timedelta(days=180)
    expiry.wall_clock = lambda: later


retention.get_task("expire_releases").pre_execute = _in_half_a_year
