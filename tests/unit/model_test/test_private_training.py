"""A model that was trained with differential privacy keeps what its guarantee says; one that only claims it does not.

For a model that is epsilon-differentially private no attack tells more than e^epsilon times as many people inside as it
tells outside by mistake (Kairouz, Oh and Viswanath 2015), nor has an advantage of more than (e^epsilon - 1) /
(e^epsilon + 1) (Humphries et al. 2023). A claim is rejected if the lower end of what an attack reached is above that.
"""

from __future__ import annotations

import sys
from math import exp
from typing import Any, Self

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from tests.unit.model_test.models import table, words

from airflow_veil.privacy.model_test.membership import RATE
from airflow_veil.privacy.model_test.report import Attacked, attack_model

PEOPLE, WIDTH = 300, 150
"""Few people and many columns, by which each could be told from the others; labels are by chance."""
FEATURES = tuple(f"x{number}" for number in range(WIDTH))


class Private(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression by output perturbation (Chaudhuri, Monteleoni and Sarwate 2011, algorithm 1).

    Rows have a norm of 1 at most, and the loss is 1-Lipschitz, so the minimizer of the mean loss with `penalty / 2`
    times the squared norm moves by 2 / (people * penalty) at most when one person's row becomes another. Noise whose
    density falls by e^(-epsilon * norm / that) makes it epsilon-differentially private; without epsilon there is none.
    """

    def __init__(self, epsilon: float | None = None, penalty: float = 0.001) -> None:
        self.epsilon = epsilon
        self.penalty = penalty

    def fit(self, rows: Any, label: Any) -> Self:
        fitted = LogisticRegression(
            C=1 / (self.penalty * len(rows)), fit_intercept=False, tol=1e-8, max_iter=10_000
        ).fit(_within_one(rows), label)
        self.classes_ = fitted.classes_
        self.weights_ = fitted.coef_[0]
        if self.epsilon is not None:
            random = np.random.default_rng()
            way = random.normal(size=len(self.weights_))
            scale = 2 / (len(rows) * self.penalty * self.epsilon)
            self.weights_ = self.weights_ + way / np.linalg.norm(way) * random.gamma(len(way), scale)
        return self

    def predict_proba(self, rows: Any) -> Any:
        yes = 1 / (1 + np.exp(-np.clip(_within_one(rows) @ self.weights_, -500, 500)))
        return np.column_stack([1 - yes, yes])

    def predict(self, rows: Any) -> Any:
        return self.classes_[(self.predict_proba(rows)[:, 1] > 0.5).astype(int)]


def _within_one(rows: Any) -> Any:
    values = np.asarray(rows, np.float64)
    return values / np.maximum(1, np.linalg.norm(values, axis=1, keepdims=True))


# The process that loads it has no tests: the class goes with the model.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def people(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(PEOPLE, WIDTH)) / WIDTH**0.5, columns=list(FEATURES))
    return frame.assign(label=random.integers(0, 2, PEOPLE))


def attacked(model: Private, seed: int) -> Attacked:
    """What attacks reach on the model of some people."""
    train, holdout = people(2 * seed), people(2 * seed + 1)
    artefact = cloudpickle.dumps(model.fit(train[list(FEATURES)], train["label"]))
    said = words(format="pickle", features=FEATURES)
    return attack_model(
        said, artefact, table(train), table(holdout), subject=None, seed=seed, where="private training"
    )


def may_be(tested: Attacked, epsilon: float) -> bool:
    """Whether what attacks reached goes with a claim of epsilon: no lower end of theirs is above what it allows."""
    most_told, most_gained = exp(epsilon) * RATE, (exp(epsilon) - 1) / (exp(epsilon) + 1)
    return all(
        each.tpr is not None and each.tpr.low <= most_told and each.advantage.low <= most_gained
        for each in tested.membership
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
class TestClaims:
    def test_a_private_model_keeps_its_own(self, seed: int) -> None:
        """With noise of epsilon 1 no attack tells more than that allows, and LiRA is close to guessing."""
        tested = attacked(Private(epsilon=1), seed)

        assert tested.refitted
        assert may_be(tested, 1)
        assert tested.membership[0].auc.estimate < 0.6

    def test_a_false_claim_is_found(self, seed: int) -> None:
        """The same without noise, claimed to have epsilon 0.1, tells people by more than that allows."""
        tested = attacked(Private(), seed)

        assert not may_be(tested, 0.1)
        assert tested.membership[0].auc.estimate > 0.62
