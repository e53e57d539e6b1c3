"""Nights of a differentially private release; tasks fail before and after their work, and every real draw is noted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow_veil.pipelines.dp_release import dp_release_dag
from airflow_veil.privacy.dp import noise
from airflow_veil.privacy.release import dp_release

HOME = Path(os.environ["AIRFLOW_HOME"])
DRAWS = HOME / "draws.txt"
FAILS_BEFORE = {"2026-03-05", "2026-03-20"}
FAILS_AFTER = {"2026-03-07", "2026-03-08", "2026-04-01"}


def _noting(draw: Any) -> Any:
    """A draw that notes for what."""

    def noted(query: Any, *arguments: Any) -> Any:
        with DRAWS.open("a") as draws:
            draws.write(f"{query.name}\n")
        return draw(query, *arguments)

    return noted


# Airflow reads this file anew for each run.
if dp_release.draw is noise.draw:
    dp_release.draw = _noting(noise.draw)


def _night(context: dict[str, Any]) -> str:
    return f"{context['logical_date']:%Y-%m-%d}"


def _fail_before(context: dict[str, Any]) -> None:
    """A worker that is lost before it has done anything."""
    if context["ti"].try_number == 1 and _night(context) in FAILS_BEFORE:
        raise ConnectionError("lost before the work was done")


def _fail_after(context: dict[str, Any], result: Any = None) -> None:
    """A worker that is lost when the answer is drawn and published."""
    if context["ti"].try_number == 1 and _night(context) in FAILS_AFTER:
        raise ConnectionError("lost right after the work was done")


nights = dp_release_dag(HOME / "policies" / "nights.yaml", dag_id="dp_nights", schedule="@daily")
skipping = dp_release_dag(
    HOME / "policies" / "nights.yaml", dag_id="dp_skipping", schedule="@daily", on_exhausted="skip"
)
for task in nights.tasks:
    task.pre_execute = _fail_before
    task.post_execute = _fail_after
