"""`constant`: one value for every row."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import ANY, Family
from airflow_veil.privacy.transforms.text import decoded

FiniteFloat = Annotated[StrictFloat, Field(allow_inf_nan=False)]


class Constant(Transform):
    """Put one value in every row.

    Input: any type. Output: the type of the value: string, int64, float64 or bool. Nulls: filled with the
    value, or kept with `keep_nulls`. Guarantee: no value of the column is in the output; with `keep_nulls` it
    shows which rows had one.
    """

    word: ClassVar[str] = "constant"
    step: ClassVar[Step] = Step.MINIMIZE

    value: StrictBool | StrictInt | FiniteFloat | StrictStr
    """What every row gets; its own type is the type of the column."""
    keep_nulls: bool = False
    """Whether a null stays null."""

    @field_validator("value")
    @classmethod
    def _fits(cls, value: bool | int | float | str) -> bool | int | float | str:  # noqa: FBT001, PYI041
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise PydanticCustomError("constant_value", "a whole number must fit into 64 bits")
        return value

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=True,
            reversible=False,
            unique=False,
            hides_length=True,
            masks=True,
            nulls="kept" if self.keep_nulls else "filled",
        )

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    @property
    def settles(self) -> frozenset[Family]:
        families = {str: Family.TEXT, int: Family.INTEGER, float: Family.FLOATING, bool: Family.BOOLEAN}
        return frozenset({families[type(self.value)]})

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[type(self.value)]

    def prepare(self, binding: Binding) -> Kernel:
        value = pa.scalar(self.value, self.output_type(binding.type))
        if not self.keep_nulls:
            return lambda column, _inputs: pa.repeat(value, len(column))
        null = pa.scalar(None, value.type)
        return lambda column, _inputs: pc.if_else(decoded(column).is_valid(), value, null)
