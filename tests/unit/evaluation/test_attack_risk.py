"""The arithmetic of risk: excess, intervals that hold what is true, and the worst case."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.attack_risk import AttackRisk, attack_risk


def risk(right: float, control: float, *, tried: int = 1_000, baseline: float = 0.0) -> AttackRisk:
    """A risk by two rates."""
    return attack_risk(
        "x",
        right=right * tried,
        tried=tried,
        control_right=control * tried,
        control_tried=tried,
        baseline=baseline,
    )


class TestRisk:
    def test_excess(self) -> None:
        """Of what the hold-out does not tell, the share that the release tells: (0.6 - 0.2) ÷ 0.8."""
        assert risk(0.6, 0.2).risk == pytest.approx(0.5)

    def test_copy(self) -> None:
        """An attack that never fails has risk 1 and an interval, where anonymeter's issue 32 has a math error."""
        found = risk(1.0, 0.5)

        assert found.risk == found.high == 1
        assert found.low is not None
        assert 0.98 < found.low < 1

    def test_never_right(self) -> None:
        """An attack that is never right anywhere has risk 0 and an interval around it."""
        found = risk(0.0, 0.0)

        assert found.risk == 0
        assert found.low is not None
        assert found.high is not None
        assert -0.01 < found.low < 0 < found.high < 0.01

    def test_control_always_right(self) -> None:
        """Where the hold-out is always told there is nothing left to tell, and that is no safety."""
        found = risk(1.0, 1.0)

        assert found.risk is found.low is found.high is None

    @pytest.mark.parametrize(
        ("attack", "control"), [(0.3, 0.3), (0.5, 0.2), (0.98, 0.6), (0.02, 0.01), (0.8, 0.75)]
    )
    def test_coverage(self, attack: float, control: float) -> None:
        """Of 2,000 measurements about 95 in 100 intervals hold the truth; another truth is held by few."""
        rng = np.random.default_rng(1)
        truth = (attack - control) / (1 - control)
        held = wrong = 0
        for right, of in zip(
            rng.binomial(400, attack, 2_000), rng.binomial(400, control, 2_000), strict=True
        ):
            found = risk(right / 400, of / 400, tried=400)
            assert found.low is not None
            assert found.high is not None
            held += found.low <= truth <= found.high
            wrong += found.low <= truth + 0.35 <= found.high

        assert 0.925 < held / 2_000 < 0.985
        assert wrong / 2_000 < 0.1

    def test_few_tries(self) -> None:
        """With one try the interval is nearly all there is, and still one."""
        found = risk(1.0, 0.0, tried=1)

        assert found.low is not None
        assert found.high is not None
        assert -1 <= found.low < 0.5 < found.high <= 1

    def test_stretch(self) -> None:
        """What was hit in a draw of a quarter of the rows is four times as much in all of them."""
        found = attack_risk(
            "x", right=130, tried=1_000, control_right=10, control_tried=1_000, baseline=0, stretch=4
        )

        assert found.risk == pytest.approx(4 * (0.13 - 0.01) / 0.99)

    def test_weak(self) -> None:
        """An attack that is not surely better than guessing is weak."""
        assert risk(0.2, 0.2, baseline=0.2).weak
        assert risk(0.21, 0.2, baseline=0.2).weak
        assert not risk(0.4, 0.2, baseline=0.2).weak

    def test_nobody(self) -> None:
        """Where nobody is attacked there is no figure."""
        with pytest.raises(SchemaError, match="nobody"):
            risk(0, 0, tried=0)
