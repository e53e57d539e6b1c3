"""What broke other libraries cannot be reached through a policy.

Each class stands for open bugs of OpenDP's data frames (threads of opendp/opendp, September 2026), by which an answer
leaves exactly, or tells more than is charged. The nearest policy and data are built: either the words are refused, or
the answer has noise of the charged scale about what the policy says.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.unit.dp.asking import SURE, House, cells
from tests.unit.dp.laws import Law
from tests.unit.dp.test_noise_law import holds

from airflow_veil.privacy.errors import BudgetExhaustedError, PolicyError, SchemaError, VeilError
from airflow_veil.privacy.ledger.budget import ChargeState

ONE_GROUP: dict[str, Any] = {"g": {"values": [0], "source": "made up"}}
NASTY = [math.nan, None, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, 2.5]
"""What a column of numbers can hold."""


def table(**columns: Any) -> pa.Table:
    """A table of units with a row each, all of them in the group 0 unless it is said otherwise."""
    many = len(next(iter(columns.values())))
    return pa.table({"id": np.arange(many), **({"g": np.zeros(many, int)} | columns)})


def refused(house: House, query: dict[str, Any], error: type[VeilError] = SchemaError) -> VeilError:
    """Nothing is answered, published or spent."""
    with pytest.raises(error) as caught:
        house.ask(query)
    assert not (house.path / "releases").exists()
    if error is not PolicyError:
        assert house.spent() == 0
    return caught.value


class TestCasts:
    """#2938, #2941: a cast that fails makes nulls, whose number leaves exactly; one to 32 bits overflows."""

    @pytest.mark.parametrize("measure", ["sum", "mean", "variance"])
    def test_text_is_no_number(self, tmp_path: Path, measure: str) -> None:
        """Text is never read as numbers; the money comes back."""
        house = House(tmp_path, table(x=["1", "2", "three"]))
        query = {"spend": SURE, "measures": {"m": {measure: {"column": "x", "bounds": [0, 5]}}}}

        told = str(refused(house, query))

        assert "three" not in told
        assert [charge.state for charge in house.charges()] == [ChargeState.VOID]

    @pytest.mark.parametrize(("column", "label"), [("x", "seven"), ("x", True), ("flag", 3)])
    def test_labels_are_of_the_columns_type(self, tmp_path: Path, column: str, label: Any) -> None:
        """A public key that cannot be a value of its column is refused, not made a null."""
        house = House(tmp_path, table(x=[1, 2], flag=[True, False]))
        keys = {column: {"values": [label], "source": "made up"}}

        refused(house, {"spend": SURE, "keys": keys, "measures": {"n": "count"}})

    def test_32_bits_do_not_overflow(self, tmp_path: Path) -> None:
        """Numbers of 32 bits are clamped as numbers of 64: sums of the greatest do not become infinite."""
        great = float(np.finfo(np.float32).max)
        x = pa.array([great] * 1000 + [-great] * 10 + [math.inf], pa.float32())
        house = House(tmp_path, table(x=x))
        measure = {"sum": {"column": "x", "bounds": [-2, 4], "granularity": 1}}

        answer = house.ask({"spend": SURE, "keys": ONE_GROUP, "measures": {"s": measure}})

        assert list(answer["value"]) == [4 * 1001 - 2 * 10]

    def test_whole_numbers_do_not_overflow(self, tmp_path: Path) -> None:
        """Sums of narrow columns are added in 64 bits."""
        house = House(tmp_path, table(x=pa.array([127] * 5_000, pa.int8())))
        measure = {"sum": {"column": "x", "bounds": [0, 127], "granularity": 12.7}}

        answer = house.ask({"spend": SURE, "keys": ONE_GROUP, "measures": {"s": measure}})

        assert list(answer["value"]) == [127 * 5_000]


class TestNoNumbers:
    """#2935, #2939: NaN becomes 0 without a word; a cut of NaN makes nulls, whose number leaves exactly."""

    GROUPS = 3_000

    @pytest.fixture
    def house(self, tmp_path: Path) -> House:
        """In each group every nasty number."""
        many = self.GROUPS * len(NASTY)
        x = pa.array(NASTY * self.GROUPS, pa.float64(), from_pandas=False)
        return House(tmp_path, table(g=np.arange(many) // len(NASTY), x=x))

    @pytest.mark.parametrize(
        ("measure", "exact", "step", "scale"),
        [
            ({"count": {"column": "x"}}, 7, 1, 2),
            (
                {"sum": {"column": "x", "bounds": [-4, 6], "granularity": 0.5}},
                6 - 4 + 6 - 4 + 2.5,
                0.5,
                2 * 12,
            ),
            (
                {"sum": {"column": "x", "bounds": [-4, 6], "granularity": 0.5, "infinite": "drop", "nan": 3}},
                6 - 4 + 2.5 + 3,
                0.5,
                2 * 12,
            ),
            ({"sum": {"column": "x", "bounds": [-4, 6], "granularity": 0.5, "null": -9}}, 2.5, 0.5, 2 * 12),
            ({"histogram": {"column": "x", "edges": [-4, 0, 6]}}, [1, 4], 1, 2),
            ({"histogram": {"column": "x", "edges": [-4, 0, 6], "infinite": "drop", "nan": 0}}, [0, 4], 1, 2),
        ],
    )
    def test_what_is_none_counts_as_the_policy_says(
        self, house: House, measure: dict[str, Any], exact: Any, step: float, scale: float
    ) -> None:
        """Every cell has noise of the charged scale about what the words say, whatever is in the column."""
        answer = house.ask(
            {"spend": {"epsilon": 0.5}, "keys": {"g": house.keys(self.GROUPS)}, "measures": {"m": measure}}
        )

        true = np.tile(np.atleast_1d(exact), self.GROUPS)
        holds((cells(answer, "m") - true) / step, Law("laplace", scale))
        assert house.spent() == 0.5

    def test_means_leave_them_out(self, house: House) -> None:
        """Numbers that are none are neither in the sum nor in the number that it is divided by."""
        measure = {"mean": {"column": "x", "bounds": [-4, 6], "granularity": 0.5}}

        answer = house.ask({"spend": SURE, "keys": {"g": house.keys(50)}, "measures": {"m": measure}})

        # Of the distance from the middle, which is 1: -0.0 and 5e-324 are -1 off it.
        assert set(answer["value"]) == {1 + (5 - 5 + 5 - 5 - 1 - 1 + 1.5) / 7}


class TestExpressions:
    """#2940: `% 0` makes nulls, as do others; there is no expression to write."""

    @pytest.mark.parametrize(
        "where", ["x % 0 == 1", "x / 0 > 1", "abs(x) > 1", "x + 1 > 2", "len() > 3", "max(x) > 1"]
    )
    def test_where_has_no_arithmetic(self, tmp_path: Path, where: str) -> None:
        """Rows are chosen by comparisons of columns and constants."""
        house = House(tmp_path, table(x=[1, 2]))

        refused(house, {"spend": SURE, "where": where, "measures": {"n": "count"}}, PolicyError)

    @pytest.mark.parametrize("column", ["x % 0", "x // 2", "col('x')", "*", "^x$"])
    def test_columns_are_names(self, tmp_path: Path, column: str) -> None:
        """What is measured is a column, by name; nothing is a pattern."""
        house = House(tmp_path, table(x=[1, 2]))
        query = {"spend": SURE, "measures": {"s": {"sum": {"column": column, "bounds": [0, 1]}}}}

        with pytest.raises(VeilError):
            house.ask(query)

        assert not (tmp_path / "releases").exists()

    @pytest.mark.parametrize(
        "words",
        [
            {"expression": "pl.col('x').sum()"},
            {"max_length": 10},
            {"margins": [{"by": [], "max_length": 10}]},
            {"invariant": "keys"},
            {"contribution": {"max_length": 10}},
            {"contribution": {"groups_per_unit": 0}},
            {"spend": {"epsilon": 0}},
            {"spend": {"epsilon": math.inf}},
            {"spend": {"epsilon": math.nan}},
            {"spend": {"epsilon": 1, "seed": 7}},
            {"seed": 7},
            {"measures": {"m": {"sum": {"column": "x"}}}},
            {"measures": {"m": {"sum": {"column": "x", "bounds": [0, math.inf]}}}},
            {"measures": {"m": {"sum": {"column": "x", "bounds": [math.nan, 1]}}}},
            {"measures": {"m": {"sum": {"column": "x", "bounds": [1, 1]}}}},
            {"measures": {"m": {"sum": {"column": "x", "bounds": "auto"}}}},
            {"measures": {"m": {"histogram": {"column": "x", "bins": 10}}}},
            {"measures": {"m": {"max": {"column": "x"}}}},
            {"keys": {"g": {"values": [1]}}},
        ],
    )
    def test_words_that_others_trust(self, tmp_path: Path, words: dict[str, Any]) -> None:
        """Sizes that are claimed, keys that are said to be invariant, seeds, bounds and bins off the data: refused."""
        house = House(tmp_path, table(x=[1, 2]))

        refused(house, {"spend": SURE, "measures": {"n": "count"}} | words, PolicyError)


class TestBins:
    """#2944: bins that are numbered by the rows at hand: one row moves all others, and bins are permuted."""

    EDGES = (0, 10, 20, 30, 40, 50)

    def histogram(self, folder: Path, x: list[float]) -> list[float]:
        house = House(folder, table(x=x))
        measure = {"histogram": {"column": "x", "edges": list(self.EDGES)}}
        answer = house.ask({"spend": SURE, "measures": {"h": measure}})
        assert list(answer["part"])[:2] == ["[0, 10)", "[10, 20)"]
        return list(answer["value"])

    def test_bins_are_in_their_order(self, tmp_path: Path) -> None:
        """Whichever bin is met first in the table."""
        counts = [8, 55, 0, 14, 25]
        values = [10.0 * place + 3 for place, count in enumerate(counts) for _ in range(count)]

        for number, order in enumerate((values, values[::-1], values[30:] + values[:30])):
            assert self.histogram(tmp_path / str(number), order) == counts

    @pytest.mark.parametrize("value", [-1e9, 0.0, 9.999, 25.0, 50.0, 1e9, math.nan])
    def test_one_row_moves_one_bin(self, tmp_path: Path, value: float) -> None:
        """A row more changes at most one bin, by one."""
        values = [15.0] * 30 + [45.0] * 3

        before = self.histogram(tmp_path / "before", values)
        after = self.histogram(tmp_path / "after", [value, *values])

        assert sum(abs(a - b) for a, b in zip(after, before, strict=True)) == (
            0 if abs(value) > 50 or value != value else 1
        )


class TestSizes:
    """#2945: a table is trusted to be no larger than is said, and the number is used as if it were a change."""

    @pytest.mark.parametrize("rows", [7, 70_000])
    def test_noise_does_not_depend_on_the_size(self, tmp_path: Path, rows: int) -> None:
        """Nothing is said of sizes: the noise of a mean is that of the bounds, in a table of any size."""
        house = House(tmp_path, table(x=np.full(rows, 1.0)))
        measure = {"mean": {"column": "x", "bounds": [0, 8], "granularity": 1}}

        answer = house.ask({"spend": {"epsilon": 2}, "keys": ONE_GROUP, "measures": {"m": measure}})

        assert list(answer["noise_scale"]) == [4]

    def test_a_unit_with_all_rows(self, tmp_path: Path) -> None:
        """One unit's ten thousand rows count for as many as the query says."""
        frame = pa.table({"id": [1] * 10_000, "g": [0] * 10_000, "x": [5.0] * 10_000})
        bound = {"rows_per_group": 3}
        measures = {"n": "count", "s": {"sum": {"column": "x", "bounds": [0, 5], "granularity": 1}}}

        answer = House(tmp_path, frame).ask(
            {"spend": SURE, "keys": ONE_GROUP, "contribution": bound, "measures": measures}
        )

        assert list(answer["value"]) == [3, 15]


class TestGroups:
    """#2949: the column of the groups is redefined after contributions were bounded by it."""

    def test_bounded_are_the_groups_of_the_answer(self, tmp_path: Path) -> None:
        """A key made of a date is made before bounding: a unit in a thousand days is in one month of the answer."""
        days = pd.date_range("2024-01-01", "2026-09-26", freq="D")
        frame = pa.table(
            {"id": [1] * len(days), "at": pa.array(days, pa.timestamp("us")), "g": [0] * len(days)}
        )
        keys = {"month": {"column": "at", "to": "month", "first": "2024-01", "last": "2026-12"}}

        for number in range(3):
            answer = House(tmp_path / str(number), frame).ask(
                {
                    "spend": SURE,
                    "keys": keys,
                    "contribution": {"groups_per_unit": 2},
                    "measures": {"n": "count"},
                }
            )
            assert sorted(answer["value"])[-3:] == [0, 1, 1]

    def test_pairs_of_keys_are_groups(self, tmp_path: Path) -> None:
        """With two keys a unit is in as many pairs of them as it may be, not in as many of each."""
        frame = pd.DataFrame([(1, a, b) for a in range(5) for b in range(5)], columns=["id", "a", "b"])
        keys = {name: {"values": [0, 1, 2, 3, 4], "source": "made up"} for name in "ab"}

        answer = House(tmp_path, pa.Table.from_pandas(frame)).ask(
            {"spend": SURE, "keys": keys, "contribution": {"groups_per_unit": 3}, "measures": {"n": "count"}}
        )

        assert answer["value"].sum() == 3

    def test_which_groups_is_drawn_by_lot(self, tmp_path: Path) -> None:
        """Not the first ones, and not the same ones every time (OpenDP's truncation keeps k - 1, or fails)."""
        units, groups = 300, 6
        frame = pa.table({"id": np.repeat(np.arange(units), groups), "g": np.tile(np.arange(groups), units)})
        house = House(tmp_path, frame)
        query = {"spend": {"epsilon": 400}, "keys": {"g": house.keys(groups)}, "measures": {"n": "count"}}

        first, second = house.ask(query)["value"], house.ask(number=1)["value"]

        assert first.sum() == second.sum() == units
        assert list(first) != list(second)
        assert first.between(10, 100).all()


class TestRefusals:
    """After one refused query OpenDP's filter refuses everything, and cannot be read."""

    def test_a_refusal_changes_nothing(self, tmp_path: Path) -> None:
        """What is too dear is refused, what is not is answered, and the statement is told."""
        house = House(tmp_path, table(x=[1.0]))
        dear = {"spend": {"epsilon": 2}, "measures": {"n": "count"}}
        cheap = {"spend": {"epsilon": 1}, "measures": {"n": "count"}}
        house.write(cheap, budget={"epsilon": 2.5}, dear=dear)

        for number in range(2):
            house.release("q", number)
            with pytest.raises(BudgetExhaustedError):
                house.release("dear", number)

        assert house.spent() == 2
        with pytest.raises(BudgetExhaustedError):
            house.release("q", 2)
        assert house.release("q", 1).reference.published


SCRIPT = """
import json, os, random, sys
import numpy.random
import opendp.measurements

seeded = os.environ.get("SEEDED")

def refuse(*_, **__):
    raise AssertionError("random numbers that can be foretold, or data frames of OpenDP")

if seeded:
    numpy.random.seed(1)
    random.seed(1)
else:
    for module, names in ((numpy.random, numpy.random.__all__), (random, random.__all__)):
        for name in names:
            if callable(getattr(module, name)) and name not in ("Random", "SystemRandom"):
                setattr(module, name, refuse)
    opendp.measurements.make_private_lazyframe = opendp.measurements.then_private_lazyframe = refuse

import pyarrow.parquet as pq
from airflow_veil.privacy.release import dp_release
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

policy = sys.argv[1]
home = sys.argv[2]
settings = Settings.from_env({"VEIL_HOME": home})
with Workspace(loaded=checked(policy), settings=settings, destination_uri=f"file://{home}/out") as workspace:
    for name in ("q", "unknown"):
        dp_release.release(workspace, name, Interval(key="night", start=None, end=None), actor="test")
values = pq.read_table(f"{home}/out/q/current")["value"].to_pylist()
print(json.dumps([values, sorted(name for name in sys.modules if name.startswith("opendp"))]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Any]:
    """Answers two queries, with all kinds of noise, in a process of its own; returns values and modules."""
    house = House(tmp_path, table(g=np.arange(600) % 30, x=np.arange(600) % 7.0))
    house.write(
        {
            "spend": {"epsilon": 1},
            "keys": {"g": house.keys(300)},
            "measures": {
                "n": "count",
                "m": {"mean": {"column": "x", "bounds": [0, 7]}},
                "q": {"quantiles": {"column": "x", "quantiles": [0.5], "candidates": [1, 3, 5]}},
            },
        },
        unknown={
            "spend": {"epsilon": 5, "delta": 1e-6},
            "keys": {"g": "unknown"},
            "measures": {"h": {"histogram": {"column": "x", "edges": [0, 3, 7]}}},
        },
    )

    def run(home: str, **environment: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(house.policy), str(tmp_path / home)],
            env={**os.environ, "PYTHONHASHSEED": "0", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


class TestRandomness:
    def test_no_seed_and_no_data_frames(self, script: Callable[..., Any]) -> None:
        """Neither numpy's nor Python's generators are called, and OpenDP's data frames are not even imported."""
        values, modules = script("home")

        assert len(values) == 900
        assert not [
            name for name in modules if name.startswith(("opendp.extras", "opendp.context", "opendp.prelude"))
        ]
        assert "opendp.measurements" in modules

    def test_seeds_change_nothing(self, script: Callable[..., Any]) -> None:
        """Under the same seeds of everything that has one, two releases differ."""
        first, _ = script("first", SEEDED="1")
        second, _ = script("second", SEEDED="1")

        assert first != second
        assert sum(a == b for a, b in zip(first, second, strict=True)) < len(first) * 0.7
