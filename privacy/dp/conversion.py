"""Zero-concentrated differential privacy told as (epsilon, delta), and back; each rounded to the safe side.

Proposition 12 of Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020): rho-zCDP is
(epsilon, delta)-differential privacy where, for any order alpha > 1,

    delta >= exp((alpha - 1) (alpha rho - epsilon)) / (alpha - 1) * (1 - 1 / alpha)^alpha

Every order gives a sound bound, so that a search that ends early costs tightness and never privacy. The logarithm of
the right side is convex in alpha, hence what is searched for has one optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

# Each bound is a sum of three terms of a few roundings each; this share of them covers the roundings many times over.
_SLACK = 1e-14
_GOLDEN = (math.sqrt(5) - 1) / 2
_STEPS = 100
# The search is over the logarithm of alpha - 1.
_NARROWEST, _WIDEST = -30.0, 60.0


@lru_cache(maxsize=1024)
def epsilon_of(rho: float, delta: float) -> float:
    """The least epsilon with which rho-zCDP is (epsilon, delta)-differential privacy, rounded up.

    Args:
        rho: The loss, not negative.
        delta: The probability with which the bound may not hold; nothing but no loss at all has a bound at 0.
    """
    if rho <= 0 or delta >= 1:
        return 0.0
    if delta <= 0:
        return math.inf

    def bound(order: float) -> float:
        added, slack = _apart_from_rho(order, delta)
        return (order + 1) * rho * (1 + _SLACK) + added + slack

    return max(0.0, math.nextafter(_least(bound), math.inf))


@lru_cache(maxsize=1024)
def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho whose zCDP is (epsilon, delta)-differential privacy, rounded down.

    Args:
        epsilon: The bound on the loss, not negative.
        delta: The probability with which the bound may not hold; at 0 there is no such rho but 0.
    """
    if epsilon < 0 or delta <= 0:
        return 0.0

    def negated(order: float) -> float:
        added, slack = _apart_from_rho(order, min(delta, 1.0))
        return -(epsilon - added - slack) / (order + 1) * (1 - _SLACK)

    return max(0.0, math.nextafter(-_least(negated), 0.0))


def _apart_from_rho(order: float, delta: float) -> tuple[float, float]:
    """What of epsilon does not depend on rho, and the most that roundings took from it; the order is alpha - 1."""
    parts = (-math.log(delta) / order, -math.log1p(order) / order, -math.log1p(1 / order))
    return sum(parts), _SLACK * sum(map(abs, parts))


def _least(bound: Callable[[float], float]) -> float:
    """The least value of a bound that falls and then rises, by golden sections of the logarithm of its argument."""
    low, high = _NARROWEST, _WIDEST
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = bound(math.exp(left)), bound(math.exp(right))
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = bound(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = bound(math.exp(right))
    return min(at_left, at_right)
