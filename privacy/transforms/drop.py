"""`drop`: the column does not leave."""

from __future__ import annotations

from typing import ClassVar

from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import ANY, Family


class Drop(Transform):
    """Leave the column out of the release.

    Input: any type. Output: no column. Nulls: none leave. Guarantee: no value of the column, nor its name's
    field, is in the output. Other treatments of the same row may still read it (`redact` knows names so).
    """

    word: ClassVar[str] = "drop"
    step: ClassVar[Step] = Step.MINIMIZE

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=True, reversible=False, unique=False, hides_length=True, masks=True, nulls="all"
        )

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    def output_type(self, source: pa.DataType) -> None:
        return None

    def prepare(self, binding: Binding) -> Kernel:
        raise InternalError("a dropped column has no kernel", where=binding.where)
