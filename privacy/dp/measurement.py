"""Measurements: what a query is answered by, and what each costs, planned before any data is read.

The scale of the noise follows from the loss in closed form; OpenDP's own map of the very measurement that is going to
be drawn then has to agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from airflow_veil.privacy.dp.loss import LOSS_UNITS, Loss
from airflow_veil.privacy.dp.mechanism import (
    LEAST_THRESHOLD,
    Mechanism,
    selection_loss,
    threshold_loss,
    vector_loss,
)
from airflow_veil.privacy.dp.query import Query
from airflow_veil.privacy.dp.ranks import Aim, aims, margin, weight
from airflow_veil.privacy.dp.statistic import Ranks, Statistic, Units
from airflow_veil.privacy.errors import BudgetError, InternalError

_HIGHEST_THRESHOLD = 1 << 40
_MOST_OUT = 1 << 61
"""Scores of so much and of all rows still fit 64 bits."""


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
        aim: What a noisy maximum looks for.
        out: How far out it aims, for an end of an interval; in the same steps as the scale.
    """

    statistic: Statistic
    mechanism: Mechanism
    sensitivity: float
    scale: float
    loss: Loss
    times: int = 1
    threshold: int | None = None
    aim: Aim | None = None
    out: int = 0

    @property
    def name(self) -> str:
        """What is measured, in the record."""
        if self.aim is None:
            return self.statistic.name
        end = f", {self.aim.end} end" if self.aim.end else ""
        return f"{self.statistic.name} at {float(self.aim.quantile)}{end}"

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

    The loss is divided evenly among the statistics, and that of ranks among their quantiles and the ends of these.

    Raises:
        BudgetError: The loss is too small for what is asked.
        InternalError: OpenDP's map does not agree with a planned loss.
    """
    share = whole(query.spend / len(query.statistics))
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


def _additive(query: Query, statistic: Statistic, share: Decimal) -> Measurement:
    """Noise on each cell of a statistic."""
    one_group = statistic.per_group(query.rows_per_group)
    if query.noise == "laplace":
        sensitivity = float(query.reach * one_group)
        scale = sensitivity / float(share)
        mechanism = Mechanism.LAPLACE
    else:
        # What a unit changes in one group is at most `one_group` in L1, so no more in L2; over groups it is their root.
        sensitivity = up(one_group * math.sqrt(query.reach)) if query.reach > 1 else float(one_group)
        scale = sensitivity / math.sqrt(2 * float(share))
        mechanism = Mechanism.GAUSSIAN
    scale = agreed(lambda s: vector_loss(query.noise, s, sensitivity), scale, share)
    loss = _loss(query, vector_loss(query.noise, scale, sensitivity))
    return Measurement(
        statistic=statistic, mechanism=mechanism, sensitivity=sensitivity, scale=scale, loss=loss
    )


def _maxima(query: Query, statistic: Ranks, share: Decimal) -> list[Measurement]:
    """Three noisy maxima for each quantile of each group: a unit is in those of the groups that it reaches."""
    sought = aims(statistic.quantiles)
    each = whole(share / len(sought)) / query.reach
    return [_maximum(query, statistic, aim, each) for aim in sought]


def _maximum(query: Query, statistic: Ranks, aim: Aim, each: Decimal) -> Measurement:
    sensitivity = float(statistic.per_group(query.rows_per_group) * weight(aim.quantile))
    epsilon = float(each) if query.noise == "laplace" else math.sqrt(8 * float(each))
    scale = agreed(lambda s: selection_loss(query.noise, s, sensitivity), 2 * sensitivity / epsilon, each)
    return Measurement(
        statistic=statistic,
        mechanism=Mechanism.NOISY_MAX,
        sensitivity=sensitivity,
        scale=scale,
        loss=_loss(query, Decimal(selection_loss(query.noise, scale, sensitivity)) * query.reach),
        times=query.reach,
        aim=aim,
        out=_out(query, scale, len(statistic.candidates)) if aim.end else 0,
    )


def _out(query: Query, scale: float, candidates: int) -> int:
    """How far out an end of an interval aims.

    Raises:
        BudgetError: Further than numbers can tell.
    """
    out = margin(scale, candidates, query.confidence)
    if out > _MOST_OUT:
        raise BudgetError(
            "so small a loss finds no interval of a quantile", where=query.name, fix="spend more"
        )
    return out


def _threshold(query: Query, statistic: Units, share: Decimal) -> Measurement:
    """Noisy numbers of units, told only beyond a threshold that a key of one unit hardly ever passes."""
    laplace = query.noise == "laplace"
    mechanism = Mechanism.LAPLACE_THRESHOLD if laplace else Mechanism.GAUSSIAN_THRESHOLD
    reach = query.reach
    sensitivity = float(reach) if laplace else up(math.sqrt(reach)) if reach > 1 else 1.0
    scale = sensitivity / (float(share) if laplace else math.sqrt(2 * float(share)))
    scale = agreed(
        lambda s: threshold_loss(query.noise, s, _HIGHEST_THRESHOLD, reach, sensitivity)[0], scale, share
    )
    threshold = _least_threshold(query, scale, sensitivity)
    loss, delta = threshold_loss(query.noise, scale, threshold, query.reach, sensitivity)
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
        return (
            Decimal(threshold_loss(query.noise, scale, threshold, query.reach, sensitivity)[1]) <= query.delta
        )

    high = LEAST_THRESHOLD
    while not within(high):
        if high >= _HIGHEST_THRESHOLD:
            raise BudgetError(
                "no threshold for unknown keys has so small a delta",
                where=query.name,
                fix="spend a delta of at least 1e-12",
            )
        high *= 2
    low = max(high // 2, LEAST_THRESHOLD - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


def agreed(loss_at: Callable[[float], float], scale: float, most: Decimal) -> float:
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


def whole(amount: Decimal) -> Decimal:
    """An amount of loss in the ledger's whole units, rounded down, so that shares do not add up to more."""
    return amount.quantize(Decimal(1) / LOSS_UNITS, ROUND_DOWN)


def up(number: float) -> float:
    """The next float: rounding may have cut something off."""
    return math.nextafter(number, math.inf)
