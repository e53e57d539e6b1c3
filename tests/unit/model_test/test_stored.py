"""Rows in a model's file: found raw, scaled and sparse, in whatever part; and not where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from airflow_veil.privacy.model_test.stored import stored

RANDOM = np.random.default_rng(1)
ROWS = pd.DataFrame(RANDOM.normal(size=(200, 3)), columns=["a", "b", "c"])
LABEL = (ROWS["a"] + RANDOM.normal(size=200) > 0).astype(int)
MINE = slice(0, 100)


class Keeps:
    """A model that has its rows, as a table, in a list."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.parts = [{"rows": rows}]


def share(model: Any, rows: pd.DataFrame = ROWS) -> tuple[float, float]:
    """The share of rows in a model's file: of those that it was trained on, and of others."""
    found = stored(model, rows, rows)
    return float(found[MINE].mean()), float(found[100:].mean())


class TestStored:
    @pytest.mark.parametrize(
        "model",
        [
            KNeighborsClassifier(),
            make_pipeline(StandardScaler(), KNeighborsClassifier()),
            CalibratedClassifierCV(make_pipeline(KNeighborsClassifier()), cv=2),
        ],
        ids=["raw", "scaled", "calibrated"],
    )
    def test_neighbours(self, model: Any) -> None:
        """Nearest neighbours have all rows, however they are wrapped; of others none."""
        assert share(model.fit(ROWS[MINE], LABEL[MINE])) == (1.0, 0.0)

    def test_support_vectors(self) -> None:
        """Some rows are support vectors."""
        model = make_pipeline(StandardScaler(), SVC()).fit(ROWS[MINE], LABEL[MINE])
        mine, others = share(model)

        assert mine == pytest.approx(model[-1].n_support_.sum() / 100)
        assert others == 0

    def test_sparse_rows_of_words(self) -> None:
        """Rows that are words before they are numbers are found in the form that the model has."""
        words = pd.DataFrame({name: ROWS[name].rank().astype(int).astype(str) for name in ("a", "b")})
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), KNeighborsClassifier())
        model.fit(words[MINE], LABEL[MINE])

        assert share(model, words)[0] == 1.0

    def test_tables_in_lists(self) -> None:
        """Words and numbers, as a table, at any depth."""
        mixed = ROWS.assign(word="x")

        assert share(Keeps(mixed[MINE]), mixed) == (1.0, 0.0)

    @pytest.mark.parametrize(
        "model",
        [LogisticRegression(), RandomForestClassifier(5), MLPClassifier((8,), max_iter=50)],
        ids=lambda model: type(model).__name__,
    )
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_models_of_parameters_have_none(self, model: Any) -> None:
        """Weights and thresholds are no rows."""
        assert share(model.fit(ROWS[MINE], LABEL[MINE])) == (0.0, 0.0)
