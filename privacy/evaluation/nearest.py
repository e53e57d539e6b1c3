"""Distances to the closest record: a sanity check, and no proof of privacy.

Synthetic rows that lie nearer to training rows than to as many rows of the hold-out were copied with noise. The reverse
does not hold: releases that leak everything pass (Yao et al., "The DCR delusion: measuring the privacy risk of
synthetic data", 2025; Ganev and De Cristofaro, "The inadequacy of similarity-based privacy metrics", 2023). So nothing
is decided by these figures; they stand beside the attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_veil.privacy.evaluation.linkability import drawn
from airflow_veil.privacy.evaluation.neighbours import neighbours
from airflow_veil.privacy.evaluation.tables import Encoded
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, wilson

LABEL = "sanity check, no proof of privacy"
_SAME = 1e-6
"""Distances that differ by less are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far synthetic rows are from real ones; distances are sums over columns of 0 to 1.

    Attributes:
        closest_5: The distance to the closest record (DCR) that 5 % of the synthetic rows are below.
        closest_50: The median of that distance.
        ratio_50: The median of the nearest neighbour's distance over the second's (NNDR), 1 where both are 0.
        copies: The share of synthetic rows at distance 0.
    """

    closest_5: float
    closest_50: float
    ratio_50: float
    copies: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """Distances to training rows and to as many rows of the hold-out.

    Attributes:
        label: What these figures are.
        tried: How many synthetic rows were looked at.
        real: How many rows of either kind they were compared with.
        closer: The share of synthetic rows closer to a training row, ties counted half: 0.5 if none was copied.
        low: The lower end of its interval, for these real rows; others would be nearer to other synthetic rows.
        high: The upper end.
        train: Distances to the training rows.
        holdout: Distances to the hold-out.
    """

    label: str
    tried: int
    real: int
    closer: float
    low: float
    high: float
    train: Distances
    holdout: Distances

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def nearest(
    tables: Encoded,
    columns: Sequence[str],
    *,
    attempts: int,
    rng: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> Nearest:
    """Measure the distances from synthetic rows to real ones.

    Args:
        tables: The three tables.
        columns: By which columns.
        attempts: How many synthetic rows are looked at, or all if there are fewer.
        rng: Draws rows.
        confidence: Of the interval.
    """
    size = min(tables.train.length, tables.holdout.length)
    made = drawn(tables.synthetic, attempts, rng)
    far = [
        neighbours(made, drawn(part, size, rng), columns, 2, rng).distance
        for part in (tables.train, tables.holdout)
    ]
    gap = far[1][:, 0] - far[0][:, 0]
    closer = float(np.where(np.abs(gap) < _SAME, 0.5, gap > 0).mean())
    low, high = wilson(closer, made.length, confidence)
    return Nearest(
        label=LABEL,
        tried=made.length,
        real=size,
        closer=closer,
        low=low,
        high=high,
        train=_distances(far[0]),
        holdout=_distances(far[1]),
    )


def _distances(far: np.ndarray[Any, Any]) -> Distances:
    first, second = far[:, 0].astype(np.float64), far[:, 1].astype(np.float64)
    ratio = np.divide(first, second, out=np.ones_like(first), where=second > _SAME)
    return Distances(
        closest_5=float(np.quantile(first, 0.05)),
        closest_50=float(np.median(first)),
        ratio_50=float(np.median(ratio)),
        copies=float((first < _SAME).mean()),
    )
