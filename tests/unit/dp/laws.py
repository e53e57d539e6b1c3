"""The laws of noise, from their definitions, and how well draws fit them. Nothing here comes from the code under test.

All tests are one-shot: with the right law one fails less than once in a million runs, so none is tried again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

ALARM = 1e-10
"""How improbable draws must be before a law is rejected: a test looks a hundred times at most, and chi-square is not
far off where a hundred draws are expected in each cell."""
_EXPECTED = 100
"""Draws that are expected in a cell at least."""


@dataclass(frozen=True)
class Law:
    """A discrete law on whole numbers, symmetric about 0.

    Attributes:
        kind: `laplace`, the probability of k being (1-p)/(1+p) p^|k| with p = e^(-1/scale) (Ghosh, Roughgarden,
            Sundararajan 2009); or `gaussian`, proportional to e^(-k²/2 scale²) (Canonne, Kamath, Steinke 2020).
        scale: Its scale.
    """

    kind: Literal["laplace", "gaussian"]
    scale: float

    def times(self, factor: float) -> Law:
        """The law of another scale."""
        return Law(self.kind, self.scale * factor)

    def at_most(self, k: np.ndarray) -> np.ndarray:
        """The probability of at most k, for whole k."""
        if self.kind == "laplace":
            p = math.exp(-1 / self.scale)
            k = np.asarray(k, float)
            below = p ** (-np.minimum(k, 0)) / (1 + p)
            return np.where(k < 0, below, 1 - p ** (np.maximum(k, 0) + 1) / (1 + p))
        if self.scale > 200:
            # The sum of the bell over whole numbers is its integral, but for e^(-2π²scale²) (Poisson summation).
            return stats.norm.cdf((np.asarray(k, float) + 0.5) / self.scale)
        reach = math.ceil(40 * self.scale) + 2
        weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * self.scale**2))
        summed = np.cumsum(weights) / weights.sum()
        places = np.clip(np.asarray(k, int) + reach, 0, 2 * reach)
        return summed[places]

    def within(self, distance: float) -> float:
        """The probability of being no further than a distance from 0."""
        whole = math.floor(distance)
        return 1 - 2 * float(self.at_most(np.array([-whole - 1]))[0])

    @property
    def size(self) -> tuple[float, float]:
        """Mean and standard deviation of what tells the scale best: |k| for Laplace's law, k² for the Gaussian one."""
        if self.kind == "laplace":
            p = math.exp(-1 / self.scale)
            mean, square = 2 * p / (1 - p * p), 2 * p / (1 - p) ** 2
        elif self.scale > 200:
            mean, square = self.scale**2, 3 * self.scale**4
        else:
            k = np.arange(-math.ceil(40 * self.scale) - 2, math.ceil(40 * self.scale) + 3, dtype=float)
            weights = np.exp(-(k**2) / (2 * self.scale**2))
            mean, square = (float((weights * k**power).sum() / weights.sum()) for power in (2, 4))
        return mean, math.sqrt(square - mean * mean)


def fit(noise: np.ndarray, law: Law) -> float:
    """How probable draws are that fit a law no better.

    The shape is compared by chi-square over cells of a quarter of the scale, the scale by its most powerful test.
    """
    noise = np.asarray(noise, float)
    whole = np.rint(noise).astype(np.int64)
    assert np.abs(whole - noise).max(initial=0) < 1e-3, "the noise is no whole number of steps"
    ends = np.arange(-9, 9) * max(1, round(law.scale / 4))
    below = law.at_most(ends)
    shares = np.diff(np.concatenate([[0], below, [1]]))
    counts = np.bincount(np.searchsorted(ends, whole, side="left"), minlength=len(ends) + 1)
    mean, deviation = law.size
    sizes = np.abs(whole) if law.kind == "laplace" else whole.astype(float) ** 2
    off = (float(sizes.mean()) - mean) / deviation * math.sqrt(len(whole))
    return min(chi_square(counts, shares * len(whole)), 2 * float(stats.norm.sf(abs(off))))


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """The p-value of Pearson's chi-square; cells where little is expected are put together."""
    counts, expected = np.asarray(counts, float), np.asarray(expected, float)
    order = np.argsort(expected)
    counts, expected = counts[order], expected[order]
    few = int(np.searchsorted(np.cumsum(expected), _EXPECTED)) + 1
    if few > 1 and few < len(counts):
        counts = np.concatenate([[counts[:few].sum()], counts[few:]])
        expected = np.concatenate([[expected[:few].sum()], expected[few:]])
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, len(counts) - 1))


def rejects(test: Callable[[Law], float], law: Law) -> bool:
    """Whether a test that takes a law rejects it where its scale is off by 30 %, either way."""
    return all(test(law.times(factor)) < ALARM for factor in (0.7, 1.3))


def at_most(successes: int, draws: int) -> float:
    """An upper bound on a probability (Clopper and Pearson 1934), wrong once in 1/`ALARM`."""
    return 1.0 if successes == draws else float(stats.beta.ppf(1 - ALARM, successes + 1, draws - successes))


def at_least(successes: int, draws: int) -> float:
    """A lower bound on a probability."""
    return 0.0 if successes == 0 else float(stats.beta.ppf(ALARM, successes, draws - successes + 1))
