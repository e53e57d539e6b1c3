"""Scores of candidates, against sorted rows: how much a row changes them, and which candidate may be an end."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.dp.ranks import Aim, End, aims, margin, scores, weight

QUANTILES = st.fractions(min_value=Fraction(1, 50), max_value=Fraction(49, 50), max_denominator=50)
ROWS = st.lists(st.integers(-3, 23), max_size=30)
CANDIDATES = st.lists(st.integers(0, 20), min_size=2, max_size=8, unique=True).map(sorted)
OUT = st.integers(1, 400)


def cells(rows: list[int], candidates: list[int]) -> np.ndarray:
    """How many rows lie below, at and between candidates."""
    place = [sum(c < x for c in candidates) + sum(c <= x for c in candidates) for x in rows]
    return np.bincount(np.array(place, int), minlength=2 * len(candidates) + 1)[None, :]


def ends(rows: list[int], candidates: list[int], quantile: Fraction) -> tuple[int, int]:
    """The least and the greatest quantile of rows that are clamped to the candidates."""
    clamped = sorted(min(max(x, candidates[0]), candidates[-1]) for x in rows)
    rank = quantile * len(clamped)
    return clamped[math.ceil(rank) - 1], clamped[min(math.floor(rank), len(clamped) - 1)]


@given(rows=ROWS, row=st.integers(-3, 23), candidates=CANDIDATES, quantile=QUANTILES, out=OUT)
def test_one_row_changes_no_score_by_more_than_its_weight(
    rows: list[int], row: int, candidates: list[int], quantile: Fraction, out: int
) -> None:
    """Which is what the sensitivity of a noisy maximum is made of: of a quantile and of its ends."""
    for aim in aims((quantile,)):
        change = scores(cells([*rows, row], candidates), aim, out) - scores(cells(rows, candidates), aim, out)

        assert np.abs(change).max() <= weight(quantile)


@given(rows=ROWS.filter(bool), candidates=CANDIDATES, quantile=QUANTILES, out=OUT)
def test_what_cannot_be_an_end_is_far_from_the_best(
    rows: list[int], candidates: list[int], quantile: Fraction, out: int
) -> None:
    """One candidate scores 0, and all that would leave a quantile outside score what the ends aim out by."""
    least, greatest = ends(rows, candidates, quantile)
    for end, wrong in (
        (End.LOW, [c > least for c in candidates]),
        (End.HIGH, [c < greatest for c in candidates]),
    ):
        (found,) = scores(cells(rows, candidates), Aim(quantile, end), out)

        assert found.min() == 0
        assert (found[wrong] >= out).all()
        assert sum(wrong) < len(candidates)


@given(rows=ROWS, candidates=CANDIDATES, quantile=QUANTILES)
def test_a_quantile_is_scored_by_the_rows_on_either_side(
    rows: list[int], candidates: list[int], quantile: Fraction
) -> None:
    p, q = quantile.numerator, quantile.denominator
    expected = [abs((q - p) * sum(x < c for x in rows) - p * sum(x > c for x in rows)) for c in candidates]

    assert scores(cells(rows, candidates), Aim(quantile), 0)[0].tolist() == expected


@pytest.mark.parametrize("end", End)
def test_of_no_rows_all_candidates_are_the_interval(end: End) -> None:
    """Nothing is known of a group without rows: the outermost candidate scores 0, and no other comes near."""
    (found,) = scores(cells([], [1, 5, 9]), Aim(Fraction(1, 3), end), 40)

    assert found.tolist() == ([0, 40, 40] if end is End.LOW else [40, 40, 0])


@pytest.mark.parametrize("scale", [1e-9, 0.3, 7.0, 1e9])
@pytest.mark.parametrize("candidates", [2, 10_000])
@pytest.mark.parametrize("confidence", [0.51, 0.95, 1 - 1e-9])
def test_both_ends_are_right_with_the_confidence(scale: float, candidates: int, confidence: float) -> None:
    """All but one candidate, each as probable as such a score allows, for two ends; one step less is too few."""
    out = margin(scale, candidates, confidence)

    def wrong(score: int) -> float:
        return math.log(2 * (candidates - 1)) - score / scale

    assert out >= 1
    assert wrong(out) <= math.log1p(-confidence) + 1e-6
    assert out == 1 or wrong(out - 1) > math.log1p(-confidence) - 1e-6
