"""Whether models that learned from synthetic rows treat groups of people differently, beside those of real rows.

Groups are the values of a protected column, among the hold-out. For each class of the target:

- **demographic parity difference**: the greatest less the least share of a group that is told the class.
- **equalized odds difference**: the greater of the two gaps of that share, among people who have the class and among
  those who have not (Hardt, Price and Srebro, "Equality of opportunity in supervised learning", 2016).

The figure is the largest over classes; with two of them it is the same for either. A group is in a difference only if
it has 30 people or more there: shares of fewer differ by chance. How many groups are too small is stated. Groups have
numbers, from the largest; their values are not told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.tables import Encoded
from airflow_veil.privacy.evaluation.usefulness import Told
from airflow_veil.privacy.lazy import np

SMALLEST = 30
"""People whose share is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """How differently a model treats groups.

    Attributes:
        demographic_parity: The difference of shares that are told a class; None if not two groups are large enough.
        equalized_odds: The difference of these shares among people with, or without, the class; None likewise.
    """

    demographic_parity: float | None
    equalized_odds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """How differently two models treat groups of the hold-out.

    Attributes:
        protected: The column of the groups.
        target: What is told.
        groups: How many people each group has, from the largest.
        small: How many groups have too few people to be in a difference.
        synthetic: The gaps of the model that learned from synthetic rows.
        real: Those of the one that learned from training rows.
    """

    protected: str
    target: str
    groups: tuple[int, ...]
    small: int
    synthetic: Gaps
    real: Gaps

    @property
    def added(self) -> Gaps:
        """How much larger the gaps of synthetic rows are; negative where they are smaller, None where one is."""
        return Gaps(
            demographic_parity=_added(self.synthetic.demographic_parity, self.real.demographic_parity),
            equalized_odds=_added(self.synthetic.equalized_odds, self.real.equalized_odds),
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {**asdict(self), "added": asdict(self.added)}


def fairness(tables: Encoded, found: Told, target: str, protected: str) -> Fairness:
    """Measure how differently two models treat groups of the hold-out.

    Args:
        tables: The three tables.
        found: What the models told.
        target: The column that they told.
        protected: The column of the groups; a null is a group.

    Raises:
        SchemaError: The target is a number.
    """
    if not found.classes:
        raise SchemaError(
            "fairness is measured of classes, and the target is a number",
            where=f"evaluation, column {target}",
            expected="a target of classes",
        )
    group = tables.holdout.codes[protected].codes[found.rows]
    _, group, sizes = np.unique(group, return_inverse=True, return_counts=True)
    return Fairness(
        protected=protected,
        target=target,
        groups=tuple(int(size) for size in np.sort(sizes)[::-1]),
        small=int((sizes < SMALLEST).sum()),
        synthetic=gaps(found.truth, found.synthetic, group),
        real=gaps(found.truth, found.real, group),
    )


def gaps(truth: np.ndarray[Any, Any], told: np.ndarray[Any, Any], group: np.ndarray[Any, Any]) -> Gaps:
    """How differently groups are treated.

    Args:
        truth: The class of each person.
        told: What the model tells.
        group: The number of each person's group.
    """
    parity: list[float] = []
    odds: list[float] = []
    for each in np.unique(np.concatenate([truth, told])):
        yes, has = told == each, truth == each
        parity += _gap(yes, group)
        odds += _gap(yes[has], group[has]) + _gap(yes[~has], group[~has])
    return Gaps(demographic_parity=max(parity, default=None), equalized_odds=max(odds, default=None))


def _added(synthetic: float | None, real: float | None) -> float | None:
    return None if synthetic is None or real is None else synthetic - real


def _gap(yes: np.ndarray[Any, Any], group: np.ndarray[Any, Any]) -> list[float]:
    """The greatest less the least share of the groups that are large enough; nothing if there are not two."""
    sizes = np.bincount(group)
    large = sizes >= SMALLEST
    if large.sum() < 2:
        return []
    shares = np.bincount(group, weights=yes)[large] / sizes[large]
    return [float(np.ptp(shares))]
