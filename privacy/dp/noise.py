"""Noise: which measurements a query is answered by, what each costs, and their drawing by OpenDP.

All are planned before any data is read. The scale of the noise follows from the loss in closed form; OpenDP's own map
of the very measurement that is drawn then has to agree, or nothing is drawn. Only measurements over whole numbers are
used, on vectors, by OpenDP's exact samplers and the operating system's randomness: there is no seed, no float is
perturbed, and no expression reaches OpenDP's data frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.dp.loss import LOSS_UNITS, Loss
from airflow_veil.privacy.dp.query import Query
from airflow_veil.privacy.dp.statistic import Ranks, Statistic, Units
from airflow_veil.privacy.errors import BudgetError, InternalError

Cells = NDArray[np.int64]

FEATURES = "contrib"
"""What OpenDP calls code whose proofs have not been vetted by its committee: all that is used here."""


_HIGHEST_THRESHOLD = 1 << 40


class Mechanism(StrEnum):
    """How noise is added."""

    LAPLACE = "discrete_laplace"
    """Discrete Laplace noise (Ghosh, Roughgarden, Sundararajan 2009; Canonne, Kamath, Steinke 2020)."""
    GAUSSIAN = "discrete_gaussian"
    """Discrete Gaussian noise (Canonne, Kamath, Steinke 2020)."""
    LAPLACE_THRESHOLD = "discrete_laplace_threshold"
    """The same on counts, of which only those beyond a threshold are told (Rogers 2023)."""
    GAUSSIAN_THRESHOLD = "discrete_gaussian_threshold"
    """The same on counts, of which only those beyond a threshold are told (Rogers 2023)."""
    NOISY_MAX = "noisy_max"
    """The best of some candidates by noisy scores: the exponential mechanism (McSherry and Talwar 2007)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measurement of a query, as it is going to be drawn.

    Attributes:
        statistic: What is measured.
        mechanism: How.
        sensitivity: The most that one unit changes what is measured by, in whole steps: in the L1 distance over all
            cells for Laplace noise, in L2 for Gaussian noise, in each group's scores for the noisy maximum.
        scale: The scale of the noise, in the same steps: of Laplace's distribution, or the standard deviation.
        loss: What it costs.
        times: How many such draws one unit can be in: groups, for noisy maxima; the loss is that of all of them.
        threshold: The least noisy number of units for which a key is told.
        quantile: Which quantile.
    """

    statistic: Statistic
    mechanism: Mechanism
    sensitivity: float
    scale: float
    loss: Loss
    times: int = 1
    threshold: int | None = None
    quantile: Fraction | None = None

    @property
    def name(self) -> str:
        """What is measured, in the record."""
        return (
            self.statistic.name
            if self.quantile is None
            else f"{self.statistic.name} at {float(self.quantile)}"
        )

    def accuracy(self, confidence: float) -> int | None:
        """How far from the truth a cell is at most, in whole steps, with a probability.

        Args:
            confidence: The probability, below 1.

        Returns:
            The distance; None for a noisy maximum, which is right or wrong and has none.
        """
        beyond = 1 - confidence
        if self.mechanism in (Mechanism.LAPLACE, Mechanism.LAPLACE_THRESHOLD):
            # The tail of the discrete Laplace distribution, in closed form.
            return max(
                0, math.ceil(self.scale * math.log(2 / (beyond * (1 + math.exp(-1 / self.scale))))) - 1
            )
        if self.mechanism in (Mechanism.GAUSSIAN, Mechanism.GAUSSIAN_THRESHOLD):
            from statistics import NormalDist

            # Beyond m the discrete Gaussian has no more than the continuous one beyond m - 1 (Proposition 28 there).
            return math.ceil(self.scale * NormalDist().inv_cdf(1 - beyond / 2))
        return None


def measurements(query: Query) -> tuple[Measurement, ...]:
    """The measurements that answer a query, their losses adding up to no more than the query spends.

    The loss is divided evenly among the statistics, and that of ranks among their quantiles.

    Raises:
        InternalError: OpenDP's map does not agree with a planned loss.
    """
    share = _whole(query.spend / len(query.statistics))
    planned: list[Measurement] = []
    for statistic in query.statistics:
        if isinstance(statistic, Ranks):
            planned += _maxima(query, statistic, share)
        elif isinstance(statistic, Units) and query.unknown_keys:
            planned.append(_threshold(query, statistic, share))
        else:
            planned.append(_additive(query, statistic, share))
    return tuple(planned)


def loss_of(planned: tuple[Measurement, ...]) -> Loss:
    """What an answer costs: the losses of its measurements, added up."""
    return sum((measurement.loss for measurement in planned), Loss())


def draw(query: Query, planned: tuple[Measurement, ...], totals: Mapping[Statistic, Cells]) -> Drawn:
    """Draw the noise: once for each measurement, on all cells.

    Args:
        query: The query.
        planned: Its measurements.
        totals: Statistic to its exact cells, shape (groups, width).

    Returns:
        What may be told; nothing exact.

    Raises:
        InternalError: OpenDP refuses, or its map does not agree with what is charged.
    """
    groups = len(next(iter(totals.values())))
    told = np.arange(groups)
    noisy: dict[tuple[Statistic, Fraction | None], Cells] = {}
    for measurement in planned:
        # The threshold comes first: what is measured after it is measured of the keys that it told.
        if measurement.threshold is not None:
            told, counts = _above_threshold(query, measurement, totals[measurement.statistic])
            noisy[measurement.statistic, None] = counts
            continue
        cells = totals[measurement.statistic][told]
        one = (
            _with_noise(measurement, cells)
            if measurement.quantile is None
            else _best(query, measurement, cells)
        )
        noisy[measurement.statistic, measurement.quantile] = one
    return Drawn(groups=told, noisy=noisy)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Noisy cells.

    Attributes:
        groups: The groups that are told, shape (m,): their numbers among those of the totals, rising.
        noisy: Statistic, and quantile where there is one, to its cells, shape (m, width); for a quantile the number of
            the candidate, shape (m, 1).
    """

    groups: NDArray[np.int64]
    noisy: Mapping[tuple[Statistic, Fraction | None], Cells]


def _additive(query: Query, statistic: Statistic, share: Decimal) -> Measurement:
    """Noise on each cell of a statistic."""
    one_group = statistic.per_group(query.rows_per_group)
    if query.noise == "laplace":
        sensitivity = float(query.reach * one_group)
        scale = sensitivity / float(share)
        mechanism = Mechanism.LAPLACE
    else:
        # What a unit changes in one group is at most `one_group` in L1, so no more in L2; over groups it is their root.
        sensitivity = _up(one_group * math.sqrt(query.reach)) if query.reach > 1 else float(one_group)
        scale = sensitivity / math.sqrt(2 * float(share))
        mechanism = Mechanism.GAUSSIAN
    scale = _agreed(lambda s: _map(mechanism, s, sensitivity), scale, share)
    loss = _loss(query, _map(mechanism, scale, sensitivity))
    return Measurement(
        statistic=statistic, mechanism=mechanism, sensitivity=sensitivity, scale=scale, loss=loss
    )


def _maxima(query: Query, statistic: Ranks, share: Decimal) -> list[Measurement]:
    """A noisy maximum for each quantile of each group: a unit is in those of the groups that it reaches."""
    each = _whole(share / len(statistic.quantiles)) / query.reach
    planned = []
    for quantile in statistic.quantiles:
        sensitivity = float(statistic.per_group(query.rows_per_group) * _weight(quantile))
        epsilon = float(each) if query.noise == "laplace" else math.sqrt(8 * float(each))
        scale = _agreed(lambda s, d=sensitivity: _map_max(query, s, d), 2 * sensitivity / epsilon, each)
        loss = _loss(query, Decimal(_map_max(query, scale, sensitivity)) * query.reach)
        planned.append(
            Measurement(
                statistic=statistic,
                mechanism=Mechanism.NOISY_MAX,
                sensitivity=sensitivity,
                scale=scale,
                loss=loss,
                times=query.reach,
                quantile=quantile,
            )
        )
    return planned


def _threshold(query: Query, statistic: Units, share: Decimal) -> Measurement:
    """Noisy numbers of units, told only beyond a threshold that a key of one unit hardly ever passes."""
    laplace = query.noise == "laplace"
    mechanism = Mechanism.LAPLACE_THRESHOLD if laplace else Mechanism.GAUSSIAN_THRESHOLD
    reach = query.reach
    sensitivity = float(reach) if laplace else _up(math.sqrt(reach)) if reach > 1 else 1.0
    scale = sensitivity / (float(share) if laplace else math.sqrt(2 * float(share)))
    scale = _agreed(lambda s: _map_threshold(query, s, _HIGHEST_THRESHOLD, sensitivity)[0], scale, share)
    threshold = _least_threshold(query, scale, sensitivity)
    loss, delta = _map_threshold(query, scale, threshold, sensitivity)
    return Measurement(
        statistic=statistic,
        mechanism=mechanism,
        sensitivity=sensitivity,
        scale=scale,
        loss=Loss.approx_pure(loss, delta) if laplace else Loss.zcdp(loss, delta),
        threshold=threshold,
    )


def _least_threshold(query: Query, scale: float, sensitivity: float) -> int:
    """The least threshold whose delta is within the query's: by doubling, then by halves.

    Raises:
        BudgetError: The delta is beyond what numbers can tell.
    """

    def within(threshold: int) -> bool:
        return Decimal(_map_threshold(query, scale, threshold, sensitivity)[1]) <= query.delta

    high = 2
    while not within(high):
        if high >= _HIGHEST_THRESHOLD:
            raise BudgetError(
                "no threshold for unknown keys has so small a delta",
                where=query.name,
                fix="spend a delta of at least 1e-12",
            )
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


def _agreed(loss_at: Any, scale: float, most: Decimal) -> float:
    """The least scale, from a first guess upwards, at which OpenDP's map is within a loss.

    Raises:
        InternalError: There is none nearby, so that the closed form or the map is wrong.
    """
    step = 1e-15
    while Decimal(loss_at(scale)) > most:
        if step > 1e-6:
            raise InternalError("OpenDP's map does not agree with the planned loss", fix="report it as a bug")
        scale *= 1 + step
        step *= 2
    return scale


def _loss(query: Query, amount: float | Decimal) -> Loss:
    return Loss.pure(amount) if query.noise == "laplace" else Loss.zcdp(amount)


def _map(mechanism: Mechanism, scale: float, sensitivity: float) -> float:
    """OpenDP's bound on the loss of noise of that scale."""
    laplace = mechanism is Mechanism.LAPLACE
    distance = int(sensitivity) if laplace else sensitivity
    bound: float = _vector(laplace=laplace, scale=scale).map(distance)
    return bound


def _map_max(query: Query, scale: float, sensitivity: float) -> float:
    bound: float = _selection(laplace=query.noise == "laplace", scale=scale).map(int(sensitivity))
    return bound


def _map_threshold(query: Query, scale: float, threshold: int, sensitivity: float) -> tuple[float, float]:
    laplace = query.noise == "laplace"
    in_all = int(sensitivity) if laplace else sensitivity
    one = 1 if laplace else 1.0
    loss, delta = _counts(laplace=laplace, scale=scale, threshold=threshold).map((query.reach, in_all, one))
    return loss, delta


def _with_noise(measurement: Measurement, cells: Cells) -> Cells:
    laplace = measurement.mechanism is Mechanism.LAPLACE
    _charged(_map(measurement.mechanism, measurement.scale, measurement.sensitivity), measurement)
    noisy = _vector(laplace=laplace, scale=measurement.scale)(cells.ravel().tolist()) if cells.size else []
    return np.array(noisy, np.int64).reshape(cells.shape)


def _best(query: Query, measurement: Measurement, cells: Cells) -> Cells:
    """The number of the best candidate of each group."""
    _charged(
        Decimal(_map_max(query, measurement.scale, measurement.sensitivity)) * measurement.times, measurement
    )
    select = _selection(laplace=query.noise == "laplace", scale=measurement.scale)
    quantile = measurement.quantile or Fraction(0)
    return np.array([[select(scores.tolist())] for scores in _scores(cells, quantile)], np.int64).reshape(
        -1, 1
    )


def _scores(cells: Cells, quantile: Fraction) -> Cells:
    """How far each candidate is from a quantile, in rows times the quantile's denominator: the least is the best.

    Args:
        cells: Counts below, at and between c candidates, shape (m, 2 c + 1).
        quantile: The quantile p/q.

    Returns:
        |(q - p) rows below - p rows above|, shape (m, c).
    """
    below = np.cumsum(cells, axis=1)[:, :-1:2]
    above = np.cumsum(cells[:, ::-1], axis=1)[:, ::-1][:, 2::2]
    distances: Cells = np.abs(
        (quantile.denominator - quantile.numerator) * below - quantile.numerator * above
    )
    return distances


def _weight(quantile: Fraction) -> int:
    """The most that one row changes a score by."""
    return max(quantile.numerator, quantile.denominator - quantile.numerator)


def _above_threshold(query: Query, measurement: Measurement, cells: Cells) -> tuple[NDArray[np.int64], Cells]:
    """The groups that pass the threshold, rising, with their noisy numbers of units."""
    threshold = measurement.threshold or 0
    loss, delta = _map_threshold(query, measurement.scale, threshold, measurement.sensitivity)
    _charged(loss, measurement, delta=delta)
    laplace = query.noise == "laplace"
    counts = _counts(laplace=laplace, scale=measurement.scale, threshold=threshold)
    told: dict[int, int] = counts(dict(enumerate(cells.ravel().tolist())))
    groups = sorted(told)
    return np.array(groups, np.int64), np.array([[told[group]] for group in groups], np.int64).reshape(-1, 1)


def _charged(amount: float | Decimal, measurement: Measurement, *, delta: float = 0) -> None:
    """OpenDP's bound must be within what the ledger is charged.

    Raises:
        InternalError: It is not.
    """
    loss = measurement.loss
    asked = Loss.zcdp(amount, delta) if loss.epsilon is None else Loss.approx_pure(amount, delta)
    if not loss.covers(asked):
        raise InternalError("a measurement would cost more than it is charged", where=measurement.name)


def _whole(amount: Decimal) -> Decimal:
    """An amount of loss in the ledger's whole units, rounded down, so that shares do not add up to more."""
    return amount.quantize(Decimal(1) / LOSS_UNITS, ROUND_DOWN)


def _up(number: float) -> float:
    """The next float: rounding may have cut something off."""
    return math.nextafter(number, math.inf)


@cache
def _opendp() -> Any:
    """OpenDP, with what is used of it enabled; it takes a moment to import."""
    import opendp.prelude as dp

    dp.enable_features(FEATURES)
    return dp


def library() -> str:
    """The library that draws the noise, its version and its standing."""
    from importlib.metadata import version

    return f"opendp {version('opendp')} ({FEATURES})"


def _vector(*, laplace: bool, scale: float) -> Any:
    dp = _opendp()
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    if laplace:
        return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=scale)
    return dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=scale)


def _selection(*, laplace: bool, scale: float) -> Any:
    dp = _opendp()
    measure = dp.max_divergence() if laplace else dp.zero_concentrated_divergence()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.linf_distance(T="i64")
    return dp.m.make_noisy_max(*space, measure, scale=scale, negate=True)


def _counts(*, laplace: bool, scale: float, threshold: int) -> Any:
    dp = _opendp()
    domain = dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64"))
    if laplace:
        metric = dp.l01inf_distance(dp.absolute_distance(T="i64"))
        return dp.m.make_laplace_threshold(domain, metric, scale=scale, threshold=threshold)
    metric = dp.l02inf_distance(dp.absolute_distance(T="f64"))
    return dp.m.make_gaussian_threshold(domain, metric, scale=scale, threshold=threshold)
