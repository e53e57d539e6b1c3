"""Inequalities hold in every row that is made, whatever was drawn."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.synthetic.making import column, dates, numbers, specified

from airflow_veil.privacy.synthetic.constraints import broken_rows, held
from airflow_veil.privacy.synthetic.specification import TableSpecification


def table(
    folder: Path, kind: str, columns: dict[str, Any], *inequalities: dict[str, Any]
) -> TableSpecification:
    datasets = {"t": {"subject": {"none": "nobody's rows"}, "columns": dict.fromkeys(columns, column(kind))}}
    constraints = [{"inequality": one} for one in inequalities]
    made = {"columns": columns, "constraints": constraints, "rows": 1}
    return specified(folder, datasets, {"tables": {"t": made}, "method": "faker"}).only


class TestHeld:
    @pytest.mark.parametrize("strict", [False, True])
    @pytest.mark.parametrize(("kind", "high"), [("int64", 11), ("float64", 11), ("float32", 11)])
    def test_it_holds_in_every_row(self, tmp_path: Path, kind: str, high: float, strict: bool) -> None:
        """The greater one is raised, and no further than its bounds."""
        spec = table(
            tmp_path,
            kind,
            {"a": numbers(0, 10), "b": numbers(0, high)},
            {"low": "a", "high": "b", "strict": strict},
        )
        draws = np.random.default_rng(0)
        columns = {
            name: pa.array(draws.uniform(0, 10, 500)).cast(spec[name].type, safe=False) for name in "ab"
        }

        result = held(spec, columns)

        compare = pc.less if strict else pc.less_equal
        assert pc.all(compare(result["a"], result["b"])).as_py()
        assert result["a"].equals(columns["a"])
        assert pc.max(result["b"]).as_py() <= high
        right = compare(columns["a"], columns["b"])
        assert result["b"].filter(right).equals(columns["b"].filter(right))

    def test_chains_hold(self, tmp_path: Path) -> None:
        """What was raised raises what has to be greater still, in whatever order they are written."""
        spec = table(
            tmp_path,
            "int64",
            {"a": numbers(0, 9), "b": numbers(0, 9), "c": numbers(0, 9)},
            {"low": "b", "high": "c"},
            {"low": "a", "high": "b"},
        )

        result = held(spec, {"a": pa.array([9]), "b": pa.array([5]), "c": pa.array([0])})

        assert [result[name].to_pylist() for name in "abc"] == [[9], [9], [9]]

    def test_times_count_from_one_day(self, tmp_path: Path) -> None:
        """Columns of times with other bounds are compared as times."""
        spec = table(
            tmp_path,
            "timestamp",
            {"a": dates("2020-01-01", "2020-12-31"), "b": dates("2010-01-01", "2021-12-31")},
            {"low": "a", "high": "b"},
        )
        there = {"a": pa.array([date(2020, 6, 1)]), "b": pa.array([date(2015, 6, 1)])}

        result = held(spec, {name: array.cast(spec[name].type) for name, array in there.items()})

        assert result["a"].equals(result["b"])

    def test_empty_ones_are_not_compared(self, tmp_path: Path) -> None:
        """Where one is empty, both stay."""
        spec = table(
            tmp_path,
            "int64",
            {"a": numbers(0, 9), "b": {**numbers(0, 9), "nulls": True}},
            {"low": "a", "high": "b"},
        )

        result = held(spec, {"a": pa.array([9, 9]), "b": pa.array([None, 1], pa.int64())})

        assert result["b"].to_pylist() == [None, 9]

    def test_broken_rows_are_counted(self, tmp_path: Path) -> None:
        """Those of the source, as it delivers them."""
        spec = table(tmp_path, "int64", {"a": numbers(0, 9), "b": numbers(0, 9)}, {"low": "a", "high": "b"})

        assert broken_rows(spec, {"a": pa.array([1, 50, 3, None]), "b": pa.array([1, 40, 4, 2])}) == 1
