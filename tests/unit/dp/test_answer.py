"""What is made of noisy numbers: rows and their order, quotients, intervals, and where there is no value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.unit.dp.asking import SURE, House

from airflow_veil.privacy.dp.answer import FIXED, IN_BOUNDS, answer
from airflow_veil.privacy.dp.noise import Drawn

TABLE = pa.table({"id": [1, 2], "g": ["a", "b"], "k": [1, 2], "x": [1.0, 2.0]})
BOUNDED = {"column": "x", "bounds": [0, 10], "granularity": 1}


def made(
    folder: Path, measures: dict[str, Any], noisy: dict[str, Sequence[Sequence[int]]], **more: Any
) -> pd.DataFrame:
    """The answer for noisy cells that the test names, by the name of the measurement."""
    house = House(folder, TABLE)
    house.write({"spend": {"epsilon": 1}, "measures": measures, **more})
    query, planned = house.query(), house.planned()
    cells = {(m.statistic, m.aim): np.array(noisy[m.name], np.int64) for m in planned}
    groups = len(next(iter(cells.values())))
    labels = [pa.array([f"{axis.name}{n}" for n in range(groups)]) for axis in query.axes]
    found: pd.DataFrame = answer(query, planned, Drawn(np.arange(groups), cells), labels).to_pandas()
    house.close()
    return found


class TestValues:
    def test_counts_are_as_drawn(self, tmp_path: Path) -> None:
        """Not clamped at zero; what is in bounds stands beside the raw value."""
        told = made(tmp_path, {"n": "count"}, {"rows": [[-7]]}, consistency="in_bounds")

        (row,) = told.to_dict("records")
        assert (row["value"], row[IN_BOUNDS]) == (-7, 0)
        assert row["low"] < -7 < row["high"]

    def test_a_mean_is_a_quotient_about_the_middle(self, tmp_path: Path) -> None:
        told = made(tmp_path, {"m": {"mean": BOUNDED}}, {"rows(x)": [[100]], "sum(centred x)": [[150]]})

        assert list(told["value"]) == [5 + 150 / 100]
        assert told["low"].iloc[0] < 6.5 < told["high"].iloc[0]

    @pytest.mark.parametrize("count", [0, -1, -50])
    def test_a_mean_of_no_rows_is_none(self, tmp_path: Path, count: int) -> None:
        """Where the noisy number is not positive there is no mean, and anything within the bounds is possible."""
        noisy = {"rows(x)": [[count]], "sum(centred x)": [[12]], "sum(squared x)": [[999]]}
        told = made(tmp_path, {"m": {"mean": BOUNDED}, "v": {"variance": BOUNDED}}, noisy)

        assert told["value"].isna().all()
        assert list(told["low"]) == [0, 0]
        assert list(told["high"]) == [10, 25]

    def test_a_variance_is_that_of_the_population(self, tmp_path: Path) -> None:
        """The mean square about the middle, less the square of the mean about it; its steps are finer."""
        noisy = {"rows(x)": [[100]], "sum(centred x)": [[200]], "sum(squared x)": [[900 * 10**5]]}
        told = made(tmp_path, {"v": {"variance": BOUNDED}}, noisy)

        assert list(told["value"]) == [9 - 4]

    @pytest.mark.parametrize("step", ["0.1", "0.01", "0.3", "7"])
    def test_sums_have_short_decimals(self, tmp_path: Path, step: str) -> None:
        """Whole steps are told as the nearest double of their decimal."""
        measure = {"sum": {"column": "x", "bounds": [0, 700], "granularity": step}}
        steps = [[1], [3], [7], [-33], [123_457], [10**15 + 1]]

        told = made(
            tmp_path,
            {"s": measure},
            {"sum(x)": steps},
            keys={"g": {"values": list("abcdef"), "source": "made up"}},
        )

        assert list(told["value"]) == pytest.approx([float(step) * n for (n,) in steps], rel=1e-15)
        assert list(told["value"])[:4] == [float(f"{float(step) * n:.6g}") for (n,) in steps[:4]]


class TestIntervals:
    @pytest.mark.parametrize("word", ["mean", "variance"])
    def test_every_pair_of_noises(self, tmp_path: Path, word: str) -> None:
        """Whatever the noises are, as long as each is within its distance, the interval holds the true value."""
        measure = {"m": {word: BOUNDED}}
        house = House(tmp_path, TABLE)
        house.write({"spend": {"epsilon": 1}, "measures": measure})
        planned = house.planned()
        house.close()
        # Each of two noises, or three, is beyond its distance with a half or a third of the probability.
        offs = [one.accuracy(1 - 0.05 / len(planned)) or 0 for one in planned]
        exact = {"rows(x)": 60, "sum(centred x)": 90, "sum(squared x)": 600 * 10**5}
        ends = list(itertools.product(*([-off, -off // 2, 0, off] for off in offs)))
        noisy = {
            one.name: [[exact[one.name] + end[place]] for end in ends] for place, one in enumerate(planned)
        }

        told = made(
            tmp_path, measure, noisy, keys={"k": {"values": list(range(len(ends))), "source": "made up"}}
        )

        true = 5 + 90 / 60 if word == "mean" else 600 / 60 - (90 / 60) ** 2
        assert len(told) == 4 ** len(planned)
        assert (told["low"] <= true + 1e-9).all()
        assert (true - 1e-9 <= told["high"]).all()
        assert told["value"].between(told["low"] - 1e-9, told["high"] + 1e-9).mean() > 0.9

    def test_more_confidence_is_wider(self, tmp_path: Path) -> None:
        widths = []
        for number, confidence in enumerate((0.6, 0.9, 0.99, 0.999999)):
            told = made(tmp_path / str(number), {"n": "count"}, {"rows": [[5]]}, confidence=confidence)
            widths.append(float((told["high"] - told["low"]).iloc[0]))

        assert widths == sorted(set(widths))


class TestRows:
    def test_columns_and_order(self, tmp_path: Path) -> None:
        """Groups in the order of the public lists, the first key slowest; within one, measures as they are written."""
        house = House(tmp_path, TABLE)
        keys = {
            "g": {"values": ["b", "a", "c"], "source": "made up"},
            "k": {"values": [2, 1], "source": "made up"},
        }
        measures = {
            "z": "count",
            "a": {"histogram": {"column": "x", "edges": [0, 1.5, 3]}},
            "q": {"quantiles": {"column": "x", "quantiles": [0.25, 0.75], "candidates": [1, 2]}},
        }

        told = house.ask({"spend": SURE, "keys": keys, "measures": measures})

        assert list(told.columns) == ["g", "k", *FIXED]
        parts = [("z", None), ("a", "[0, 1.5)"), ("a", "[1.5, 3]"), ("q", "0.25"), ("q", "0.75")]
        groups = list(itertools.product("bac", "21"))
        expected = [(g, k, *part) for g, k in groups for part in parts]
        found = (
            told[["g", "k", "measure", "part"]]
            .astype(object)
            .where(told[["g", "k", "measure", "part"]].notna(), None)
        )
        assert [tuple(row) for row in found.to_numpy()] == expected
        counted = told[told["measure"] == "z"].set_index(["g", "k"])["value"]
        assert counted[("a", "1")] == counted[("b", "2")] == 1
        assert counted.sum() == 2

    def test_an_empty_table(self, tmp_path: Path) -> None:
        """A table without rows gives an answer to all public keys, by noise alone."""
        house = House(tmp_path, TABLE.slice(0, 0))
        keys = {"g": house.keys(400)}

        told = house.ask({"spend": {"epsilon": 1}, "keys": keys, "measures": {"n": "count"}})

        assert len(told) == 400
        assert told["value"].abs().max() > 1
        assert abs(told["value"].mean()) < 7 * math.sqrt(1.85 / 400)

    def test_an_empty_table_of_unknown_keys(self, tmp_path: Path) -> None:
        """No key is found, and the answer has its columns all the same."""
        house = House(tmp_path, TABLE.slice(0, 0))
        query = {"spend": {"epsilon": 1, "delta": 1e-6}, "keys": {"g": "unknown"}, "measures": {"n": "count"}}

        told = house.ask(query)

        assert len(told) == 0
        assert list(told.columns) == ["g", *FIXED]
