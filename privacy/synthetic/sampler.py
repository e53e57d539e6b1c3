"""Rows drawn from a junction tree: clique by clique, all rows of a batch at once.

Each row is drawn from exactly the distribution, or from what it is given that some columns have certain codes
(ancestral sampling; Koller and Friedman 2009, section 12.1). Rows are not independent of one another: of the m rows
of a batch that have one code in what a clique shares with its parent, each is given a layer of width 1/m of its own
(stratified sampling; Cochran, "Sampling Techniques", 1977, chapter 5), which leaves out most of the variance that
independent rows would have. Which row gets which layer is drawn anew for each clique, uniformly: so the number that a
row is drawn by is uniform between 0 and 1 whatever is in its other columns, and no two columns are tied to each other
that the model does not tie. mbi 1.1.0 gives layers in the order of rows that are sorted already, and ties everything:
two columns that are independent given a third come out with a correlation of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.junction import Floats, Tree, marginal, product, spread
from airflow_veil.privacy.synthetic.marginals import Clique
from airflow_veil.privacy.synthetic.specification import BATCH_ROWS


class Sampler:
    """Draws rows of codes from a tree."""

    def __init__(self, tree: Tree, given: Mapping[int, int] | None = None) -> None:
        """Prepare to draw.

        Args:
            tree: The distribution.
            given: Column to the code that it has in every row.

        Raises:
            SyntheticError: The distribution gives that no chance.
        """
        self._columns = len(tree.shape.sizes)
        steps = _conditioned(tree, given or {})
        self._steps = [_Step(tree, node, table) for node, table in enumerate(steps)]

    def draw(self, rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        """Draw rows, in constant memory.

        Args:
            rows: How many.
            rng: What they are drawn by: as seeded, so drawn.

        Yields:
            Codes, int32, shape (columns, rows of the batch).
        """
        for start in range(0, rows, BATCH_ROWS):
            codes = np.zeros((self._columns, min(BATCH_ROWS, rows - start)), np.int32)
            for step in self._steps:
                step.fill(codes, rng)
            yield codes


class _Step:
    """Draws the columns of one clique, given what it shares with its parent."""

    def __init__(self, tree: Tree, node: int, table: Floats) -> None:
        clique = tree.shape.cliques[node]
        self._shared = tree.shape.shared[node]
        self._new = tuple(column for column in clique if column not in self._shared)
        self._shared_sizes = tree.shape.shape(self._shared)
        self._new_sizes = tree.shape.shape(self._new)
        order = [clique.index(column) for column in (*self._shared, *self._new)]
        flat = table.transpose(order).reshape(int(np.prod(self._shared_sizes, dtype=np.int64)), -1)
        sums = np.cumsum(flat, axis=1)
        most = sums[:, -1:]
        shares = np.divide(sums, most, out=np.zeros_like(sums), where=most > 0)
        # One rising list for all rows of the table: row g goes from g to g + 1, so one search finds all cells.
        self._upto = (shares + np.arange(len(flat))[:, None]).ravel()
        self._width = flat.shape[1]
        # The last cell of each row that is not empty: rounding must not step over it.
        self._last = np.where(most[:, 0] > 0, self._width - 1 - np.argmax(flat[:, ::-1] > 0, axis=1), 0)

    def fill(self, codes: NDArray[np.int32], rng: np.random.Generator) -> None:
        """Draw the new columns of all rows; what is shared is there."""
        if not self._new:
            return
        rows = codes.shape[1]
        group = np.zeros(rows, np.int64)
        for column, size in zip(self._shared, self._shared_sizes, strict=True):
            group = group * size + codes[column]
        cell = np.searchsorted(self._upto, group + layered(group, rng), side="right") - group * self._width
        cell = np.minimum(np.maximum(cell, 0), self._last[group])
        for column, size in zip(reversed(self._new), reversed(self._new_sizes), strict=True):
            cell, codes[column] = np.divmod(cell, size)


def layered(group: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """A number from 0 to 1 for each row, each of a layer of its own among the rows of its group.

    Args:
        group: The group of each row, shape (rows,).
        rng: Draws which row has which layer, and where in it.

    Returns:
        float64, shape (rows,), below 1; each uniform, whatever the groups.
    """
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    inside = group[order]
    first = np.flatnonzero(np.concatenate([[True], inside[1:] != inside[:-1]])) if len(group) else order
    counts = np.diff(np.append(first, len(group)))
    layer = np.arange(len(group)) - np.repeat(first, counts)
    numbers = np.empty(len(group))
    numbers[order] = (layer + rng.random(len(group))) / np.repeat(counts, counts)
    return np.minimum(numbers, np.nextafter(1.0, 0.0))


def _conditioned(tree: Tree, given: Mapping[int, int]) -> list[Floats]:
    """For each clique what its cells are drawn in proportion to, given what it shares with its parent."""
    shape = tree.shape
    tables = list(tree.conditionals)
    if not given:
        return tables
    for column, code in given.items():
        only = np.zeros(shape.sizes[column])
        only[code] = 1
        # Once is enough: the other cliques of the column get it by what they share.
        node = shape.home((column,))
        tables[node] = tables[node] * spread(only, (column,), shape.cliques[node])
    for node in reversed(range(1, len(tables))):
        parent, shared = shape.parents[node], shape.shared[node]
        message = marginal(tables[node], shape.cliques[node], shared)
        parts: list[tuple[Floats, Clique]] = [(tables[parent], shape.cliques[parent]), (message, shared)]
        tables[parent] = product(parts, shape.cliques[parent])
    if not tables[0].sum() > 0:
        raise SyntheticError(
            "the model gives the values that are given no chance", fix="give other values, or fewer of them"
        )
    return tables
