"""Mechanisms: OpenDP's measurements over whole numbers, and its bounds on their losses.

Only measurements on vectors and maps of whole numbers are used, by OpenDP's exact samplers and the operating system's
randomness: there is no seed, no float is perturbed, and no expression reaches OpenDP's data frames.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from types import SimpleNamespace
from typing import Any

from airflow_veil.privacy.dp.statistic import Noise

FEATURES = "contrib"
"""What OpenDP calls code whose proofs have not been vetted by its committee: all that is used here."""


LEAST_THRESHOLD = 3
"""The least threshold that OpenDP has a bound for: see `threshold_loss`."""


class Mechanism(StrEnum):
    """How noise is added."""

    LAPLACE = "discrete_laplace"
    """Discrete Laplace noise (Ghosh, Roughgarden, Sundararajan 2009; Canonne, Kamath, Steinke 2020)."""
    GAUSSIAN = "discrete_gaussian"
    """Discrete Gaussian noise (Canonne, Kamath, Steinke 2020)."""
    LAPLACE_THRESHOLD = "discrete_laplace_threshold"
    """The same on counts, of which only those from a threshold on are told (Rogers 2023)."""
    GAUSSIAN_THRESHOLD = "discrete_gaussian_threshold"
    """The same on counts, of which only those from a threshold on are told (Rogers 2023)."""
    NOISY_MAX = "noisy_max"
    """The best of some candidates by noisy scores: permute-and-flip for pure losses (McKenna and Sheldon 2020), the
    exponential mechanism for zero-concentrated ones (McSherry and Talwar 2007)."""


@cache
def _opendp() -> Any:
    """The modules of OpenDP that are used: its prelude would bring its data frames along, and takes twice as long."""
    from opendp import domains, measurements, measures, metrics
    from opendp.mod import enable_features

    enable_features(FEATURES)
    return SimpleNamespace(domains=domains, m=measurements, measures=measures, metrics=metrics)


def library() -> str:
    """The library that draws the noise, its version and its standing."""
    from importlib.metadata import version

    return f"opendp {version('opendp')} ({FEATURES})"


def vector(noise: Noise, scale: float) -> Any:
    """Noise on each number of a vector.

    Args:
        noise: The kind.
        scale: Its scale, in whole steps.
    """
    dp = _opendp()
    domain = dp.domains.vector_domain(dp.domains.atom_domain(T="i64"))
    if noise == "laplace":
        return dp.m.make_laplace(domain, dp.metrics.l1_distance(T="i64"), scale=scale)
    return dp.m.make_gaussian(domain, dp.metrics.l2_distance(T="f64"), scale=scale)


def vector_loss(noise: Noise, scale: float, sensitivity: float) -> float:
    """OpenDP's bound on the loss of `vector`: epsilon for Laplace noise, rho for Gaussian.

    Args:
        noise: The kind.
        scale: Its scale, in whole steps.
        sensitivity: How far two neighbouring vectors are apart: in L1 for Laplace noise, in L2 for Gaussian.
    """
    bound: float = vector(noise, scale).map(_distance(noise, sensitivity))
    return bound


def selection(noise: Noise, scale: float) -> Any:
    """The number of the least of some scores, by noisy scores."""
    dp = _opendp()
    measure = (
        dp.measures.max_divergence() if noise == "laplace" else dp.measures.zero_concentrated_divergence()
    )
    space = dp.domains.vector_domain(dp.domains.atom_domain(T="i64")), dp.metrics.linf_distance(T="i64")
    return dp.m.make_noisy_max(*space, measure, scale=scale, negate=True)


def selection_loss(noise: Noise, scale: float, sensitivity: float) -> float:
    """OpenDP's bound on the loss of `selection`.

    Args:
        noise: The kind: epsilon is bounded for Laplace, rho for Gaussian.
        scale: Its scale.
        sensitivity: The most that one score differs by between neighbours.
    """
    bound: float = selection(noise, scale).map(int(sensitivity))
    return bound


def threshold(noise: Noise, scale: float, least: int) -> Any:
    """Noise on each count of a map, of which only those from a threshold on are told."""
    dp = _opendp()
    domain = dp.domains.map_domain(dp.domains.atom_domain(T="i64"), dp.domains.atom_domain(T="i64"))
    if noise == "laplace":
        metric = dp.metrics.l01inf_distance(dp.metrics.absolute_distance(T="i64"))
        return dp.m.make_laplace_threshold(domain, metric, scale=scale, threshold=least)
    metric = dp.metrics.l02inf_distance(dp.metrics.absolute_distance(T="f64"))
    return dp.m.make_gaussian_threshold(domain, metric, scale=scale, threshold=least)


def threshold_loss(
    noise: Noise, scale: float, least: int, reach: int, sensitivity: float
) -> tuple[float, float]:
    """OpenDP's bound on the loss of `threshold`, and its delta.

    Args:
        noise: The kind.
        scale: Its scale.
        least: The threshold, at least `LEAST_THRESHOLD`.
        reach: How many counts one unit changes, each by at most one.
        sensitivity: How far that is in all: in L1 for Laplace noise, in L2 for Gaussian.
    """
    one = _distance(noise, 1.0)
    # OpenDP tells counts that equal the threshold, and leaves them out of delta (opendp issue 2922): what it says of
    # the threshold before is true of this one, and stays an upper bound once that is mended.
    loss, delta = threshold(noise, scale, least - 1).map((reach, _distance(noise, sensitivity), one))
    return loss, delta


def _distance(noise: Noise, distance: float) -> int | float:
    """A distance as OpenDP wants it: whole numbers are whole numbers apart in L1."""
    return int(distance) if noise == "laplace" else distance
