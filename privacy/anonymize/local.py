"""Local suppression: of rows whose class is too small, as few cells as possible are suppressed in place of the row.

Rows that are to go are put together anew: with one cell of each suppressed, then with two, and so on; of the sets of
columns of one size the one comes first that brings most rows home. What becomes a class that holds the criteria stays.
A greedy search: each class is right, that there could not be fewer suppressed cells is not claimed.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from airflow_veil.privacy.anonymize.criteria import Criteria, held
from airflow_veil.privacy.anonymize.groups import Grouping
from airflow_veil.privacy.anonymize.lattice import Node
from airflow_veil.privacy.anonymize.levels import levels_of
from airflow_veil.privacy.anonymize.table import Coded
from airflow_veil.privacy.lazy import np

MOST_SETS = 4096
"""Sets of columns that are tried; with more than twelve columns, only small ones are."""


def suppress_cells(
    coded: Coded,
    node: Node,
    rows: np.ndarray[Any, Any],
    criteria: Criteria,
    totals: dict[str, np.ndarray[Any, Any]],
) -> np.ndarray[Any, Any]:
    """Which cells to suppress of rows that are in no class that holds the criteria.

    Args:
        coded: The table, n rows.
        node: How coarse its quasi-identifiers are.
        rows: Numbers of the rows to help.
        criteria: What their classes must hold.
        totals: How many rows, or people, of the whole table have each sensitive value.

    Returns:
        A row for each of `rows`, a column a quasi-identifier: whether the cell is suppressed. Where all are, there was
        no way, and the row has to go.
    """
    width = len(coded.levels)
    cells = np.ones((len(rows), width), bool)
    left = np.arange(len(rows))
    able = [which for which, level in enumerate(node) if len(coded.levels[which].labels[level]) > 1]
    tried = 0
    for size in range(1, len(able)):
        sets = list(combinations(able, size))
        tried += len(sets)
        if tried > MOST_SETS or len(left) < criteria.k:
            break
        grouping = _grouping(coded, node, rows[left], totals)
        gains = [int(_held_rows(grouping, columns, criteria, width).sum()) for columns in sets]
        for which in np.argsort(gains, kind="stable")[::-1]:
            if not gains[which] or len(left) < criteria.k:
                break
            home = _held_rows(_grouping(coded, node, rows[left], totals), sets[which], criteria, width)
            cells[left[home]] = np.isin(np.arange(width), sets[which])
            left = left[~home]
    return cells


def _grouping(
    coded: Coded, node: Node, rows: np.ndarray[Any, Any], totals: dict[str, np.ndarray[Any, Any]]
) -> Grouping:
    """Rows over hierarchies of two levels: as they are, and suppressed."""
    columns = [column.take(rows) for column in coded.at(node)]
    return Grouping(
        [levels_of(each.name, [[str(code), ""] for code in range(each.cardinality)]) for each in columns],
        [each.codes for each in columns],
        {name: each.take(rows) for name, each in coded.sensitive.items()},
        coded.subject.take(rows) if coded.subject else None,
        totals,
    )


def _held_rows(
    grouping: Grouping, columns: tuple[int, ...], criteria: Criteria, width: int
) -> np.ndarray[Any, Any]:
    """Whether each row is in a class that holds the criteria once some columns are suppressed."""
    node = tuple(int(which in columns) for which in range(width))
    groups = grouping.at(node)
    holds = held(criteria, grouping, groups).all
    found: np.ndarray[Any, Any] = holds[grouping.class_of_rows(groups)]
    return found
