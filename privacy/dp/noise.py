"""Noise: the draws of a query's measurements, each once, on whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.dp.contributions import in_threads
from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.dp.measurement import Measurement
from airflow_veil.privacy.dp.mechanism import (
    selection,
    selection_loss,
    threshold,
    threshold_loss,
    vector,
    vector_loss,
)
from airflow_veil.privacy.dp.query import Query
from airflow_veil.privacy.dp.ranks import Aim, scores
from airflow_veil.privacy.dp.statistic import Statistic
from airflow_veil.privacy.errors import InternalError

Cells = NDArray[np.int64]

_PART = 1 << 12
"""Cells that a thread draws at a time: so few that all threads end together."""


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
    noisy: dict[tuple[Statistic, Aim | None], Cells] = {}
    for measurement in planned:
        # The threshold comes first: what is measured after it is measured of the keys that it told.
        if measurement.threshold is not None:
            told, units = _above_threshold(query, measurement, totals[measurement.statistic])
            noisy[measurement.statistic, None] = units
            continue
        cells = totals[measurement.statistic][told]
        one = (
            _with_noise(query, measurement, cells)
            if measurement.aim is None
            else _best(query, measurement, measurement.aim, cells)
        )
        noisy[measurement.statistic, measurement.aim] = one
    return Drawn(groups=told, noisy=noisy)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Noisy cells.

    Attributes:
        groups: The groups that are told, shape (m,): their numbers among those of the totals, rising.
        noisy: Statistic, and what is looked for in ranks, to its cells, shape (m, width); of ranks the number of the
            candidate, shape (m, 1).
    """

    groups: NDArray[np.int64]
    noisy: Mapping[tuple[Statistic, Aim | None], Cells]


def _with_noise(query: Query, measurement: Measurement, cells: Cells) -> Cells:
    _charged(vector_loss(query.noise, measurement.scale, measurement.sensitivity), measurement)
    noise = vector(query.noise, measurement.scale)
    # Cells get noise of their own, so it is all the same whether a vector gets it whole or in parts. The sampler runs
    # outside of Python's lock, and takes arrays as they are; of a list, OpenDP looks at each number by itself.
    noisy = in_threads(lambda part: np.array(noise(part), np.int64), _parts(cells.ravel(), _PART))
    return np.concatenate(noisy).reshape(cells.shape)


def _parts(cells: Cells, most: int) -> list[Cells]:
    """Parts of at most so many, one after the other."""
    return np.array_split(cells, len(cells) // most + 1)


def _best(query: Query, measurement: Measurement, aim: Aim, cells: Cells) -> Cells:
    """The number of the best candidate of each group."""
    one = selection_loss(query.noise, measurement.scale, measurement.sensitivity)
    _charged(Decimal(one) * measurement.times, measurement)
    select = selection(query.noise, measurement.scale)

    def chosen(part: Cells) -> Cells:
        return np.array([select(row) for row in scores(part, aim, measurement.out)], np.int64)

    return np.concatenate(in_threads(chosen, _parts(cells, _PART // cells.shape[1] + 1))).reshape(-1, 1)


def _above_threshold(query: Query, measurement: Measurement, cells: Cells) -> tuple[NDArray[np.int64], Cells]:
    """The groups that pass the threshold, rising, with their noisy numbers of units."""
    scale, least = measurement.scale, measurement.threshold or 0
    loss, delta = threshold_loss(query.noise, scale, least, query.reach, measurement.sensitivity)
    _charged(loss, measurement, delta=delta)
    noisy: dict[int, int] = threshold(query.noise, scale, least)(dict(enumerate(cells.ravel().tolist())))
    groups = np.array(sorted(noisy), np.int64)
    return groups, np.array([noisy[group] for group in groups.tolist()], np.int64).reshape(-1, 1)


def _charged(amount: float | Decimal, measurement: Measurement, *, delta: float = 0) -> None:
    """OpenDP's bound must be within what the ledger is charged.

    Raises:
        InternalError: It is not.
    """
    loss = measurement.loss
    asked = Loss.zcdp(amount, delta) if loss.epsilon is None else Loss.approx_pure(amount, delta)
    if not loss.covers(asked):
        raise InternalError("a measurement would cost more than it is charged", where=measurement.name)
