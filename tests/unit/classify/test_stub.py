"""The first policy: it checks, lets nothing unsure out, and holds no value."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.classify.test_classify import CANARY, people

from airflow_veil.privacy.classify.service import classify
from airflow_veil.privacy.classify.stub import policy_stub
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.load import LoadedPolicy, load
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource

TABLES = [
    "userdata/userdata1.csv",
    "synthea_ma108/patients.csv",
    "synthea_ma108/observations.csv",
    "synthea_ma108/payers.csv",
    "presidio_research/FakeNameGenerator.com_3000.csv",
    "nist_acs/ma2018.csv",
    "online_retail/online_retail.parquet",
    "restaurant_visits/week_data.csv",
]


def stub_of(source: Source, folder: Path) -> tuple[str, LoadedPolicy]:
    text = policy_stub(classify(source, sample_rows=5_000), source.schema(), uri="data", name="people")
    (folder / "policy.yaml").write_text(text)
    return text, load(folder / "policy.yaml")


class TestPolicyStub:
    @pytest.mark.parametrize("table", TABLES)
    def test_it_checks_against_its_source(self, shared_data: Path, tmp_path: Path, table: str) -> None:
        """Real tables with names of all sorts: no mistake, no mismatch, and a plan that can be bound."""
        path = shared_data / table
        source = ParquetSource(path, {}) if table.endswith("parquet") else CsvSource(path)

        _, loaded = stub_of(source, tmp_path)

        assert check(loaded, {"people": source.schema()}) == ()
        assert set(loaded.policy.datasets["people"].columns) == set(source.schema().names)
        bind(loaded, "people", source.schema(), key_version=1)

    def test_what_is_unsure_does_not_leave(self, tmp_path: Path) -> None:
        """Nothing was found in it, and many values differ: it is dropped, with a comment."""
        words = ["".join(chr(97 + int(digit)) for digit in str(100 + n // 2)) for n in range(99)]
        pq.write_table(pa.table({"x": words, "k": ["a", "b", "c"] * 33}), tmp_path / "t.parquet")

        text, loaded = stub_of(ParquetSource(tmp_path / "t.parquet", {}), tmp_path)
        columns = loaded.policy.datasets["people"].columns

        assert (columns["x"].transform.word, columns["k"].transform.word) == ("drop", "keep")
        assert "look before you keep it" in text

    def test_direct_identifiers_do_not_leave_in_clear(self, tmp_path: Path) -> None:
        """Whatever was found to be one is masked by its treatment; and no value of it is written."""
        pq.write_table(people(), tmp_path / "t.parquet")

        text, loaded = stub_of(ParquetSource(tmp_path / "t.parquet", {}), tmp_path)
        direct = [
            c
            for c in loaded.policy.datasets["people"].columns.values()
            if c.column_class == "direct_identifier"
        ]

        assert len(direct) == 5
        assert all(column.transform.properties.masks for column in direct)
        assert CANARY not in text

    def test_names_that_yaml_would_misread(self, tmp_path: Path) -> None:
        """Words of YAML, spaces, colons and quotes."""
        names = ["no", "a: b", 'say "x"', "# c", "1st", "größe", "null"]
        pq.write_table(pa.table({name: [1, 2] for name in names}), tmp_path / "t.parquet")

        _, loaded = stub_of(ParquetSource(tmp_path / "t.parquet", {}), tmp_path)

        assert list(loaded.policy.datasets["people"].columns) == names
