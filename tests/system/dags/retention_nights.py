"""Nights of retention whose wall clock is what the run's configuration says."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_veil.pipelines.retention import retention_dag
from airflow_veil.privacy.retention import expiry, service

HOME = Path(os.environ["AIRFLOW_HOME"])


def _set_clock(context: dict[str, Any]) -> None:
    """Put the wall clock of this machine to another time; each task of a run reads it anew."""
    now = datetime.fromisoformat(context["dag_run"].conf["clock"])
    service.wall_clock = expiry.wall_clock = lambda: now


dag = retention_dag(
    HOME / "policies" / "invoices.yaml",
    dag_id="retention_nights",
    # So that a backfill can go back to the time of the data.
    start_date=datetime.fromisoformat("2010-01-01T00:00:00+00:00"),
)
for task in dag.tasks:
    task.pre_execute = _set_clock
