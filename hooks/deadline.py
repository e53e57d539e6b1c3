"""What Airflow calls when an erasure is not through some days before its requests are due."""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger(__name__)


async def warn(**kwargs: Any) -> None:
    """Say so in the triggerer's log; name another callback in `erasure_dag(deadline=…)` to send it on.

    Args:
        kwargs: What Airflow tells of the run: ids and times.
    """
    run = (kwargs.get("context") or {}).get("dag_run") or {}
    _log.error(
        "Erasure is not through, and its requests are due soon: DAG %s, run %s",
        run.get("dag_id", "unknown"),
        run.get("dag_run_id") or run.get("run_id", "unknown"),
    )
