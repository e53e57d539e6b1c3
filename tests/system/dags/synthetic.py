"""Synthetic releases of real tables, by the DAG of each policy, and one of given values by one task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_veil.operators.synthetic import SyntheticDataOperator
from airflow_veil.pipelines.sanitized_release import EPOCH
from airflow_veil.pipelines.synthetic_refresh import synthetic_refresh_dag

POLICIES = Path(os.environ["AIRFLOW_HOME"]) / "policies"
FAILS_AFTER = {"learned.fit", "learned.synthesize", "learned.publish"}
"""Tasks whose first try is lost right after its work."""


def _fail_after(context: dict[str, Any], result: Any = None) -> None:
    """A worker that is lost when its work is done."""
    if context["ti"].try_number == 1 and context["ti"].task_id in FAILS_AFTER:
        raise ConnectionError("lost right after the work was done")


adult, acs, synthea = (
    synthetic_refresh_dag(POLICIES / f"{name}.yaml") for name in ("adult", "acs", "synthea")
)
for task in adult.tasks:
    task.post_execute = _fail_after

with DAG("adult_women", schedule="@weekly", start_date=EPOCH, default_args={"retries": 0}):
    SyntheticDataOperator(
        task_id="women",
        policy=str(POLICIES / "adult.yaml"),
        synthesis="learned",
        rows=100,
        given={"sex": "Female"},
        suffix="women",
    )
