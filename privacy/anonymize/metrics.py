"""What a recoding costs, as ARX defines it; the least is the best.

n rows; of a column: s(v) the share of its hierarchy's values that stand behind the label v, m how many values it has.

| `quality` | cost of a column | of the table |
|---|---|---|
| `loss` | (sum over rows of s(v), 1 for a suppressed row, less n/m) ÷ (n - n/m) | geometric mean of 1 + cost, less 1 |
| `loss_rank` | the same | the columns' costs, the greatest first; compared like words in a dictionary |
| `entropy` | sum over rows of log2(rows with the label ÷ rows with the value) | sum |
| `entropy_suppressed` | the same, and for suppressed rows log2(suppressed ÷ those with the label) | sum |
| `discernibility` | | sum over classes of size²; of a suppressed one n times size (DM) |
| `discernibility_monotone` | | sum over classes of size² (DM*) |

Sources: Iyengar (2002) for loss; Gionis and Tassa (2009) for non-uniform entropy; Bayardo and Agrawal (2005) for DM;
LeFevre et al. (2005) for DM*. `bounds` are what a node costs at least, before its classes are known; `floor` is what a
node and all that are coarser cost at least, once they are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, get_args

from airflow_veil.privacy.anonymize.groups import Grouping, Groups
from airflow_veil.privacy.anonymize.lattice import Lattice
from airflow_veil.privacy.anonymize.levels import Levels
from airflow_veil.privacy.anonymize.quality import Quality
from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np

Cost: TypeAlias = tuple[float, ...]
"""Costs are compared as tuples; most are of one number."""
_DIGITS = 1e10
"""Costs of columns are cut to ten digits after the point, as in ARX."""
_ROUNDING = 1e-3


class Metric(Protocol):
    """What a recoding costs."""

    @abstractmethod
    def bounds(self, lattice: Lattice) -> np.ndarray[Any, Any]:
        """What each node costs at least: a row a node, as wide as a cost."""

    @abstractmethod
    def cost(self, groups: Groups, kept: np.ndarray[Any, Any]) -> Cost:
        """What a node costs, whose classes are kept or suppressed."""

    def floor(self, groups: Groups) -> Cost | None:
        """What a node and all coarser ones cost at least; None if `bounds` say it already."""


def metric(quality: Quality, grouping: Grouping, counts: Sequence[np.ndarray[Any, Any]]) -> Metric:
    """The metric under a word.

    Args:
        quality: The word.
        grouping: The table.
        counts: For each quasi-identifier how many rows have each value.

    Raises:
        TransformError: There is no such word.
    """
    if quality not in get_args(Quality):
        raise TransformError(
            "there is no such quality", where="quality", expected=f"one of {', '.join(get_args(Quality))}"
        )
    return _METRICS[quality](grouping, counts)


class _ByColumn:
    """A cost that is one of each column, put together; a column's is the greater the coarser its level."""

    def __init__(self, grouping: Grouping, counts: Sequence[np.ndarray[Any, Any]]) -> None:
        self._grouping, self._rows = grouping, grouping.total_rows
        self._columns = [
            np.array([self._alone(each, level, count) for level in range(each.height + 1)])
            for each, count in zip(grouping.levels, counts, strict=True)
        ]

    @abstractmethod
    def _alone(self, levels: Levels, level: int, counts: np.ndarray[Any, Any]) -> float:
        """The cost of a column at a level, nothing suppressed."""

    @abstractmethod
    def _together(self, columns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Costs of columns, a row a node, as costs of nodes."""

    @abstractmethod
    def _suppressed(self, which: int, level: int, place: Any, sizes: Any) -> float:
        """What a column costs more, for suppressed classes."""

    def bounds(self, lattice: Lattice) -> np.ndarray[Any, Any]:
        nodes = lattice.nodes()
        columns = np.stack([cost[nodes[:, which]] for which, cost in enumerate(self._columns)], axis=1)
        return self._together(_cut(columns))

    def cost(self, groups: Groups, kept: np.ndarray[Any, Any]) -> Cost:
        place, sizes = groups.place[groups.first[~kept]], groups.sizes[~kept]
        columns = np.array(
            [
                self._columns[which][level]
                + (self._suppressed(which, level, place, sizes) if len(sizes) else 0)
                for which, level in enumerate(groups.node)
            ]
        )
        return tuple(map(float, self._together(_cut(columns[None]))[0]))

    def floor(self, groups: Groups) -> Cost | None:
        del groups
        return None


def _cut(columns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Costs of columns, cut to what ARX cuts them to, so that what is equal but for rounding is equal."""
    cut: np.ndarray[Any, Any] = np.floor(columns * _DIGITS + _ROUNDING) / _DIGITS
    return cut


class _Loss(_ByColumn):
    def _span(self, levels: Levels) -> float:
        return self._rows * (1 - 1 / levels.size)

    def _alone(self, levels: Levels, level: int, counts: np.ndarray[Any, Any]) -> float:
        span = self._span(levels)
        lost = float(np.dot(counts, levels.shares[level][levels.codes[level]]))
        return max(0.0, (lost - self._rows / levels.size) / span) if span else 0.0

    def _suppressed(self, which: int, level: int, place: Any, sizes: Any) -> float:
        levels = self._grouping.levels[which]
        span = self._span(levels)
        share = levels.shares[level][self._grouping.column(which, level, place)]
        return float(np.dot(sizes, 1 - share)) / span if span else 0.0

    def _together(self, columns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        means: np.ndarray[Any, Any] = np.exp(np.log1p(columns).mean(axis=1, keepdims=True)) - 1
        return means


class _LossRank(_Loss):
    def _together(self, columns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        greatest_first: np.ndarray[Any, Any] = -np.sort(-columns, axis=1)
        return greatest_first


class _Entropy(_ByColumn):
    """Non-uniform entropy; what is suppressed costs no more than it did."""

    def _alone(self, levels: Levels, level: int, counts: np.ndarray[Any, Any]) -> float:
        codes = levels.codes[level]
        group = np.bincount(codes, weights=counts)[codes]
        seen = counts > 0
        return float(np.dot(counts[seen], np.log2(group[seen] / counts[seen])))

    def _suppressed(self, which: int, level: int, place: Any, sizes: Any) -> float:
        del which, level, place, sizes
        return 0.0

    def _together(self, columns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        total: np.ndarray[Any, Any] = columns.sum(axis=1, keepdims=True)
        return total


class _EntropySuppressed(_Entropy):
    def _suppressed(self, which: int, level: int, place: Any, sizes: Any) -> float:
        counts = np.bincount(self._grouping.column(which, level, place), weights=sizes)
        counts = counts[counts > 0]
        return float(np.dot(counts, np.log2(counts.sum() / counts)))


class _Discernibility:
    def __init__(self, grouping: Grouping, counts: Sequence[np.ndarray[Any, Any]]) -> None:
        self._grouping, self._rows = grouping, grouping.total_rows
        # Rows of one label of a column are in classes of their own: no fewer pairs are alike than rows² ÷ classes.
        self._seen = [
            np.array(
                [len(np.unique(each.codes[level][count > 0])) for level in range(each.height + 1)], float
            )
            for each, count in zip(grouping.levels, counts, strict=True)
        ]

    def bounds(self, lattice: Lattice) -> np.ndarray[Any, Any]:
        nodes = lattice.nodes()
        most = np.prod([seen[nodes[:, which]] for which, seen in enumerate(self._seen)], axis=0)
        least: np.ndarray[Any, Any] = np.maximum(float(self._rows) ** 2 / most, self._rows)
        return least[:, None]

    def cost(self, groups: Groups, kept: np.ndarray[Any, Any]) -> Cost:
        sizes = groups.sizes.astype(float)
        return (float(np.where(kept, sizes * sizes, sizes * self._rows).sum()),)

    def floor(self, groups: Groups) -> Cost | None:
        sizes = groups.sizes.astype(float)
        return (float(np.dot(sizes, sizes)),)


class _DiscernibilityMonotone(_Discernibility):
    def cost(self, groups: Groups, kept: np.ndarray[Any, Any]) -> Cost:
        del kept
        found = self.floor(groups)
        assert found is not None  # noqa: S101 - for the type checker
        return found


_METRICS: dict[str, Callable[[Grouping, Sequence[np.ndarray[Any, Any]]], Metric]] = {
    "loss": _Loss,
    "loss_rank": _LossRank,
    "entropy": _Entropy,
    "entropy_suppressed": _EntropySuppressed,
    "discernibility": _Discernibility,
    "discernibility_monotone": _DiscernibilityMonotone,
}
