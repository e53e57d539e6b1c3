"""Constraints that hold in every row, whatever a model drew.

An inequality is mended by raising the greater column to the smaller one: the policy's bounds leave room for that, which
`check` looks at. It changes only rows that break it, after bounds and rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.policy.synthetic import Inequality
from airflow_veil.privacy.synthetic.coordinates import Coordinates, decoded, encoded, step
from airflow_veil.privacy.synthetic.specification import (
    ColumnSpecification,
    TableSpecification,
    inequalities_of,
)


def held(table: TableSpecification, columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Columns whose rows meet the inequalities of their table.

    Args:
        table: The table.
        columns: Arrow columns by name, n values each, of its types and within its bounds.

    Returns:
        The same, with the greater columns raised where they were too small. Where one of two is empty, nothing is
        compared. Combinations are up to who learned them.
    """
    result = dict(columns)
    for one in inequalities_of(table.constraints, where=table.name):
        low, high = table[one.low], table[one.high]
        below, _ = encoded(result[one.low], low)
        above, _ = encoded(result[one.high], high)
        broken = _broken(_offset(table, one) + below, above, strict=one.strict)
        if broken.any():
            least = _offset(table, one) + below
            raised = _above(least, high) if one.strict else least
            result[one.high] = decoded(np.where(broken, raised, above), high)
    return result


def broken_rows(table: TableSpecification, columns: Mapping[str, pa.Array]) -> int:
    """How many rows break an inequality: of the source, before values are clamped.

    Args:
        table: The table.
        columns: Arrow columns by name, as the source delivers them, in the types of the table.
    """
    count = 0
    for one in inequalities_of(table.constraints, where=table.name):
        low, high = columns[one.low], columns[one.high]
        wrong = pc.greater_equal(low, high) if one.strict else pc.greater(low, high)
        count += pc.sum(wrong).as_py() or 0
    return count


def _offset(table: TableSpecification, one: Inequality) -> float:
    """What makes coordinates of the smaller column such of the greater one: times count from the first day of each."""
    low, high = table[one.low].declared.dates, table[one.high].declared.dates
    if low is None or high is None or not pa.types.is_timestamp(table[one.high].type):
        return 0.0
    return float((low.bounds[0] - high.bounds[0]).total_seconds())


def _above(least: Coordinates, column: ColumnSpecification) -> Coordinates:
    """The next coordinates that the column can have."""
    if step(column):
        return least + step(column)
    kind = np.float32 if pa.types.is_float32(column.type) else np.float64
    following: Coordinates = np.nextafter(least.astype(kind), kind(np.inf)).astype(np.float64)
    return following


def _broken(below: Coordinates, above: Coordinates, *, strict: bool) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return below >= above if strict else below > above
