"""The rows of one unit that count: so many at most, drawn by lot, whoever else is in the table.

Of a unit with n rows each subset of k is as probable as any other. What is left of a unit is a function of its own rows
and of random numbers of its own; so two tables that differ in one unit differ in k rows at most, where all others draw
the same numbers (the argument of `airflow_veil.privacy.dp.contributions`, with one group). Which rows stay does not
depend on their values. Units are told by exact numbers, never by a digest.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.dp.lots import Ints, Lots
from airflow_veil.privacy.dp.rows import check_unit
from airflow_veil.privacy.dp.totals import dense
from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.storage.batches import plain_array
from airflow_veil.privacy.synthetic.domain import Codes


class UnitRows:
    """Collects the codes of rows with the unit of each, two bytes a cell, and leaves each unit some of its rows."""

    def __init__(self, most: int, lots: Lots) -> None:
        """Nothing is there.

        Args:
            most: How many rows of a unit count.
            lots: Draws them; fresh in each run.
        """
        self._most = most
        self._lots = lots
        self._codes: list[list[NDArray[np.uint16]]] = []
        self._units: list[pa.Array] = []

    def add(self, codes: list[Codes], units: pa.Array, *, where: str) -> None:
        """Add rows. One whose unit is null is nobody's, and does not count.

        Args:
            codes: For each column the code of each row, int32, shape (rows,).
            units: The unit of each row, text or whole numbers.
            where: The place to name in an error.

        Raises:
            SchemaError: Units cannot be told by such a column.
        """
        units = plain_array(units)
        check_unit(units.type, where=where)
        there = units.is_valid().to_numpy(zero_copy_only=False)
        self._codes.append([column[there].astype(np.uint16) for column in codes])
        self._units.append(units.drop_null())

    def bounded(self) -> list[Codes]:
        """The codes of the rows that count.

        Raises:
            InternalError: More rows of a unit are left than may count.
        """
        if not self._units:
            return []
        owners, _ = dense(pl.from_arrow(pa.chunked_array(self._units)))  # type: ignore[arg-type]
        kept = _kept(owners, self._most, self._lots.draw(np.arange(len(owners)), "rows"))
        if np.unique(owners[kept], return_counts=True)[1].max(initial=0) > self._most:
            raise InternalError("contribution bounding failed: a unit has more rows than it may")
        return [np.concatenate(column)[kept].astype(np.int32) for column in zip(*self._codes, strict=True)]


def _kept(owners: Ints, most: int, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which rows stay: of each owner's, those with the least numbers."""
    order = np.lexsort((words, owners))
    sorted_owners = owners[order]
    first = np.flatnonzero(np.diff(sorted_owners, prepend=sorted_owners[:1] - 1))
    lengths = np.diff(np.append(first, len(owners)))
    rank = np.arange(len(owners)) - np.repeat(first, lengths)
    kept = np.zeros(len(owners), np.bool_)
    kept[order] = rank < most
    return kept
