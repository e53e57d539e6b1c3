"""How well an attack did: its success rate, what guessing reaches, and how sure the difference is.

An attacker who has several candidates guesses one: what counts is the expected success, so that a rate does not depend
on luck. Intervals are Wilson's (1927); where the baseline is measured as well, the difference has Newcombe's (1998,
method 10). Both are wider than they need to be for expected successes. The interval is of the advantage: a release
that is safe against the attack has 0 in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """The outcome of an attack.

    Attributes:
        name: What was tried: `linkage`, `frequency` and so on.
        tried: How many guesses were made.
        rate: The share of them that was right.
        baseline: The share that who has not seen the release gets right.
        advantage: The one less the other.
        low: The lower end of the advantage's interval.
        high: The upper end.
        confidence: How often such an interval holds the truth.
    """

    name: str
    tried: int
    rate: float
    baseline: float
    advantage: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def outcome(
    name: str,
    right: float,
    tried: int,
    *,
    baseline: float,
    of: int | None = None,
    weight: float | None = None,
    confidence: float = CONFIDENCE,
) -> Attack:
    """The outcome of an attack, with its interval.

    Args:
        name: What was tried.
        right: How many guesses were right, or are expected to be.
        tried: How many were made.
        baseline: The share that who has not seen the release gets right.
        of: How many tries the baseline was measured by; None if it is known exactly.
        weight: How many independent guesses the tries are worth; as many as they are if not said.
        confidence: How often such an interval holds the truth.

    Raises:
        SchemaError: Nothing was tried.
    """
    if tried < 1:
        raise SchemaError("there is nobody to attack", where=f"attack {name}", expected="one target or more")
    rate = right / tried
    low, high = wilson(rate, weight or tried, confidence)
    if of is None:
        below, above = low - baseline, high - baseline
    else:
        under, over = wilson(baseline, of, confidence)
        gap = rate - baseline
        below = gap - sqrt((rate - low) ** 2 + (over - baseline) ** 2)
        above = gap + sqrt((high - rate) ** 2 + (baseline - under) ** 2)
    return Attack(
        name=name,
        tried=tried,
        rate=rate,
        baseline=baseline,
        advantage=rate - baseline,
        low=below,
        high=above,
        confidence=confidence,
    )


def wilson(rate: float, tries: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval of a share."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (rate + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z / (1 + z * z / tries) * sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries))
    return max(0.0, middle - half), min(1.0, middle + half)


def clopper_pearson(hits: float, tries: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper's and Pearson's exact interval of a share (1934); expected successes need not be whole."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, tries - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, tries - hits)) if hits < tries else 1.0
    return low, high


def truth_of(
    truth: np.ndarray[Any, Any] | None, targets: int, rows: int, *, where: str
) -> np.ndarray[Any, Any]:
    """Which row of the release each target is; the same one if not said, as a release keeps the order of its source.

    Args:
        truth: A number of a row for each target, -1 for one who is not released; or None.
        targets: How many targets there are.
        rows: How many rows the release has.
        where: The attack, for errors.

    Raises:
        SchemaError: The numbers are not those of rows, or none were given and the tables differ in length.
    """
    if truth is None:
        if targets != rows:
            raise SchemaError(
                f"the source has {targets:,} rows and the release {rows:,}, so which is which is not known",
                where=f"attack {where}",
                expected="`truth`, the row of the release for each row of the source",
            )
        return np.arange(rows)
    found = np.asarray(truth)
    if len(found) != targets or (found.size and not (found.min() >= -1 and found.max() < rows)):
        raise SchemaError(
            "the truth does not name rows of the release",
            where=f"attack {where}",
            expected=f"{targets:,} numbers from -1 to {rows - 1:,}",
        )
    return found
