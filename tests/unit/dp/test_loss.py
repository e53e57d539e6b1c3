"""Losses and limits."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.dp.conversion import epsilon_of
from airflow_veil.privacy.dp.loss import DELTA_UNITS, LOSS_UNITS, Limits, Loss, fits, remaining, told
from airflow_veil.privacy.errors import BudgetError

EPSILONS = st.floats(0, 1_000)
LOSSES = st.one_of(
    st.builds(Loss.pure, st.floats(0, 0.3)),
    st.builds(Loss.zcdp, st.floats(0, 0.01)),
    st.builds(Loss.zcdp, st.floats(0, 0.01), st.floats(0, 1e-7)),
    st.builds(Loss.approx_pure, st.floats(0, 0.3), st.floats(0, 1e-7)),
)
LIMITS = st.sampled_from(
    [
        Limits(epsilon=Decimal(1)),
        Limits(epsilon=Decimal(1), delta=Decimal("0.000001")),
        Limits(rho=Decimal("0.05")),
        Limits(rho=Decimal("0.05"), delta=Decimal("0.0000003")),
    ]
)


def pure(epsilon: str) -> Loss:
    return Loss.pure(Decimal(epsilon))


class TestLoss:
    """`Loss`."""

    @given(EPSILONS)
    def test_is_never_less_than_the_amount(self, epsilon: float) -> None:
        """Units are rounded up, and by less than one."""
        loss = Loss.pure(epsilon)

        assert loss.epsilon is not None
        assert 0 <= loss.epsilon - Fraction(epsilon) * LOSS_UNITS < 1
        assert 0 <= loss.rho - Fraction(loss.epsilon, LOSS_UNITS) ** 2 / 2 * LOSS_UNITS < 1

    @given(st.floats(0, 1_000), st.floats(0, 1))
    def test_is_never_less_of_rho_and_delta(self, rho: float, delta: float) -> None:
        """The same for Gaussian noise."""
        loss = Loss.zcdp(rho, delta)

        assert loss.epsilon is None
        assert 0 <= loss.rho - Fraction(rho) * LOSS_UNITS < 1
        assert 0 <= loss.delta - Fraction(delta) * DELTA_UNITS < 1

    def test_decimals_are_exact(self) -> None:
        """Ten tenths are one, where floats would be a little more."""
        assert sum([pure("0.1")] * 10, Loss()).epsilon == pure("1").epsilon
        assert sum([Loss.pure(0.1)] * 10, Loss()).epsilon == LOSS_UNITS + 10

    def test_adds_up(self) -> None:
        """Once something is not pure, the sum is not."""
        whole = pure("0.5") + Loss.zcdp(Decimal("0.25"), Decimal("1e-9"))

        assert whole == Loss.zcdp(Decimal("0.375"), Decimal("1e-9"))
        assert pure("0.5") + Loss() == pure("0.5")
        assert whole.as_dict() == {"epsilon": None, "rho": "0.375", "delta": "0.000000001"}
        assert str(whole) == "rho 0.375 and delta 0.000000001"

    def test_covers_what_is_no_greater_in_any_way(self) -> None:
        """A pure charge does not cover Gaussian noise; a charge of rho covers Laplace noise."""
        assert pure("0.5").covers(pure("0.25") + pure("0.25"))
        assert not pure("0.5").covers(pure("0.51"))
        assert not pure("0.5").covers(Loss.zcdp(0.01))
        assert Loss.zcdp(0.5).covers(pure("1"))
        assert not Loss.zcdp(0.5).covers(Loss.approx_pure(0.1, 1e-9))

    @pytest.mark.parametrize("amount", [-0.1, math.nan, math.inf, 1_001, Decimal("-1"), Decimal("NaN")])
    def test_refuses_what_is_no_amount(self, amount: float) -> None:
        """The error says what an amount is."""
        with pytest.raises(BudgetError, match="no amount of privacy loss"):
            Loss.pure(amount)


class TestLimits:
    """`Limits`."""

    @pytest.mark.parametrize(
        "amounts",
        [
            {},
            {"epsilon": 1, "rho": 1},
            {"epsilon": 1, "delta": 0},
            {"epsilon": 1, "delta": 1},
            {"epsilon": 1_001},
            {"rho": -1},
        ],
        ids=str,
    )
    def test_refuse_what_is_no_bound(self, amounts: dict[str, int]) -> None:
        """Exactly one bound, within reason."""
        with pytest.raises(BudgetError):
            Limits(**{word: Decimal(amount) for word, amount in amounts.items()})

    @pytest.mark.parametrize(
        ("limits", "words"),
        [
            (Limits(epsilon=Decimal("1.0")), "epsilon 1"),
            (Limits(epsilon=Decimal(10), delta=Decimal("1e-9")), "epsilon 10 at delta 0.000000001"),
            (Limits(rho=Decimal("0.50")), "rho 0.5"),
            (Limits(rho=Decimal(1), delta=Decimal("1e-6")), "rho 1 and delta 0.000001 for unknown keys"),
        ],
    )
    def test_are_told(self, limits: Limits, words: str) -> None:
        """In plain decimals."""
        assert told(limits) == words


class TestFits:
    """`fits` and `remaining`."""

    @pytest.mark.parametrize(
        ("limits", "spent", "allowed"),
        [
            (Limits(epsilon=Decimal(1)), pure("1"), True),
            (Limits(epsilon=Decimal(1)), pure("1.000000000001"), False),
            (Limits(epsilon=Decimal(1)), Loss.zcdp(1e-9), False),
            (Limits(epsilon=Decimal(1)), Loss.approx_pure(0.1, 1e-18), False),
            (Limits(rho=Decimal("0.5")), pure("1"), True),
            (Limits(rho=Decimal("0.5")), Loss.zcdp(Decimal("0.5"), Decimal("1e-18")), False),
            (Limits(rho=Decimal(1), delta=Decimal("1e-6")), Loss.zcdp(1, Decimal("1e-6")), True),
            (Limits(rho=Decimal(1), delta=Decimal("1e-6")), Loss.zcdp(1, Decimal("1.1e-6")), False),
            (Limits(epsilon=Decimal(1), delta=Decimal("1e-6")), pure("1"), True),
            (Limits(epsilon=Decimal(1), delta=Decimal("1e-6")), pure("1.01"), False),
            (Limits(epsilon=Decimal(1), delta=Decimal("1e-6")), Loss.zcdp(0.02), True),
            (Limits(epsilon=Decimal(1), delta=Decimal("1e-6")), Loss.zcdp(0.03), False),
            (Limits(epsilon=Decimal(1), delta=Decimal("1e-6")), Loss.approx_pure(0.1, Decimal("5e-7")), True),
            (
                Limits(epsilon=Decimal(1), delta=Decimal("1e-6")),
                Loss.approx_pure(0.1, Decimal("6e-7")),
                False,
            ),
        ],
    )
    def test_by_kind(self, limits: Limits, spent: Loss, allowed: bool) -> None:
        """Up to the limit, and not a unit beyond."""
        assert fits(limits, spent) is allowed

    def test_many_small_pure_losses_go_further_with_a_delta(self) -> None:
        """A year of nights at a tenth: 36.5 as a sum, 11.4 at a delta of 1e-6, half of which the conversion has."""
        nights = sum([pure("0.1")] * 365, Loss())

        assert fits(Limits(epsilon=Decimal("11.4"), delta=Decimal("1e-6")), nights)
        assert not fits(Limits(epsilon=Decimal("11.0"), delta=Decimal("1e-6")), nights)
        assert not fits(Limits(epsilon=Decimal("36")), nights)

    @given(LIMITS, st.lists(LOSSES, max_size=8))
    def test_what_fits_holds_the_promise(self, limits: Limits, losses: list[Loss]) -> None:
        """Whatever fits is within the bound by one of the ways it can be told."""
        spent = sum(losses, Loss())
        if not fits(limits, spent):
            return
        if limits.rho is not None:
            assert spent.rho <= limits.rho * LOSS_UNITS
            assert spent.delta <= (limits.delta or 0) * DELTA_UNITS
            return
        by_sum = math.inf if spent.epsilon is None else spent.epsilon / LOSS_UNITS
        delta = float(limits.delta or 0) - spent.delta / DELTA_UNITS
        assert min(by_sum, epsilon_of(spent.rho / LOSS_UNITS, delta)) <= limits.amount
        assert delta >= 0

    @given(LIMITS, st.lists(LOSSES, max_size=8))
    def test_what_remains_fits(self, limits: Limits, losses: list[Loss]) -> None:
        """Of rho and delta, exactly what remains can be spent, and not a unit more; nothing remains below zero."""
        spent = sum(losses, Loss())
        left = remaining(limits, spent)

        assert all(Decimal(amount or 0) >= 0 for amount in left.as_dict().values())
        if left.rho and fits(limits, spent):
            assert fits(limits, spent + Loss.zcdp(left.rho, left.delta or 0))
            more = spent + Loss.zcdp(left.rho + Decimal("1e-12"))
            assert not fits(limits, more)

    def test_remaining_is_in_the_limits_own_terms(self) -> None:
        """Epsilon of a pure account, rho of a zCDP one, both of one with a delta."""
        assert str(remaining(Limits(epsilon=Decimal(1)), pure("0.3"))) == "epsilon 0.7"
        assert str(remaining(Limits(rho=Decimal(1)), pure("1"))) == "rho 0.5"
        left = remaining(Limits(epsilon=Decimal(1), delta=Decimal("1e-6")), pure("0.3"))
        assert (left.epsilon, left.rho, left.delta) == (Decimal("0.7"), Decimal(0), Decimal("5e-7"))
