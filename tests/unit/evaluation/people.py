"""People whose truth is known, real ones, and makers of synthetic rows, good and bad."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import opendp.prelude as dp
import pyarrow as pa
import pyarrow.csv

from airflow_veil.privacy.evaluation.tables import Trio

COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race",
    "sex", "capital_gain", "capital_loss", "hours", "country", "income",
)  # fmt: skip
EDGES = {
    "age": np.linspace(16, 91, 26),
    "fnlwgt": np.linspace(0, 800_000, 41),
    "education_num": np.arange(1, 18),
    "capital_gain": np.array([0, 1, 2_000, 4_000, 6_000, 8_000, 12_000, 16_000, 30_000, 100_000]),
    "capital_loss": np.array([0, 1, 1_000, 1_500, 1_750, 2_000, 2_500, 5_000]),
    "hours": np.linspace(0, 100, 26),
}
"""Bins that stand in a configuration, and are not read off the data."""


def crowd(rows: int, seed: int) -> pa.Table:
    """People by numbers and words; `weight` is nearly nobody else's, some values are null, `ill` goes with `city`."""
    rng = np.random.default_rng(seed)
    city = rng.integers(0, 12, rows)
    ill = (city + rng.choice(4, rows, p=[0.6, 0.2, 0.1, 0.1])) % 6
    income = rng.lognormal(3, 0.5, rows).round(1)
    return pa.table(
        {
            "age": rng.integers(18, 90, rows),
            "weight": rng.integers(0, 1_000_000, rows),
            "income": pa.array(income, mask=rng.random(rows) < 0.1),
            "city": pa.array([f"city {i}" for i in city]),
            "ill": pa.array([f"illness {i}" for i in ill], mask=rng.random(rows) < 0.05),
            "vip": pa.array(rng.random(rows) < 0.3),
        }
    )


def half_copied(train: pa.Table, seed: int) -> pa.Table:
    """Half of the training rows, and as many other people."""
    half = train.num_rows // 2
    kept = np.random.default_rng(seed).permutation(train.num_rows)[:half]
    return pa.concat_tables([train.take(kept), crowd(train.num_rows - half, seed + 1)])


def trio(kind: str, *, rows: int = 1_000, seed: int = 1) -> Trio:
    """A crowd, a hold-out of it, and a copy, an independent draw, or one half of each."""
    train, holdout = crowd(rows, seed), crowd(rows, seed + 1_000)
    made = {
        "copy": lambda: train,
        "half": lambda: half_copied(train, seed + 2_000),
        "independent": lambda: crowd(rows, seed + 3_000),
    }
    return Trio(train, holdout, made[kind]())


@lru_cache
def adult(folder: Path) -> pa.Table:
    """The people of Adult; `?` is null."""
    return pa.csv.read_csv(
        folder / "adult" / "adult.data",
        read_options=pa.csv.ReadOptions(column_names=COLUMNS),
        convert_options=pa.csv.ConvertOptions(null_values=[" ?"], strings_can_be_null=True),
    )


def two_of_adult(folder: Path, seed: int, rows: int = 9_758) -> tuple[pa.Table, pa.Table]:
    """Training rows and a hold-out, drawn."""
    people = adult(folder)
    order = np.random.default_rng(seed).permutation(people.num_rows)[:rows]
    return people.take(order[: rows // 2]), people.take(order[rows // 2 :])


def permuted(train: pa.Table, seed: int) -> pa.Table:
    """Real rows, seven of their columns each in an order of its own."""
    rng = np.random.default_rng(seed)
    for name in rng.choice(train.column_names, 7, replace=False):
        place = train.column_names.index(name)
        train = train.set_column(place, name, train.column(name).take(rng.permutation(train.num_rows)))
    return train


class NoisyMarginals:
    """Differentially private synthetic rows: each column by its counts with OpenDP's noise, for itself.

    A person is in one count of each column, so that the sensitivity is the number of columns. Values, bins and the
    number of rows are public.
    """

    def __init__(self, public: pa.Table, epsilon: float) -> None:
        self._epsilon = epsilon
        self._values = {
            name: public.column(name).unique() for name in public.column_names if name not in EDGES
        }

    def __call__(self, train: pa.Table, seed: int) -> pa.Table:
        """Synthetic rows, as many as the training rows."""
        dp.enable_features("contrib")
        rng = np.random.default_rng(seed)
        noise = (
            dp.vector_domain(dp.atom_domain(T="i64")),
            dp.l1_distance(T="i64"),
        ) >> dp.m.then_laplace(train.num_columns / self._epsilon)
        columns = {}
        for name in train.column_names:
            counts, value = self._counts(train, name, rng)
            noisy = np.maximum(np.array(noise(counts.tolist()), float), 0)
            columns[name] = value(rng.choice(len(noisy), train.num_rows, p=noisy / noisy.sum()))
        return pa.table(columns)

    def _counts(self, train: pa.Table, name: str, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
        if name in EDGES:
            edges = EDGES[name]
            counts = np.histogram(train.column(name).to_numpy(), edges)[0]
            return counts, lambda at: np.floor(edges[at] + rng.random(len(at)) * np.diff(edges)[at]).astype(
                int
            )
        values = self._values[name]
        place = pa.compute.index_in(train.column(name), value_set=values).to_numpy()
        return np.bincount(place, minlength=len(values)), values.take
