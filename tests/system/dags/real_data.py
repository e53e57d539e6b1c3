"""The shipped policies on real data; releases go below AIRFLOW_HOME."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_veil.pipelines.sanitized_release import EPOCH, sanitized_release_dag, sanitized_release_group

RELEASES = Path(os.environ["AIRFLOW_HOME"]) / "releases"
CONFIGS = Path(os.environ["SHIPPED_POLICIES"])
POLICIES = Path(os.environ["AIRFLOW_HOME"]) / "policies"
ONCE: dict[str, Any] = {"default_args": {"retries": 0}}


def shipped(name: str) -> DAG:
    """The nightly DAG of a shipped policy."""
    return sanitized_release_dag(
        CONFIGS / f"{name}.yaml", schedule=None, destination=str(RELEASES / name), **ONCE
    )


online_retail, userdata, chinook = map(shipped, ("online_retail", "userdata", "chinook"))

# The same shop in PostgreSQL, from tables to tables.
chinook_postgres = sanitized_release_dag(POLICIES / "chinook_postgres.yaml", schedule=None, **ONCE)

with DAG("veil_synthea", schedule=None, start_date=EPOCH, **ONCE):
    for table in ("patients", "encounters", "conditions"):
        sanitized_release_group(CONFIGS / "synthea.yaml", table, destination=str(RELEASES / "synthea"))
