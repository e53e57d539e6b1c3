"""Columns as plain numbers and back: within bounds, of the declared type, whatever a library drew."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.synthetic.making import categories, column, dates, numbers, specified

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.coordinates import coordinate, decoded, encoded, limits
from airflow_veil.privacy.synthetic.specification import ColumnSpecification


def only(folder: Path, kind: str, said: dict[str, Any]) -> ColumnSpecification:
    datasets = {"visits": {"subject": {"none": "nobody's rows"}, "columns": {"a": column(kind)}}}
    synthesis = {"tables": {"visits": {"columns": {"a": said}, "rows": 1}}, "method": "faker"}
    return specified(folder, datasets, synthesis).only["a"]


class TestRoundTrip:
    @pytest.mark.parametrize(
        ("kind", "said", "values"),
        [
            ("int8", numbers(-3, 4), [-3, 0, 4]),
            ("uint64", numbers(0, 2**53), [0, 7, 2**53]),
            ("float64", numbers(-1.5, 2.25), [-1.5, 0.125, 2.25]),
            ("float32", numbers(0, 1), [0.0, 0.5, 1.0]),
            ("date", dates("1900-01-01", "2026-01-31"), [date(1900, 1, 1), date(2026, 1, 31)]),
            (
                "timestamp",
                dates("1900-01-01", "2026-01-31"),
                [datetime(1900, 1, 1), datetime(2026, 1, 31, 23, 59, 59)],
            ),
            ("timestamp_ns", dates("2020-01-01", "2020-01-02"), [datetime(2020, 1, 1, 12, 30, 1)]),
            ("string", categories("a", "b"), ["b", "a"]),
            ("int16", categories(5, 3), [3, 5]),
            ("bool", categories(True, False), [False, True]),
        ],
    )
    def test_values_come_back(
        self, tmp_path: Path, kind: str, said: dict[str, Any], values: list[Any]
    ) -> None:
        """What is within the bounds is the same after the way there and back, empty ones too."""
        spec = only(tmp_path, kind, {**said, "nulls": True})
        array = pa.array([*values, None], spec.type)

        there, undeclared = encoded(array, spec)

        assert not undeclared.any()
        assert decoded(there, spec).equals(array)

    def test_what_is_beyond_the_bounds_is_clamped(self, tmp_path: Path) -> None:
        """Both ways: what is learned from, and what is drawn."""
        spec = only(tmp_path, "int16", numbers(0.5, 9.5))

        there, _ = encoded(pa.array([-7, 400, 3], pa.int16()), spec)
        back = decoded(np.array([-1e9, 4.6, np.inf, np.nan]), spec)

        assert there.tolist() == [1, 9, 3]
        assert back.to_pylist() == [1, 5, 9, 5]
        assert limits(spec) == (1, 9)

    def test_decimals_are_those_of_the_policy(self, tmp_path: Path) -> None:
        """How many there are is declared, not learned."""
        spec = only(tmp_path, "float64", numbers(0, 10, decimals=1))

        assert decoded(np.array([3.14159, 9.99]), spec).to_pylist() == [3.1, 10.0]

    def test_undeclared_categories_are_told_or_are_the_other_one(self, tmp_path: Path) -> None:
        """A value that is not in the list has no coordinate, unless the policy names one for it."""
        array = pa.array(["a", "secret", None])

        _, undeclared = encoded(array, only(tmp_path, "string", categories("a", "b")))
        there, none = encoded(array, only(tmp_path, "string", categories("a", "b", other="rest")))

        assert undeclared.tolist() == [False, True, False]
        assert not none.any()
        assert there.tolist()[:2] == [0, 2]

    def test_another_type_is_refused(self, tmp_path: Path) -> None:
        """What cannot be read as the declared type is told by its type, without a value."""
        spec = only(tmp_path, "int64", numbers(0, 9))

        with pytest.raises(SyntheticError, match="string") as caught:
            encoded(pa.array(["canary"]), spec)

        assert "canary" not in str(caught.value)


class TestGivenValues:
    def test_declared_ones_have_a_coordinate(self, tmp_path: Path) -> None:
        """Dates are as ISO 8601 writes them."""
        assert coordinate("b", only(tmp_path, "string", categories("a", "b"))) == 1
        assert coordinate("1970-01-11", only(tmp_path, "date", dates("1970-01-01", "1971-01-01"))) == 10
        assert (
            coordinate("1970-01-02T00:00:05", only(tmp_path, "timestamp", dates("1970-01-01", "1971-01-01")))
            == 86405
        )

    @pytest.mark.parametrize(
        ("kind", "said", "value"),
        [
            ("string", categories("a", "b"), "canary"),
            ("int64", categories(0, 1), True),
            ("int64", numbers(0, 9), 10),
            ("int64", numbers(0, 9), float("nan")),
            ("date", dates("2020-01-01", "2020-01-02"), "canary"),
        ],
    )
    def test_others_are_refused(self, tmp_path: Path, kind: str, said: dict[str, Any], value: Any) -> None:
        """A condition that no row can meet is told at once, without its value."""
        with pytest.raises(SyntheticError, match="none that the column declares") as caught:
            coordinate(value, only(tmp_path, kind, said))

        assert "canary" not in str(caught.value)
