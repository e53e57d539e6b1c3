"""The attacks' arithmetic: who is not told apart is found as often as others, and intervals hold what they say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from airflow_veil.privacy.errors import ModelError, SchemaError
from airflow_veil.privacy.model_test.exact import area, caught, share
from airflow_veil.privacy.model_test.membership import lira
from airflow_veil.privacy.model_test.pool import Pool, draws, pool

PEOPLE = 4_000
SHADOWS = 16


def people(count: int, *, share: float = 0.5, seed: int = 0) -> Pool:
    """People of one row each, of whom a share is in the model."""
    inside = np.zeros(count, bool)
    inside[np.random.default_rng(seed).choice(count, int(share * count), replace=False)] = True
    return Pool(rows=pa.table({"x": np.zeros(count)}), person=np.arange(count), inside=inside)


def signals(at: Pool, effect: np.ndarray, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signals of a model and its shadows, in which being in it shifts each row by its own effect."""
    random = np.random.default_rng(seed)
    size = len(at.inside)
    hard = random.normal(0, 3, size)
    inside = draws(at, SHADOWS, seed=seed)
    said = hard + random.normal(size=(SHADOWS, size)) + inside * effect
    return hard + random.normal(size=size) + at.row_inside * effect, said, inside


class TestLira:
    def test_finds_the_few_whose_signal_shifts(self) -> None:
        """A twentieth that is shifted by six is found, though some rows are hard and others easy for everybody."""
        at = people(PEOPLE)
        effect = np.where(np.random.default_rng(5).random(PEOPLE) < 0.05, 6.0, 0.0)
        found = lira(at, *signals(at, effect))

        assert found.tpr is not None
        assert found.tpr.low > 0.02
        assert found.tpr.estimate == pytest.approx(0.05 + 0.01, abs=0.015)

    @pytest.mark.parametrize("seed", range(5))
    def test_shuffled_membership_is_found_as_often_as_by_chance(self, seed: int) -> None:
        """Of the same signals with membership dealt anew nothing is left: as many are told as false alarms allow."""
        at = people(PEOPLE)
        told = signals(at, np.full(PEOPLE, 3.0))
        right = lira(at, *told)
        shuffled = lira(people(PEOPLE, seed=100 + seed), *told)

        assert right.tpr is not None
        assert shuffled.tpr is not None
        assert shuffled.tpr_strict is not None
        assert right.tpr.low > 0.3
        assert shuffled.tpr.low <= 0.01 <= shuffled.tpr.high
        assert shuffled.tpr_strict.low <= 0.001 <= shuffled.tpr_strict.high
        assert shuffled.auc.estimate == pytest.approx(0.5, abs=0.04)
        assert shuffled.advantage.low < 0 < shuffled.advantage.high

    def test_reaches_what_theory_says(self) -> None:
        """For two normals that are a shift apart the best test reaches Φ(shift - z); shadow means blur it a little."""
        at, shift = people(20_000), 3.0
        found = lira(at, *signals(at, np.full(20_000, shift)))
        blurred = shift / np.sqrt(1 + 1 / (SHADOWS / 2) / 2)

        assert found.tpr is not None
        best = stats.norm.cdf(shift - stats.norm.isf(0.01))
        assert found.tpr.estimate < best + 0.02
        assert found.tpr.estimate == pytest.approx(stats.norm.cdf(blurred - stats.norm.isf(0.01)), abs=0.05)


class TestIntervals:
    def test_clopper_and_pearson(self) -> None:
        """The textbook's: none of ten, and three of ten."""
        assert share(0, 10).high == pytest.approx(0.3085, abs=1e-4)
        assert (share(3, 10).low, share(3, 10).high) == pytest.approx((0.0667, 0.6525), abs=1e-4)

    def test_cover_both_samples(self) -> None:
        """The interval of what is told at 1 % holds the truth as often as it says, with the threshold estimated."""
        random = np.random.default_rng(3)
        truth = stats.norm.cdf(1.0 - stats.norm.isf(0.01))
        held = 0
        for _ in range(400):
            found = caught(random.normal(1.0, size=300), random.normal(size=300), 0.01)
            assert found is not None
            held += found.low <= truth <= found.high

        assert held >= 0.95 * 400

    def test_without_enough_people_nothing_is_said(self) -> None:
        """A rate of one in a thousand is not measured by 999 people."""
        assert caught(np.ones(10), np.zeros(999), 0.001) is None
        assert caught(np.ones(10), np.zeros(1_000), 0.001) is not None

    def test_equal_scores_are_drawn_among(self) -> None:
        """Where all score alike, as many inside are told as outside."""
        found = caught(np.zeros(500), np.zeros(500), 0.01)

        assert found is not None
        assert found.estimate == pytest.approx(0.01)
        assert area(np.zeros(500), np.zeros(500)).estimate == 0.5

    def test_area_is_mann_whitneys(self) -> None:
        """It agrees with SciPy's statistic, ties and all."""
        random = np.random.default_rng(4)
        mine, others = random.integers(0, 9, 200).astype(float) + 1, random.integers(0, 9, 150).astype(float)
        expected = stats.mannwhitneyu(mine, others).statistic / (200 * 150)

        assert area(mine, others).estimate == pytest.approx(expected)


class TestDraws:
    @pytest.mark.parametrize("inside", [0.5, 0.6, 0.875])
    def test_everybody_is_in_and_out(self, inside: float) -> None:
        """Of sixteen models each person is in as many as the share says, and out of two at least."""
        at = people(800, share=inside)
        drawn = draws(at, SHADOWS, seed=2)
        times = drawn.sum(axis=0)

        assert set(times) <= {2 * int(np.floor(8 * inside)) + extra for extra in range(3)}
        assert times.max() <= SHADOWS - 2
        assert np.allclose(drawn.mean(axis=1), inside, atol=1 / 800)

    def test_people_go_as_a_whole(self) -> None:
        """All rows of a person are in a model, or none."""
        at = people(100)
        rows = Pool(
            rows=pa.table({"x": np.zeros(300)}), person=np.repeat(np.arange(100), 3), inside=at.inside
        )
        drawn = draws(rows, SHADOWS, seed=2).reshape(SHADOWS, 100, 3)

        assert (drawn.all(axis=2) == drawn.any(axis=2)).all()


class TestPool:
    def test_who_is_in_both_is_in(self) -> None:
        """People of the hold-out who were trained on are left out of it, with all their rows, and counted."""
        train = pa.table({"id": list(range(20)), "x": [0.0] * 20})
        holdout = pa.table({"id": [18, 19, 19, *range(20, 40)], "x": [0.0] * 23})
        found = pool(train, holdout, ("x",), "id", seed=0, where="test")

        assert (found.people_inside, found.people_outside, found.in_both) == (20, 20, 2)
        assert found.rows.num_rows == 40

    def test_rows_without_a_subject_are_somebody_each(self) -> None:
        """A null names nobody: it does not join strangers."""
        train = pa.table({"id": pa.array([None] * 10, pa.int64()), "x": [0.0] * 10})
        found = pool(train, train, ("x",), "id", seed=0, where="test")

        assert (found.people_inside, found.people_outside, found.in_both) == (10, 10, 0)

    def test_more_outside_than_inside_are_drawn(self) -> None:
        """As many are kept as are in the model."""
        train, holdout = (pa.table({"x": np.arange(count, dtype=float)}) for count in (50, 400))
        found = pool(train, holdout, ("x",), None, seed=0, where="test")

        assert (found.people_inside, found.people_outside, found.rows.num_rows) == (50, 50, 100)

    def test_too_few_outside(self) -> None:
        """One for seven is the least: shadow models of the same size could not leave them out."""
        train, holdout = (pa.table({"x": np.arange(count, dtype=float)}) for count in (700, 99))
        with pytest.raises(ModelError, match="700 people in the model and 99 outside"):
            pool(train, holdout, ("x",), None, seed=0, where="test")

    def test_other_columns(self) -> None:
        """Both sides have the same columns of the same types."""
        train, holdout = pa.table({"x": [1.0] * 9}), pa.table({"x": ["a"] * 9})
        with pytest.raises(SchemaError, match="of two types"):
            pool(train, holdout, ("x",), None, seed=0, where="test")
