"""Intervals of what attacks reach, without normal approximations where few are found.

Shares have Clopper and Pearson's interval (1934). What an attack reaches at a rate of false alarms depends on two
samples: the threshold is set by people who are not in the model. Its interval covers both, by Bonferroni: the threshold
with the most false alarms that the rate still explains, and of the share beyond it the upper end; and the other way
round. The area under the curve has DeLong's interval (1988), by placements.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, clopper_pearson

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the interval that holds the truth.

    Attributes:
        estimate: What was found.
        low: The lower end.
        high: The upper end.
    """

    estimate: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """The figures for a machine to read."""
        return asdict(self)


def share(found: float, tries: int, confidence: float = CONFIDENCE) -> Interval:
    """Clopper and Pearson's interval of a share; expected successes need not be whole."""
    low, high = clopper_pearson(found, tries, confidence)
    return Interval(estimate=found / tries, low=low, high=high)


def caught(inside: Array, outside: Array, rate: float, confidence: float = CONFIDENCE) -> Interval | None:
    """The share of those inside that an attack tells at a rate of false alarms.

    Args:
        inside: Scores of those who are in the model; greater where the attack is surer that they are.
        outside: Scores of those who are not.
        rate: The share of them that is told to be in it by mistake.
        confidence: How often the interval holds the truth.

    Returns:
        None where there are too few outside for one false alarm at this rate.
    """
    from scipy.stats import binom

    if not len(inside) or len(outside) * rate < 1:
        return None
    part = (1 + confidence) / 2
    tail = (1 - part) / 2
    least, most = (int(binom.ppf(at, len(outside), rate)) for at in (tail, 1 - tail))
    level = 1 - 2 * (1 - part)
    return Interval(
        estimate=_beyond(inside, outside, len(outside) * rate) / len(inside),
        low=share(_beyond(inside, outside, least), len(inside), level).low,
        high=share(_beyond(inside, outside, most), len(inside), level).high,
    )


def _beyond(inside: Array, outside: Array, alarms: float) -> float:
    """How many inside are told, with so many false alarms; of equal scores a share is told, drawn at random."""
    if alarms >= len(outside):
        return float(len(inside))
    at = np.sort(outside)[::-1][int(alarms)]
    above, level = int((outside > at).sum()), int((outside == at).sum())
    part = (alarms - above) / level
    return float((inside > at).sum() + part * (inside == at).sum())


def area(inside: Array, outside: Array, confidence: float = CONFIDENCE) -> Interval:
    """How often somebody inside scores higher than somebody outside; equal scores count half."""
    from statistics import NormalDist

    above = _placements(inside, outside)
    below = _placements(-outside, -inside)
    estimate = float(above.mean())
    spread = sum(float(each.var(ddof=1)) / len(each) for each in (above, below) if len(each) > 1)
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * spread**0.5
    return Interval(estimate=estimate, low=max(0.0, estimate - half), high=min(1.0, estimate + half))


def _placements(these: Array, those: Array) -> Array:
    """For each of these the share of those that is lower; equal ones count half."""
    order = np.sort(those)
    lower, upper = (np.searchsorted(order, these, side=side) for side in ("left", "right"))
    found: Array = (lower + upper) / 2 / len(those)
    return found
