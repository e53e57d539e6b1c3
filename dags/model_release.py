"""One DAG a policy that has models: each is attacked, and shared with its card only if it stands, when it is triggered.

The folder is `[veil] policies` in Airflow's configuration, or `VEIL_POLICIES`, or `policies` beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import conf

from airflow_veil.pipelines.model_release import model_release_dag
from airflow_veil.privacy.release.workspace import checked

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)

for policy in sorted(folder.glob("*.yaml")):
    if checked(policy).policy.models:
        dag = model_release_dag(policy)
        globals()[dag.dag_id] = dag
