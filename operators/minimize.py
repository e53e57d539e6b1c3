"""`MinimizeOperator`: the minimize step of a plan."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.operators.step import StepOperator
from airflow_veil.privacy.transforms.base import Step


class MinimizeOperator(StepOperator):
    """Leave out what the release does not need: unnamed and dropped columns, rows by `where` and `sample`.

    The first step: reads the source, begins the release, and stages what is left.
    """

    step: ClassVar[Step] = Step.MINIMIZE
