"""One DAG a policy that asks queries: each is answered by its schedule, with noise, from a budget that is counted.

The folder is `[veil] policies` in Airflow's configuration, or `VEIL_POLICIES`, or `policies` beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import conf

from airflow_veil.pipelines.dp_release import dp_release_dag
from airflow_veil.privacy.release.workspace import checked

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)

for policy in sorted(folder.glob("*.yaml")):
    private = checked(policy).policy.differential_privacy
    if private is not None and private.queries:
        dag = dp_release_dag(policy)
        globals()[dag.dag_id] = dag
