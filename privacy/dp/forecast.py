"""What an answer is going to cost and how far off it is going to be: from the query alone, before any data is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from airflow_veil.privacy.dp.measurement import Measurement, loss_of, measurements
from airflow_veil.privacy.dp.query import Query, statistics_of
from airflow_veil.privacy.dp.ranks import Aim, End
from airflow_veil.privacy.dp.statistic import Bins, Ranks, Rows, Statistic, Total, Units
from airflow_veil.privacy.errors import BudgetError

SIZES = (100, 1_000, 10_000)
"""Rows a group for which errors are told where nobody says otherwise."""
_DIGITS = Decimal("1e-6")
"""How finely a loss is tuned."""
_MOST = Decimal(1_000)
_Planned = dict[tuple[Statistic, Aim | None], Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How far off one measure is going to be.

    Attributes:
        measure: Its name.
        part: Which quantile; None otherwise.
        error: Group size in rows to how far the value is from that of the bounded rows at most, with the query's
            confidence: in the measure's units, for a quantile in rows of its rank. What bounding and clamping leave
            out is not in it: that depends on the table.
        reach: How many rows of rank the ends of a quantile's interval are off it at most, with the query's confidence,
            and up to the next candidate; None where the interval is the value give or take its error.
    """

    measure: str
    part: str | None
    error: dict[int, float]
    reach: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a query is answered by, what that costs and how good it gets.

    Attributes:
        query: The query.
        planned: Its measurements.
        expected: The errors.
    """

    query: Query
    planned: tuple[Measurement, ...]
    expected: tuple[Expected, ...]

    @property
    def loss(self) -> str:
        """What it costs."""
        return str(loss_of(self.planned))


def forecast(query: Query, sizes: Sequence[int] = SIZES) -> Forecast:
    """Foretell an answer.

    Args:
        query: The query.
        sizes: Rows a group to tell the errors for; those of counts and sums do not depend on them.
    """
    planned = measurements(query)
    by_statistic = {(m.statistic, m.aim): m for m in planned}
    expected = [
        Expected(
            measure=name,
            part=part,
            error={size: _error(query, made_of, by_statistic, part, size) for size in sizes},
            reach=_reach(made_of, by_statistic, part),
        )
        for name, measure in query.measures.items()
        for made_of in [statistics_of(measure)]
        for part in _parts(made_of)
    ]
    return Forecast(query, planned, tuple(expected))


def tune(query: Query, measure: str, *, within: float, size: int) -> Decimal:
    """The least that the query has to spend for a measure to be within a distance of the truth.

    Args:
        query: The query; what it spends now does not matter.
        measure: The measure.
        within: The distance, in the measure's units (a quantile's: rows of its rank); with the query's confidence.
        size: Rows a group.

    Returns:
        Epsilon or rho, as the query spends it.

    Raises:
        BudgetError: No reasonable loss gets there.
    """
    if measure not in query.measures:
        raise BudgetError(
            f"there is no measure {measure}", where=query.name, expected=f"one of {', '.join(query.measures)}"
        )
    low, high = Decimal(0), _MOST
    if not _within(query, measure, high, within, size):
        raise BudgetError(
            "no loss that makes sense gets as near as that",
            where=f"{query.name}.{measure}",
            fix="ask for less",
        )
    while high - low > max(_DIGITS, high * Decimal("1e-3")):
        middle = ((low + high) / 2).quantize(_DIGITS)
        if _within(query, measure, middle, within, size):
            high = middle
        else:
            low = middle
    return high


def _within(query: Query, measure: str, spend: Decimal, within: float, size: int) -> bool:
    try:
        told = forecast(replace(query, spend=spend), (size,))
    except BudgetError:  # so little that nothing can be planned with it
        return False
    return all(e.error[size] <= within for e in told.expected if e.measure == measure)


def _parts(made_of: list[Statistic]) -> list[str | None]:
    if isinstance(made_of[0], Ranks):
        return [f"{float(quantile):g}" for quantile in made_of[0].quantiles]
    return [None]


def _error(
    query: Query,
    made_of: list[Statistic],
    planned: _Planned,
    part: str | None,
    size: int,
) -> float:
    """How far off at most, for a group of so many rows."""

    def off(statistic: Statistic) -> float:
        confidence = 1 - (1 - query.confidence) / len(made_of)
        steps = planned[statistic, None].accuracy(confidence) or 0
        return float(steps * statistic.step) if isinstance(statistic, Total) else float(steps)

    match made_of:
        case [Units() | Rows() | Bins() | Total() as statistic]:
            return off(statistic)
        case [Ranks() as ranks]:
            measurement = planned[ranks, Aim(_quantile(ranks, part))]
            return _rank_error(measurement, len(ranks.candidates), query.confidence)
        case [Rows() as rows, Total() as centred, *squared]:
            half = float((centred.high - centred.low) / 2)
            left = max(size - off(rows), 1.0)
            mean = min((off(centred) + half * off(rows)) / left, 2 * half)
            if not squared:
                return mean
            square = (off(squared[0]) + half * half * off(rows)) / left
            return min(square + 2 * half * mean, half * half)
        case _:
            return math.nan


def _rank_error(measurement: Measurement, candidates: int, confidence: float) -> float:
    """How many rows the chosen candidate's rank is off the best one's (Dwork and Roth 2014, Theorem 3.11)."""
    return measurement.scale * math.log(candidates / (1 - confidence)) / _in_one_row(measurement)


def _reach(made_of: list[Statistic], planned: _Planned, part: str | None) -> float | None:
    """How many rows the rank of an interval's end is off: it aims so far out, and is as far from that; see `ranks`."""
    if not isinstance(made_of[0], Ranks):
        return None
    measurement = planned[made_of[0], Aim(_quantile(made_of[0], part), End.LOW)]
    return 2 * measurement.out / _in_one_row(measurement)


def _quantile(ranks: Ranks, part: str | None) -> Fraction:
    return next(quantile for quantile in ranks.quantiles if f"{float(quantile):g}" == part)


def _in_one_row(measurement: Measurement) -> int:
    """By how much one row of rank changes a score."""
    return measurement.aim.quantile.denominator if measurement.aim else 1
