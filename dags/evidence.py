"""The evidence is anchored outside the database, and verified, every morning: what the night did is in it by then.

Where to is `[veil] anchors` in Airflow's configuration, or `VEIL_ANCHORS`: a file, a folder, a git repository or
`s3://BUCKET/PREFIX/`, which whoever owns the database cannot change unseen. Without it there is no such DAG. The key is
made once, by `veil audit keygen`.
"""

from __future__ import annotations

import os

from airflow.sdk import conf

from airflow_veil.pipelines.evidence import evidence_dag

anchors = conf.get("veil", "anchors", fallback=None) or os.environ.get("VEIL_ANCHORS")

if anchors:
    dag = evidence_dag(to=anchors)
