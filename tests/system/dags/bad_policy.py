"""A DAG whose policy does not check: Airflow shows its mistakes as an import error."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_veil.pipelines.sanitized_release import sanitized_release_dag

bad = sanitized_release_dag(
    Path(os.environ["AIRFLOW_HOME"]) / "policies" / "bad.yaml", dag_id="canary_bad_policy", schedule=None
)
