"""What is learned from: by people, in bounded memory, as the policy declares, and nobody's name among it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.synthetic.making import WHO, categories, column, numbers, training, written

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.specification import compiled
from airflow_veil.privacy.synthetic.training import columns_of, read_training, subjects_of

PEOPLE = {"subject": "id", "columns": {"id": {**WHO, "type": "string"}, "age": column("int16")}}
TEXT = {"class": "free_text", "treat": "drop"}
VISITS = {
    "subject": {"column": "person", "references": "people.id"},
    "columns": {
        "person": {**WHO, "type": "string"},
        "ward": column(),
        "notes": {"class": "free_text", "treat": "drop"},
    },
}
DATASETS = {"people": PEOPLE, "visits": VISITS}


def synthesis(**more: Any) -> dict[str, Any]:
    return {
        "method": "hma",
        "tables": {
            "people": {"columns": {"id": "key", "age": numbers(0, 100)}},
            "visits": {
                "columns": {"person": {"reference": {"to": "people.id"}}, "ward": categories("a", "b")}
            },
        },
        "evaluate": {"holdout": 0.25},
        **more,
    }


def tables(people: int, seed: int = 0) -> dict[str, pa.Table]:
    draws = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), draws.integers(0, 6, people))
    draws.shuffle(who)
    return {
        "people": pa.table({
            "id": [f"P{n}" for n in range(people)],
            "age": draws.integers(0, 99, people).astype("int16"),
        }),
        "visits": pa.table({
            "person": [f"P{n}" for n in who], "ward": draws.choice(["a", "b"], len(who)), "notes": ["secret"] * len(who)
        }),
    }  # fmt: skip


class TestPeople:
    def test_they_are_whole_in_all_tables(self, tmp_path: Path) -> None:
        """A person is learned from with all rows, or kept with all rows; references stay within."""
        given = tables(400)

        _, learned = training(tmp_path, DATASETS, synthesis(), given)

        assert learned.fit["people"].num_rows + learned.holdout["people"].num_rows == 400
        assert learned.fit["visits"].num_rows + learned.holdout["visits"].num_rows == given["visits"].num_rows
        assert 0.15 < learned.holdout["people"].num_rows / 400 < 0.35
        for part in (learned.fit, learned.holdout):
            assert part["people"].column("id").to_pylist() == list(range(1, part["people"].num_rows + 1))
            assert pc.all(
                pc.is_in(
                    part["visits"].column("person"), value_set=part["people"].column("id").combine_chunks()
                )
            ).as_py()
        by_age = {row["id"]: row["age"] for row in given["people"].to_pylist()}
        ages = sorted(by_age[name] for name in given["visits"].column("person").to_pylist())
        joined = [
            part["people"].column("age").to_pylist()[number - 1]
            for part in (learned.fit, learned.holdout)
            for number in part["visits"].column("person").to_pylist()
        ]
        assert sorted(joined) == ages
        assert learned.left_out == {"people": 0, "visits": 0}

    def test_too_many_rows_are_drawn_by_people(self, tmp_path: Path) -> None:
        """No table has more rows than allowed, nearly as many are taken, and people stay whole."""
        given = tables(2_000)

        _, learned = training(tmp_path, DATASETS, synthesis(fit_rows=500), given, batch_rows=61)

        rows = {name: learned.fit[name].num_rows + learned.holdout[name].num_rows for name in given}
        assert 480 < rows["visits"] <= 500
        assert rows["people"] < 500
        counts = pc.value_counts(given["visits"].column("person"))
        of = dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
        assert rows["visits"] / rows["people"] == pytest.approx(sum(of.values()) / 2_000, rel=0.15)

    def test_who_is_drawn_depends_on_the_seed_alone(self, tmp_path: Path) -> None:
        """The order of rows and the size of batches change nothing; another seed draws others."""
        given = tables(800)
        backwards = {
            name: table.take(pa.array(np.arange(table.num_rows)[::-1])) for name, table in given.items()
        }

        def ages(source: dict[str, pa.Table], seed: int, rows: int) -> list[int]:
            _, learned = training(
                tmp_path, DATASETS, synthesis(fit_rows=200), source, seed=seed, batch_rows=rows
            )
            return sorted(learned.fit["people"].column("age").to_pylist())

        first = ages(given, 7, 97)
        assert ages(backwards, 7, 1000) == first
        assert ages(given, 8, 97) != first

    def test_everybody_is_drawn_alike(self, tmp_path: Path) -> None:
        """Over seeds each person is drawn as often as another: not those who come first, or have more rows."""
        people, runs = 60, 100
        who = np.repeat(np.arange(people), np.arange(people) % 4 + 1)
        given = {"visits": pa.table({"person": who, "age": pa.array(who, pa.int16())})}
        datasets = {
            "visits": {
                "subject": "person",
                "columns": {"person": {**WHO, "type": "int64"}, "age": column("int16")},
            }
        }
        made = {
            "method": "gaussian_copula", "tables": {"visits": {"columns": {"age": numbers(0, 100)}}}, "evaluate": {},
            "fit_rows": 100,
        }  # fmt: skip
        times = np.zeros(people)
        for seed in range(runs):
            _, learned = training(tmp_path, datasets, made, given, seed=seed)
            drawn = pa.concat_tables([learned.fit["visits"], learned.holdout["visits"]]).column("age")
            times[pc.unique(drawn).to_numpy()] += 1

        share = times.mean() / runs
        deviation = (times - times.mean()) / np.sqrt(runs * share * (1 - share))
        assert 0.6 < share < 0.75
        assert np.abs(deviation).max() < 4.5
        assert abs(np.corrcoef(np.arange(people) % 4, times)[0, 1]) < 0.45
        # The first rows alone would be: this is what the bound must catch.
        first = np.where(np.arange(people) < people * share, runs, 0)
        assert np.abs((first - first.mean()) / np.sqrt(runs * share * (1 - share))).max() > 4.5

    def test_rows_of_nobody_known_are_left_out_and_counted(self, tmp_path: Path) -> None:
        """So are rows that refer to nothing."""
        given = tables(50)
        people = [*given["visits"].column("person").to_pylist(), "ghost"]
        visits = pa.table({"person": people, "ward": ["a"] * len(people)})
        unknown = pa.table({"person": [*people, None], "ward": ["a"] * (len(people) + 1)})

        with pytest.raises(SyntheticError, match="person: 1 empty values"):
            training(tmp_path, DATASETS, synthesis(), {**given, "visits": unknown})
        _, learned = training(tmp_path, DATASETS, synthesis(), {**given, "visits": visits})

        assert learned.left_out == {"people": 0, "visits": 1}

    def test_rows_may_say_whose_they_are_by_another_row(self, tmp_path: Path) -> None:
        """Lines refer to orders, and these to people: a person's orders and lines stay together."""
        draws = np.random.default_rng(0)
        who = np.repeat(np.arange(200), 3)
        lines = np.repeat(np.arange(600), draws.integers(1, 4, 600))
        orders = pa.table({"nr": np.arange(600), "person": who, "age": pa.array(who, pa.int16())})
        given = {"orders": orders, "lines": pa.table({"order": lines, "ward": ["a"] * len(lines)})}
        datasets = {
            "people": {"subject": "id", "columns": {"id": WHO}},
            "orders": {
                "subject": {"column": "person", "references": "people.id"},
                "columns": {"nr": WHO, "person": WHO, "age": column("int16")},
            },
            "lines": {
                "subject": {"column": "order", "references": "orders.nr"},
                "columns": {"order": WHO, "ward": column()},
            },
        }
        made = {
            "method": "hma", "evaluate": {"holdout": 0.4}, "fit_rows": 700,
            "tables": {
                "orders": {"columns": {"nr": "key", "age": numbers(0, 300)}},
                "lines": {"columns": {"order": {"reference": {"to": "orders.nr"}}, "ward": categories("a")}},
            },
        }  # fmt: skip

        _, learned = training(tmp_path, datasets, made, given)

        assert learned.left_out == {"orders": 0, "lines": 0}
        parts = (learned.fit, learned.holdout)
        assert 650 < sum(part["lines"].num_rows for part in parts) <= 700
        fit, kept = (set(part["orders"].column("age").to_pylist()) for part in parts)
        assert not fit & kept
        for part in parts:
            ages = pc.value_counts(part["orders"].column("age")).field("counts")
            assert set(ages.to_pylist()) == {3}
            of = dict(enumerate(part["orders"].column("age").to_pylist(), start=1))
            there = {of[number] for number in part["lines"].column("order").to_pylist()}
            assert there == set(of.values())
        lots = dict(
            zip(learned.fit["orders"].column("nr").to_pylist(), learned.people["orders"], strict=True)
        )
        orders_of = learned.fit["lines"].column("order").to_pylist()
        assert [lots[number] for number in orders_of] == learned.people["lines"].tolist()

    def test_rows_of_nobody_are_drawn_one_by_one(self, tmp_path: Path) -> None:
        """A table of no person's rows is no more than rows."""
        datasets = {"people": {"subject": {"none": "made-up shops"}, "columns": PEOPLE["columns"]}}
        made = {
            "method": "gaussian_copula", "tables": {"people": {"columns": {"age": numbers(0, 99)}}}, "evaluate": {},
            "fit_rows": 100,
        }  # fmt: skip

        _, learned = training(tmp_path, datasets, made, {"people": tables(3_000)["people"]})

        assert learned.fit["people"].num_rows + learned.holdout["people"].num_rows == 100
        assert 5 <= learned.holdout["people"].num_rows <= 40


class TestRefusals:
    def test_values_that_are_not_declared_are_counted_not_shown(self, tmp_path: Path) -> None:
        """Over all batches, by column."""
        given = tables(300)
        wards = given["visits"].column("ward").to_pylist()
        wards[3] = wards[200] = "canary"
        visits = given["visits"].set_column(1, "ward", pa.array(wards))

        with pytest.raises(SyntheticError, match="ward: 2 values that are not declared") as caught:
            training(tmp_path, DATASETS, synthesis(), {**given, "visits": visits})

        assert "canary" not in str(caught.value)

    def test_empty_ones_are_refused_unless_allowed(self, tmp_path: Path) -> None:
        """NaN is empty, too."""
        given = tables(20)
        people = given["people"].set_column(1, "age", pa.array([None, *range(19)], pa.int16()))
        allowed = synthesis()
        allowed["tables"]["people"]["columns"]["age"] = {**numbers(0, 100), "nulls": True}

        with pytest.raises(SyntheticError, match="age: 1 empty values"):
            training(tmp_path, DATASETS, synthesis(), {**given, "people": people})
        _, learned = training(tmp_path, DATASETS, allowed, {**given, "people": people})

        assert sum(part["people"].column("age").null_count for part in (learned.fit, learned.holdout)) == 1

    def test_rows_that_break_a_constraint_are_counted(self, tmp_path: Path) -> None:
        """Before values are clamped, so that clamping is not to blame."""
        datasets = {
            "t": {
                "subject": {"none": "nobody's rows"},
                "columns": {"a": column("int64"), "b": column("int64")},
            }
        }
        made = {
            "method": "gaussian_copula", "evaluate": {},
            "tables": {"t": {
                "columns": {"a": numbers(5, 9), "b": numbers(0, 9)},
                "constraints": [{"inequality": {"low": "a", "high": "b"}}],
            }},
        }  # fmt: skip
        good = pa.table({"a": [1, 2] * 50, "b": [3, 2] * 50})

        _, learned = training(tmp_path, datasets, made, {"t": good})
        with pytest.raises(SyntheticError, match="its constraints: 1 rows that break them"):
            training(tmp_path, datasets, made, {"t": pa.table({"a": [1, 7], "b": [3, 6]})})

        assert pc.all(pc.less_equal(learned.fit["t"].column("a"), learned.fit["t"].column("b"))).as_py()

    def test_keys_stand_once(self, tmp_path: Path) -> None:
        """A key that two rows have is none."""
        given = tables(20)
        people = pa.concat_tables([given["people"], given["people"].slice(0, 2)])

        with pytest.raises(SyntheticError, match="2 rows have a key that stands before"):
            training(tmp_path, DATASETS, synthesis(evaluate={"holdout": 0.01}), {**given, "people": people})

    def test_one_person_alone_is_too_much(self, tmp_path: Path) -> None:
        """Who has more rows than there may be cannot be drawn whole."""
        given = tables(5)
        visits = pa.table({"person": ["P1"] * 101, "ward": ["a"] * 101, "notes": ["x"] * 101})

        with pytest.raises(SyntheticError, match="one person has more than 100 rows"):
            training(tmp_path, DATASETS, synthesis(fit_rows=100), {**given, "visits": visits})


class TestReading:
    def test_only_what_is_learned_is_read(self, tmp_path: Path) -> None:
        """Names and notes are not among the columns that are asked for, nor in what comes out."""
        loaded = written(tmp_path, DATASETS, synthesis())
        specification = compiled(loaded.policy, "made")
        subjects = subjects_of(loaded.policy, specification)
        batches = {name: table.to_batches() for name, table in tables(30).items()}

        learned = read_training(specification, batches, subjects, seed=0)

        assert columns_of(specification.tables["visits"], subjects["visits"]) == ("person", "ward")
        assert learned.fit["visits"].column_names == ["person", "ward"]
        assert learned.fit["people"].schema.types == [pa.int64(), pa.int16()]
        assert not re.search("P[0-9]|secret", str(learned.fit["visits"].to_pylist()))

    def test_memory_does_not_grow_with_the_source(self, tmp_path: Path) -> None:
        """What is let go is free while the source is still being read."""
        loaded = written(tmp_path, {"people": PEOPLE}, {
            "method": "gaussian_copula", "tables": {"people": {"columns": {"age": numbers(0, 99)}}}, "evaluate": {},
            "fit_rows": 1_000,
        })  # fmt: skip
        specification = compiled(loaded.policy, "made")

        def most(batches: int) -> int:
            """The most bytes that were held when a batch was asked for."""
            held = []

            def source() -> Any:
                start = pa.total_allocated_bytes()
                for number in range(batches):
                    held.append(pa.total_allocated_bytes() - start)
                    ids = [f"P{number}-{row}" for row in range(5_000)]
                    yield pa.record_batch({"id": ids, "age": pa.array([7] * 5_000, pa.int16())})

            read_training(specification, {"people": source()}, {"people": "id"}, seed=0)
            return max(held)

        assert most(60) < 1.5 * most(6)
