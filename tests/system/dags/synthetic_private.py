"""A differentially private synthetic release, by the DAG of its policy; the first try of each step is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow_veil.pipelines.synthetic_refresh import synthetic_refresh_dag

FAILS_AFTER = ("fit", "synthesize", "publish")
"""Steps whose first try is lost right after its work."""


def _fail_after(context: dict[str, Any], result: Any = None) -> None:
    """A worker that is lost when its work is done."""
    if context["ti"].try_number == 1 and context["ti"].task_id.endswith(FAILS_AFTER):
        raise ConnectionError("lost right after the work was done")


paid = synthetic_refresh_dag(Path(os.environ["AIRFLOW_HOME"]) / "policies" / "paid.yaml")
for task in paid.tasks:
    task.post_execute = _fail_after
