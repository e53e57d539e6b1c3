"""The lattice of generalizations: a node is a level for each quasi-identifier; above it is what is nowhere finer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np

MOST_NODES = 2_000_000
"""The largest lattice that is searched: a few arrays with a number a node are kept."""

Node = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lattice:
    """All nodes between the values as they are and each hierarchy's coarsest level.

    Attributes:
        heights: The highest level of each quasi-identifier.

    Raises:
        TransformError: There is no quasi-identifier, or there are too many nodes.
    """

    heights: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.heights or self.size > MOST_NODES:
            raise TransformError(
                f"the lattice of {len(self.heights)} quasi-identifiers has {self.size if self.heights else 0:,} nodes",
                expected=f"one quasi-identifier or more, and {MOST_NODES:,} nodes at most",
                fix="leave levels out of the hierarchies, or name fewer quasi-identifiers",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """How many levels each quasi-identifier has; an array of this shape has a cell a node."""
        return tuple(height + 1 for height in self.heights)

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return math.prod(self.shape)

    @property
    def top(self) -> Node:
        """The coarsest node."""
        return self.heights

    def nodes(self) -> np.ndarray[Any, Any]:
        """All nodes, a row each, in the order of an array's cells."""
        return np.indices(self.shape, np.int16).reshape(len(self.shape), -1).T

    def above(self, node: Node) -> list[Node]:
        """The nodes that are one level coarser in one quasi-identifier."""
        return [
            (*node[:place], level + 1, *node[place + 1 :])
            for place, level in enumerate(node)
            if level < self.heights[place]
        ]


def up(node: Node) -> tuple[slice, ...]:
    """The cells of a node and of all that are coarser."""
    return tuple(slice(level, None) for level in node)


def down(node: Node) -> tuple[slice, ...]:
    """The cells of a node and of all that are finer."""
    return tuple(slice(None, level + 1) for level in node)
