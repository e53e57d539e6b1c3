"""Population uniques by the SNB model: sizes of classes in the population are shifted negative binomial.

A class's size less one is negative binomial with alpha and beta, so that a class is of one with probability beta^alpha.
The number of classes is estimated by Shlosser's modified estimator (Haas and Stokes 1998); alpha and beta are those by
which the sample is expected to have the classes with one and with two rows that it has.

The two equations often have no solution, as in ARX; then there is no estimate. Where both have one they differ: in
ARX's second equation a factor multiplies that has to divide, and its Shlosser's estimator takes off one a size in place
of one a class. Source: Chen and Keller-McNulty, "Estimation of identification disclosure risk in microdata" (1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import exp, isfinite
from typing import Any

from airflow_veil.privacy.lazy import np

_HALVINGS = 200
_GRID = tuple(1 / (1 + exp(-x / 4)) for x in range(-60, 61))
"""Betas between which solutions are looked for, closer together near 0 and 1."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A population of classes of shifted negative binomial size, and a sample of it.

    Attributes:
        classes: How many classes the population has.
        fraction: The share of it that was sampled.
    """

    classes: float
    fraction: float

    def once(self, alpha: float, beta: float) -> float:
        """How many classes are expected to have one row in the sample."""
        rest = (1 - self.fraction) * (1 - beta)
        none = pow(beta / (1 - rest), alpha)
        return float(self.classes * self.fraction * none * (alpha * rest / (1 - rest) + 1))

    def twice(self, alpha: float, beta: float) -> float:
        """How many classes are expected to have two rows in the sample."""
        rest = (1 - self.fraction) * (1 - beta)
        none = pow(beta / (1 - rest), alpha)
        of_two = alpha * (1 - beta) / (1 - rest) ** 2 * (2 - (1 - alpha) * rest)
        return float(self.classes * self.fraction**2 / 2 * none * of_two)

    def alpha(self, beta: float, alone: float) -> float | None:
        """The alpha by which so many classes have one row; None if none does."""
        high = 1.0
        if self.once(1e-12, beta) < alone:
            return None
        while self.once(high, beta) > alone:
            high *= 2
            if high > 1e9:
                return None
        return _root(lambda alpha: alone - self.once(alpha, beta), 1e-12, high)


def snb(size: np.ndarray[Any, Any], count: np.ndarray[Any, Any], population: int) -> float | None:
    """Uniques of the population; None where nothing explains the sample.

    Args:
        size: Sizes of classes in the sample, rising from 1.
        count: How many classes have each size.
        population: People in the population.
    """
    fraction = int((size * count).sum()) / population
    if fraction >= 1:
        return float(count[0])
    alone, twice = float(count[0]), float(count[size == 2].sum())
    model = Sampled(shlosser(size, count, fraction), fraction)

    def off(beta: float) -> float:
        """How many classes too many have two rows, where alpha is right for those with one."""
        alpha = model.alpha(beta, alone)
        return float("nan") if alpha is None else model.twice(alpha, beta) - twice

    for low, high in pairwise(_GRID):
        if off(low) * off(high) <= 0:
            beta = _root(off, low, high)
            alpha = model.alpha(beta, alone)
            found = model.classes * beta**alpha if alpha is not None else float("nan")
            return found if isfinite(found) and 0 < found <= population else None
    return None


def shlosser(size: np.ndarray[Any, Any], count: np.ndarray[Any, Any], fraction: float) -> float:
    """How many classes the population has, by Shlosser's modified estimator."""
    i, n, f = size.astype(np.float64), count.astype(np.float64), fraction
    none = (1 - f) ** i * n
    first = float((i * f * f * (1 - f * f) ** (i - 1) * n).sum())
    second = float((none * ((1 + f) ** i - 1)).sum())
    ratio = float(none.sum()) / float((i * f * (1 - f) ** (i - 1) * n).sum())
    return float(n.sum() + n[0] * (first / second) * ratio * ratio)


def _root(figure: Callable[[float], float], low: float, high: float) -> float:
    """Where a figure changes its sign, by halving."""
    below = figure(low) <= 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if (figure(middle) <= 0) is below else (low, middle)
    return (low + high) / 2
