"""A tighter total of what was measured, by Rényi differential privacy; it never changes what is charged.

Rényi losses of the same order add up (Mironov, "Rényi Differential Privacy", 2017), and their sum tells an epsilon at
any delta as zCDP does: Proposition 12 of Canonne, Kamath and Steinke (2020), of which `conversion` is the case of
losses that are proportional to their order. The order is one of a grid: each is sound, and a finer grid is tighter.

It is a reading of what draws came to. Where later costs were chosen by earlier answers, only a limit that was fixed
beforehand is a promise (Rogers and others, 2016), and that is the ledger's to keep.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from airflow_veil.privacy.dp.loss import DELTA_UNITS, LOSS_UNITS, Loss

ORDERS = tuple(1 + 10 ** (step / 100) for step in range(-300, 601))
"""From 1.001 to a million, 100 a decade."""
_SLACK = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One draw of noise.

    Attributes:
        noise: `laplace` or `gaussian`, both of whole numbers; `continuous_laplace`; any other is counted by its loss.
        sensitivity: The most that one unit changes what was measured by, in the steps that it is counted in.
        scale: Of the noise, in the same steps.
        loss: What it was counted as when it was drawn.
    """

    noise: str
    sensitivity: str
    scale: str
    loss: Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What draws come to.

    Attributes:
        epsilon: The bound on the loss; infinite where the delta is used up.
        delta: The probability with which it may not hold.
        order: The order that gave it.
        draws: How many there were.
    """

    epsilon: float
    delta: float
    order: float
    draws: int


def total(draws: Iterable[Draw], delta: float) -> Total:
    """What draws come to at a delta, of which thresholds have used up their part.

    Args:
        draws: The draws.
        delta: The probability with which the bound may not hold, between 0 and 1.
    """
    counted = Counter(draws)
    thresholds = sum(draw.loss.delta * times for draw, times in counted.items())
    left = delta - thresholds / DELTA_UNITS * (1 + _SLACK)
    found = [(_epsilon(order, _sum(counted, order), left), order) for order in ORDERS]
    epsilon, order = min([*found, (_sum(counted, math.inf), math.inf)] if left >= 0 else found)
    return Total(epsilon=epsilon, delta=delta, order=order, draws=counted.total())


def _sum(counted: Mapping[Draw, int], order: float) -> float:
    """The Rényi loss of draws; most nights draw as the night before did."""
    return sum(renyi(draw, order) * times for draw, times in counted.items())


def renyi(draw: Draw, order: float) -> float:
    """The Rényi loss of a draw, at an order more than 1; at infinity, its pure epsilon.

    Where a draw does not say enough of its noise, it is counted by its loss: as the worst mechanism of that epsilon, or
    as Gaussian noise of that rho, whichever is less.
    """
    if math.isinf(order):
        return math.inf if draw.loss.epsilon is None else draw.loss.epsilon / LOSS_UNITS
    by_loss = order * draw.loss.rho / LOSS_UNITS
    if draw.loss.epsilon is not None:
        by_loss = min(by_loss, randomized_response(draw.loss.epsilon / LOSS_UNITS, order))
    sensitivity, scale = _amount(draw.sensitivity), _amount(draw.scale)
    if not scale or sensitivity is None:
        return by_loss
    if draw.noise == "gaussian":
        return min(by_loss, gaussian(float(sensitivity / scale), order))
    if draw.noise == "continuous_laplace":
        return min(by_loss, laplace(float(sensitivity / scale), order))
    if draw.noise == "laplace" and sensitivity == int(sensitivity):
        return min(by_loss, discrete_laplace(int(sensitivity), float(scale), order))
    return by_loss


def gaussian(ratio: float, order: float) -> float:
    """Gaussian noise, of real or of whole numbers; the ratio is sensitivity to standard deviation."""
    return order * ratio**2 / 2


def laplace(ratio: float, order: float) -> float:
    """Laplace noise of real numbers, Mironov's Proposition 6; the ratio is sensitivity to scale.

    It grows faster than the sensitivity, so a sensitivity in sum over many cells is worst where it is all in one.
    """
    whole = 2 * order - 1
    terms = (
        math.log(order / whole) + (order - 1) * ratio,
        math.log((order - 1) / whole) - order * ratio,
    )
    return _log_of_sum(*terms) / (order - 1)


def discrete_laplace(sensitivity: int, scale: float, order: float) -> float:
    """Laplace noise of whole numbers: more than that of real ones, up to randomized response at a sensitivity of 1.

    The sum over all whole numbers of P^order Q^(1 - order), where Q is P moved by the sensitivity, is made of three
    geometric series: up to 0, from there to the sensitivity, and beyond. It has the form of the continuous one.
    """
    step = 1 / scale
    # With p = exp(-step): A = (1 - p^(2 order)) / ((1 + p) (1 - p^(2 order - 1))), and A + B = 1.
    first = math.expm1(-2 * order * step) / (1 + math.exp(-step)) / math.expm1(-(2 * order - 1) * step)
    second = 1 - first
    grown = math.log(first) + (order - 1) * step * sensitivity
    if second <= 0:
        return grown / (order - 1)
    return _log_of_sum(grown, math.log(second) - order * step * sensitivity) / (order - 1)


def randomized_response(epsilon: float, order: float) -> float:
    """The most that any mechanism of a pure epsilon loses."""
    shared = math.log1p(math.exp(-epsilon))
    return _log_of_sum((order - 1) * epsilon - shared, -order * epsilon - shared) / (order - 1)


def _epsilon(order: float, loss: float, delta: float) -> float:
    if loss <= 0:
        return 0.0
    if delta <= 0:
        return math.inf
    told = loss + math.log1p(-1 / order) - (math.log(min(delta, 1.0)) + math.log(order)) / (order - 1)
    return max(0.0, told + _SLACK * (abs(told) + loss))


def _log_of_sum(left: float, right: float) -> float:
    """The logarithm of a sum of two numbers whose logarithms are given."""
    return max(left, right) + math.log1p(math.exp(-abs(left - right)))


def _amount(text: str) -> Decimal | None:
    """A number that is written as one; None for anything else, such as an amount in words."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
