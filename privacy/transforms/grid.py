"""Places on the map as the nearest crossing of a grid of degrees."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.buckets import rounded
from airflow_veil.privacy.transforms.family import NUMBERS, Family
from airflow_veil.privacy.transforms.form import Coarsen

_DEGREES = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One coordinate, latitude or longitude in decimal degrees, rounded to the grid: float64.

    Attributes:
        step: The distance of the grid's lines, in degrees.
    """

    step: Fraction

    masks = True
    hides_length = False
    covers = "degrees from -180 to 180"
    takes = NUMBERS - {Family.INTEGER}
    settles = frozenset({Family.FLOATING})

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.float64()

    def prepare(self, binding: Binding) -> Coarsen:
        def coarsen(column: pa.Array) -> pa.Array:
            degrees = rounded(column, self.step, binding.where)
            return pc.if_else(
                pc.less_equal(pc.abs(degrees), _DEGREES), degrees, pa.scalar(None, pa.float64())
            )

        return coarsen
