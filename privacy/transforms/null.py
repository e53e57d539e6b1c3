"""`null`: the column leaves empty."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import ANY, Family


class Null(Transform):
    """Release the column with every value null, so that its readers still find it.

    Input: any type. Output: the same type. Nulls: all. Guarantee: no value of the column is in the output,
    not even which of them were null.
    """

    word: ClassVar[str] = "null"
    step: ClassVar[Step] = Step.MINIMIZE

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=True, reversible=False, unique=False, hides_length=True, masks=True, nulls="all"
        )

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    @property
    def settles(self) -> frozenset[Family]:
        return ANY

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return source

    def prepare(self, binding: Binding) -> Kernel:
        kind = binding.type
        return lambda column, _inputs: pa.nulls(len(column), kind)
