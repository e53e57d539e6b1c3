"""What an attack on people in the training rows achieves more than the same attack on people who are not.

`risk` = (rate - control) ÷ (1 - control): of what the hold-out does not already tell, the share that the release tells
(Giomi et al., "A unified framework for quantifying privacy risk in synthetic data", 2023). It is 1 less the ratio of
two failure rates, and its interval is that of a ratio by MOVER from Wilson's limits (Donner and Zou, "Closed-form
confidence intervals for functions of the normal mean and standard deviation", 2012; method R). An attack that never
fails, as on a copy, has an interval like any other.

`baseline` is what guessing reaches that does not look at the target. An attack no better than that is `weak`: it tells
that this attack failed, and nothing about another.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, outcome, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRisk:
    """The outcome of an attack on the training rows beside the same on the hold-out.

    Attributes:
        name: What was tried.
        column: The secret that was inferred; empty for attacks without one.
        tried: How many guesses were made about the training rows.
        rate: The share of them that was right.
        control_tried: How many were made about the hold-out.
        control: The share of them that was right.
        baseline: The share that guessing gets right.
        risk: The excess over the control, from -1 to 1; None where the control is always right.
        low: The lower end of its interval; None likewise.
        high: The upper end; None likewise.
        weak: Whether the attack is not better than guessing, as far as its interval tells.
        confidence: How often such an interval holds the truth.
    """

    name: str
    column: str = ""
    tried: int
    rate: float
    control_tried: int
    control: float
    baseline: float
    risk: float | None
    low: float | None
    high: float | None
    weak: bool
    confidence: float = CONFIDENCE

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def attack_risk(
    name: str,
    *,
    right: float,
    tried: int,
    control_right: float,
    control_tried: int,
    baseline: float,
    column: str = "",
    stretch: float = 1.0,
    confidence: float = CONFIDENCE,
) -> AttackRisk:
    """The outcome of an attack, with its interval.

    Args:
        name: What was tried.
        right: How many guesses about the training rows were right, or are expected to be.
        tried: How many were made.
        control_right: How many about the hold-out were right.
        control_tried: How many were made.
        baseline: The share that guessing gets right.
        column: The secret.
        stretch: How many times as many training rows there are as the attack could hit; the excess is that much more.
        confidence: How often such an interval holds the truth.

    Raises:
        SchemaError: Nothing was tried.
    """
    if tried < 1 or control_tried < 1:
        raise SchemaError("there is nobody to attack", where=f"attack {name}", expected="one target or more")
    rate, control = right / tried, control_right / control_tried
    risk = low = high = None
    if control < 1:
        below, above = _ratio(1 - rate, tried, 1 - control, control_tried, confidence)
        risk, low, high = (
            _within(stretch * excess) for excess in (1 - (1 - rate) / (1 - control), 1 - above, 1 - below)
        )
    return AttackRisk(
        name=name,
        column=column,
        tried=tried,
        rate=rate,
        control_tried=control_tried,
        control=control,
        baseline=baseline,
        risk=risk,
        low=low,
        high=high,
        weak=outcome(name, right, tried, baseline=baseline, confidence=confidence).low <= 0,
        confidence=confidence,
    )


def _ratio(one: float, tries: int, other: float, control: int, confidence: float) -> tuple[float, float]:
    """The interval of a share over another that is not 0, by MOVER (method R) from Wilson's limits.

    The lower end is written so that nothing is taken away that cancels.
    """
    l1, u1 = wilson(one, tries, confidence)
    l2, u2 = wilson(other, control, confidence)
    both = one * other
    root = sqrt(max(both * both - l1 * u2 * (2 * one - l1) * (2 * other - u2), 0.0))
    low = l1 * (2 * one - l1) / (both + root) if both + root > 0 else 0.0
    high = (both + sqrt(max(both * both - u1 * l2 * (2 * one - u1) * (2 * other - l2), 0.0))) / (
        l2 * (2 * other - l2)
    )
    return low, high


def _within(excess: float) -> float:
    return min(max(excess, -1.0), 1.0)
