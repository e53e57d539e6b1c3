"""The answer: a row a cell, with its interval and the scale of its noise. Everything here is post-processing.

It is made of noisy whole numbers and of the query, nothing else, so it costs nothing, whatever it computes (Dwork and
Roth 2014, Proposition 2.1). Values are as they were drawn: not rounded, not clamped; counts can be negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.dp.measurement import Measurement
from airflow_veil.privacy.dp.noise import Cells, Drawn
from airflow_veil.privacy.dp.query import Query, statistics_of
from airflow_veil.privacy.dp.ranks import Aim, End
from airflow_veil.privacy.dp.statistic import Bins, Ranks, Rows, Statistic, Total, Units
from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.policy import differential_privacy as words

Floats = NDArray[np.float64]

FIXED = {
    "measure": pa.string(),
    "part": pa.string(),
    "value": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "noise": pa.string(),
    "noise_scale": pa.float64(),
}
"""The columns of an answer after its keys: the measure; the bin or the quantile, null where there is none; the noisy
value; the interval in which the value without noise lies, with the query's confidence; the kind of noise and its scale,
in the value's units."""
IN_BOUNDS = "value_in_bounds"
"""The column that `consistency: in_bounds` adds."""


@dataclass(frozen=True, slots=True)
class _Column:
    """Cells of one part of one measure, one a group told."""

    value: Floats
    low: Floats
    high: Floats
    noise: str
    scale: float
    part: str | None = None
    within: tuple[float, float] = (-np.inf, np.inf)


def schema_of(query: Query, key_types: Sequence[pa.DataType]) -> pa.Schema:
    """The columns of an answer."""
    keys = zip((axis.name for axis in query.axes), key_types, strict=True)
    fixed = {**FIXED, **({IN_BOUNDS: pa.float64()} if query.consistency else {})}
    return pa.schema([*keys, *fixed.items()])


def answer(
    query: Query, planned: Sequence[Measurement], drawn: Drawn, labels: Sequence[pa.Array]
) -> pa.Table:
    """Put an answer together.

    Args:
        query: The query.
        planned: Its measurements.
        drawn: What was drawn.
        labels: For each axis the label of each group told, shape (m,).

    Returns:
        A row a group, measure and part, in the order of the public keys, or sorted by keys; see `schema_of`.
    """
    cells = _Cells(query, {(m.statistic, m.aim): m for m in planned}, drawn)
    schema = schema_of(query, [array.type for array in labels])
    order = _order(labels) if query.unknown_keys else np.arange(len(drawn.groups))
    tables = [
        _table(schema, name, column, labels)
        for name, measure in query.measures.items()
        for column in cells.columns(measure)
    ]
    rows = (np.arange(len(tables))[None, :] * len(drawn.groups) + order[:, None]).ravel()
    return pa.concat_tables(tables).take(pa.array(rows))


def _order(labels: Sequence[pa.Array]) -> NDArray[np.int64]:
    """Groups by their keys: the order in which they were found tells of the table."""
    table = pa.table({str(number): array for number, array in enumerate(labels)})
    by = [(name, "ascending") for name in table.column_names]
    order: NDArray[np.int64] = pc.sort_indices(table, sort_keys=by).to_numpy().astype(np.int64)
    return order


def _table(schema: pa.Schema, measure: str, column: _Column, labels: Sequence[pa.Array]) -> pa.Table:
    rows = len(column.value)
    fixed: dict[str, pa.Array] = {
        "measure": pa.repeat(measure, rows),
        "part": pa.repeat(pa.scalar(column.part, pa.string()), rows),
        "value": _number(column.value),
        "low": _number(column.low),
        "high": _number(column.high),
        "noise": pa.repeat(column.noise, rows),
        "noise_scale": pa.repeat(float(column.scale), rows),
        IN_BOUNDS: _number(np.clip(column.value, *column.within)),
    }
    arrays = [*labels, *(fixed[name] for name in schema.names[len(labels) :])]
    return pa.Table.from_arrays(arrays, schema=schema)


def _number(values: Floats) -> pa.Array:
    """Numbers, null where there is none."""
    return pa.array(values, pa.float64(), from_pandas=True)


@dataclass(frozen=True, slots=True)
class _Cells:
    """The noisy cells of a query, by statistic, as measures need them."""

    query: Query
    planned: dict[tuple[Statistic, Aim | None], Measurement]
    drawn: Drawn

    def columns(self, measure: words.Measure) -> Iterator[_Column]:
        """The columns of cells that a measure gives."""
        made_of = statistics_of(measure)
        match made_of:
            case [Rows() | Units() as counted]:
                yield from self._counts(counted)
            case [Total() as total]:
                yield self._sum(total)
            case [Rows() as rows, Total() as centred]:
                yield self._mean(rows, centred)
            case [Rows() as rows, Total() as centred, Total() as squared]:
                yield self._variance(rows, centred, squared)
            case [Bins() as bins]:
                yield from self._counts(bins, bin_labels(bins))
            case [Ranks() as ranks]:
                yield from self._quantiles(ranks)
            case _:
                raise InternalError("a measure is made of statistics that nothing is computed from")

    def _noisy(self, statistic: Statistic, share: int = 1) -> tuple[Cells, int, Measurement]:
        """Noisy cells, how far from the truth they are, and their measurement.

        Args:
            statistic: Which.
            share: Of how many noises that must all be within their distance this is one (Bonferroni).
        """
        measurement = self.planned[statistic, None]
        confidence = 1 - (1 - self.query.confidence) / share
        return self.drawn.noisy[statistic, None], measurement.accuracy(confidence) or 0, measurement

    def _counts(
        self, statistic: Rows | Units | Bins, parts: Sequence[str | None] = (None,)
    ) -> Iterator[_Column]:
        cells, off, measurement = self._noisy(statistic)
        for number, part in enumerate(parts):
            value = cells[:, number].astype(float)
            yield _Column(
                value=value,
                low=value - off,
                high=value + off,
                noise=measurement.mechanism,
                scale=measurement.scale,
                part=part,
                within=(0, np.inf),
            )

    def _sum(self, total: Total) -> _Column:
        cells, off, measurement = self._noisy(total)
        return _Column(
            value=_steps(cells[:, 0], total.step),
            low=_steps(cells[:, 0] - off, total.step),
            high=_steps(cells[:, 0] + off, total.step),
            noise=measurement.mechanism,
            scale=float(Fraction(measurement.scale) * total.step),
            within=(0 if total.low >= 0 else -np.inf, 0 if total.high <= 0 else np.inf),
        )

    def _mean(self, rows: Rows, centred: Total) -> _Column:
        """The middle of the bounds and the noisy mean distance from it; null where the noisy number is not positive."""
        counts, off, _ = self._noisy(rows, 2)
        sums, off_sum, measurement = self._noisy(centred, 2)
        middle, bounds = float(centred.middle), (float(centred.low), float(centred.high))
        number = counts[:, 0].astype(float)
        total, spread = _steps(sums[:, 0], centred.step), float(off_sum * centred.step)
        ends = _quotient((total - spread, total + spread), (number - off, number + off))
        return _Column(
            value=middle + _divided(total, number),
            low=np.clip(middle + ends[0], *bounds),
            high=np.clip(middle + ends[1], *bounds),
            noise=measurement.mechanism,
            scale=float(Fraction(measurement.scale) * centred.step),
            within=bounds,
        )

    def _variance(self, rows: Rows, centred: Total, squared: Total) -> _Column:
        """The mean square of the distance from the middle, less the square of its mean."""
        counts, off, _ = self._noisy(rows, 3)
        sums, off_sum, _ = self._noisy(centred, 3)
        squares, off_square, measurement = self._noisy(squared, 3)
        number = counts[:, 0].astype(float)
        between = (number - off, number + off)
        first, second = _steps(sums[:, 0], centred.step), _steps(squares[:, 0], squared.step)
        spread, spread_square = float(off_sum * centred.step), float(off_square * squared.step)
        means = _quotient((first - spread, first + spread), between)
        mean_squares = _quotient((second - spread_square, second + spread_square), between)
        least = np.where((means[0] <= 0) & (means[1] >= 0), 0, np.minimum(means[0] ** 2, means[1] ** 2))
        most = np.maximum(means[0] ** 2, means[1] ** 2)
        # No variance of numbers between two bounds is greater than that of the bounds themselves (Popoviciu 1935).
        bounds = (0.0, float(((squared.high - squared.low) / 2) ** 2))
        return _Column(
            value=_divided(second, number) - _divided(first, number) ** 2,
            low=np.clip(mean_squares[0] - most, *bounds),
            high=np.clip(mean_squares[1] - least, *bounds),
            noise=measurement.mechanism,
            scale=float(Fraction(measurement.scale) * squared.step),
            within=bounds,
        )

    def _quantiles(self, ranks: Ranks) -> Iterator[_Column]:
        candidates = np.array(ranks.candidates)
        for quantile in ranks.quantiles:
            value, low, high = (
                candidates[self.drawn.noisy[ranks, Aim(quantile, end)][:, 0]] for end in (None, *End)
            )
            measurement = self.planned[ranks, Aim(quantile)]
            yield _Column(
                value=value,
                # The value has noise of its own, and may lie beyond an end; widened, the interval holds no less.
                low=np.minimum(low, value),
                high=np.maximum(high, value),
                noise=measurement.mechanism,
                scale=measurement.scale,
                part=f"{float(quantile):g}",
            )


def bin_labels(bins: Bins) -> list[str]:
    """The bins in words: `[0, 10)`, the last one `[90, 100]`; or the values."""
    if bins.values:
        return [str(value) for value in bins.values]
    last = len(bins.edges) - 2
    return [
        f"[{left:.15g}, {right:.15g}{']' if number == last else ')'}"
        for number, (left, right) in enumerate(zip(bins.edges, bins.edges[1:], strict=False))
    ]


def _steps(cells: Cells, step: Fraction) -> Floats:
    """Whole steps as numbers; the division comes last, so that what has a short decimal form gets it."""
    scaled: Floats = np.multiply(cells, float(step.numerator), dtype=np.float64) / float(step.denominator)
    return scaled


def _divided(above: Floats, below: Floats) -> Floats:
    """A quotient, NaN where the divisor is not positive."""
    quotient: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return quotient


def _quotient(above: tuple[Floats, Floats], below: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """The least and the greatest quotient of numbers between two ends each; unbounded where the divisor may be zero."""
    possible = below[0] > 0
    ends = [np.divide(a, b, out=np.zeros(len(a)), where=possible) for a in above for b in below]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    return np.where(possible, low, -np.inf), np.where(possible, high, np.inf)
