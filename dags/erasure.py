"""One DAG a policy that says how people are erased: it starts when somebody asks for it.

The folder is `[veil] policies` in Airflow's configuration, or `VEIL_POLICIES`, or `policies` beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import conf

from airflow_veil.pipelines.erasure import erasure_dag, has_erasure

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)

for policy in sorted(folder.glob("*.yaml")):
    if has_erasure(policy):
        dag = erasure_dag(policy)
        globals()[dag.dag_id] = dag
