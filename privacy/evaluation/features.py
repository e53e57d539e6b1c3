"""Rows as what a model learns from: a matrix of numbers and of small codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from airflow_veil.privacy.evaluation.tables import Rows
from airflow_veil.privacy.lazy import np

MOST_CATEGORIES = 200
"""Categories of a column that a model tells apart; what is rarer is one."""
FEWEST_NUMBERS = 50
"""Of a column with fewer numbers a model learns only whether there is one."""


class Features(NamedTuple):
    """Matrices of several tables with the same columns.

    Attributes:
        of: A matrix a table, rows by columns, float64; NaN for a null number.
        categorical: Which columns are codes.
    """

    of: tuple[np.ndarray[Any, Any], ...]
    categorical: np.ndarray[Any, Any]


def features(tables: Sequence[Rows], columns: Sequence[str]) -> Features:
    """The columns of some tables as matrices.

    Args:
        tables: Tables that were encoded together.
        columns: The columns.
    """
    made = [np.empty((table.length, len(columns))) for table in tables]
    for place, name in enumerate(columns):
        if name in tables[0].scaled:
            few = min(int((~np.isnan(table.scaled[name])).sum()) for table in tables) < FEWEST_NUMBERS
            for matrix, table in zip(made, tables, strict=True):
                # A model cannot make bins of a part of the rows in which nobody has a number.
                matrix[:, place] = np.isnan(table.scaled[name]) if few else table.scaled[name]
            continue
        codes = [table.codes[name].codes for table in tables]
        small = _frequent(np.concatenate(codes), tables[0].codes[name].cardinality)
        for matrix, own in zip(made, codes, strict=True):
            matrix[:, place] = small[own]
    return Features(tuple(made), np.array([name not in tables[0].scaled for name in columns]))


@contextmanager
def one_thread() -> Iterator[None]:
    """Models learn on one thread: of so few rows others would only wait, and on a busy machine for long."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        yield


def _frequent(codes: np.ndarray[Any, Any], cardinality: int) -> np.ndarray[Any, Any]:
    """A small code for each code: the most frequent have one of their own."""
    often = np.argsort(-np.bincount(codes, minlength=cardinality), kind="stable")
    small = np.full(cardinality, MOST_CATEGORIES)
    small[often[:MOST_CATEGORIES]] = np.arange(min(MOST_CATEGORIES, cardinality))
    return small
