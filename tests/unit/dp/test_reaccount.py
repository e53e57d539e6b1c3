"""Rényi accounting of what was drawn."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.dp.conversion import epsilon_of
from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.dp.reaccount import (
    Draw,
    discrete_laplace,
    gaussian,
    laplace,
    randomized_response,
    renyi,
    total,
)

ORDERS = st.floats(1.001, 200)


def drawn(noise: str, epsilon: str, sensitivity: int = 1) -> Draw:
    scale = str(sensitivity / Decimal(epsilon))
    return Draw(noise=noise, sensitivity=str(sensitivity), scale=scale, loss=Loss.pure(Decimal(epsilon)))


GAUSSIAN = Draw(noise="gaussian", sensitivity="1", scale="10", loss=Loss.zcdp(Decimal("0.005")))


class TestTotal:
    """`total`."""

    @pytest.mark.parametrize(
        ("count", "draw", "epsilon"),
        [
            (30, drawn("continuous_laplace", "0.1"), 2.405),
            (365, drawn("continuous_laplace", "0.1"), 10.749),
            (365, GAUSSIAN, 11.066),
            (30, drawn("continuous_laplace", "1"), 28.24),
            (365, drawn("continuous_laplace", "1"), 210.2),
        ],
        ids=str,
    )
    def test_agrees_with_published_figures(self, count: int, draw: Draw, epsilon: float) -> None:
        """As computed by dp-accounting's Rényi accountant at a delta of 1e-6, whose grid of orders is coarser."""
        found = total([draw] * count, 1e-6)

        assert found.epsilon == pytest.approx(epsilon, rel=1e-3)
        assert found.draws == count

    def test_of_whole_numbers_is_between(self) -> None:
        """More than of real numbers, less than of the worst mechanism; close to real ones where steps are small."""
        worst, coarse, fine, real = (
            total([draw] * 30, 1e-6).epsilon
            for draw in (
                drawn("other", "1"),
                drawn("laplace", "1"),
                drawn("laplace", "1", sensitivity=100),
                drawn("continuous_laplace", "1"),
            )
        )

        assert worst == coarse > fine > real
        assert fine == pytest.approx(real, rel=1e-3)

    def test_is_never_more_than_by_zcdp(self) -> None:
        """What is only known by its rho comes to what the ledger's own conversion says."""
        draws = [Draw(noise="other", sensitivity="?", scale="?", loss=Loss.zcdp(Decimal("0.005")))] * 365

        assert total(draws, 1e-6).epsilon == pytest.approx(epsilon_of(365 * 0.005, 1e-6), rel=1e-4)
        assert total([drawn("laplace", "0.1")] * 365, 1e-6).epsilon < epsilon_of(365 * 0.005, 1e-6)

    def test_thresholds_use_up_delta(self) -> None:
        """What they have used is not there for the conversion; once all is used, there is no bound."""
        threshold = Draw(
            noise="gaussian", sensitivity="1", scale="10", loss=Loss.zcdp(Decimal("0.005"), Decimal("4e-7"))
        )

        assert total([threshold], 1e-6).epsilon == pytest.approx(total([GAUSSIAN], 6e-7).epsilon)
        assert total([threshold] * 3, 1e-6).epsilon == math.inf

    def test_of_nothing_is_nothing(self) -> None:
        """No draw, no loss."""
        assert total([], 1e-6).epsilon == 0


class TestRenyi:
    """The losses of single mechanisms."""

    @pytest.mark.parametrize(
        ("sensitivity", "scale", "order"),
        [(1, 2.0, 1.5), (3, 4.0, 2.0), (10, 7.0, 8.0), (5, 20.0, 64.0), (2, 0.5, 3.0), (7, 10.0, 1.01)],
    )
    def test_of_whole_laplace_noise_is_the_sum(self, sensitivity: int, scale: float, order: float) -> None:
        """The closed form is the sum over whole numbers that it stands for."""
        p = math.exp(-1 / scale)
        terms = (
            (1 - p)
            / (1 + p)
            * math.exp((-order * abs(value) + (order - 1) * abs(value - sensitivity)) / scale)
            for value in range(-3_000, 3_000)
        )

        expected = math.log(math.fsum(terms)) / (order - 1)
        assert discrete_laplace(sensitivity, scale, order) == pytest.approx(expected, rel=1e-9)

    @given(st.integers(1, 50), st.floats(0.5, 1_000), ORDERS)
    def test_of_whole_numbers_is_never_less(self, sensitivity: int, scale: float, order: float) -> None:
        """Real noise loses least, and randomized response most, of the same epsilon; all less than epsilon itself."""
        epsilon = sensitivity / scale
        real, whole, worst = (
            laplace(epsilon, order),
            discrete_laplace(sensitivity, scale, order),
            randomized_response(epsilon, order),
        )

        assert real <= whole * (1 + 1e-9) + 1e-12
        assert whole <= worst * (1 + 1e-9) + 1e-12
        assert worst <= min(epsilon, gaussian(epsilon, order)) * (1 + 1e-9) + 1e-12

    @pytest.mark.parametrize(
        ("noise", "sensitivity", "scale"),
        [
            ("laplace", "0.5", "5"),
            ("laplace", "one", "ten"),
            ("laplace", "1", "0"),
            ("laplace", "NaN", "10"),
            ("exponential", "1", "10"),
        ],
    )
    def test_of_what_is_not_known_is_the_worst(self, noise: str, sensitivity: str, scale: str) -> None:
        """Noise that is not told well enough is counted by its epsilon."""
        draw = Draw(noise=noise, sensitivity=sensitivity, scale=scale, loss=Loss.pure(Decimal("0.1")))

        assert renyi(draw, 4.0) == randomized_response(0.1, 4.0)
