"""One DAG a policy: every policy in the configured folder that releases rows is released by its schedule.

The folder is `[veil] policies` in Airflow's configuration, or `VEIL_POLICIES`, or `policies` beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import conf

from airflow_veil.pipelines.sanitized_release import released_datasets, sanitized_release_dag

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)

for policy in sorted(folder.glob("*.yaml")):
    # Where every column is dropped, rows are not what the policy is for: its queries have DAGs of their own.
    if released_datasets(policy):
        dag = sanitized_release_dag(policy)
        globals()[dag.dag_id] = dag
