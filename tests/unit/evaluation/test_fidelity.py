"""Likeness: SDMetrics' reports as it makes them, and a model that tells apart what can be told apart."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sdmetrics.reports import QualityReport
from sklearn.metrics import roc_auc_score
from tests.unit.evaluation.people import crowd, trio

from airflow_veil.privacy.evaluation.fidelity import Fidelity, area, detection, fidelity
from airflow_veil.privacy.evaluation.tables import Trio


def found(tables: Trio) -> Fidelity:
    """The likeness of three tables."""
    return fidelity(tables, tables.encoded(), rng=np.random.default_rng(1))


class TestReports:
    def test_as_sdmetrics(self) -> None:
        """The quality is what SDMetrics says of frames that are made by hand."""
        tables = trio("independent", rows=400)
        kinds = {"age": "numerical", "weight": "numerical", "income": "numerical", "vip": "boolean"}
        columns = {name: {"sdtype": kinds.get(name, "categorical")} for name in tables.columns}
        frames = [{"t": table.to_pandas()} for table in (tables.holdout, tables.synthetic)]
        report = QualityReport()
        report.generate(*frames, {"tables": {"t": {"columns": columns}}, "relationships": []}, verbose=False)

        told = found(tables)

        assert told.quality == pytest.approx(report.get_score())
        parts = report.get_properties().set_index("Property")["Score"]
        assert told.column_shapes == pytest.approx(parts["Column Shapes"])
        assert told.column_pair_trends == pytest.approx(parts["Column Pair Trends"])

    def test_worse_rows(self) -> None:
        """Rows with other distributions have less quality, and values that no training row has a worse diagnostic."""
        good = trio("independent", rows=400)
        other = good.synthetic.set_column(0, "age", pa.array(np.full(400, 500))).set_column(
            3, "city", pa.array(["nowhere"] * 400)
        )

        better, worse = found(good), found(Trio(good.train, good.holdout, other))

        assert better.quality is not None
        assert worse.quality is not None
        assert better.quality > worse.quality + 0.15
        assert better.data_validity is not None
        assert worse.data_validity is not None
        assert better.data_validity > worse.data_validity + 0.25
        assert better.data_structure == worse.data_structure == 1

    def test_storage_is_no_structure(self) -> None:
        """Whole numbers that a synthesizer stores as doubles are the same column; dates are dates."""
        days = pa.array([dt.date(2020, 1, 1 + i % 28) for i in range(40)])
        train = pa.table({"n": pa.array(range(40), pa.int64()), "d": days})
        made = pa.table(
            {"n": pa.array(np.arange(40.0)), "d": pa.array(pd.to_datetime(pd.Series(days.to_pylist())))}
        )

        told = found(Trio(train, train, made))

        assert told.data_structure == told.data_validity == told.quality == 1

    def test_one_value(self) -> None:
        """A table that does not vary has figures, or None, and no error."""
        table = pa.table({"c": ["a"] * 40, "n": [1] * 40, "z": pa.array([None] * 40, pa.float64())})

        told = found(Trio(table, table, table))

        assert told.column_shapes is None or told.column_shapes == 1
        assert told.detection.auc == 0.5


class TestDetection:
    def test_the_same_law(self) -> None:
        """An independent draw cannot be told apart: the interval holds 0.5, or nearly."""
        told = detection(trio("independent").encoded(), rng=np.random.default_rng(1))

        assert told.low - 0.02 <= 0.5 <= told.high + 0.02

    def test_another_law(self) -> None:
        """Rows whose columns do not go together are told apart."""
        tables = trio("independent")
        order = np.random.default_rng(1).permutation(1_000)
        torn = tables.synthetic.set_column(3, "city", tables.synthetic.column("city").take(order))

        told = detection(Trio(tables.train, tables.holdout, torn).encoded(), rng=np.random.default_rng(1))

        assert told.low > 0.6

    def test_area(self) -> None:
        """The area is scikit-learn's, with ties."""
        rng = np.random.default_rng(1)
        one, other = rng.integers(0, 9, 300), rng.integers(2, 12, 200)

        truth = roc_auc_score(np.repeat([0, 1], [300, 200]), np.concatenate([one, other]))

        assert area(other, one) == pytest.approx(truth)

    def test_many_categories(self) -> None:
        """A column with more categories than a model takes is folded."""
        words = pa.table({"c": [f"w{i}" for i in range(900)], "n": range(900)})

        assert 0 <= detection(Trio(words, words, words).encoded(), rng=np.random.default_rng(1)).auc <= 1


def test_crowd_has_nulls() -> None:
    """What is measured here has nulls in it."""
    assert crowd(400, 1)["income"].null_count
    assert crowd(400, 1)["ill"].null_count
