"""Junction trees: a distribution over many columns, held as tables over few at a time, in plain numpy.

Cliques of columns are the nodes of a tree in which each column's cliques hang together. The distribution is the product
of the cliques' conditional tables, each given what it shares with its parent (Lauritzen and Spiegelhalter 1988; Koller
and Friedman, "Probabilistic Graphical Models", 2009, chapter 10). All that is done here is exact but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.synthetic.marginals import Clique

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """The cliques of a tree, parents first.

    Attributes:
        sizes: How many codes each column has.
        cliques: The columns of each clique, rising.
        parents: The number of each clique's parent, -1 for the first. They may have nothing in common.
    """

    sizes: tuple[int, ...]
    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]

    @cached_property
    def shared(self) -> tuple[Clique, ...]:
        """What each clique shares with its parent."""
        return tuple(
            () if parent < 0 else tuple(sorted(set(clique) & set(self.cliques[parent])))
            for clique, parent in zip(self.cliques, self.parents, strict=True)
        )

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of each clique's children."""
        numbers = range(len(self.cliques))
        return tuple(tuple(child for child in numbers if self.parents[child] == node) for node in numbers)

    @cached_property
    def below(self) -> tuple[frozenset[int], ...]:
        """The columns of each clique and of all below it."""
        below = [set(clique) for clique in self.cliques]
        for node in reversed(range(1, len(self.cliques))):
            below[self.parents[node]] |= below[node]
        return tuple(map(frozenset, below))

    def shape(self, clique: Sequence[int]) -> tuple[int, ...]:
        """The sizes of some columns."""
        return tuple(self.sizes[column] for column in clique)

    def home(self, clique: Sequence[int]) -> int:
        """The number of the first clique that has all of some columns; -1 if there is none."""
        wanted = set(clique)
        return next((node for node, one in enumerate(self.cliques) if wanted <= set(one)), -1)


@dataclass(frozen=True)
class Tree:
    """A distribution.

    Attributes:
        shape: Its cliques.
        tables: The probabilities of each, an axis a column: they add up to 1, and agree in what cliques share.
    """

    shape: Shape
    tables: tuple[Floats, ...]

    @cached_property
    def conditionals(self) -> tuple[Floats, ...]:
        """The probabilities of each clique given what it shares with its parent; 0 where that does not occur."""
        return tuple(map(self._conditional, range(len(self.tables))))

    def _conditional(self, node: int) -> Floats:
        clique, shared = self.shape.cliques[node], self.shape.shared[node]
        given = spread(marginal(self.tables[node], clique, shared), shared, clique)
        return np.divide(self.tables[node], given, out=np.zeros_like(self.tables[node]), where=given > 0)

    def project(self, clique: Clique) -> Floats:
        """The probabilities of any columns, an axis each.

        Only the cliques on the paths between those that have the columns take part.
        """
        shape, wanted = self.shape, set(clique)
        node = 0
        while not wanted <= set(shape.cliques[node]):
            deeper = next((child for child in shape.children[node] if wanted <= shape.below[child]), None)
            if deeper is None:
                break
            node = deeper
        return self._joined(node, self.tables[node], wanted, clique)

    def _joined(self, node: int, table: Floats, wanted: set[int], told: Clique) -> Floats:
        """A clique's table times the messages of its children, summed to some columns."""
        parts: list[tuple[Floats, Clique]] = [(table, self.shape.cliques[node])]
        for child in self.shape.children[node]:
            shared = set(self.shape.shared[child])
            inside = wanted & self.shape.below[child] - shared
            if inside:
                axes = tuple(sorted(shared | inside))
                parts.append((self._joined(child, self.conditionals[child], inside, axes), axes))
        return product(parts, told)


def tree_shape(sizes: tuple[int, ...], cliques: Iterable[Clique]) -> Shape:
    """A junction tree that has a clique for each of some: a spanning tree of the most that cliques share."""
    nodes = eliminated(sizes, cliques)
    ordered, parents, left = [0], {0: -1}, set(range(1, len(nodes)))
    while left:
        # Prim's: the one that shares most with one that is in, and with nothing in common, any.
        node, parent = max(
            ((one, other) for one in sorted(left) for other in ordered),
            key=lambda pair: len(set(nodes[pair[0]]) & set(nodes[pair[1]])),
        )
        parents[node] = ordered.index(parent)
        ordered.append(node)
        left.remove(node)
    return Shape(sizes, tuple(nodes[node] for node in ordered), tuple(parents[node] for node in ordered))


def eliminated(sizes: Sequence[int], cliques: Iterable[Clique]) -> list[Clique]:
    """The cliques of a triangulation: columns are eliminated, those first whose clique has the fewest cells."""
    near = {column: {column} for column in range(len(sizes))}
    for wanted in cliques:
        for column in wanted:
            near[column].update(wanted)
    found: list[Clique] = []
    while near:
        column = min(near, key=lambda one: (prod(sizes[other] for other in near[one]), one))
        clique = near.pop(column)
        found.append(tuple(sorted(clique)))
        for other in clique - {column}:
            near[other] |= clique
            near[other].discard(column)
    return maximal(found)


def cells_of(sizes: Sequence[int], cliques: Iterable[Clique]) -> int:
    """How many cells the tables of a junction tree have that has a clique for each of some."""
    return sum(prod(sizes[column] for column in clique) for clique in eliminated(sizes, cliques))


def maximal(cliques: Iterable[Clique]) -> list[Clique]:
    """Those that are in no other."""
    distinct = sorted(set(cliques), key=lambda clique: (-len(clique), clique))
    kept: list[Clique] = []
    for clique in distinct:
        if not any(set(clique) <= set(other) for other in kept):
            kept.append(clique)
    return kept


def calibrated(shape: Shape, potentials: Mapping[Clique, Floats]) -> Tree:
    """The distribution that is proportional to the product of potentials.

    Args:
        shape: A tree that has a clique for each of them.
        potentials: Columns to the logarithms, an axis a column.
    """
    beliefs = [np.zeros(shape.shape(clique)) for clique in shape.cliques]
    for clique, logs in potentials.items():
        node = shape.home(clique)
        beliefs[node] = beliefs[node] + spread(logs, clique, shape.cliques[node])
    sent: dict[int, Floats] = {}
    for node in reversed(range(len(shape.cliques))):
        beliefs[node] -= beliefs[node].max()
        if node:
            parent, shared = shape.parents[node], shape.shared[node]
            sent[node] = log_marginal(beliefs[node], shape.cliques[node], shared)
            beliefs[parent] = beliefs[parent] + spread(sent[node], shared, shape.cliques[parent])
    for node in range(1, len(shape.cliques)):
        parent, shared = shape.parents[node], shape.shared[node]
        told = log_marginal(beliefs[parent], shape.cliques[parent], shared) - sent[node]
        beliefs[node] = beliefs[node] + spread(told, shared, shape.cliques[node])
    tables = [np.exp(belief - belief.max()) for belief in beliefs]
    return Tree(shape, tuple(table / table.sum() for table in tables))


def marginal(table: Floats, axes: Clique, told: Sequence[int]) -> Floats:
    """A table summed to some of its columns, in their order in it."""
    summed: Floats = table.sum(axis=tuple(n for n, column in enumerate(axes) if column not in told))
    return summed


def log_marginal(logs: Floats, axes: Clique, told: Sequence[int]) -> Floats:
    """The same of logarithms."""
    gone = tuple(n for n, column in enumerate(axes) if column not in told)
    most = logs.max(axis=gone, keepdims=True)
    summed: Floats = np.squeeze(most, gone) + np.log(np.exp(logs - most).sum(axis=gone))
    return summed


def spread(table: Floats, axes: Sequence[int], wider: Sequence[int]) -> Floats:
    """A table with an axis for each of more columns, of length 1 where it does not have it; both rise."""
    lengths = dict(zip(axes, table.shape, strict=True))
    return table.reshape([lengths.get(column, 1) for column in wider])


def product(parts: Sequence[tuple[Floats, Clique]], told: Sequence[int]) -> Floats:
    """The product of tables, summed to some columns."""
    columns = sorted({column for _, axes in parts for column in axes})
    letter = {column: number for number, column in enumerate(columns)}
    operands: list[Any] = []
    for table, axes in parts:
        operands += [table, [letter[column] for column in axes]]
    result: Floats = np.einsum(*operands, [letter[column] for column in told], optimize="greedy")
    return result
