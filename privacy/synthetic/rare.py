"""Rare values: what noise drowns is counted together, and divided again when rows are drawn.

A value whose noisy count is below some deviations of the noise is put into one group with the others of its column: so
pairs of columns have fewer cells, and less noise (McKenna, Miklau and Sheldon, "Winning the NIST Contest", 2021,
section 3, https://arxiv.org/abs/2108.04978). Which are rare is told by noisy counts alone, never by the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.synthetic.estimation import Measured
from airflow_veil.privacy.synthetic.junction import Floats

DEVIATIONS = 3.0
"""Noisy counts of fewer deviations of their noise are rare."""


@dataclass(frozen=True)
class Grouped:
    """The codes of a column in groups.

    Attributes:
        group: The group of each code, from 0 on, int64.
        share: The probability of each code within its group, float64.
    """

    group: NDArray[np.int64]
    share: Floats

    @property
    def size(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    def split(self, groups: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
        """A code for each group, by the shares."""
        order, upto, first = self._search
        place = np.searchsorted(upto, groups + rng.random(len(groups)), side="right")
        return order[np.clip(place, first[groups], first[groups + 1] - 1)].astype(np.int32)

    @cached_property
    def _search(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """The codes group by group; up to where each goes, group g from g to g + 1; where each group begins."""
        order = np.argsort(self.group, kind="stable")
        first = np.searchsorted(self.group[order], np.arange(self.size + 1))
        sums = np.cumsum(self.share[order])
        before = np.concatenate([[0.0], sums])[first[self.group[order]]]
        return order, sums - before + self.group[order], first


def grouped(noisy: Floats, deviation: float) -> Grouped:
    """Put the rare codes of a column into one group.

    Args:
        noisy: The noisy count of each code, shape (codes,).
        deviation: The standard deviation of its noise.
    """
    rare = noisy < DEVIATIONS * deviation
    if rare.sum() < 2:
        return Grouped(np.arange(len(noisy), dtype=np.int64), np.ones(len(noisy)))
    group = np.where(rare, int((~rare).sum()), np.cumsum(~rare) - 1)
    share = np.ones(len(noisy))
    share[rare] = _shrunk(noisy[rare], deviation)
    return Grouped(group.astype(np.int64), share)


def measured_of(column: int, noisy: Floats, deviation: float, codes: Grouped) -> Measured:
    """What a noisy column tells of its groups: the sum of those that are together."""
    sums: Floats = np.bincount(codes.group, weights=noisy, minlength=codes.size).astype(np.float64)
    members = np.bincount(codes.group, minlength=codes.size)
    return Measured((column,), sums, deviation * np.sqrt(members))


def together(sizes: Sequence[Grouped]) -> tuple[int, ...]:
    """How many groups each column has."""
    return tuple(one.size for one in sizes)


def _shrunk(noisy: Floats, deviation: float) -> Floats:
    """Shares of rare codes: their noisy counts, drawn to the mean as far as noise alone explains how they differ.

    The estimator of James and Stein (1961) with the mean for a centre (Efron and Morris 1973): of pure noise it makes
    equal shares.
    """
    mean = max(float(noisy.mean()), deviation / np.sqrt(len(noisy)))
    spread = float(((noisy - noisy.mean()) ** 2).sum())
    kept = max(0.0, 1 - max(len(noisy) - 3, 1) * deviation**2 / spread) if spread > 0 else 0.0
    shares = np.maximum(mean + kept * (noisy - noisy.mean()), 1e-3 * mean)
    total: Floats = shares / shares.sum()
    return total
