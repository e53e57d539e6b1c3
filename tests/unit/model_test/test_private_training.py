"""A model that was trained with differential privacy keeps what its guarantee says; one that only claims it does not.

Of a model that is epsilon-differentially private no attack tells more than e^epsilon times as many people inside as it
tells outside by mistake (Kairouz, Oh and Viswanath 2015); so the area under its curve is e^epsilon / (1 + e^epsilon) at
most, and its advantage (e^epsilon - 1) / (e^epsilon + 1) (Humphries et al. 2023). A figure rejects a claim if the
lower end of what an attack reached is above that.
"""

from __future__ import annotations

import sys
import zlib
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

PEOPLE, WIDTH = 400, 1_000
"""Few people and many columns, by which each could be told from the others; labels are by chance."""
FEATURES = tuple(f"x{number}" for number in range(WIDTH))


class Private(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression by output perturbation (Chaudhuri, Monteleoni and Sarwate 2011, algorithm 1).

    Rows have a norm of 1 at most, and the loss is 1-Lipschitz, so the minimizer of the mean loss with `penalty / 2`
    times the squared norm moves by 2 / (people * penalty) at most when one person's row becomes another. Noise whose
    density falls by e^(-epsilon * norm / that) makes it epsilon-differentially private; without epsilon there is none.
    """

    def __init__(self, epsilon: float | None = None, penalty: float = 1e-4) -> None:
        self.epsilon = epsilon
        self.penalty = penalty

    def fit(self, rows: Any, label: Any) -> Self:
        fitted = LogisticRegression(
            C=1 / (self.penalty * len(rows)), fit_intercept=False, tol=1e-8, max_iter=10_000
        ).fit(_within_one(rows), label)
        self.classes_ = fitted.classes_
        self.weights_ = fitted.coef_[0]
        if self.epsilon is not None:
            # By the rows, so that a test that fails can be run again; other rows have other noise.
            random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(rows).tobytes()))
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


def rejected_by(tested: Attacked, epsilon: float) -> set[str]:
    """The figures that do not go with a claim of epsilon."""
    most = exp(epsilon)
    found = set()
    for each in tested.membership:
        assert each.tpr is not None
        allowed = {
            "tpr": (each.tpr.low, most * RATE),
            "auc": (each.auc.low, most / (1 + most)),
            "advantage": (each.advantage.low, (most - 1) / (most + 1)),
        }
        found |= {figure for figure, (reached, limit) in allowed.items() if reached > limit}
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
class TestClaims:
    def test_a_private_model_keeps_its_own(self, seed: int) -> None:
        """With noise of epsilon 1 no figure is beyond what that allows."""
        tested = attacked(Private(epsilon=1), seed)

        assert tested.refitted
        assert rejected_by(tested, 1) == set()

    def test_a_model_without_noise(self, seed: int) -> None:
        """Claimed to have epsilon 1, it is rejected by each figure."""
        assert rejected_by(attacked(Private(), seed), 1) == {"tpr", "auc", "advantage"}

    def test_too_little_noise(self, seed: int) -> None:
        """So is one whose noise was scaled without the penalty, and is ten thousand times too small."""
        assert rejected_by(attacked(Private(epsilon=1 / 1e-4), seed), 1) == {"tpr", "auc", "advantage"}
