"""The compiled form of a synthesis, and SDV's metadata that is written from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.synthetic.making import NONE, WHO, categories, column, dates, numbers, specified, written

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.metadata import sdv_metadata
from airflow_veil.privacy.synthetic.methods import synthesizer_of
from airflow_veil.privacy.synthetic.specification import compiled

DATASETS = {
    "visits": {
        "subject": {"column": "person", "references": "people.id"},
        "columns": {"person": WHO, "day": column("timestamp"), "ward": column(values=["a", "b"])},
    },
    "people": {"subject": "id", "columns": {"id": WHO, "name": WHO, "age": column("int16")}},
}


def synthesis(**more: Any) -> dict[str, Any]:
    return {
        "method": "hma",
        "tables": {
            "visits": {"columns": {
                "person": {"reference": {"to": "people.id"}}, "day": dates("2020-01-01", "2020-12-31"),
                "ward": "categories",
            }},
            "people": {"columns": {"id": "key", "name": {"invented": {"provider": "name"}}, "age": numbers(0, 99)}},
        },
        "evaluate": None,
        **more,
    }  # fmt: skip


class TestCompiled:
    def test_tables_come_after_those_they_refer_to(self, tmp_path: Path) -> None:
        """With types and values as the policy declares them."""
        specification = specified(tmp_path, DATASETS, synthesis())

        assert list(specification.tables) == ["people", "visits"]
        people, visits = specification.tables.values()
        assert people.schema == pa.schema({"id": pa.int64(), "name": pa.string(), "age": pa.int16()})
        assert people.training_schema.names == ["id", "age"]
        assert visits.schema.field("day").type == pa.timestamp("us")
        assert visits["ward"].values == ("a", "b")
        assert visits["person"].target == ("people", "id")
        assert [(child.name, by.name) for child, by in specification.children("people")] == [
            ("visits", "person")
        ]
        assert specification.holdout == 0.2

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 1}, {"fit_rows": 500}, {"evaluate": {"holdout": 0.3}},
            {"tables": {**synthesis()["tables"], "people": {"columns": {"id": "key", "age": numbers(0, 98)}}}},
        ],
    )  # fmt: skip
    def test_the_digest_is_of_what_a_model_depends_on(self, tmp_path: Path, change: dict[str, Any]) -> None:
        """How many rows are drawn, and how they are looked at, is no part of it."""
        digest = specified(tmp_path, DATASETS, synthesis()).digest
        tables = synthesis()["tables"]
        more_rows = {**tables, "people": {**tables["people"], "rows": 7}}

        assert specified(tmp_path, DATASETS, synthesis(tables=more_rows, show_scores=True)).digest == digest
        assert specified(tmp_path, DATASETS, synthesis(**change)).digest != digest

    def test_what_is_not_there_is_told(self, tmp_path: Path) -> None:
        """Names of syntheses that there are."""
        loaded = written(tmp_path, DATASETS, synthesis())

        with pytest.raises(SyntheticError, match="one of made"):
            compiled(loaded.policy, "other")
        assert synthesizer_of(loaded.policy, "made").__class__.__name__ == "SdvRelatedSynthesizer"


class TestMetadata:
    def test_related_tables(self, tmp_path: Path) -> None:
        """Inventions are nothing to SDV; categories are what the policy calls so, whatever is in them."""
        metadata = sdv_metadata(specified(tmp_path, DATASETS, synthesis()))

        assert metadata["tables"] == {
            "people": {"columns": {"age": {"sdtype": "numerical"}, "id": {"sdtype": "id"}}, "primary_key": "id"},
            "visits": {"columns": {
                "day": {"sdtype": "numerical"}, "ward": {"sdtype": "categorical"}, "person": {"sdtype": "id"},
            }},
        }  # fmt: skip
        assert metadata["relationships"] == [{
            "parent_table_name": "people", "parent_primary_key": "id",
            "child_table_name": "visits", "child_foreign_key": "person",
        }]  # fmt: skip

    def test_one_table_is_of_learned_columns_alone(self, tmp_path: Path) -> None:
        """Its key is not learned, and so not there; with PAR it says which sequence a row is of."""
        datasets = {"t": {"subject": "id", "columns": {"id": WHO, "n": column("int64"), "c": NONE}}}
        columns = {"id": "key", "n": numbers(0, 9), "c": categories("a", "b")}
        made = {"tables": {"t": {"columns": columns}}, "evaluate": {}}
        par = {"par": {"sequence": "id", "order": "n"}}

        single = sdv_metadata(specified(tmp_path, datasets, {**made, "method": "tvae"}))
        sequences = sdv_metadata(specified(tmp_path, datasets, {**made, "method": par}))

        assert single["tables"] == {
            "t": {"columns": {"n": {"sdtype": "numerical"}, "c": {"sdtype": "categorical"}}}
        }
        assert {"sequence_key": "id", "sequence_index": "n"}.items() <= sequences["tables"]["t"].items()
