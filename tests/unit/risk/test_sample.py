"""Rows drawn from a source: as many as are wanted, the same places for the same seed, each as likely as another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.risk import sample as module
from airflow_veil.privacy.risk.sample import sample
from airflow_veil.privacy.storage.parquet import ParquetSource


@pytest.fixture
def numbers(tmp_path: Path) -> ParquetSource:
    pq.write_table(pa.table({"n": np.arange(5000), "m": np.arange(5000) + 1}), tmp_path / "n.parquet")
    return ParquetSource(tmp_path / "n.parquet")


class TestSample:
    def test_all_of_a_short_one(self, numbers: ParquetSource) -> None:
        """Nothing is drawn where all rows fit."""
        table, rows = sample(numbers, ["n"], 5000, seed=0)

        assert rows == 5000
        assert table["n"].to_pylist() == list(range(5000))

    def test_same_places(self, numbers: ParquetSource, monkeypatch: pytest.MonkeyPatch) -> None:
        """However the rows come, so that two sources of one length give the same rows."""
        one, _ = sample(numbers, ["n"], 300, seed=1)
        monkeypatch.setattr(module, "BATCH_ROWS", 7)

        other, rows = sample(numbers, ["m"], 300, seed=1)

        assert (rows, one.num_rows) == (5000, 300)
        assert np.array_equal(one["n"].to_numpy() + 1, other["m"].to_numpy())

    def test_without_bias(self, numbers: ParquetSource, monkeypatch: pytest.MonkeyPatch) -> None:
        """Early and late rows are drawn as often; the first rows alone would be far off."""
        monkeypatch.setattr(module, "BATCH_ROWS", 64)
        drawn = np.concatenate([sample(numbers, ["n"], 200, seed=s)[0]["n"].to_numpy() for s in range(20)])

        counts = np.bincount(drawn // 500, minlength=10)

        # Chi-squared with 9 degrees of freedom: above 33.7 once in ten thousand.
        assert ((counts - 400) ** 2 / 400).sum() < 33.7
        assert ((np.bincount(np.arange(4000) % 200 // 500, minlength=10) - 400) ** 2 / 400).sum() > 33.7
