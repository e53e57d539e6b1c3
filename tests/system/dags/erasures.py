"""Releases and erasures of the policies of an installation, when a test asks for them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from airflow_veil.pipelines.erasure import erasure_dag
from airflow_veil.pipelines.sanitized_release import EPOCH, sanitized_release_dag

HOME = Path(os.environ["AIRFLOW_HOME"])
ONCE: dict[str, Any] = {"default_args": {"retries": 0}}

for policy in sorted((HOME / "policies").glob("*.yaml")):
    for made in (
        sanitized_release_dag(policy, schedule=None, **ONCE),
        # `dag.test` of Airflow 3.3 cannot make a run of a DAG with a deadline.
        erasure_dag(policy, schedule=None, deadline=None, **ONCE),
    ):
        globals()[made.dag_id] = made


def resend() -> None:
    """Upstream sends all of it again."""
    shutil.copytree(os.environ["SENT_BEFORE"], HOME / "data", dirs_exist_ok=True)


with DAG("resend", schedule=None, start_date=EPOCH, **ONCE):
    PythonOperator(task_id="resend", python_callable=resend)
