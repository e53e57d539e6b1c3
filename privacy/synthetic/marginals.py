"""Exact marginals: how many rows have each combination of codes of some columns. They are private; noise is next.

Each is a count over rows, added up block by block: whole numbers, the same in any order and however rows are cut into
batches. Memory is that of the cells, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.synthetic.domain import Codes

Clique: TypeAlias = tuple[int, ...]
"""Columns by their numbers, rising."""
Cells = NDArray[np.int64]

MOST_CELLS = 1 << 27
"""Cells of all marginals: a gibibyte."""
_BLOCK = 1 << 16
"""Rows that are counted at a time."""


class Marginals:
    """Counts of rows, for marginals that are named beforehand.

    Attributes:
        sizes: How many codes each column has.
    """

    def __init__(self, sizes: Sequence[int], cliques: Iterable[Clique]) -> None:
        """All counts are zero.

        Raises:
            SchemaError: There are more cells than fit the memory.
        """
        self.sizes = tuple(sizes)
        shapes = {clique: tuple(self.sizes[column] for column in clique) for clique in cliques}
        cells = sum(map(prod, shapes.values()))
        if cells > MOST_CELLS:
            raise SchemaError(
                f"the marginals have {cells:,} cells",
                expected=f"at most {MOST_CELLS:,}",
                fix="declare fewer bins or categories, or leave columns out",
            )
        self._cells = {clique: np.zeros(shape, np.int64) for clique, shape in shapes.items()}

    def __repr__(self) -> str:
        return f"Marginals({len(self._cells)} of {len(self.sizes)} columns)"

    def add(self, codes: Sequence[Codes]) -> None:
        """Count rows.

        Args:
            codes: For each column the code of each row, from 0 to its size - 1, int32, shape (rows,).
        """
        rows = len(codes[0]) if codes else 0
        for start in range(0, rows, _BLOCK):
            self._add([column[start : start + _BLOCK] for column in codes])

    def counts(self, clique: Clique) -> Cells:
        """The counts of one marginal, shape as the sizes of its columns. Exact, so private."""
        return self._cells[clique]

    def _add(self, codes: list[Codes]) -> None:
        for clique, cells in self._cells.items():
            place = codes[clique[0]].astype(np.int64)
            for column in clique[1:]:
                place *= self.sizes[column]
                place += codes[column]
            if cells.size <= _BLOCK:
                cells.reshape(-1)[:] += np.bincount(place, minlength=cells.size)
            else:
                # So many cells would take longer than the rows.
                np.add.at(cells.reshape(-1), place, 1)


def pairs(sizes: Sequence[int]) -> list[Clique]:
    """All pairs of columns."""
    return list(combinations(range(len(sizes)), 2))


def summed(cells: NDArray[np.int64], groups: Sequence[NDArray[np.int64]]) -> Cells:
    """A marginal over groups of codes.

    Args:
        cells: Counts, one axis a column.
        groups: For each axis the group of each code, from 0 on, int64.

    Returns:
        The counts of the groups: each row is in one cell as before, so a row changes them by as much.
    """
    for axis, group in enumerate(groups):
        moved = np.moveaxis(cells, axis, 0)
        added = np.zeros((int(group.max()) + 1, *moved.shape[1:]), cells.dtype)
        np.add.at(added, group, moved)
        cells = np.moveaxis(added, 0, axis)
    return cells
