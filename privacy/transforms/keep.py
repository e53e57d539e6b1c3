"""`keep`: the column leaves as it is."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform


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

    def accepts(self, source: pa.DataType) -> bool:
        return True

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return source

    def prepare(self, binding: Binding) -> Kernel:
        return lambda column, _inputs: column
