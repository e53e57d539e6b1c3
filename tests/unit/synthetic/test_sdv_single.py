"""SDV's models of one table on real data: nobody's name in them, the policy's bounds kept, and the same by a seed."""

from __future__ import annotations

import json
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest
from tests.unit.synthetic.making import (
    ADULT,
    WHO,
    adult,
    adult_policy,
    categories,
    column,
    fitted,
    kept_arrays,
    numbers,
    one,
    training,
)

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.methods import synthesizer_for
from airflow_veil.privacy.synthetic.sdv_single import SdvTableModel

torch = pytest.importorskip("torch", reason="NOT CHECKED: the extra `synthetic` is not installed")
METHODS = [{"gaussian_copula": {}}, {"ctgan": {"epochs": 1}}, {"tvae": {"epochs": 1}}]
COMBINED = {"constraints": [{"combinations": ["education", "education_text"]}]}


def held_columns(table: pa.Table) -> dict[str, set[Any]]:
    return {name: set(table.column(name).to_pylist()) for name in table.column_names}


class TestAdult:
    @pytest.mark.parametrize("method", METHODS, ids=lambda method: next(iter(method)))
    def test_models_of_all_columns(self, tmp_path: Path, shared_data: Path, method: dict[str, Any]) -> None:
        """Bounds and declared values hold in every row; a seed decides all; bytes give the same model."""
        table = adult(shared_data, 250)
        constraints = {"constraints": [{"combinations": ["education", "income"]}]}
        specification, learned = training(
            tmp_path,
            *adult_policy(table, method, table=constraints, evaluate={"holdout": 0.2}),
            {"adult": table},
        )
        synthesizer = synthesizer_for(specification)
        random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
        model = fitted(synthesizer, learned, seed=3)
        rows = one(model, seed=4, rows=700)
        after = random.random(), np.random.random(), float(torch.rand(1))  # noqa: NPY002
        random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002

        assert after == (random.random(), np.random.random(), float(torch.rand(1)))  # noqa: NPY002
        assert rows.schema.equals(specification.only.schema)
        assert rows.num_rows == 700
        assert rows.column("person").to_pylist() == list(range(1, 701))
        for name in ADULT:
            spec = specification.only[name]
            if spec.declared.numbers is not None:
                low, high = spec.declared.numbers.bounds
                assert low <= pc.min(rows.column(name)).as_py() <= pc.max(rows.column(name)).as_py() <= high
            else:
                assert set(rows.column(name).to_pylist()) <= set(spec.values)
        pairs = {
            tuple(row.values()) for row in learned.fit["adult"].select(["education", "income"]).to_pylist()
        }
        assert {tuple(row.values()) for row in rows.select(["education", "income"]).to_pylist()} <= pairs
        assert one(model, seed=4, rows=700).equals(rows)
        assert not one(model, seed=5, rows=700).equals(rows)
        assert one(synthesizer.from_bytes(model.to_bytes()), seed=4, rows=700).equals(rows)
        assert one(fitted(synthesizer, learned, seed=3), seed=4, rows=700).equals(rows)

    def test_ctgan_keeps_no_row(self, tmp_path: Path) -> None:
        """Nothing in a fitted model has as many parts as there were rows; in SDV's own something has."""
        rows = 1_500
        draws = np.random.default_rng(0)
        table = pa.table({"a": draws.choice(["u", "v"], rows), "b": draws.choice(["x", "y", "z"], rows)})
        specification, learned = training(
            tmp_path,
            {"t": {"subject": {"none": "nobody's rows"}, "columns": dict.fromkeys("ab", column())}},
            {
                "tables": {"t": {"columns": {"a": categories("u", "v"), "b": categories("x", "y", "z")}}},
                "method": {"ctgan": {"epochs": 1}},
                "evaluate": {"holdout": 0.001},
            },
            {"t": table},
        )
        model = fitted(synthesizer_for(specification), learned)
        assert isinstance(model, SdvTableModel)
        from ctgan.data_sampler import DataSampler

        # What it keeps of one column of two values: the numbers of all rows, in two lists.
        span = type("Span", (), {"dim": 2, "activation_fn": "softmax"})
        its = DataSampler(np.eye(2)[np.arange(rows) % 2], [[span]], log_frequency=True)

        networks = ("_generator.", "_discriminator.")
        kept = [place for place, _ in kept_arrays(model.synthesizer, rows // 4)]
        assert kept_arrays(its, rows // 3)
        assert [place for place in kept if not any(one in place for one in networks)] == []

    def test_the_copula_follows_the_data(self, tmp_path: Path, shared_data: Path) -> None:
        """Shares of values and means are near those that were learned, and far from what is uniform."""
        table = adult(shared_data, 900)
        specification, learned = training(tmp_path, *adult_policy(table, "gaussian_copula"), {"adult": table})

        rows = one(fitted(synthesizer_for(specification), learned), rows=3_000)

        def share(table: pa.Table, name: str, value: str) -> float:
            return table.column(name).to_pylist().count(value) / table.num_rows

        for name, value in (("sex", "Male"), ("income", ">50K"), ("race", "White"), ("workclass", "Private")):
            assert share(rows, name, value) == pytest.approx(
                share(learned.fit["adult"], name, value), abs=0.06
            )
        age = pc.mean(rows.column("age")).as_py()
        assert age == pytest.approx(pc.mean(learned.fit["adult"].column("age")).as_py(), abs=3)
        assert abs(share(rows, "sex", "Male") - 0.5) > 0.1

    def test_given_values(self, tmp_path: Path, shared_data: Path) -> None:
        """All rows have them; the copula keeps what goes with them."""
        table = adult(shared_data, 900)
        specification, learned = training(tmp_path, *adult_policy(table, "gaussian_copula"), {"adult": table})
        model = fitted(synthesizer_for(specification), learned)

        rows = one(model, rows=4_000, given={"sex": "Female", "age": 30})

        assert held_columns(rows.select(["sex", "age"])) == {"sex": {"Female"}, "age": {30}}
        wives = rows.column("relationship").to_pylist().count("Wife")
        assert wives > 1.2 * one(model, rows=4_000).column("relationship").to_pylist().count("Wife")
        with pytest.raises(SyntheticError, match="none that the column declares"):
            one(model, given={"sex": "canary"})
        with pytest.raises(SyntheticError, match="learned columns"):
            one(model, given={"person": 1})

    def test_given_values_of_others_are_drawn_for(self, tmp_path: Path, shared_data: Path) -> None:
        """Rows that do not meet them are drawn again; what is too rare is told with counts alone."""
        table = adult(shared_data, 400)
        specification, learned = training(
            tmp_path, *adult_policy(table, {"tvae": {"epochs": 1}}), {"adult": table}
        )
        model = fitted(synthesizer_for(specification), learned)

        assert held_columns(one(model, rows=300, given={"sex": "Female"}))["sex"] == {"Female"}


class TestCanaries:
    @pytest.mark.parametrize("method", METHODS, ids=lambda method: next(iter(method)))
    def test_no_identifier_or_text_is_in_a_model(self, tmp_path: Path, method: dict[str, Any]) -> None:
        """Neither in its bytes nor, unpickled, anywhere in it: only what the policy says itself."""
        draws = np.random.default_rng(0)
        rows = 300
        table = pa.table(
            {
                "id": [f"CANARY-ID-{n}" for n in range(rows)],
                "name": [f"CANARY Name {n}" for n in range(rows)],
                "notes": [f"CANARY note {n}" for n in range(rows)],
                "pay": draws.normal(50_000, 9_000, rows),
                "grade": draws.choice(["CANARYA", "CANARYB"], rows),
            }
        )
        columns = {
            "id": {**WHO, "type": "string"}, "name": WHO, "notes": {"class": "free_text", "treat": "drop"},
            "pay": column("float64", **{"class": "sensitive"}), "grade": column("string"),
        }  # fmt: skip
        made = {
            "id": "key", "name": {"invented": {"provider": "name", "unique": True}},
            "pay": numbers(0, 100_000, decimals=2), "grade": categories("CANARYA", "CANARYB"),
        }  # fmt: skip
        specification, learned = training(
            tmp_path,
            {"staff": {"subject": "id", "columns": columns}},
            {"tables": {"staff": {"columns": made}}, "method": method, "evaluate": {}},
            {"staff": table},
        )

        model = fitted(synthesizer_for(specification), learned)
        content = model.to_bytes()
        out = one(model, rows=1_000)

        assert b"CANARY" not in content
        assert b"CANARY" not in pickle.dumps(pickle.loads(content.split(b"\n", 2)[2]), protocol=0)
        assert "CANARY" not in str(out.column("name").to_pylist())
        assert pc.count_distinct(out.column("name")).as_py() == 1_000
        pays = set(np.round(table.column("pay").to_numpy(), 2))
        assert len(pays & set(out.column("pay").to_pylist())) <= 5
        # The search finds what is there: the values of a category, had they been given to SDV as they are.
        assert b"CANARY" in pickle.dumps(learned.fit["staff"].column("grade").to_pylist())

    def test_extremes_of_the_data_are_not_what_is_made(self, tmp_path: Path) -> None:
        """The richest person's pay is not the greatest that is made, again and again."""
        draws = np.random.default_rng(1)
        pay = np.append(draws.normal(50_000, 9_000, 500), 98_765.43)
        specification, learned = training(
            tmp_path,
            {"staff": {"subject": {"none": "nobody's rows"}, "columns": {"pay": column("float64")}}},
            {
                "tables": {"staff": {"columns": {"pay": numbers(0, 100_000, decimals=2)}}},
                "method": "gaussian_copula",
                "evaluate": {"holdout": 0.001},
            },
            {"staff": pa.table({"pay": pay})},
        )

        out = one(fitted(synthesizer_for(specification), learned), rows=20_000).column("pay").to_pylist()

        assert 98_765.43 in learned.fit["staff"].column("pay").to_pylist()
        assert out.count(98_765.43) <= 1
        assert out.count(min(pay.round(2))) <= 1


class TestErrors:
    def test_what_sdv_raises_is_told_without_its_text(self, tmp_path: Path) -> None:
        """One row is nothing to fit to."""
        specification, learned = training(
            tmp_path,
            {
                "t": {
                    "subject": {"none": "nobody's rows"},
                    "columns": {"a": column("float64"), "b": column("float64")},
                }
            },
            {
                "tables": {"t": {"columns": {"a": numbers(0, 9), "b": numbers(0, 9)}}},
                "method": {"ctgan": {"epochs": 1}},
                "evaluate": {"holdout": 0.0001},
            },
            {"t": pa.table({"a": [1.25], "b": [2.5]})},
        )

        with pytest.raises(SyntheticError, match=r"fitting ctgan failed with \w+ at \w+") as caught:
            fitted(synthesizer_for(specification), learned)

        assert not re.search("1.25|2.5", str(caught.value))
        assert caught.value.__cause__ is None

    def test_bytes_of_another_model_are_refused_before_they_are_read(self, tmp_path: Path) -> None:
        """The line before the pickle says what it is."""
        spec, learned = training(
            tmp_path,
            {"t": {"subject": {"none": "nobody's rows"}, "columns": {"a": column("float64")}}},
            {
                "tables": {"t": {"columns": {"a": numbers(0, 9)}}},
                "method": "gaussian_copula",
                "evaluate": {},
            },
            {"t": pa.table({"a": np.random.default_rng(0).uniform(0, 9, 200)})},
        )
        synthesizer = synthesizer_for(spec)
        content = fitted(synthesizer, learned).to_bytes()
        evil = b"cos\nsystem\n(S'exit 1'\ntR."

        for wrong in (
            b"", evil, content[5:], content.replace(spec.digest.encode(), b"0" * 64),
            content.replace(b'"gaussian_copula"', b'"ctgan"').partition(b"}\n")[0] + b"}\n" + evil,
        ):  # fmt: skip
            with pytest.raises(SyntheticError, match=r"no model|another method"):
                synthesizer.from_bytes(wrong)
        with pytest.raises(SyntheticError, match=r"fitted with sdv 0\.1"):
            synthesizer.from_bytes(re.sub(rb'"sdv": "[^"]+"', b'"sdv": "0.1"', content))


class TestCensus:
    def test_all_columns_of_the_census_excerpt(self, tmp_path: Path, shared_data: Path) -> None:
        """NIST's 24 columns, with N for what does not apply: as null of numbers, as a value of categories."""
        table = csv.read_csv(
            shared_data / "nist_acs" / "national2018.csv.gz",
            convert_options=csv.ConvertOptions(null_values=["N"], strings_can_be_null=False),
        ).slice(0, 800)
        counted = {
            "AGEP": (0, 99), "NOC": (0, 19), "NPF": (2, 20), "DENSITY": (16.3, 52864.7), "PINCP": (-9000, 1_341_000),
            "POVPIP": (0, 501), "PWGTP": (0, 9_999), "WGTP": (0, 9_999),
        }  # fmt: skip
        listed = {
            name: json.loads((shared_data / "nist_acs" / "data_dictionary.json").read_text())[name].get(
                "values"
            )
            for name in table.column_names
        }
        columns, made, arrays = {}, {}, {}
        for name in table.column_names:
            if name in counted:
                kind = "float64" if name in ("DENSITY", "PINCP") else "int32"
                columns[name], made[name] = column(kind), {**numbers(*counted[name]), "nulls": True}
                arrays[name] = table.column(name).cast(kind)
            else:
                columns[name] = column("string")
                texts = table.column(name).cast("string").fill_null("N")
                known = (
                    listed[name]
                    if isinstance(listed[name], dict)
                    else dict.fromkeys(pc.unique(texts).to_pylist())
                )
                made[name] = categories(*known, other="other")
                arrays[name] = texts
        specification, learned = training(
            tmp_path,
            {"people": {"subject": {"none": "an excerpt that is published"}, "columns": columns}},
            {"tables": {"people": {"columns": made}}, "method": "gaussian_copula", "evaluate": {}},
            {"people": pa.table(arrays)},
        )

        out = one(fitted(synthesizer_for(specification), learned), rows=2_000)

        assert out.num_columns == 24
        for name in counted:
            empty, was = out.column(name).null_count / 2_000, learned.fit["people"].column(name)
            assert empty == pytest.approx(was.null_count / len(was), abs=0.05)
        assert out.column("SEX").null_count == 0


class TestSampling:
    def test_batches_are_of_one_size_and_follow_the_seed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows stream: no batch is larger, keys go on, and what is held does not grow with how many are drawn."""
        from airflow_veil.privacy.synthetic import sdv_single

        monkeypatch.setattr(sdv_single, "BATCH_ROWS", 500)
        specification, learned = training(
            tmp_path,
            {"t": {"subject": "id", "columns": {"id": {**WHO, "type": "int64"}, "a": column("float64")}}},
            {
                "tables": {"t": {"columns": {"id": "key", "a": numbers(-9, 9)}}},
                "method": "gaussian_copula",
                "evaluate": {},
            },
            {"t": pa.table({"id": range(300), "a": np.random.default_rng(0).normal(size=300)})},
        )
        model = fitted(synthesizer_for(specification), learned)
        held, sizes, last = [], [], 0
        start = pa.total_allocated_bytes()
        for _, batch in model.sample(seed=1, rows=6_250):
            held.append(pa.total_allocated_bytes() - start)
            sizes.append(batch.num_rows)
            assert batch.column("id")[0].as_py() == last + 1
            last = batch.column("id")[-1].as_py()

        assert sizes == [500] * 12 + [250]
        assert max(held) <= 2 * held[0]
        assert one(model, seed=1).num_rows == learned.fit["t"].num_rows
        first = one(model, seed=1, rows=1_000).column("a").to_pylist()
        assert first[:500] != first[500:]
