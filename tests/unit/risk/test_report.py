"""The report of a table: rows or people, whole or in batches, with a population or without."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.risk.tables import adult

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk import codes
from airflow_veil.privacy.risk.report import assess
from airflow_veil.privacy.storage.parquet import ParquetSource

KEYS = ("age", "education", "occupation", "sex", "native-country", "marital-status")


class TestAssess:
    def test_batches_do_not_matter(
        self, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A source in batches gives the figures of the table."""
        table = adult(shared_data)
        pq.write_table(table, tmp_path / "adult.parquet")
        whole = assess(table, KEYS, ["salary-class"])

        monkeypatch.setattr(codes, "BATCH_ROWS", 1000)
        read = assess(ParquetSource(tmp_path / "adult.parquet"), KEYS, ["salary-class"])

        assert whole.as_dict() == read.as_dict()
        assert whole.digest == read.digest
        assert whole.diversity[0].t == 0.7510775147536636

    def test_figures_only(self) -> None:
        """What a machine reads, and what is shown, has no value of the table."""
        risk = assess(pa.table({"a": ["CANARY", "b"], "s": ["CANARY", None]}), ["a"], ["s"])

        assert "CANARY" not in json.dumps(risk.as_dict(), allow_nan=False) + repr(risk)

    def test_people(self) -> None:
        """Ten orders of one customer are one person: k is of people where rows have a subject."""
        table = pa.table(
            {"city": ["x"] * 10 + ["y"] * 2, "who": [1] * 10 + [2, 3], "what": [*"abcdefghijkk"]}
        )

        rows = assess(table, ["city"], ["what"])
        people = assess(table, ["city"], ["what"], subject="who")

        assert (rows.reidentification.k, people.reidentification.k) == (2, 1)
        assert (people.counts, people.rows, people.reidentification.rows) == ("people", 12, 3)
        assert people.diversity[0].distinct_l == 1

    def test_population_table(self) -> None:
        """By a table of the population, who is alone in the sample is one of three."""
        sample = pa.table({"zip": ["1", "2", "2"]})
        population = pa.table({"zip": ["1", "1", "1", "2", "2", "2", "2", "3"]})

        journalist = assess(sample, ["zip"], population=population).reidentification.journalist

        assert journalist is not None
        assert (journalist.highest, journalist.by) == (1 / 3, "table")
        assert journalist.average == pytest.approx((1 / 3 + 2 / 4) / 3)

    def test_population_size(self) -> None:
        """By its size alone, the journalist and the uniques of the population are estimated."""
        sizes = np.random.default_rng(1).integers(0, 800, 2000)

        risk = assess(pa.table({"a": sizes}), ["a"], population=20_000)

        assert risk.reidentification.journalist is not None
        assert risk.reidentification.journalist.by == "estimate"
        assert risk.population is not None
        assert risk.population.uniqueness < risk.reidentification.uniqueness

    @pytest.mark.parametrize(
        ("keys", "sensitive", "match"),
        [((), (), "no quasi-identifier"), (("b",), (), "no column b"), (("a",), ("c",), "no column c")],
    )
    def test_mistakes(self, keys: tuple[str, ...], sensitive: tuple[str, ...], match: str) -> None:
        """Columns that are not there, or none at all, are errors."""
        with pytest.raises(SchemaError, match=match):
            assess(pa.table({"a": [1]}), keys, sensitive)

    def test_no_rows(self) -> None:
        """A table without rows endangers nobody."""
        risk = assess(pa.table({"a": pa.array([], pa.int8()), "s": pa.array([], pa.string())}), ["a"], ["s"])

        assert (risk.rows, risk.reidentification.k, risk.uniques.rows) == (0, 0, 0)

    def test_several_combinations(self) -> None:
        """Where people have several combinations, the share sampled is of people, and uniques are not estimated."""
        table = pa.table({"who": [1, 1, 2, 2], "city": [*"abac"]})

        risk = assess(table, ["city"], subject="who", population=2)

        assert risk.population is None
        assert risk.reidentification.journalist is not None
        assert risk.reidentification.journalist.highest == 1.0
        with pytest.raises(SchemaError, match="fewer than the table's 2"):
            assess(table, ["city"], subject="who", population=1)
