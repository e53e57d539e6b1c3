"""What a row counts for in a statistic: nothing, one, a number of whole steps, or a cell.

Numbers become whole steps here, row by row, before anything is added. Sums of whole numbers are the same in any order;
sums of floating point numbers are not, and the difference is larger than the noise allows for: Casacuberta, Shoemate,
Vadhan and Wagaman, "Widespread Underestimation of Sensitivity in Differentially Private Libraries and How to Fix It",
CCS 2022, https://arxiv.org/abs/2207.10635. Clamping, subtracting, dividing and rounding a double are operations of IEEE
754 on that double alone; their result is clamped once more, to the very steps that the sensitivity is computed from.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import polars as pl
import pyarrow as pa

from airflow_veil.privacy.dp.labels import is_label_type, numbered, parsed
from airflow_veil.privacy.dp.statistic import Bins, Form, Ranks, Reading, Rows, Statistic, Total, Units
from airflow_veil.privacy.errors import SchemaError

Added = Callable[[pl.LazyFrame], pl.LazyFrame]
"""Adds a column to rows, row by row."""

MOST_STEPS = 1 << 31
"""Steps of one row are fewer: sums of 2^32 rows still fit 64 bits."""
MOST_MAGNITUDE = Fraction(10) ** 150
"""Of bounds: the square of a greater double may be no finite one."""
LEAST_STEP = Fraction(1, 10**300)


def mark(statistic: Statistic, name: str, column: str, kind: pa.DataType, *, where: str) -> Added | None:
    """How the rows are marked for one statistic.

    Args:
        statistic: The statistic.
        name: The column to add: boolean for `Rows`; int32 for the others, null where the row does not count: whole
            steps between `Total.steps`, or a cell of 0 to `width` - 1.
        column: Where the column that it reads stands.
        kind: The type of that column; decimals come as float64.
        where: The place to name in an error.

    Returns:
        What adds the column; None where each row counts.

    Raises:
        SchemaError: The column's type does not fit, or a row may count for too many steps.
    """
    if isinstance(statistic, Units) or statistic.of is None:
        return None
    if isinstance(statistic, Rows):
        read = pl.col(column)
        there = (_number(statistic.of, kind, read) if is_number(kind) else read).is_not_null()
        return lambda frame: frame.with_columns(there.alias(name))
    if isinstance(statistic, Bins) and statistic.values:
        return _values(statistic, name, column, kind, where)
    return _of_number(statistic, name, column, kind, where)


def _of_number(
    statistic: Total | Bins | Ranks, name: str, column: str, kind: pa.DataType, where: str
) -> Added:
    if not is_number(kind):
        raise SchemaError(f"the column has the type {kind}", where=where, expected="numbers")
    number = _number(statistic.of, kind, pl.col(column))
    if isinstance(statistic, Total):
        steps = _steps(statistic, number, where)
        return lambda frame: frame.with_columns(steps.alias(name))
    if isinstance(statistic, Ranks):
        return _placed(number, _in_ranks(np.array(statistic.candidates)), name)
    first, last = statistic.edges[0], statistic.edges[-1]
    inside = pl.when(number.is_infinite()).then(number.clip(first, last)).otherwise(number)
    return _placed(inside, _in_bins(np.array(statistic.edges)), name)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _number(of: Reading, kind: pa.DataType, read: pl.Expr) -> pl.Expr:
    """A column of numbers as float64, by its reading: null where the row does not count, never NaN."""
    number = read.cast(pl.Float64)
    if of.null is not None:
        number = number.fill_null(of.null)
    if pa.types.is_integer(kind):
        return number
    number = number.fill_nan(of.nan)
    return number if of.clamp_infinite else pl.when(number.is_infinite()).then(None).otherwise(number)


def _steps(total: Total, number: pl.Expr, where: str) -> pl.Expr:
    """Whole steps of a number, int32, rounded to the nearest (half to even)."""
    least, most = total.steps
    magnitude = max(abs(total.low), abs(total.high))
    if max(-least, most) >= MOST_STEPS or magnitude > MOST_MAGNITUDE or total.step < LEAST_STEP:
        raise SchemaError(
            "a row may count for too many steps",
            where=where,
            expected="bounds of fewer than 2^31 steps",
            fix="name a coarser `granularity`, or narrower `bounds`",
        )
    clamped = number.clip(float(total.low), float(total.high))
    value = clamped if total.form is Form.VALUE else clamped - float(total.middle)
    if total.form is Form.SQUARED:
        value = value * value
    return (value / float(total.step)).round().clip(least, most).cast(pl.Int32)


def _values(bins: Bins, name: str, column: str, kind: pa.DataType, where: str) -> Added:
    """Bins of single values; a number that nulls count as is one of them, or none."""
    if not is_label_type(kind):
        raise SchemaError(
            f"the column has the type {kind}",
            where=where,
            expected="text, whole numbers of at most 64 bits, booleans or dates, for a histogram of values",
        )
    values = parsed(bins.values, kind, where=where)
    null = bins.of.null
    if null is None:
        return lambda frame: numbered(frame, column, kind, values, name)
    if not is_number(kind):
        raise SchemaError(f"nulls of a column of type {kind} count as a number", where=where, expected="drop")
    instead = values.index(null) if null in values else None
    absent = pl.when(pl.col(column).is_null()).then(pl.lit(instead, pl.UInt32)).otherwise(pl.col(name))
    return lambda frame: numbered(frame, column, kind, values, name).with_columns(absent.alias(name))


def _placed(number: pl.Expr, place: Callable[[np.ndarray], np.ndarray], name: str) -> Added:
    """A cell for each number; `place` takes doubles, NaN for null, and returns int32, -1 for no cell."""

    def placed(series: pl.Series) -> pl.Series:
        numbers = series.to_numpy()
        cells = place(numbers)
        cells[np.isnan(numbers)] = -1
        return pl.Series(series.name, cells)

    cell = number.map_batches(placed, return_dtype=pl.Int32, is_elementwise=True)
    return lambda frame: frame.with_columns(cell.alias(name)).with_columns(
        pl.when(pl.col(name) >= 0).then(pl.col(name)).alias(name)
    )


def _in_bins(edges: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A bin holds its left edge, the last one both."""

    def place(numbers: np.ndarray) -> np.ndarray:
        cells = np.searchsorted(edges, numbers, side="right").astype(np.int32) - np.int32(1)
        cells[numbers == edges[-1]] = len(edges) - 2
        cells[numbers > edges[-1]] = -1
        return cells

    return place


def _in_ranks(candidates: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Twice the candidates below, and one where it is one itself: see `Ranks`."""

    def place(numbers: np.ndarray) -> np.ndarray:
        below = np.searchsorted(candidates, numbers, side="left")
        return (below + np.searchsorted(candidates, numbers, side="right")).astype(np.int32)

    return place
