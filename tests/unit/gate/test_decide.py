"""The decision: what each code stands for, that it fails closed, and that riskier is never better."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.gate.decide import Evidence, Expectations, Outcome, decide
from airflow_veil.privacy.policy.check_gate import AT_LEAST, OF_RISK, OF_UTILITY
from airflow_veil.privacy.policy.gate import Bounds, Gate, Jump

RULE = Gate.model_validate(
    {
        "deny": {"k": 2, "prosecutor_max": 0.5},
        "approve": {"k": 5, "prosecutor_max": 0.2},
        "jump": {"prosecutor_max": 0.1, "kept_rows": 0.2},
    }
)
GOOD = {"k": 10, "prosecutor_max": 0.1, "kept_rows": 1.0}
WORST = (Outcome.ALLOW, Outcome.APPROVAL, Outcome.DENY)
WORDS = tuple(Bounds.model_fields)


def decided(
    rule: Gate = RULE, before: dict[str, Any] | None = None, **figures: Any
) -> tuple[str, tuple[str, ...]]:
    found = decide(rule, Evidence(figures={**GOOD, **figures}, expectations=Expectations.HELD, before=before))
    return found.outcome, found.reasons


class TestDecide:
    @pytest.mark.parametrize(
        ("figures", "outcome", "reasons"),
        [
            ({}, "allow", ()),
            ({"k": 5, "prosecutor_max": 0.2}, "allow", ()),
            ({"k": 4}, "approval", ("approve.k",)),
            ({"k": 2}, "approval", ("approve.k",)),
            ({"k": 1}, "deny", ("deny.k", "approve.k")),
            ({"prosecutor_max": 0.51}, "deny", ("deny.prosecutor_max", "approve.prosecutor_max")),
            ({"k": 4, "prosecutor_max": 0.3}, "approval", ("approve.k", "approve.prosecutor_max")),
            ({"k": None, "prosecutor_max": None}, "allow", ()),
        ],
    )
    def test_bounds(self, figures: dict[str, Any], outcome: str, reasons: tuple[str, ...]) -> None:
        """A bound itself is kept to; what is denied is denied whoever would approve it."""
        assert decided(**figures) == (outcome, reasons)

    @pytest.mark.parametrize("figure", [math.nan, math.inf, -1, True, "0.1", [0.1]])
    def test_what_is_no_number_is_denied(self, figure: Any) -> None:
        """It is not taken for a good one."""
        assert decided(prosecutor_max=figure) == ("deny", ("unreadable.prosecutor_max",))

    @pytest.mark.parametrize("word", ["k", "prosecutor_max", "kept_rows"])
    def test_what_is_missing_is_denied(self, word: str) -> None:
        """Each figure that a bound is on, be it only for comparison."""
        figures = {name: value for name, value in GOOD.items() if name != word}

        found = decide(RULE, Evidence(figures=figures, expectations=Expectations.HELD))

        assert (found.outcome, found.reasons) == ("deny", (f"missing.{word}",))

    @pytest.mark.parametrize("expectations", [Expectations.MISSING, Expectations.FAILED])
    def test_without_expectations_it_is_denied(self, expectations: Expectations) -> None:
        """Also where all figures are good."""
        found = decide(RULE, Evidence(figures=GOOD, expectations=expectations))

        assert (found.outcome, found.reasons) == ("deny", (f"expectations.{expectations}",))

    @pytest.mark.parametrize(
        ("before", "figures", "reasons"),
        [
            (None, {}, ()),
            ({"prosecutor_max": 0.05, "kept_rows": 1.0}, {"prosecutor_max": 0.15}, ()),
            ({"prosecutor_max": 0.05, "kept_rows": 1.0}, {"prosecutor_max": 0.16}, ("jump.prosecutor_max",)),
            ({"prosecutor_max": 0.9, "kept_rows": 1.0}, {}, ()),
            ({"prosecutor_max": 0.1, "kept_rows": 1.0}, {"kept_rows": 0.79}, ("jump.kept_rows",)),
            ({"prosecutor_max": 0.1, "kept_rows": 0.5}, {}, ()),
            ({"kept_rows": 1.0}, {}, ("jump_unknown.prosecutor_max",)),
            ({"prosecutor_max": None, "kept_rows": 1.0}, {}, ("jump_unknown.prosecutor_max",)),
        ],
    )
    def test_jumps(
        self, before: dict[str, Any] | None, figures: dict[str, Any], reasons: tuple[str, ...]
    ) -> None:
        """Only for the worse, by more than the bound; what cannot be compared is asked about."""
        assert decided(before=before, **figures) == ("approval" if reasons else "allow", reasons)


def _number(word: str) -> st.SearchStrategy[Any]:
    return st.integers(0, 30) if word in ("k", "distinct_l") else st.floats(0, 1)


@st.composite
def rules(draw: st.DrawFn) -> Gate:
    def part() -> dict[str, Any]:
        words = draw(st.sets(st.sampled_from(WORDS), max_size=4))
        return {
            word: draw(st.integers(1, 20) if word in ("k", "distinct_l") else st.floats(0, 1))
            for word in words
        }

    return Gate(deny=Bounds(**part()), approve=Bounds(**part()), jump=Jump(**part()))


figures = st.fixed_dictionaries({word: _number(word) for word in WORDS})


class TestProperties:
    @given(rule=rules(), now=figures, other=figures, before=st.none() | figures)
    def test_riskier_is_never_better(
        self, rule: Gate, now: dict[str, Any], other: dict[str, Any], before: dict[str, Any] | None
    ) -> None:
        """Of two releases, one of which is worse in every figure, that one never gets the better outcome."""
        worse = {word: (min if word in AT_LEAST else max)(now[word], other[word]) for word in WORDS}

        first, second = (
            decide(rule, Evidence(figures=each, expectations=Expectations.HELD, before=before))
            for each in (now, worse)
        )

        assert WORST.index(second.outcome) >= WORST.index(first.outcome)
        assert set(first.reasons) <= set(second.reasons)

    @given(rule=rules(), now=figures, gone=st.sampled_from(WORDS), before=st.none() | figures)
    def test_knowing_less_is_never_better(
        self, rule: Gate, now: dict[str, Any], gone: str, before: dict[str, Any] | None
    ) -> None:
        """A figure that is taken away makes no outcome better."""
        less = {word: value for word, value in now.items() if word != gone}

        first, second = (
            decide(rule, Evidence(figures=each, expectations=Expectations.HELD, before=before))
            for each in (now, less)
        )

        assert WORST.index(second.outcome) >= WORST.index(first.outcome)

    @given(rule=rules(), now=figures, expectations=st.sampled_from(Expectations), before=st.none() | figures)
    def test_deny_beats_approval_beats_allow(
        self, rule: Gate, now: dict[str, Any], expectations: Expectations, before: dict[str, Any] | None
    ) -> None:
        """The outcome is the worst that a reason stands for, and there is a reason unless it is allowed."""
        found = decide(rule, Evidence(figures=now, expectations=expectations, before=before))

        asks = {"approve", "jump", "jump_unknown"}
        parts = {code.partition(".")[0] for code in found.reasons}
        expected = Outcome.DENY if parts - asks else Outcome.APPROVAL if parts else Outcome.ALLOW
        assert found.outcome is expected


def test_every_figure_is_worse_one_way() -> None:
    """A word that is added has to say which way; figures of risk are told in `OF_RISK`."""
    assert set(Jump.model_fields) == set(WORDS)
    assert set(WORDS) >= AT_LEAST
    assert set(WORDS) - OF_RISK - OF_UTILITY == {"kept_rows", "budget_max"}
