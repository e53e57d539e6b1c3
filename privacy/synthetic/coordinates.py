"""Learned columns as plain numbers, and back: what every library of models takes, within the bounds of the policy.

Numbers are themselves, dates the days since 1970, times the seconds since the first day, and categories the number of
the value in the policy's list. So a fitted model holds no text of the source at all, and whatever it draws becomes a
declared value of the declared type: what a library learned as least and greatest of the data does not matter.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.specification import ColumnSpecification

Coordinates = NDArray[np.float64]
"""Numbers of a column, shape (n,); NaN where it is empty."""

_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_EXACT_DECIMALS = 15


def limits(column: ColumnSpecification) -> tuple[float, float]:
    """The least and the greatest coordinate of a column.

    Raises:
        SyntheticError: The column is not learned.
    """
    said = column.declared
    if said.numbers is not None:
        low, high = said.numbers.bounds
        return (math.ceil(low), math.floor(high)) if is_whole(column) else (low, high)
    if said.dates is not None:
        first, last = (day.toordinal() - _EPOCH for day in said.dates.bounds)
        if pa.types.is_timestamp(column.type):
            return 0.0, float((last - first + 1) * _DAY_SECONDS - 1)
        return float(first), float(last)
    if said.categories is not None:
        return 0.0, float(len(column.values) - 1)
    raise SyntheticError(f"a column of the word {column.word} is not learned", where=column.name)


def is_whole(column: ColumnSpecification) -> bool:
    """Whether the coordinates of a column are whole numbers."""
    return not pa.types.is_floating(column.type)


def step(column: ColumnSpecification) -> float:
    """How far two different coordinates are apart at least; 0 where any distance will do."""
    numbers = column.declared.numbers
    if is_whole(column) or numbers is None:
        return 1.0
    return 0.0 if numbers.decimals is None else 10.0**-numbers.decimals


def encoded(array: pa.Array, column: ColumnSpecification) -> tuple[Coordinates, NDArray[np.bool_]]:
    """The coordinates of values, clamped to the bounds.

    Args:
        array: n values in any storage of the column's type.
        column: The column.

    Returns:
        n coordinates, and which values are none that the column declares: their coordinates mean nothing. NaN counts
        as empty.

    Raises:
        SyntheticError: The values are of a type that is not the column's.
    """
    array = typed(array, column)
    if column.declared.categories is not None:
        return _codes(array, column)
    numbers = _numbers(array, column)
    low, high = limits(column)
    return _rounded(numbers, column).clip(low, high), np.zeros(len(array), np.bool_)


def typed(array: pa.Array, column: ColumnSpecification) -> pa.Array:
    """Values in the type of their column.

    Raises:
        SyntheticError: They are of another type, or one does not fit it.
    """
    try:
        return array.cast(column.type) if array.type != column.type else array
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SyntheticError(
            f"the column is delivered as {array.type}", where=column.name, expected=str(column.type)
        ) from None


def decoded(coordinates: Coordinates, column: ColumnSpecification) -> pa.Array:
    """The values of coordinates: clamped to the bounds, rounded, of the column's type.

    Args:
        coordinates: Shape (n,), any numbers; NaN and nothing else becomes null.
        column: The column. One that cannot be empty takes the middle of its bounds for NaN.
    """
    low, high = limits(column)
    empty = np.isnan(coordinates)
    numbers = _rounded(np.where(empty, (low + high) / 2, coordinates).clip(low, high), column).clip(low, high)
    values = _values(numbers, column)
    if column.nulls and empty.any():
        return pc.if_else(pa.array(empty), pa.scalar(None, column.type), values)
    return values


def coordinate(value: str | float | bool, column: ColumnSpecification) -> float:  # noqa: FBT001 - data
    """The coordinate of one value, as a condition or a policy says it; dates as ISO 8601 writes them.

    Raises:
        SyntheticError: The column does not declare it.
    """
    try:
        if column.declared.categories is not None:
            # True is 1 to Python, and not to a policy.
            known: list[tuple[type, object]] = [(type(one), one) for one in column.values]
            return float(known.index((type(value), value)))
        number = _moment(str(value), column) if column.declared.dates is not None else float(value)
    except (ValueError, TypeError):
        number = math.nan
    low, high = limits(column)
    if not low <= number <= high:
        raise SyntheticError(
            "the value is none that the column declares", where=column.name, expected=_expected(column)
        )
    return number


def _expected(column: ColumnSpecification) -> str:
    if column.declared.categories is not None:
        return f"one of its {len(column.values)} declared values, of type {column.type_name}"
    return f"a value of type {column.type_name} within its bounds"


def _moment(text: str, column: ColumnSpecification) -> float:
    if pa.types.is_timestamp(column.type) and column.declared.dates is not None:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp() - (column.declared.dates.bounds[0].toordinal() - _EPOCH) * _DAY_SECONDS
    return float(date.fromisoformat(text).toordinal() - _EPOCH)


def _codes(array: pa.Array, column: ColumnSpecification) -> tuple[Coordinates, NDArray[np.bool_]]:
    found = pc.index_in(array, value_set=pa.array(column.values, column.type))
    other = column.declared.categories.other if column.declared.categories else None
    empty = array.is_null().to_numpy(zero_copy_only=False)
    missing = found.is_null().to_numpy(zero_copy_only=False) & ~empty
    codes = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    if other is not None:
        codes[missing] = column.values.index(other)
        missing = np.zeros(len(array), np.bool_)
    codes[empty] = np.nan
    return codes, missing


def _numbers(array: pa.Array, column: ColumnSpecification) -> Coordinates:
    if pa.types.is_timestamp(column.type):
        return _seconds(array, column)
    if pa.types.is_date(column.type):
        array = array.cast(pa.int32())
    numbers: Coordinates = (
        array.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy(zero_copy_only=False)
    )
    return numbers


def _seconds(array: pa.Array, column: ColumnSpecification) -> Coordinates:
    """Seconds since the first day."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    days = column.declared.dates.bounds[0].toordinal() - _EPOCH if column.declared.dates else 0
    ticks = array.cast(pa.int64())
    empty = ticks.is_null().to_numpy(zero_copy_only=False)
    whole = ticks.fill_null(0).to_numpy(zero_copy_only=False) // per_second - days * _DAY_SECONDS
    return np.where(empty, np.nan, whole)


def _rounded(numbers: Coordinates, column: ColumnSpecification) -> Coordinates:
    said = column.declared.numbers
    if is_whole(column):
        return np.rint(numbers)
    return numbers if said is None or said.decimals is None else np.round(numbers, said.decimals)


def _values(numbers: Coordinates, column: ColumnSpecification) -> pa.Array:
    if column.declared.categories is not None:
        return pa.array(column.values, column.type).take(pa.array(numbers.astype(np.int64)))
    if pa.types.is_floating(column.type):
        return pa.array(numbers).cast(column.type, safe=False)
    whole = numbers.astype(np.int64)
    if pa.types.is_timestamp(column.type) and column.declared.dates is not None:
        whole += (column.declared.dates.bounds[0].toordinal() - _EPOCH) * _DAY_SECONDS
        seconds = pa.array(whole).cast(pa.timestamp("s", column.type.tz))
        return seconds.cast(column.type)
    if pa.types.is_date(column.type):
        return pa.array(whole.astype(np.int32)).cast(column.type)
    return pa.array(whole).cast(column.type)
