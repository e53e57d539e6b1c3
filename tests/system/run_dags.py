"""Runs DAGs one after another in one process, in the installation that the environment names.

    python run_dags.py '[{"dag_id": …, "logical_date": …, "conf": …, "retries": 0, "fork": false}]' results.json

Starting Airflow costs more than running a DAG: a test asks for all its runs at once. Each runs as `airflow dags test`
would run it, or, with `fork`, as `airflow dags test --use-executor` does: each task in a process and with a log file
of its own. The results are the runs' states and those of their tasks.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.utils.providers_configuration_loader import providers_configuration_loaded

IMPORTED_BY_TASKS = (
    "airflow.providers.openlineage.extractors.manager",
    "airflow.providers.openlineage.plugins.adapter",
    "airflow_veil.privacy.release.detokenize",
    "airflow_veil.privacy.release.service",
    "great_expectations",
    "pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    from airflow.utils.cli import get_bagged_dag

    dag = get_bagged_dag(None, job["dag_id"])
    for task in dag.tasks:
        # A night waits minutes before it tries again; a test does not.
        task.retries = job.get("retries", 0)
        task.retry_delay = timedelta(0)
    date = job.get("logical_date")
    started = time.time()
    run = dag.test(
        logical_date=datetime.fromisoformat(f"{date}T00:00:00+00:00") if date else None,
        run_conf=job.get("conf"),
        use_executor=job.get("fork", False),
    )
    return {
        "dag_id": job["dag_id"],
        "run_id": run.run_id,
        "state": str(run.state),
        "started": started,
        "tasks": {ti.task_id: str(ti.state) for ti in run.get_task_instances()},
    }


def _import_once() -> None:
    """Import here what each task would otherwise import anew in its own process, at seconds each."""
    from airflow_veil.privacy.release import expectations

    expectations._quiet()
    for module in IMPORTED_BY_TASKS:
        importlib.import_module(module)


@providers_configuration_loaded
def main(jobs: str, results: str) -> None:
    """Run the jobs and write what became of each."""
    _import_once()
    Path(results).write_text(json.dumps([_run(job) for job in json.loads(jobs)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
