"""The verdict: bounds are kept to, and what was not measured is denied."""

from __future__ import annotations

import pytest

from airflow_veil.privacy.model_test.verdict import Outcome, judge
from airflow_veil.privacy.policy.model_release import ModelBounds

FIGURES = dict.fromkeys(ModelBounds.model_fields, 0.0)


class TestJudge:
    def test_within_all_bounds(self) -> None:
        """A model that tells nothing passes; the bound itself is kept to."""
        at_the_bound = ModelBounds().of()

        assert judge(ModelBounds(), FIGURES, sensitive=True).outcome is Outcome.PASSED
        assert judge(ModelBounds(), at_the_bound, sensitive=True).outcome is Outcome.PASSED

    @pytest.mark.parametrize("word", list(ModelBounds.model_fields))
    @pytest.mark.parametrize(
        ("figure", "code"), [(1.0, "deny"), (None, "missing"), (float("nan"), "missing")]
    )
    def test_each_bound_denies(self, word: str, figure: float | None, code: str) -> None:
        """Beyond it, not measured, or no number."""
        verdict = judge(ModelBounds(), FIGURES | {word: figure}, sensitive=True)

        assert (verdict.outcome, verdict.reasons) == (Outcome.DENIED, (f"{code}.{word}",))

    def test_nobody_wants_a_sensitive_value(self) -> None:
        """Without sensitive features nothing is guessed, so the bound on it holds; the others stand."""
        verdict = judge(ModelBounds(), FIGURES | {"inference_max": None}, sensitive=False)

        assert verdict.outcome is Outcome.PASSED
        assert "inference_max" not in verdict.figures

    def test_a_bound_that_is_not_wanted(self) -> None:
        """Null takes a bound away, and only that one."""
        bounds = ModelBounds(membership_tpr_strict_max=None)
        figures = FIGURES | {"membership_tpr_strict_max": None}

        assert judge(bounds, figures, sensitive=True).outcome is Outcome.PASSED
