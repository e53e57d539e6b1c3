"""`TokenizeOperator`: the tokenize step of a plan."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.operators.step import StepOperator
from airflow_veil.privacy.transforms.base import Step


class TokenizeOperator(StepOperator):
    """Replace identifiers by keyed values: `token`, `fpe`, `fake`, `date_shift`, `noise`.

    Reads what `MinimizeOperator` staged.
    """

    step: ClassVar[Step] = Step.TOKENIZE
