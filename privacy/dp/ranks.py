"""Quantiles by ranks: what a noisy maximum chooses among candidates by, and why an interval holds the quantile.

Of n rows that count in a group, B(c) lie below a candidate c. A quantile p/q is any place with at most p n / q rows
below it and at most (q - p) n / q above; values beyond the first and the last candidate count as these.

**The lower end.** Let lead(c) = q B(c) - p n. It rises with c. Where it is negative, fewer than p n / q rows lie below
c, so no quantile lies below c, and c can be the end; so can the first candidate, whatever its lead. What is aimed at is
a lead of -t: the score of a candidate is how far -t lies from the stretch between its own lead and that of the next
candidate, where the first stretch has no beginning and the last one no end. The stretches cover all numbers, so one
candidate scores 0, whatever the table and however coarse the candidates; one that cannot be the end scores t at least.

Both mechanisms take a candidate that scores s with a probability of at most e^(-s / scale) where the best scores 0:
the exponential mechanism by its definition, permute-and-flip because it takes none whose coin does not fall. Of k
candidates at most k - 1 cannot be the end, so it is wrong with a probability of at most (k - 1) e^(-t / scale), and
t = scale ln((k - 1) / beta) makes that beta. No more than k - 1 score t on either side, so within the same beta the end
is not too far out either: the next candidate's lead is more than -2 t.

**The upper end** is the lower end of the table read backwards. Each end has half of what the interval may be wrong by,
so that they need not be independent. t follows from the policy alone: nothing of n or of the table is in it.

One row more or less changes a lead by q - p or by p, like a distance of a rank, and so the scores by no more: the ends
have the sensitivity of the quantile itself.
"""

from __future__ import annotations

import math
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


class End(StrEnum):
    """An end of an interval."""

    LOW = "low"
    HIGH = "high"


class Aim(NamedTuple):
    """What a noisy maximum looks for.

    Attributes:
        quantile: Between 0 and 1.
        end: Which end of the quantile's interval; None for the quantile itself.
    """

    quantile: Fraction
    end: End | None = None


def aims(quantiles: tuple[Fraction, ...]) -> list[Aim]:
    """All that is looked for: each quantile and both ends of its interval."""
    return [Aim(quantile, end) for quantile in quantiles for end in (None, *End)]


def weight(quantile: Fraction) -> int:
    """The most that one row changes a score by."""
    return max(quantile.numerator, quantile.denominator - quantile.numerator)


def margin(scale: float, candidates: int, confidence: float) -> int:
    """How far out an end aims, t above, for both to be right with the confidence."""
    wrong = (1 - confidence) / 2
    return math.ceil(scale * math.log((candidates - 1) / wrong))


def scores(cells: Counts, aim: Aim, out: int) -> Counts:
    """How far each candidate is from what is looked for, in rows times the quantile's denominator: the least is best.

    Args:
        cells: Counts below, at and between c candidates, shape (m, 2 c + 1).
        aim: What is looked for.
        out: How far out an end aims.

    Returns:
        Shape (m, c), not negative.
    """
    if aim.end is End.HIGH:
        return scores(cells[:, ::-1], Aim(1 - aim.quantile, End.LOW), out)[:, ::-1]
    below = np.cumsum(cells, axis=1)[:, :-1:2]
    return _of_quantile(cells, below, aim.quantile) if aim.end is None else _of_low(cells, below, aim, out)


def _of_quantile(cells: Counts, below: Counts, quantile: Fraction) -> Counts:
    """|(q - p) rows below - p rows above|."""
    above = np.cumsum(cells[:, ::-1], axis=1)[:, ::-1][:, 2::2]
    ahead: Counts = (quantile.denominator - quantile.numerator) * below - quantile.numerator * above
    return np.abs(ahead)


def _of_low(cells: Counts, below: Counts, aim: Aim, out: int) -> Counts:
    """How far -t is from the stretch between the leads of a candidate and of the next."""
    quantile = aim.quantile
    leads = quantile.denominator * below - quantile.numerator * cells.sum(axis=1, keepdims=True)
    beyond: Counts = np.zeros_like(leads)
    # The first stretch has no beginning, and the last one no end.
    beyond[:, 1:] = np.maximum(leads[:, 1:] + out, 0)
    beyond[:, :-1] = np.maximum(beyond[:, :-1], -out - leads[:, 1:])
    return beyond
