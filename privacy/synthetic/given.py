"""Conditional sampling: rows in which some learned columns have given values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.coordinates import coordinate, decoded
from airflow_veil.privacy.synthetic.specification import BATCH_ROWS, Specification, TableSpecification

Given = Mapping[str, str | int | float | bool]
"""Values that columns have in every row."""
Conditions = Mapping[str, float]
"""Their coordinates."""
Draw = Callable[[int, int], dict[str, pa.Array]]
"""Draws columns of some rows, for the first, second, … time."""

_ROUNDS = 50
"""How many times rows are drawn for one batch of those that meet a condition."""
_NEAR = 0.01
"""How far off a float may be to meet a condition, as a share of the bounds' distance."""


def conditions_of(specification: Specification, given: Given | None) -> Conditions:
    """The coordinates of given values.

    Raises:
        SyntheticError: A column is not learned, a value is not declared, or there are several tables.
    """
    if not given:
        return {}
    table = specification.only
    learned = {column.name: column for column in table.learned}
    for name in given:
        if name not in learned:
            raise SyntheticError(
                "values are given of learned columns",
                where=f"{table.name}.{name}",
                expected=", ".join(learned),
            )
    return {name: coordinate(value, learned[name]) for name, value in given.items()}


def meeting(
    table: TableSpecification, conditions: Conditions, count: int, draw: Draw, *, directed: bool
) -> dict[str, pa.Array]:
    """Rows that meet conditions, drawn until there are enough.

    Args:
        table: The table.
        conditions: Coordinates of the values of columns. A float meets one that is near, and gets the value.
        count: How many rows.
        draw: Draws the columns of rows; `BATCH_ROWS` of them at most are asked for.
        directed: Whether what is drawn mostly meets the conditions.

    Returns:
        The columns by name, `count` values each.

    Raises:
        SyntheticError: Too few rows met them.
    """
    if not conditions:
        return draw(count, 0)
    parts: list[pa.Table] = []
    found = drawn = 0
    for round_ in range(_ROUNDS):
        missing = count - found
        # As many as should do by what met it so far.
        rows = missing if directed or not drawn else min(BATCH_ROWS, missing * drawn // max(found, 1) + 100)
        columns = draw(rows, round_)
        drawn += rows
        parts.append(pa.table(columns).filter(_met(table, columns, conditions)).slice(0, missing))
        found += parts[-1].num_rows
        if found >= count:
            whole = pa.concat_tables(parts).combine_chunks()
            return {name: whole.column(name).combine_chunks() for name in whole.column_names}
    raise SyntheticError(
        f"only {found} of {count} rows met the condition, of {drawn} that were drawn",
        where=table.name,
        fix="give fewer columns, values that are not so rare, or use `gaussian_copula`",
    )


def _met(table: TableSpecification, columns: dict[str, pa.Array], conditions: Conditions) -> pa.Array:
    """Which rows meet the conditions; floats that are near get the value."""
    met = np.ones(len(next(iter(columns.values()))), np.bool_)
    no = pa.scalar(False)  # noqa: FBT003 - an Arrow value
    for name, wanted in conditions.items():
        column = table[name]
        value = decoded(np.array([wanted]), column)[0]
        if pa.types.is_floating(column.type) and column.declared.numbers is not None:
            low, high = column.declared.numbers.bounds
            distance = pc.abs(pc.subtract(columns[name].cast(pa.float64()), pa.scalar(wanted)))
            near = pc.less_equal(distance, pa.scalar(_NEAR * (high - low)))
            columns[name] = pc.if_else(pc.fill_null(near, no), value, columns[name])
        met &= pc.fill_null(pc.equal(columns[name], value), no).to_numpy(zero_copy_only=False)
    return pa.array(met)
