"""Attacks on fitted models: the one that learns by heart is told from the one that does not, also on Adult."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.unit.model_test.models import NUMBERS, WORDS, adult, adult_pipeline, attacked, odd_people

from airflow_veil.privacy.model_test.question import Outputs
from airflow_veil.privacy.model_test.report import Attacked
from airflow_veil.privacy.model_test.verdict import Outcome, figures_of, judge
from airflow_veil.privacy.policy.model_release import ModelBounds

PEOPLE = 1_500
DEFAULT = ModelBounds()


def passes_plain_test(tested: Attacked) -> bool:
    """Whether the model would be let through by the loss threshold alone, with the default bounds."""
    (plain,) = (each for each in tested.membership if each.name == "membership, loss threshold")
    assert plain.tpr is not None
    assert plain.tpr_strict is not None
    assert DEFAULT.membership_tpr_max
    assert DEFAULT.membership_tpr_strict_max
    assert DEFAULT.membership_advantage_max
    return (
        plain.tpr.high <= DEFAULT.membership_tpr_max
        and plain.tpr_strict.high <= DEFAULT.membership_tpr_strict_max
        and plain.advantage.high <= DEFAULT.membership_advantage_max
    )


class TestOverfitted:
    def test_odd_people_are_found_where_the_plain_test_finds_nobody(self) -> None:
        """A tree that learns 7 % of odd people by heart passes the loss threshold, and is denied by LiRA."""
        tested = attacked(
            DecisionTreeClassifier(random_state=0), odd_people(PEOPLE, seed=1), odd_people(PEOPLE, seed=2)
        )
        verdict = judge(DEFAULT, figures_of(tested), sensitive=False)

        assert passes_plain_test(tested)
        assert tested.membership[0].tpr is not None
        assert tested.membership[0].tpr.low > 0.03
        assert verdict.outcome is Outcome.DENIED
        assert "deny.membership_tpr_max" in verdict.reasons

    def test_a_coarse_tree_of_the_same_people_passes(self) -> None:
        """With twenty people a leaf nobody is learned by heart."""
        tested = attacked(
            DecisionTreeClassifier(min_samples_leaf=20, random_state=0),
            odd_people(PEOPLE, seed=1),
            odd_people(PEOPLE, seed=2),
        )

        assert judge(DEFAULT, figures_of(tested), sensitive=False).outcome is Outcome.PASSED

    def test_boosted_trees_on_adult(self, shared_data: Path) -> None:
        """On real people, too: boosted deep trees pass the loss threshold, and LiRA tells five in a hundred."""
        model = GradientBoostingClassifier(max_depth=7, n_estimators=15, random_state=0)
        tested = attacked(
            adult_pipeline(model), *adult(shared_data, 2_000), features=(*NUMBERS, *WORDS), target="income"
        )
        verdict = judge(DEFAULT, figures_of(tested), sensitive=False)

        assert passes_plain_test(tested)
        assert tested.membership[0].tpr is not None
        assert tested.membership[0].tpr.estimate > 0.03
        assert "deny.membership_tpr_max" in verdict.reasons

    def test_a_logistic_regression_on_adult_passes(self, shared_data: Path) -> None:
        """A regularized model tells nothing of who is in it; membership does not help to guess who is married."""
        tested = attacked(
            adult_pipeline(LogisticRegression(C=0.1, max_iter=1000)),
            *adult(shared_data, 2_000),
            features=(*NUMBERS, *WORDS),
            target="income",
            sensitive=("marital",),
        )
        (guess,) = tested.inference

        assert judge(DEFAULT, figures_of(tested), sensitive=True).outcome is Outcome.PASSED
        assert tested.membership[0].auc.estimate == pytest.approx(0.5, abs=0.03)
        assert guess.members.low < 0 < guess.members.high
        assert tested.error < 0.2


class TestInference:
    def test_a_tree_tells_more_of_its_own_people(self) -> None:
        """A feature of chance that the label of people in the tree depends on is guessed of them, not of others."""
        tested = attacked(
            DecisionTreeClassifier(random_state=0),
            _noise(1_000, seed=1),
            _noise(1_000, seed=2),
            sensitive=("group",),
        )
        (guess,) = tested.inference

        assert guess.members.low > 0.1
        assert guess.members.baseline == pytest.approx(0.5, abs=0.08)
        assert "deny.inference_max" in judge(DEFAULT, figures_of(tested), sensitive=True).reasons


def _noise(people: int, *, seed: int) -> pd.DataFrame:
    """Labels that nothing tells: whatever a model knows of them is learned by heart."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "usual": random.integers(0, 20, people).astype(float),
            "odd": random.integers(0, 20, people).astype(float),
            "group": random.integers(0, 2, people),
            "label": random.integers(0, 2, people),
        }
    )


class TestOutputs:
    def test_margins(self) -> None:
        """A model with margins alone is asked for them."""
        tested = attacked(
            make_pipeline(StandardScaler(), LinearSVC(random_state=0)), _plain(300, 1), _plain(300, 2)
        )

        assert (tested.told.outputs, tested.refitted) == (Outputs.MARGINS, True)

    def test_numbers(self) -> None:
        """A regression is attacked by its errors: a tree that learns by heart is found, a ridge is not."""
        deep, flat = (
            attacked(model, _plain(600, 1), _plain(600, 2), target="usual", features=("odd", "group"))
            for model in (DecisionTreeRegressor(random_state=0), Ridge())
        )

        assert deep.told.outputs is flat.told.outputs is Outputs.VALUES
        assert deep.membership[0].auc.low > 0.6
        assert flat.membership[0].auc.low < 0.55


def _plain(people: int, seed: int) -> pd.DataFrame:
    frame = odd_people(people, seed=seed)
    random = np.random.default_rng(seed)
    return frame.assign(odd=random.normal(size=people), label=(frame["usual"] > 0).astype(int))


class TestStored:
    def test_nearest_neighbours_keep_everybody(self) -> None:
        """No answer of the model tells it as plainly as its file: all rows lie in it, scaled as they are."""
        tested = attacked(
            make_pipeline(StandardScaler(), KNeighborsClassifier(50)), _plain(400, 1), _plain(400, 2)
        )

        assert tested.stored_rows == 1.0
        assert "deny.stored_rows_max" in judge(DEFAULT, figures_of(tested), sensitive=False).reasons


class TestPeople:
    def test_rows_of_one_person_add_up(self) -> None:
        """People who are in four rows are told more surely than each of their rows."""
        sides = []
        for seed in (1, 2):
            frame = pd.concat([_noise(500, seed=seed + 10 * number) for number in range(4)])
            sides.append(frame.assign(person=np.tile(np.arange(500), 4) + 1_000 * seed))
        people, rows = (
            attacked(DecisionTreeClassifier(min_samples_leaf=2, random_state=0), *sides, subject=whose)
            for whose in ("person", None)
        )

        assert (people.people_inside, people.rows) == (500, 4_000)
        assert rows.people_inside == 2_000
        assert people.membership[0].auc.estimate > rows.membership[0].auc.estimate + 0.1
