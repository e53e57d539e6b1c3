"""`MaskOperator`: the mask step of a plan."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.operators.step import StepOperator
from airflow_veil.privacy.transforms.base import Step


class MaskOperator(StepOperator):
    """Hide parts of values: `mask`, `redact`.

    Reads what `TokenizeOperator` staged.
    """

    step: ClassVar[Step] = Step.MASK
