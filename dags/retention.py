"""One DAG a policy that says how long rows or releases are kept: what is over is deleted, every night.

The folder is `[veil] policies` in Airflow's configuration, or `VEIL_POLICIES`, or `policies` beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import conf

from airflow_veil.pipelines.retention import has_retention, retention_dag

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)

for policy in sorted(folder.glob("*.yaml")):
    if has_retention(policy):
        dag = retention_dag(policy)
        globals()[dag.dag_id] = dag
