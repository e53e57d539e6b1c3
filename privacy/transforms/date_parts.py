"""Dates and times made coarse: only the larger units stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import Family
from airflow_veil.privacy.transforms.form import Coarsen
from airflow_veil.privacy.transforms.labels import labelled

Unit = Literal["decade", "year", "quarter", "month", "week", "day", "hour"]

_MONTHS = 12
_QUARTERS = 4
_WEEKS = 100


@dataclass(frozen=True, slots=True)
class DatePart:
    """A date or time cut to one unit, in the column's own time zone.

    `decade` and `year` give int32 (1980, 1987); `quarter`, `month` and `week` give texts `1987-Q2`, `1987-04`
    and `1987-W17` (ISO 8601, with the week's own year); `day` gives a date and `hour` a timestamp. With `lower` each
    is told by its start, a date or time as the column has them: 1980-01-01.

    Attributes:
        to: The unit.
        lower: Whether the unit's start is told.
    """

    to: Unit
    lower: bool = False

    masks = True
    hides_length = True
    covers = None

    @property
    def takes(self) -> frozenset[Family]:
        """A date has no hours, and cut to the day it would leave as it is."""
        times = frozenset({Family.TIMESTAMP})
        return times if self.to in ("day", "hour") else times | {Family.DATE}

    @property
    def settles(self) -> frozenset[Family]:
        return self.takes if self.lower or self.to == "hour" else frozenset()

    def output_type(self, source: pa.DataType) -> pa.DataType:
        if self.lower:
            return source
        if self.to in ("decade", "year"):
            return pa.int32()
        return {"day": pa.date32(), "hour": source}.get(self.to, pa.string())

    def prepare(self, binding: Binding) -> Coarsen:
        return partial(_start, self.to) if self.lower else _CUTS[self.to]


def _start(unit: Unit, column: pa.Array) -> pa.Array:
    """When the unit starts that each date or time is in; the days of weeks are counted from Monday."""
    if unit == "decade":
        return pc.floor_temporal(column, multiple=10, unit="year")
    return pc.floor_temporal(column, unit=unit)


def _year(column: pa.Array) -> pa.Array:
    return pc.year(column).cast(pa.int32())


def _decade(column: pa.Array) -> pa.Array:
    return pc.subtract(_year(column), _modulo(_year(column), 10))


def _modulo(values: pa.Array, by: int) -> pa.Array:
    """The remainder, never negative."""
    floor = pc.floor(pc.divide(values.cast(pa.float64()), float(by))).cast(values.type)
    return pc.subtract(values, pc.multiply(floor, pa.scalar(by, values.type)))


def _quarter(column: pa.Array) -> pa.Array:
    quarters = pc.add(pc.multiply(pc.year(column), _QUARTERS), pc.subtract(pc.quarter(column), 1))
    return labelled(quarters, lambda group: f"{group // _QUARTERS:04d}-Q{group % _QUARTERS + 1}")


def _month(column: pa.Array) -> pa.Array:
    months = pc.add(pc.multiply(pc.year(column), _MONTHS), pc.subtract(pc.month(column), 1))
    return labelled(months, lambda group: f"{group // _MONTHS:04d}-{group % _MONTHS + 1:02d}")


def _week(column: pa.Array) -> pa.Array:
    weeks = pc.add(pc.multiply(pc.iso_year(column), _WEEKS), pc.iso_week(column))
    return labelled(weeks, lambda group: f"{group // _WEEKS:04d}-W{group % _WEEKS:02d}")


def _day(column: pa.Array) -> pa.Array:
    return pc.local_timestamp(column).cast(pa.date32(), safe=False) if column.type.tz else _floor_day(column)


def _floor_day(column: pa.Array) -> pa.Array:
    return pc.floor_temporal(column, unit="day").cast(pa.date32())


def _hour(column: pa.Array) -> pa.Array:
    return pc.floor_temporal(column, unit="hour")


_CUTS: dict[Unit, Callable[[pa.Array], pa.Array]] = {
    "decade": _decade,
    "year": _year,
    "quarter": _quarter,
    "month": _month,
    "week": _week,
    "day": _day,
    "hour": _hour,
}
