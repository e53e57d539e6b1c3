"""`GeneralizeOperator`: the generalize step of a plan."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.operators.step import StepOperator
from airflow_veil.privacy.transforms.base import Step


class GeneralizeOperator(StepOperator):
    """Make values coarser: `generalize`.

    The last step: reads what `MaskOperator` staged, and stages the release itself beside its destination.
    """

    step: ClassVar[Step] = Step.GENERALIZE
