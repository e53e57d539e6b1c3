"""One DAG a policy that makes up tables: a model is fitted, rows are drawn, evaluated and published, by its schedule.

The folder is `[veil] policies` in Airflow's configuration, or `VEIL_POLICIES`, or `policies` beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import conf

from airflow_veil.pipelines.synthetic_refresh import synthetic_refresh_dag
from airflow_veil.privacy.release.workspace import checked

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)

for policy in sorted(folder.glob("*.yaml")):
    if checked(policy).policy.synthetic is not None:
        dag = synthetic_refresh_dag(policy)
        globals()[dag.dag_id] = dag
