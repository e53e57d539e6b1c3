"""The draws of a fit: the only way from exact marginals to what may be told, in the order of the plan, each once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.dp.mechanism import Mechanism, selection, selection_loss, vector, vector_loss
from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.synthetic.junction import Floats
from airflow_veil.privacy.synthetic.marginals import Cells, Clique, Marginals, summed
from airflow_veil.privacy.synthetic.planned import STEPS, Planned

Groups = Sequence[NDArray[np.int64]]
"""For each column the group of each code, from 0 on: post-processing of what was drawn before."""

_MOST = 1 << 40
"""Rows that an expected count may be: far beyond, scores would not fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A marginal that may be chosen.

    Attributes:
        clique: Its columns.
        expected: What the model has in its cells, in rows, an axis a column.
        penalty: What noise is expected to add to its distance, in rows.
        weight: What its distance counts.
    """

    clique: Clique
    expected: Floats
    penalty: float = 0.0
    weight: int = 1


class Draws:
    """Draws what is planned, in its order."""

    def __init__(self, exact: Marginals, planned: tuple[Planned, ...]) -> None:
        """Nothing is drawn.

        Args:
            exact: The exact marginals; whoever has them here has no other use for them.
            planned: What was charged.
        """
        self._exact = exact
        self._left = list(planned)
        self._summed: dict[Clique, Cells] = {}

    def codes(self, column: int) -> NDArray[np.int64]:
        """The codes of a column, each a group of its own."""
        return np.arange(self._exact.sizes[column], dtype=np.int64)

    def marginal(self, name: str, clique: Clique, groups: Groups) -> Floats:
        """A marginal with noise.

        Args:
            name: What is planned next.
            clique: Its columns.
            groups: For each of its columns the group of each code.

        Returns:
            Whole numbers as float64, an axis a column; some are negative.

        Raises:
            InternalError: Something else is planned, or OpenDP's map does not agree with what is charged.
        """
        planned = self._next(name, Mechanism.LAPLACE, Mechanism.GAUSSIAN)
        _charged(vector_loss(planned.noise, planned.scale, planned.sensitivity), planned)
        cells = summed(self._exact.counts(clique), groups)
        noisy = np.array(vector(planned.noise, planned.scale)(np.ascontiguousarray(cells.ravel())), np.int64)
        return noisy.reshape(cells.shape).astype(np.float64)

    def choose(self, name: str, candidates: Sequence[Candidate], groups: Groups) -> int:
        """The candidate that the model is furthest from, by noisy scores.

        Args:
            name: What is planned next.
            candidates: At least one.
            groups: For each column of the table the group of each code.

        Returns:
            Its number.

        Raises:
            InternalError: Something else is planned, a candidate counts for more than was charged, or OpenDP's map does
                not agree.
        """
        planned = self._next(name, Mechanism.NOISY_MAX)
        _charged(selection_loss(planned.noise, planned.scale, planned.sensitivity), planned)
        if max(candidate.weight for candidate in candidates) > planned.weight:
            raise InternalError("a score would change by more than was charged", where=name)
        scores = [self._score(candidate, groups) for candidate in candidates]
        return int(selection(planned.noise, planned.scale)(-np.array(scores, np.int64)))

    def _score(self, candidate: Candidate, groups: Groups) -> int:
        """How far the model is from a marginal, in sixteenths of a row: exact, so private."""
        cells = self._over(candidate.clique, groups)
        expected = np.rint(np.clip(candidate.expected, 0, _MOST) * STEPS).astype(np.int64)
        distance = int(np.abs(cells * STEPS - expected).sum())
        return candidate.weight * (distance - math.floor(candidate.penalty * STEPS))

    def _over(self, clique: Clique, groups: Groups) -> Cells:
        """A marginal over groups, which are the same for all choices: kept from the first on."""
        if clique not in self._summed:
            cells = summed(self._exact.counts(clique), [groups[column] for column in clique])
            self._summed[clique] = cells
        return self._summed[clique]

    def _next(self, name: str, *mechanisms: Mechanism) -> Planned:
        planned = self._left.pop(0) if self._left else None
        if planned is None or planned.name != name or planned.mechanism not in mechanisms:
            raise InternalError("a draw that is not planned", where=name, fix="report it as a bug")
        return planned


def _charged(amount: float, planned: Planned) -> None:
    """OpenDP's bound must be within what the ledger is charged.

    Raises:
        InternalError: It is not.
    """
    asked = Loss.pure(amount) if planned.noise == "laplace" else Loss.zcdp(amount)
    if not planned.loss.covers(asked):
        raise InternalError("a draw would cost more than it is charged", where=planned.name)
