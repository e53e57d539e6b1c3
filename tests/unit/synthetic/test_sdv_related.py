"""HMA on related tables: keys and cardinalities are kept, every reference leads somewhere, nobody's name is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest
from tests.unit.synthetic.making import WHO, categories, column, dates, drawn, fitted, numbers, training

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.policy.check_synthetic import HMA_LEVELS, HMA_TABLES
from airflow_veil.privacy.synthetic.methods import synthesizer_for
from airflow_veil.privacy.synthetic.specification import Specification
from airflow_veil.privacy.synthetic.training import Training

pytest.importorskip("sdv", reason="NOT CHECKED: the extra `synthetic` is not installed")


def related(folder: Path, people: int = 100) -> tuple[Specification, Training]:
    """People with wards that they are of, and visits of both; half of the people have no visit."""
    draws = np.random.default_rng(3)
    counts = np.where(np.arange(people) % 2, draws.integers(1, 7, people), 0)
    who = np.repeat(np.arange(people), counts)
    level = draws.normal(0, 1, people)
    start = draws.integers(18_262, 18_500, len(who))
    tables = {
        "people": pa.table({"id": [f"CANARY-{n}" for n in range(people)], "level": level}),
        "wards": pa.table({"code": [f"W{n}" for n in range(6)], "beds": pa.array(range(10, 16), pa.int16())}),
        "visits": pa.table({
            "nr": [f"CANARY-V{n}" for n in range(len(who))],
            "person": [f"CANARY-{n}" for n in who],
            "ward": [f"W{n}" for n in draws.integers(0, 6, len(who))],
            "score": level[who] + draws.normal(0, 0.1, len(who)),
            "kind": draws.choice(["a", "b"], len(who)),
            "start": pa.array(start, pa.int32()).cast(pa.date32()),
            "stop": pa.array(start + draws.integers(0, 30, len(who)), pa.int32()).cast(pa.date32()),
        }),
    }  # fmt: skip
    datasets = {
        "people": {"subject": "id", "columns": {"id": WHO, "level": column("float64")}},
        "wards": {"subject": {"none": "wards are no people"}, "columns": {"code": column(), "beds": column("int16")}},
        "visits": {
            "subject": {"column": "person", "references": "people.id"},
            "columns": {
                "nr": WHO, "person": WHO, "ward": column(), "score": column("float64"), "kind": column(),
                "start": column("date"), "stop": column("date"),
            },
        },
    }  # fmt: skip
    made = {
        "people": {"columns": {"id": "key", "level": numbers(-5, 5)}},
        "wards": {"columns": {"code": "key", "beds": numbers(1, 99)}},
        "visits": {
            "columns": {
                "nr": "key", "person": {"reference": {"to": "people.id"}}, "ward": {"reference": {"to": "wards.code"}},
                "score": numbers(-9, 9), "kind": categories("a", "b"),
                "start": dates("2020-01-01", "2020-12-31"), "stop": dates("2020-01-01", "2021-12-31"),
            },
            "constraints": [{"inequality": {"low": "start", "high": "stop"}}],
        },
    }  # fmt: skip
    return training(folder, datasets, {"tables": made, "method": "hma", "evaluate": {}}, tables)


class TestRelated:
    def test_tables_of_two_parents(self, tmp_path: Path) -> None:
        """References lead somewhere, people without visits are as many, and visits are like their people."""
        specification, learned = related(tmp_path)
        synthesizer = synthesizer_for(specification)
        model = fitted(synthesizer, learned)

        tables = drawn(model, seed=1, rows=80)

        assert {name: table.schema for name, table in tables.items()} == {
            name: table.schema for name, table in specification.tables.items()
        }
        people, wards, visits = (tables[name] for name in ("people", "wards", "visits"))
        assert people.column("id").to_pylist() == list(range(1, 81))
        assert visits.column("nr").to_pylist() == list(range(1, visits.num_rows + 1))
        assert set(visits.column("person").to_pylist()) <= set(range(1, 81))
        assert set(visits.column("ward").to_pylist()) <= set(range(1, wards.num_rows + 1))
        assert visits.column("person").null_count == visits.column("ward").null_count == 0
        assert pc.all(pc.less_equal(visits.column("start"), visits.column("stop"))).as_py()

        counts = np.bincount(visits.column("person").to_numpy() - 1, minlength=80)
        real = learned.fit["visits"].column("person").to_numpy()
        were = np.bincount(real - 1, minlength=learned.fit["people"].num_rows)
        for number in range(7):
            assert (counts == number).mean() == pytest.approx((were == number).mean(), abs=0.08)
        assert (were == 0).mean() > 0.4

        level = people.column("level").to_numpy()[visits.column("person").to_numpy() - 1]
        assert np.corrcoef(level, visits.column("score").to_numpy())[0, 1] > 0.6
        # Visits of different people are drawn differently, and no middle is cut at what was least or greatest.
        scores, times = np.unique(visits.column("score").to_numpy(), return_counts=True)
        assert times.max() <= 2
        assert len(scores) > 0.98 * visits.num_rows

        assert b"CANARY" not in model.to_bytes()
        few, other = drawn(model, seed=2, rows=10), drawn(model, seed=3, rows=10)
        again = drawn(synthesizer.from_bytes(model.to_bytes()), seed=2, rows=10)
        assert all(table.equals(few[name]) for name, table in again.items())
        assert not few["visits"].equals(other["visits"])
        with pytest.raises(SyntheticError, match="single table"):
            drawn(model, given={"level": 1})

    def test_portions_go_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows are drawn some at a time: keys go on, references stay within, parents come first."""
        from airflow_veil.privacy.synthetic import sdv_related

        monkeypatch.setattr(sdv_related, "PORTION_ROWS", 20)
        specification, learned = related(tmp_path, people=30)
        model = fitted(synthesizer_for(specification), learned)
        there = {"people": 0, "wards": 0, "visits": 0}

        for name, batch in model.sample(seed=0, rows=50):
            if name == "visits":
                assert pc.max(batch.column("person")).as_py() <= there["people"]
                assert pc.max(batch.column("ward")).as_py() <= there["wards"]
            there[name] += batch.num_rows

        assert there["people"] == 50

    def test_another_process_draws_the_same(self, tmp_path: Path) -> None:
        """Whatever order its sets have."""
        code = (
            "import hashlib, pathlib, sys\n"
            "from tests.unit.synthetic.test_sdv_related import *\n"
            "specification, learned = related(pathlib.Path(sys.argv[1]), people=10)\n"
            "tables = drawn(fitted(synthesizer_for(specification), learned), rows=8)\n"
            "print(hashlib.sha256(repr([t.to_pydict() for t in tables.values()]).encode()).hexdigest())\n"
        )
        root = Path(__file__).resolve().parents[3]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
                cwd=root, stdout=subprocess.PIPE, text=True,
            )
            for seed in ("1", "2")
        ]  # fmt: skip
        digests = {process.communicate()[0] for process in processes}

        assert all(process.returncode == 0 for process in processes)
        assert len(digests) == 1


class TestSynthea:
    def test_patients_with_encounters_and_conditions(self, tmp_path: Path, shared_data: Path) -> None:
        """Three tables of 40 of its patients; no name, number or address of them is read."""
        folder = shared_data / "synthea_ma108"
        patients = csv.read_csv(folder / "patients.csv").slice(0, 40)
        encounters = csv.read_csv(folder / "encounters.csv.gz")
        conditions = csv.read_csv(folder / "conditions.csv")
        known = patients.column("Id").combine_chunks()
        tables: dict[str, pa.Table] = {
            "patients": patients.select(["Id", "BIRTHDATE", "GENDER", "INCOME"]),
            "encounters": encounters.select(["PATIENT", "ENCOUNTERCLASS", "BASE_ENCOUNTER_COST"]),
            "conditions": conditions.select(["PATIENT", "START"]),
        }
        for name in ("encounters", "conditions"):
            tables[name] = tables[name].filter(pc.is_in(tables[name].column("PATIENT"), value_set=known))
        kinds = pc.unique(encounters.column("ENCOUNTERCLASS")).to_pylist()
        whose = {"column": "PATIENT", "references": "patients.Id"}
        datasets: dict[str, Any] = {
            "patients": {"subject": "Id", "columns": {
                "Id": WHO, "FIRST": WHO, "BIRTHDATE": column("date"), "GENDER": column(), "INCOME": column("int64"),
            }},
            "encounters": {"subject": whose, "columns": {
                "PATIENT": WHO, "ENCOUNTERCLASS": column(), "BASE_ENCOUNTER_COST": column("float64"),
            }},
            "conditions": {"subject": whose, "columns": {"PATIENT": WHO, "START": column("date")}},
        }  # fmt: skip
        patient = {"reference": {"to": "patients.Id"}}
        made = {
            "patients": {"columns": {
                "Id": "key", "FIRST": {"invented": {"provider": "first_name"}},
                "BIRTHDATE": dates("1900-01-01", "2026-12-31"), "GENDER": categories("M", "F"),
                "INCOME": numbers(0, 1_000_000),
            }},
            "encounters": {"columns": {
                "PATIENT": patient, "ENCOUNTERCLASS": categories(*kinds),
                "BASE_ENCOUNTER_COST": numbers(0, 10_000, decimals=2),
            }},
            "conditions": {"columns": {"PATIENT": patient, "START": dates("1900-01-01", "2026-12-31")}},
        }  # fmt: skip
        specification, learned = training(
            tmp_path, datasets, {"tables": made, "method": "hma", "evaluate": {}}, tables
        )

        out = drawn(fitted(synthesizer_for(specification), learned), rows=40)

        assert out["patients"].num_rows == 40
        for name in ("encounters", "conditions"):
            assert set(out[name].column("PATIENT").to_pylist()) <= set(range(1, 41))
            was = learned.fit[name].num_rows / learned.fit["patients"].num_rows
            assert out[name].num_rows / 40 == pytest.approx(was, rel=0.35)
        assert set(out["encounters"].column("ENCOUNTERCLASS").to_pylist()) <= set(kinds)


@pytest.mark.parametrize(
    ("tables", "levels"), [(HMA_TABLES, HMA_LEVELS), (HMA_TABLES + 1, HMA_LEVELS), (3, HMA_LEVELS + 1)]
)
def test_the_limits_are_those_of_sdv(tables: int, levels: int) -> None:
    """What the policy may ask of HMA is what SDV takes: no more, and no less."""
    from sdv.errors import SynthesizerInputError
    from sdv.metadata import Metadata
    from sdv.multi_table import HMASynthesizer

    columns = {"id": {"sdtype": "id"}, "parent": {"sdtype": "id"}, "x": {"sdtype": "numerical"}}
    parents = {number: max(number - 1, 0) if levels > HMA_LEVELS else 0 for number in range(1, tables)}
    schema = Metadata.load_from_dict(
        {
            "tables": {f"t{number}": {"primary_key": "id", "columns": columns} for number in range(tables)},
            "relationships": [
                {
                    "parent_table_name": f"t{parent}",
                    "child_table_name": f"t{number}",
                    "parent_primary_key": "id",
                    "child_foreign_key": "parent",
                }
                for number, parent in parents.items()
            ],
        }
    )

    if tables <= HMA_TABLES and levels <= HMA_LEVELS:
        HMASynthesizer(schema)
        return
    with pytest.raises(SynthesizerInputError):
        HMASynthesizer(schema)
