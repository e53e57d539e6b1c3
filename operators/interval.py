"""What a task run is about: the interval that a release stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_veil.privacy.release.interval import Interval

if TYPE_CHECKING:
    from airflow.sdk import Context


def interval_of(context: Context) -> Interval:
    """The interval of a DAG run.

    A run that has a data interval or a logical date stands for it, so that a retry, a cleared task and a second run
    of the same night make one release. A run without either (triggered by an asset or by hand) stands for itself.

    Args:
        context: The task's context.

    Returns:
        The interval; its key is part of the release's identity.
    """
    run = context["dag_run"]
    start, end = run.data_interval_start, run.data_interval_end
    if start is not None and end is not None and start < end:
        return Interval(key=f"{_stamp(start)}_{_stamp(end)}", start=start, end=end)
    if run.logical_date is not None:
        return Interval(key=_stamp(run.logical_date), start=run.logical_date, end=run.logical_date)
    return Interval(key=str(run.run_id), start=None, end=run.run_after)


def _stamp(moment: object) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"
