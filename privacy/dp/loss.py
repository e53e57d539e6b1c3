"""Privacy losses in exact whole units, and what an account allows of them.

Losses add up, whoever chooses the next query and however it depends on answers before: pure losses and (epsilon, delta)
by privacy filters (Rogers, Roth, Ullman and Vadhan, "Privacy Odometers and Filters", 2016), zero-concentrated ones by
theirs (Whitehouse, Ramdas, Rogers and Wu, "Fully Adaptive Composition in Differential Privacy", 2023). A filter
compares with limits that are fixed beforehand; so the delta of an account is divided once for all: see `THRESHOLDS`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from airflow_veil.privacy.dp.conversion import epsilon_of, rho_of
from airflow_veil.privacy.errors import BudgetError

LOSS_UNITS = 10**12
"""Units of epsilon and rho in 1."""
DELTA_UNITS = 10**18
"""Units of delta in 1."""
LARGEST_EPSILON = 1_000
"""The most that a loss or a limit may be; far beyond it there is no privacy, and sums would not fit a database."""
LARGEST_RHO = 500_000
"""The rho of the largest epsilon."""
_SCALES = {
    "epsilon": (LOSS_UNITS, LARGEST_EPSILON),
    "rho": (LOSS_UNITS, LARGEST_RHO),
    "delta": (DELTA_UNITS, 1),
}
"""Units in 1, and the most there can be."""
THRESHOLDS = Fraction(1, 2)
"""The share of an account's delta, beside epsilon, that thresholds for unknown keys may use up; the other pays for
telling rho as epsilon. Were it divided as queries come, by what answers so far suggest, the sum could be two deltas."""

Kind = Literal["pure", "approx", "zcdp"]
"""How an account counts: epsilons; (epsilon, delta); or rho."""
Amount = int | float | Decimal | Fraction
"""An amount. A float counts as the binary fraction that it is: 0.1 is more than a tenth, Decimal("0.1") is one."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The privacy loss of a measurement, or of many.

    Attributes:
        epsilon: Pure differential privacy, but for delta, in units of 1e-12; None where the noise gives none.
        rho: Zero-concentrated differential privacy, but for delta, in units of 1e-12.
        delta: The probability with which the others may not hold, in units of 1e-18.
    """

    epsilon: int | None = 0
    rho: int = 0
    delta: int = 0

    @classmethod
    def pure(cls, epsilon: Amount) -> Loss:
        """The loss of an epsilon-differentially private mechanism, such as Laplace noise, rounded up.

        It is epsilon²/2-zCDP too: Proposition 1.4 of Bun and Steinke, "Concentrated Differential Privacy" (2016).

        Raises:
            BudgetError: The amount is no loss.
        """
        units = _units(epsilon, "epsilon")
        return cls(units, -(-units * units // (2 * LOSS_UNITS)))

    @classmethod
    def zcdp(cls, rho: Amount, delta: Amount = 0) -> Loss:
        """The loss of a delta-approximately rho-zCDP mechanism, such as Gaussian noise, rounded up.

        Raises:
            BudgetError: An amount is no loss.
        """
        units = _units(rho, "rho")
        return cls(None, units, _units(delta, "delta"))

    @classmethod
    def approx_pure(cls, epsilon: Amount, delta: Amount) -> Loss:
        """The loss of a mechanism of delta-approximate max-divergence epsilon, such as a Laplace threshold, rounded up.

        Raises:
            BudgetError: An amount is no loss.
        """
        return replace(cls.pure(epsilon), delta=_units(delta, "delta"))

    def __add__(self, other: Loss) -> Loss:
        epsilon = None if self.epsilon is None or other.epsilon is None else self.epsilon + other.epsilon
        return Loss(epsilon, self.rho + other.rho, self.delta + other.delta)

    def covers(self, other: Loss) -> bool:
        """Whether the other is no greater, however it is counted."""
        epsilon_too = self.epsilon is None or (other.epsilon is not None and other.epsilon <= self.epsilon)
        return epsilon_too and other.rho <= self.rho and other.delta <= self.delta

    def as_dict(self) -> dict[str, str | None]:
        """The amounts as decimal texts."""
        return {
            "epsilon": None if self.epsilon is None else text_of(_amount(self.epsilon, LOSS_UNITS)),
            "rho": text_of(_amount(self.rho, LOSS_UNITS)),
            "delta": text_of(_amount(self.delta, DELTA_UNITS)),
        }

    def __str__(self) -> str:
        amounts = self.as_dict()
        told = f"rho {amounts['rho']}" if self.epsilon is None else f"epsilon {amounts['epsilon']}"
        return f"{told} and delta {amounts['delta']}" if self.delta else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account allows in a period: a bound on epsilon or on rho.

    Attributes:
        epsilon: The bound on epsilon: of pure differential privacy without a delta, else of (epsilon, delta).
        rho: The bound on rho, in its place.
        delta: What goes with epsilon; with rho, what thresholds for unknown keys may use up in all.

    Raises:
        BudgetError: They are not exactly one bound, or not within reason.
    """

    epsilon: Decimal | None = None
    rho: Decimal | None = None
    delta: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.rho is None):
            raise BudgetError("a budget has a limit on either epsilon or rho")
        for word, (in_one, _) in _SCALES.items():
            amount = getattr(self, word)
            # Whole units, so that limits can be added and taken apart without rounding.
            if amount is not None and Fraction(_units(amount, word), in_one) != amount:
                raise BudgetError(
                    f"the {word} of a budget has too many digits", expected=f"units of {1 / in_one}"
                )
        if self.delta in (0, 1):
            raise BudgetError("the delta of a budget is between 0 and 1, without both")

    @property
    def kind(self) -> Kind:
        """How losses are counted."""
        if self.rho is not None:
            return "zcdp"
        return "pure" if self.delta is None else "approx"

    @property
    def amount(self) -> Decimal:
        """The bound: on epsilon or on rho."""
        return self.epsilon if self.epsilon is not None else self.rho or Decimal(0)

    def with_amount(self, amount: Decimal) -> Limits:
        """The same with another bound."""
        return replace(self, **{"epsilon" if self.rho is None else "rho": amount})

    def as_dict(self) -> dict[str, str | None]:
        """The amounts as decimal texts."""
        amounts = {"epsilon": self.epsilon, "rho": self.rho, "delta": self.delta}
        return {word: None if amount is None else text_of(amount) for word, amount in amounts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What can still be spent.

    Attributes:
        epsilon: Of the bound on epsilon; None where it is on rho.
        rho: Of rho, in place of epsilon or beside it; None where only epsilons count.
        delta: By thresholds for unknown keys; None where there can be none.
    """

    epsilon: Decimal | None = None
    rho: Decimal | None = None
    delta: Decimal | None = None

    def as_dict(self) -> dict[str, str | None]:
        """The amounts as decimal texts."""
        amounts = {"epsilon": self.epsilon, "rho": self.rho, "delta": self.delta}
        return {word: None if amount is None else text_of(amount) for word, amount in amounts.items()}

    def __str__(self) -> str:
        named = [f"{word} {amount}" for word, amount in self.as_dict().items() if amount is not None]
        return ", ".join(named)


def suits(limits: Limits, asked: Loss) -> bool:
    """Whether a loss is of the kind that the account counts; never mind how much."""
    if limits.kind == "pure":
        return asked.epsilon is not None and asked.delta == 0
    return limits.delta is not None or asked.delta == 0


def fits(limits: Limits, spent: Loss) -> bool:
    """Whether the limits allow a loss in all.

    Pure losses may add up to epsilon; where there is a delta, either they do so, or the rho of all does not exceed that
    of (epsilon, delta/2). What ends the first way never exceeds epsilon; what ends the second way was within it from
    the beginning, and exceeds epsilon with a probability of delta/2. So both ways may be open at once.
    """
    if not suits(limits, spent) or spent.delta > _most_delta(limits):
        return False
    by_epsilon = limits.rho is None and spent.epsilon is not None and spent.epsilon <= _bound(limits)
    return by_epsilon or spent.rho <= _most_rho(limits)


def remaining(limits: Limits, spent: Loss) -> Remaining:
    """What the limits still allow once a loss is spent, in the limits' own terms; never below zero."""
    rho = _left(_most_rho(limits), spent.rho, LOSS_UNITS)
    delta = None if limits.delta is None else _left(_most_delta(limits), spent.delta, DELTA_UNITS)
    if limits.rho is not None:
        return Remaining(rho=rho, delta=delta)
    used = _epsilon_used(limits, spent)
    epsilon = Decimal(0) if used is None else _left(_bound(limits), used, LOSS_UNITS)
    return Remaining(epsilon=epsilon, rho=rho if limits.kind == "approx" else None, delta=delta)


def told(limits: Limits) -> str:
    """The limits in words."""
    amounts = limits.as_dict()
    if limits.kind == "zcdp":
        return f"rho {amounts['rho']}" + (
            f" and delta {amounts['delta']} for unknown keys" if limits.delta else ""
        )
    return f"epsilon {amounts['epsilon']}" + (f" at delta {amounts['delta']}" if limits.delta else "")


def text_of(amount: Decimal) -> str:
    """The shortest decimal text of an amount, without an exponent."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _epsilon_used(limits: Limits, spent: Loss) -> int | None:
    """Units of epsilon that a loss comes to, by the account's own counting; None where it has no epsilon."""
    if limits.delta is None:
        return spent.epsilon
    if spent.rho == 0:
        return 0
    by_rho = _ceiling(
        Fraction(epsilon_of(spent.rho / LOSS_UNITS * (1 + 1e-15), _conversion(limits))), LOSS_UNITS
    )
    return by_rho if spent.epsilon is None else min(spent.epsilon, by_rho)


def _bound(limits: Limits) -> int:
    """Units of the bound, on epsilon or on rho."""
    return math.floor(Fraction(limits.amount) * LOSS_UNITS)


def _most_rho(limits: Limits) -> int:
    """Units of rho that the limits allow; none where only epsilons count."""
    if limits.kind == "zcdp":
        return _bound(limits)
    if limits.delta is None:
        return -1
    return math.floor(Fraction(rho_of(_floored(limits.amount), _conversion(limits))) * LOSS_UNITS)


def _most_delta(limits: Limits) -> int:
    """Units of delta that thresholds may use up."""
    share = THRESHOLDS if limits.kind == "approx" else 1
    return math.floor(Fraction(limits.delta or 0) * share * DELTA_UNITS)


def _conversion(limits: Limits) -> float:
    """The delta at which rho is told as epsilon."""
    return _floored((1 - THRESHOLDS) * Fraction(limits.delta or 0))


def _floored(amount: Decimal | Fraction) -> float:
    """The nearest float that is not greater."""
    near = float(amount)
    return near if Fraction(near) <= Fraction(amount) else math.nextafter(near, 0.0)


def _left(most: int, spent: int, units: int) -> Decimal:
    return _amount(max(0, most - spent), units)


def _amount(units: int, in_one: int) -> Decimal:
    """Units as an amount; dividing by a power of ten only moves the point."""
    return Decimal(units).scaleb(1 - len(str(in_one)))


def _ceiling(amount: Fraction, units: int) -> int:
    return math.ceil(amount * units)


def _units(amount: Amount, word: str) -> int:
    """An amount of what the word says in whole units, rounded up."""
    in_one, most = _SCALES[word]
    try:
        exact = Fraction(amount)
    except (TypeError, ValueError, OverflowError):
        exact = Fraction(-1)
    if not 0 <= exact <= most:
        raise BudgetError(f"the {word} is no amount of privacy loss", expected=f"a number from 0 to {most:,}")
    return _ceiling(exact, in_one)
