"""Models to attack: one that learns a few odd people by heart, one that does not; and Adult."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from airflow_veil.privacy.model_test.report import Attacked, attack_model
from airflow_veil.privacy.policy.model_release import ModelRelease

ODD = 0.07
"""The share of people who are like nobody else, and whose label nothing tells."""
FEATURES = ("usual", "odd", "group")
NUMBERS = ["age", "education_num", "hours", "gain", "loss"]
WORDS = ["workclass", "marital", "occupation", "relationship", "race", "sex"]
_ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital",
    "occupation",
    "relationship",
    "race",
    "sex",
    "gain",
    "loss",
    "hours",
    "country",
    "income",
]


def odd_people(people: int, *, seed: int) -> pd.DataFrame:
    """Most people's label is plain to see; that of a few odd ones is one of ten, by chance."""
    random = np.random.default_rng(seed)
    odd = random.random(people) < ODD
    usual = random.normal(size=people)
    label = np.where(odd, random.integers(2, 12, people), (usual > 0).astype(np.int64))
    return pd.DataFrame(
        {
            "usual": usual,
            "odd": np.where(odd, random.uniform(10, 20, people), 0.0),
            "group": random.integers(0, 2, people),
            "label": label,
        }
    )


def adult(shared_data: Path, people: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As many people to train on as are kept back, drawn at random."""
    frame = pd.read_csv(shared_data / "adult" / "adult.data", names=_ADULT, skipinitialspace=True)
    frame = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    return frame[:people], frame[people : 2 * people]


def adult_pipeline(model: Any) -> Any:
    """A model over scaled numbers and one-hot words."""
    columns = make_column_transformer(
        (StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), WORDS)
    )
    return make_pipeline(columns, model)


def table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def words(**changed: Any) -> ModelRelease:
    """What a policy says of a model, with its defaults."""
    said: dict[str, Any] = {
        "artefact": "model.skops",
        "trained_on": {"train": "train.parquet", "holdout": "holdout.parquet"},
        "features": FEATURES,
        "target": "label",
        "licence": "apache-2.0",
        "description": "Tells the label of people.",
        "intended_use": "For tests of this suite.",
        "limits": "Of no use to anybody else.",
    }
    return ModelRelease(**said | changed)


def attacked(
    model: Any, train: pd.DataFrame, holdout: pd.DataFrame, *, subject: str | None = None, **changed: Any
) -> Attacked:
    """Fit a model and attack it, in a process of its own. It is written with joblib, which is read sooner."""
    said = words(format="joblib", **changed)
    file = io.BytesIO()
    joblib.dump(model.fit(train[list(said.features)], train[said.target]), file)
    return attack_model(
        said, file.getvalue(), table(train), table(holdout), subject=subject, seed=1, where="model test"
    )
