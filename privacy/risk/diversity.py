"""What a table tells of a sensitive column to someone who knows the class of a person, without telling rows apart.

For each class, the share q of each value in it stands beside the share p that the value has in the whole table:

| figure | of a class | of the table | source |
|---|---|---|---|
| distinct l | distinct values | the least | Machanavajjhala et al. (2007) |
| entropy l | exp(entropy of q) | the least | ibid. |
| recursive (c, l) | most frequent ÷ (l-th to the last, by frequency) | the most; it holds for each c above | ibid. |
| alpha (with k) | the greatest q | the most | Wong et al. (2006) |
| basic beta | the greatest (q - p) ÷ p | the most | Cao and Karras (2012) |
| enhanced beta | the least of that and -ln p of the rarest | the most | ibid., as pyCANON has it |
| delta | the greatest abs(ln(q ÷ p)) of the values in it | the most | Brickell and Shmatikov (2008) |
| t, equal distance | half the sum of abs(q - p) | the most | Li et al. (2007) |
| t, ordered | sum of abs(cumulated q - p) ÷ (values - 1) | the most | ibid. |

A null is a value of its own, the last one where values have an order. Delta is of the values that a class has, as in
pyCANON: where one is missing, which is the rule, the definition's is infinite. pyCANON sorts frequencies for (c, l)
upwards, which makes c 1 nearly always; here they are sorted downwards, as in the paper.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.classes import Classes
from airflow_veil.privacy.risk.codes import Codes

_CELLS = 1 << 22
"""Cells of a dense table that is made at once, when the last digits are computed."""
_ALIKE = 1e-9
"""Classes whose distances differ by less are computed digit by digit, in the order in which pyCANON adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """What a table tells of a sensitive column.

    Attributes:
        column: The sensitive column.
        values: How many distinct values it has.
        distinct_l: The least number of distinct values in a class.
        entropy_l: The least exp(entropy) of a class.
        recursive_c: For `distinct_l`, what c has to be above for (c, l)-diversity; None where l is 1.
        alpha: The greatest share of a value in a class.
        basic_beta: The greatest relative gain of a value in a class.
        enhanced_beta: The same, bounded by -ln of the rarest value's share.
        delta: The greatest abs(ln(q ÷ p)).
        t: The greatest distance of a class's distribution from the table's.
        distance: `ordered` or `equal`: what t is measured by.
        disclosed: Rows in classes with one value only: who knows the class, knows the value.
    """

    column: str
    values: int
    distinct_l: int
    entropy_l: float
    recursive_c: float | None
    alpha: float
    basic_beta: float
    enhanced_beta: float
    delta: float
    t: float
    distance: str
    disclosed: int

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The values of each class, one pair a class and value, sorted by both.

    Attributes:
        of: The class.
        value: The value's code.
        rows: How many rows of the class have it; none is 0.
        starts: Where each class begins.
        sizes: How many rows each class has.
        totals: How many rows of the table have each value.
    """

    of: np.ndarray[Any, Any]
    value: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    starts: np.ndarray[Any, Any]
    sizes: np.ndarray[Any, Any]
    totals: np.ndarray[Any, Any]

    @property
    def share(self) -> np.ndarray[Any, Any]:
        """The share q of each pair's value in its class."""
        q: np.ndarray[Any, Any] = self.rows / self.sizes[self.of]
        return q

    @property
    def base(self) -> np.ndarray[Any, Any]:
        """The share p of each value in the table."""
        p: np.ndarray[Any, Any] = self.totals / self.sizes.sum()
        return p

    @property
    def distinct(self) -> np.ndarray[Any, Any]:
        """How many values each class has."""
        return np.diff(np.append(self.starts, len(self.of)))

    def greatest(self, figure: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The greatest of a figure of pairs in each class."""
        return np.maximum.reduceat(figure, self.starts)

    def total(self, figure: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The sum of a figure of pairs in each class."""
        return np.add.reduceat(figure, self.starts)


def pairs(classes: Classes, sensitive: Codes) -> Pairs:
    """The values of each class."""
    kept = classes.of >= 0
    of, codes = classes.of, sensitive.codes
    if classes.excluded:
        of, codes = of[kept], codes[kept]
    width = sensitive.cardinality
    key = of.astype(np.int64) * width + codes
    span = len(classes.sizes) * width
    if span <= max(4 * len(key), 1 << 16):
        counts = np.bincount(key, minlength=span)
        keys = np.flatnonzero(counts)
        counts = counts[keys]
    else:
        keys, counts = np.unique(key, return_counts=True)
    owner, value = np.divmod(keys, max(width, 1))
    return Pairs(
        of=owner,
        value=value,
        rows=counts,
        starts=np.flatnonzero(np.diff(owner, prepend=-1)),
        sizes=classes.sizes,
        totals=np.bincount(codes, minlength=width),
    )


def diversity(classes: Classes, sensitive: Codes, *, ordered: bool | None = None) -> Diversity:
    """What a table tells of a sensitive column.

    Args:
        classes: The classes over the quasi-identifiers.
        sensitive: The sensitive column; its codes in the order of its values if t is to be of ordered distance.
        ordered: Whether t is of ordered distance; of numbers and times if not said.
    """
    of = pairs(classes, sensitive)
    by_order = sensitive.numeric and sensitive.ordered if ordered is None else ordered
    distance = "ordered" if by_order else "equal"
    if not len(of.of):
        return Diversity(
            column=sensitive.name,
            values=0,
            distinct_l=0,
            entropy_l=0.0,
            recursive_c=None,
            alpha=0.0,
            basic_beta=0.0,
            enhanced_beta=0.0,
            delta=0.0,
            t=0.0,
            distance=distance,
            disclosed=0,
        )
    q, base = of.share, of.base
    p = base[of.value]
    beta = float(((q - p) / p).max())
    distinct = of.distinct
    return Diversity(
        column=sensitive.name,
        values=int((of.totals > 0).sum()),
        distinct_l=int(distinct.min()),
        entropy_l=math.exp(float(of.total(-q * np.log(q)).min())),
        recursive_c=recursive(of, int(distinct.min())),
        alpha=float(q.max()),
        basic_beta=beta,
        enhanced_beta=min(beta, -math.log(base[base > 0].min())),
        delta=max(math.log((q / p).max()), -math.log((q / p).min())),
        t=closeness(of, ordered=by_order),
        distance=distance,
        disclosed=int(of.sizes[distinct == 1].sum()),
    )


def recursive(of: Pairs, level: int) -> float | None:
    """What c has to be above for recursive (c, l)-diversity; None where l is 1, for which there is none.

    A class with fewer than l values has no c: the figure is then infinite.
    """
    if level < 2:
        return None
    # Within classes, from the most frequent value down.
    order = np.lexsort((-of.rows, of.of))
    rows = of.rows[order]
    place = np.arange(len(rows)) - of.starts[of.of]
    tail = np.add.reduceat(np.where(place >= level - 1, rows, 0), of.starts)
    with np.errstate(divide="ignore"):
        return float((rows[of.starts] / tail).max())


def closeness(of: Pairs, *, ordered: bool) -> float:
    """The greatest distance of a class's distribution from the table's: t-closeness.

    Distances of all classes come from the values that they have; those of the classes in front are then computed anew
    over all values, added up one after the other.
    """
    seen = np.flatnonzero(of.totals)
    if len(seen) < 2:
        return 0.0
    rough = distances(of, ordered=ordered)
    front = np.flatnonzero(rough >= rough.max() - _ALIKE)[: max(1, _CELLS // len(seen))]
    gap = _dense(of, front, seen) - of.base[seen]
    if ordered:
        far = 1 / (len(seen) - 1) * np.cumsum(np.abs(np.cumsum(gap, axis=1)), axis=1)[:, -1]
    else:
        far = 0.5 * np.cumsum(np.abs(gap), axis=1)[:, -1]
    return float(far.max())


def distances(of: Pairs, *, ordered: bool) -> np.ndarray[Any, Any]:
    """The distance of each class's distribution from the table's, to about 15 digits."""
    return _ordered(of, np.flatnonzero(of.totals)) if ordered else _equal(of)


def _equal(of: Pairs) -> np.ndarray[Any, Any]:
    """Half of the sum of abs(q - p): values that a class has not add their p."""
    p = of.base[of.value]
    far: np.ndarray[Any, Any] = 0.5 * (of.total(np.abs(of.share - p)) + 1 - of.total(p))
    return far


def _ordered(of: Pairs, seen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Sum of abs(Q - P) over values, Q and P cumulated; between two values of a class Q stays as it is.

    P rises, so on each such stretch it passes Q once: sums on either side come from P's own cumulated sums.
    """
    position = np.cumsum(of.totals > 0) - 1
    table = np.cumsum(of.base[seen])
    summed = np.append(0.0, np.cumsum(table))
    begin = position[of.value]
    ends = np.append(begin[1:], len(seen))
    last = np.append(of.starts[1:], len(of.of)) - 1
    ends[last] = len(seen)
    cumulated = np.cumsum(of.share)
    before = np.append(0.0, cumulated)[of.starts]
    level = cumulated - before[of.of]
    turn = np.clip(np.searchsorted(table, level), begin, ends)
    stretch = level * (2 * turn - begin - ends) + summed[begin] + summed[ends] - 2 * summed[turn]
    # Before the first value of a class Q is 0.
    far: np.ndarray[Any, Any] = (of.total(stretch) + summed[begin[of.starts]]) / (len(seen) - 1)
    return far


def _dense(of: Pairs, wanted: np.ndarray[Any, Any], seen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The share of each value in some classes, a row a class."""
    position = np.cumsum(of.totals > 0) - 1
    row = np.full(len(of.sizes), -1, np.int64)
    row[wanted] = np.arange(len(wanted))
    mine = row[of.of] >= 0
    table = np.zeros((len(wanted), len(seen)))
    table[row[of.of[mine]], position[of.value[mine]]] = of.share[mine]
    return table
