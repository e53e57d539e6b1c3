"""The search for the node that costs least of those that suppress no more than they may.

Nodes are looked at from the one that costs least at best. From each that is not decided yet a path climbs to where no
node can be cheaper than the best that was found; along it the first node is bisected that is not ruled out by the
monotone criteria. All that is finer than a node that they rule out is ruled out with it. A path's nodes that hold are
evaluated on the way, so that the best is found early, and prunes. (Kohlmayer, Prasser et al., "Flash: efficient, stable
and optimal k-anonymity", 2012; bounds as in Prasser et al., "Flexible data anonymization using ARX", 2020.)

The result is the optimum: a node is passed over only if it is ruled out, or its bound is above the best cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.anonymize.criteria import Criteria, held
from airflow_veil.privacy.anonymize.groups import Grouping, Groups
from airflow_veil.privacy.anonymize.lattice import Lattice, Node, down, up
from airflow_veil.privacy.anonymize.metrics import Cost, Metric
from airflow_veil.privacy.lazy import np

_ROUNDING = 1e-12
"""Bounds and costs are sums in different orders; one rules another out only if it is so much greater."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A node that holds the criteria.

    Attributes:
        node: Its levels.
        cost: What it costs.
        groups: Its classes.
        kept: Which of them are kept; the others are suppressed.
        suppressed: How many rows are.
        evaluated: How many nodes the search looked at.
    """

    node: Node
    cost: Cost
    groups: Groups
    kept: np.ndarray[Any, Any]
    suppressed: int
    evaluated: int = 0

    @property
    def order(self) -> tuple[Any, ...]:
        """What decides between two: the cost, then what is suppressed, then the levels."""
        return (self.cost, self.suppressed, sum(self.node), self.node)


class Search:
    """Finds the optimum.

    Args:
        grouping: The table.
        criteria: What classes must hold.
        metric: What nodes cost.
        limit: The most rows that may be suppressed.
    """

    def __init__(self, grouping: Grouping, criteria: Criteria, metric: Metric, limit: int) -> None:
        self._grouping, self._criteria, self._metric, self._limit = grouping, criteria, metric, limit
        self._lattice = Lattice(tuple(each.height for each in grouping.levels))
        bounds = metric.bounds(self._lattice)
        self._bounds = bounds.reshape(*self._lattice.shape, bounds.shape[1])
        self._order = np.lexsort([self._lattice.nodes().sum(axis=1), *bounds.T[::-1]])
        self._out = np.zeros(self._lattice.shape, bool)
        self._decided = np.zeros(self._lattice.shape, bool)
        self._best: Found | None = None
        self._evaluated = 0

    def run(self) -> Found | None:
        """The optimum; None if no node holds the criteria."""
        for cell in self._order:
            node: Node = tuple(int(level) for level in np.unravel_index(cell, self._lattice.shape))
            if not self._is_open(node):
                continue
            self._bisect(self._path(node))
        if self._best is None:
            return None
        best = self._best
        return Found(
            node=best.node,
            cost=best.cost,
            groups=best.groups,
            kept=best.kept,
            suppressed=best.suppressed,
            evaluated=self._evaluated,
        )

    def _is_open(self, node: Node) -> bool:
        return not self._decided[node] and not self._out[node] and not self._is_dear(node)

    def _is_dear(self, node: Node) -> bool:
        """Whether a node cannot cost as little as the best."""
        if self._best is None:
            return False
        for least, best in zip(self._bounds[node], self._best.cost, strict=True):
            if abs(least - best) > _ROUNDING * max(abs(best), 1.0):
                return bool(least > best)
        return False

    def _path(self, node: Node) -> list[Node]:
        """From a node upwards, each time to the one that costs least at best, as far as it may be the optimum."""
        path = [node]
        while True:
            above = [each for each in self._lattice.above(path[-1]) if not self._is_dear(each)]
            if not above:
                return path
            path.append(min(above, key=lambda each: (tuple(self._bounds[each]), each)))

    def _bisect(self, path: list[Node]) -> None:
        """Evaluate where the path leaves what is ruled out; the first node is decided after."""
        low, high = 0, len(path)
        while low < high:
            middle = (low + high) // 2
            if self._rules_out(path[middle]):
                low = middle + 1
            else:
                high = middle

    def _rules_out(self, node: Node) -> bool:
        """Look at a node; whether the monotone criteria rule it out, and all that is finer with it."""
        if self._out[node] or self._decided[node]:
            return bool(self._out[node])
        self._evaluated += 1
        groups = self._grouping.at(node)
        self._decided[node] = True
        self._raise_bounds(node, groups)
        holds = held(self._criteria, self._grouping, groups)
        # Shares of people are no mixture of parts where one person is in both.
        whole = not self._limit and not self._grouping.counts_people
        certain = holds.all if whole else holds.monotone
        if int(groups.sizes[~certain].sum()) > self._limit:
            self._out[down(node)] = True
            return True
        suppressed = int(groups.sizes[~holds.all].sum())
        if suppressed <= self._limit:
            self._compare(groups, holds.all, suppressed)
        return False

    def _raise_bounds(self, node: Node, groups: Groups) -> None:
        floor = self._metric.floor(groups)
        if floor is not None:
            cells = self._bounds[up(node)]
            np.maximum(cells, floor, out=cells)

    def _compare(self, groups: Groups, kept: np.ndarray[Any, Any], suppressed: int) -> None:
        found = Found(
            node=groups.node,
            cost=self._metric.cost(groups, kept),
            groups=groups,
            kept=kept,
            suppressed=suppressed,
        )
        if self._best is None or found.order < self._best.order:
            self._best = found
