"""`faker`: columns of their specification alone, without a row, SDV or torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.synthetic.making import NONE, WHO, categories, column, dates, drawn, numbers, one, specified

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.faker import CHILDREN, FakerModel, FakerSynthesizer
from airflow_veil.privacy.synthetic.methods import synthesizer_for

NOBODY = {"none": "rows of a test"}


def model(
    folder: Path, columns: dict[str, Any], said: dict[str, Any], rows: int = 1_000, **more: Any
) -> FakerModel:
    datasets = {"t": {"subject": NOBODY, "columns": columns}}
    specification = specified(
        folder, datasets, {"tables": {"t": {"columns": said, "rows": rows, **more}}, "method": "faker"}
    )
    return FakerSynthesizer(specification).fit({}, seed=0, progress=lambda _: None)


class TestColumns:
    def test_they_are_uniform_within_bounds(self, tmp_path: Path) -> None:
        """Whole numbers and categories each as often, floats and dates over all of their bounds."""
        columns = {"n": column("int8"), "x": column("float64"), "d": column("date"), "c": column()}
        said = {
            "n": {**numbers(1, 4), "nulls": True}, "x": numbers(-1, 1, decimals=3),
            "d": dates("2020-01-01", "2020-12-31"), "c": categories("a", "b", "c"),
        }  # fmt: skip

        table = one(model(tmp_path, columns, said, rows=20_000), seed=1)

        assert table.schema.types == [pa.int8(), pa.float64(), pa.date32(), pa.string()]
        for name, values in (("n", 4), ("c", 3)):
            counts = pc.value_counts(table.column(name).drop_null()).field("counts").to_numpy()
            assert len(counts) == values
            assert np.abs(counts / counts.sum() - 1 / values).max() < 0.02
        assert table.column("n").null_count / 20_000 == pytest.approx(0.05, abs=0.01)
        assert pc.mean(table.column("x")).as_py() == pytest.approx(0, abs=0.02)
        assert pc.count_distinct(table.column("d")).as_py() == 366
        assert all(round(value, 3) == value for value in table.column("x").to_pylist())

    def test_the_seed_decides(self, tmp_path: Path) -> None:
        """Inventions, too."""
        columns, said = (
            {"n": column("int64"), "name": WHO},
            {"n": numbers(0, 9), "name": {"invented": {"provider": "name"}}},
        )
        made = model(tmp_path, columns, said, rows=50)

        assert one(made, seed=1).equals(one(made, seed=1))
        assert one(made, seed=1).column("name").to_pylist() != one(made, seed=2).column("name").to_pylist()
        assert FakerSynthesizer(made.specification).from_bytes(made.to_bytes()) == made

    def test_constraints_hold_and_given_values_stay(self, tmp_path: Path) -> None:
        """Whether the smaller or the greater one is given."""
        columns, said = dict.fromkeys("ab", column("int64")), {"a": numbers(0, 9), "b": numbers(0, 9)}
        made = model(tmp_path, columns, said, constraints=[{"inequality": {"low": "a", "high": "b"}}])

        assert pc.all(pc.less_equal(one(made).column("a"), one(made).column("b"))).as_py()
        for name in "ab":
            table = one(made, given={name: 4})
            assert set(table.column(name).to_pylist()) == {4}
            assert table.num_rows == 1_000
            assert pc.all(pc.less_equal(table.column("a"), table.column("b"))).as_py()

    def test_what_cannot_be_is_told(self, tmp_path: Path) -> None:
        """A condition that a constraint forbids, and more different values than Faker has."""
        columns, said = dict.fromkeys("ab", column("int64")), {"a": numbers(5, 9), "b": numbers(0, 9)}
        made = model(tmp_path, columns, said, constraints=[{"inequality": {"low": "a", "high": "b"}}])
        with pytest.raises(SyntheticError, match="only 0 of 1000 rows"):
            one(made, given={"b": 1})

        invented = {"invented": {"provider": "boolean", "unique": True}}
        with pytest.raises(SyntheticError, match="no more different values after 2"):
            one(model(tmp_path, {"x": NONE}, {"x": invented}, rows=3))


class TestTables:
    def test_related_ones(self, tmp_path: Path) -> None:
        """Each row has a few of the first table that refers to it; all references lead somewhere."""
        datasets = {
            "people": {"subject": "id", "columns": {"id": WHO, "age": column("int8")}},
            "wards": {"subject": NOBODY, "columns": {"code": NONE}},
            "visits": {
                "subject": {"column": "person", "references": "people.id"}, "columns": {"person": WHO, "ward": NONE},
            },
        }  # fmt: skip
        made = {
            "visits": {"columns": {
                "person": {"reference": {"to": "people.id"}},
                "ward": {"reference": {"to": "wards.code"}, "nulls": True},
            }},
            "people": {"columns": {"id": "key", "age": numbers(0, 99)}, "rows": 100},
            "wards": {"columns": {"code": "key"}, "rows": 10},
        }  # fmt: skip
        specification = specified(tmp_path, datasets, {"tables": made, "method": "faker"})

        tables = drawn(synthesizer_for(specification).fit({}, seed=0, progress=print), rows=300)

        assert [table.num_rows for table in tables.values()] == [300, 30, 300 * CHILDREN]
        assert list(tables)[-1] == "visits"
        assert np.bincount(tables["visits"].column("person").to_numpy())[1:].tolist() == [CHILDREN] * 300
        wards = set(tables["visits"].column("ward").to_pylist())
        assert None in wards
        assert wards - {None} == set(range(1, 31))

    def test_batches_go_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """More rows than one batch: keys go on and values are not those of the first batch again."""
        from airflow_veil.privacy.synthetic import faker

        monkeypatch.setattr(faker, "BATCH_ROWS", 100)
        made = model(
            tmp_path, {"id": WHO, "n": column("int64")}, {"id": "key", "n": numbers(0, 2**40)}, rows=250
        )

        batches = [batch for _, batch in made.sample(seed=0)]

        assert [batch.num_rows for batch in batches] == [100, 100, 50]
        table = pa.Table.from_batches(batches)
        assert table.column("id").to_pylist() == list(range(1, 251))
        assert pc.count_distinct(table.column("n")).as_py() == 250


class TestImports:
    def test_neither_sdv_nor_torch_is_imported(self, tmp_path: Path) -> None:
        """A test environment does not need them."""
        code = (
            "import pathlib, sys\n"
            "from tests.unit.synthetic.test_faker import *\n"
            "one(model(pathlib.Path(sys.argv[1]), {'n': column('int64')}, {'n': numbers(0, 9)}, rows=5))\n"
            "assert not {'sdv', 'torch', 'opendp'} & set(sys.modules)\n"
        )
        root = Path(__file__).resolve().parents[3]

        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(root)}, cwd=root, check=True,
        )  # fmt: skip
