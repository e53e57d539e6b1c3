"""What a private model is going to cost: its draws, planned before any data is read.

A fit is a list of draws that stands from the beginning: how many there are, with which noise, and what each costs, does
not depend on rows, nor on what earlier draws tell. Only what is asked depends on these: which pair of columns a draw
measures. Losses add up all the same: adaptive composition (Bun and Steinke 2016, lemma 2.3, for rho; Dwork and Roth
2014, theorem 3.16, for epsilon).

What one unit changes. Neighbours differ in all rows of one unit, of which `rows_per_unit` count at most. Each row is in
one cell of a marginal, so a marginal changes by k = `rows_per_unit` at most in L1, and by no more in L2, where all of
them may be in one cell. The score of a pair is the L1 distance of its marginal from whole numbers that are known
already, so it changes by k at most too (triangle inequality).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.dp.measurement import agreed, whole
from airflow_veil.privacy.dp.mechanism import Mechanism, selection_loss, vector_loss
from airflow_veil.privacy.dp.statistic import Noise
from airflow_veil.privacy.errors import BudgetError

STEPS = 16
"""Scores are counted in sixteenths of a row: what is compared with is rounded to whole ones, and no float is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One draw.

    Attributes:
        name: What it is of: `column age`, `choice 3` or `marginal 3`.
        mechanism: How it is drawn.
        noise: By which kind of noise, and which kind of loss it has.
        sensitivity: The most that one unit changes what is drawn from, in L1 for Laplace noise, in L2 for Gaussian
            noise, in each score for a choice; rows, or `STEPS` of one.
        scale: Of the noise, in the same.
        loss: What it costs.
        weight: What the distance of a candidate counts at most.
    """

    name: str
    mechanism: Mechanism
    noise: Noise
    sensitivity: float
    scale: float
    loss: Loss
    weight: int = 1

    @property
    def deviation(self) -> float:
        """The standard deviation of what is drawn."""
        return self.scale * math.sqrt(2) if self.noise == "laplace" else self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a fit may spend, and on whom.

    Attributes:
        noise: `gaussian` where rho is spent, `laplace` where epsilon is.
        amount: How much of it.
        rows_per_unit: How many rows of a unit count at most.
    """

    noise: Noise
    amount: Decimal
    rows_per_unit: int = 1

    def marginal(self, name: str, amount: Decimal) -> Planned:
        """Noise on each cell of a marginal.

        Raises:
            BudgetError: The amount is too small for that.
        """
        sensitivity = float(self.rows_per_unit)
        spent = self._some(amount)
        guess = (
            sensitivity / float(spent)
            if self.noise == "laplace"
            else sensitivity / math.sqrt(2 * float(spent))
        )
        scale = agreed(lambda s: vector_loss(self.noise, s, sensitivity), guess, spent)
        mechanism = Mechanism.LAPLACE if self.noise == "laplace" else Mechanism.GAUSSIAN
        return Planned(
            name=name, mechanism=mechanism, noise=self.noise, sensitivity=sensitivity, scale=scale,
            loss=self._loss(vector_loss(self.noise, scale, sensitivity)),
        )  # fmt: skip

    def choice(self, name: str, amount: Decimal, *, weight: int = 1) -> Planned:
        """The choice of a marginal by noisy scores, of which one row changes each by `STEPS` times the weight at most.

        Raises:
            BudgetError: The amount is too small for that.
        """
        sensitivity = float(STEPS * weight * self.rows_per_unit)
        spent = self._some(amount)
        epsilon = float(spent) if self.noise == "laplace" else math.sqrt(8 * float(spent))
        scale = agreed(lambda s: selection_loss(self.noise, s, sensitivity), 2 * sensitivity / epsilon, spent)
        return Planned(
            name=name, mechanism=Mechanism.NOISY_MAX, noise=self.noise, sensitivity=sensitivity, scale=scale,
            loss=self._loss(selection_loss(self.noise, scale, sensitivity)), weight=weight,
        )  # fmt: skip

    def share(self, part: Fraction, draws: int) -> Decimal:
        """What each of some draws may cost, in the ledger's whole units: together no more than a part of the amount."""
        return whole(self.amount * part.numerator / part.denominator / draws)

    def _some(self, amount: Decimal) -> Decimal:
        if amount <= 0:
            raise BudgetError(
                "the loss is too small to be divided among the draws of a model",
                fix="spend more, or make up fewer columns",
            )
        return amount

    def _loss(self, amount: float) -> Loss:
        return Loss.pure(amount) if self.noise == "laplace" else Loss.zcdp(amount)


def loss_of(planned: tuple[Planned, ...]) -> Loss:
    """What a fit costs: the losses of its draws, added up."""
    return sum((one.loss for one in planned), Loss())
