"""zCDP told as (epsilon, delta), and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.dp.conversion import epsilon_of, rho_of

DELTAS = st.floats(-40, -0.5).map(lambda power: 10**power)


class TestEpsilonOf:
    """`epsilon_of`."""

    @pytest.mark.parametrize(
        ("rho", "delta", "epsilon"),
        [
            (0.015, 1e-7, 0.8546),
            (0.015, 1e-9, 1.0009),
            (365 * 0.015, 1e-7, 23.2),
            (365 * 0.1**2 / 2, 1e-6, 11.07),
        ],
    )
    def test_agrees_with_published_figures(self, rho: float, delta: float, epsilon: float) -> None:
        """As computed by opendp and by dp-accounting."""
        assert epsilon_of(rho, delta) == pytest.approx(epsilon, rel=1e-3)

    @pytest.mark.parametrize("scale", [0.3, 1.0, 5.0, 40.0])
    @pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-12])
    def test_agrees_with_opendp(self, scale: float, delta: float) -> None:
        """Another implementation of the same proposition gives the same number, and never a much larger one."""
        import opendp.prelude as dp

        dp.enable_features("contrib")
        space = dp.atom_domain(T=float, nan=False), dp.absolute_distance(T=float)
        profile = dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*space, scale=scale)).map(1.0)

        assert epsilon_of(1 / (2 * scale**2), delta) == pytest.approx(profile.epsilon(delta), rel=1e-9)

    @given(st.floats(1e-12, 500), DELTAS)
    def test_is_sound_at_every_order(self, rho: float, delta: float) -> None:
        """No order on a grid gives less: the search has found the least, to within roundings."""
        found = epsilon_of(rho, delta)
        for power in range(-60, 120):
            order = 1 + math.exp(power / 4)
            bound = order * rho + (
                (math.log(1 / delta) - math.log(order)) / (order - 1) + math.log1p(-1 / order)
            )
            assert found <= max(0.0, bound) * (1 + 1e-9) + 1e-12

    def test_without_a_delta_there_is_no_bound(self) -> None:
        """Only what has no loss has a pure epsilon."""
        assert epsilon_of(0.0, 0.0) == 0
        assert epsilon_of(0.1, 0.0) == math.inf
        assert epsilon_of(0.1, 1.0) == 0


class TestRhoOf:
    """`rho_of`."""

    def test_agrees_with_published_figures(self) -> None:
        """As computed by opendp."""
        assert rho_of(1, 1e-9) == pytest.approx(0.014973, abs=1e-6)

    @given(st.floats(1e-6, 1_000), DELTAS)
    def test_is_the_inverse(self, epsilon: float, delta: float) -> None:
        """The rho of an epsilon has that epsilon: not more, and to within roundings not less."""
        rho = rho_of(epsilon, delta)

        # A small epsilon is what large terms of either sign leave, with their roundings.
        rounded = 1e-13
        assert epsilon_of(rho, delta) <= epsilon * (1 + 1e-11) + rounded
        assert epsilon_of(rho * (1 + 1e-6), delta) >= epsilon * (1 - 1e-9) - rounded

    def test_without_a_delta_there_is_none(self) -> None:
        """A pure bound says nothing of Gaussian noise."""
        assert rho_of(1.0, 0.0) == 0
        assert rho_of(0.0, 1e-9) < 1e-15
