"""`keep`: the column leaves as it is."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import ANY, Family


class Keep(Transform):
    """Release the column unchanged.

    Input: any type. Output: the same column. Nulls: kept. Guarantee: none; a direct identifier or free text
    with this treatment does not pass `veil check`.
    """

    word: ClassVar[str] = "keep"
    step: ClassVar[Step] = Step.MINIMIZE

    @property
    def properties(self) -> Properties:
        return Properties(deterministic=True, reversible=True, unique=True, hides_length=False, masks=False)

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return source

    def prepare(self, binding: Binding) -> Kernel:
        return lambda column, _inputs: column
