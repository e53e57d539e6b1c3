"""Who is found in rows, whose they are, and what becomes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.erasure.looking import edge, keeper, known, matcher

from airflow_veil.privacy.erasure.match import Matcher, collected
from airflow_veil.privacy.errors import SchemaError

PEOPLE = st.one_of(st.sampled_from(["1", "01", "a", "é", ""]), st.integers(-20, 20).map(str))


def columns(**values: list[Any]) -> dict[str, pa.Array]:
    return {name: pa.array(each) for name, each in values.items()}


class TestMatcher:
    @settings(deadline=None)
    @given(
        rows=st.lists(st.one_of(st.none(), PEOPLE), max_size=40),
        looked=st.dictionaries(PEOPLE, st.integers(0, 3), max_size=8),
        coded=st.booleans(),
    )
    def test_texts(self, rows: list[str | None], looked: dict[str, int], coded: bool) -> None:
        """As a dictionary of Python would find them; null is nobody."""
        column = pa.array(rows, pa.string())
        matched = matcher(looked)({"id": column.dictionary_encode() if coded else column}, len(rows))

        expected = [looked.get(row, -1) if row is not None else -1 for row in rows]
        assert matched.owners.tolist() == expected
        assert matched.delete.tolist() == matched.own.tolist() == [owner >= 0 for owner in expected]

    @settings(deadline=None)
    @given(
        rows=st.lists(st.one_of(st.none(), st.integers(-20, 20)), max_size=40),
        looked=st.dictionaries(PEOPLE, st.integers(0, 3), max_size=8),
        kind=st.sampled_from([pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(12, 3)]),
    )
    def test_numbers(self, rows: list[int | None], looked: dict[str, int], kind: pa.DataType) -> None:
        """Are found by their one spelling."""
        texts = pa.array([None if row is None else str(row) for row in rows], pa.string())
        matched = matcher(looked)({"id": texts.cast(kind)}, len(rows))

        assert matched.owners.tolist() == [looked.get(str(row), -1) for row in rows]

    @pytest.mark.parametrize("text", ["1.5", "nan", "inf", "1e3", "9007199254740993", "-0", "+7", "7 "])
    @pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.decimal128(20, 1)])
    def test_texts_that_are_no_number_of_the_type(self, text: str, kind: pa.DataType) -> None:
        """Are left out, and no error."""
        values, _ = matcher([text, "7"]).typed(0, kind)

        whole = text == "9007199254740993" and not pa.types.is_floating(kind)
        assert values.cast(pa.string() if not pa.types.is_decimal(kind) else pa.float64()).to_pylist()[
            -1
        ] in (
            "7",
            7.0,
        )
        assert len(values) == 1 + whole

    @settings(deadline=None)
    @given(
        values=st.lists(PEOPLE, max_size=10, unique=True),
        bounds=st.tuples(st.integers(-25, 25), st.integers(-25, 25)),
    )
    def test_bounds(self, values: list[str], bounds: tuple[int, int]) -> None:
        """Tell of numbers and of texts whether any value lies between them."""
        least, greatest = sorted(bounds)
        looked = matcher(values)
        numbers = [int(each) for each in values if each.lstrip("-").isdigit() and str(int(each)) == each]
        low, high = sorted(str(each).encode() for each in bounds)

        assert looked.may_hold(0, pa.int64(), least, greatest) == any(least <= n <= greatest for n in numbers)
        assert looked.may_hold(0, pa.string(), low, high) == any(low <= v.encode() <= high for v in values)

    def test_whoever_is_deleted_is_the_owner(self) -> None:
        """Not who is merely named in the row, in whatever order the policy has the columns."""
        people = {"a": 0, "b": 1}
        looked = matcher(people, edge("by", ["by"]), edge("id"))
        matched = looked(columns(id=["b", "x", "a"], by=["a", "a", "b"]), 3)

        assert matched.owners.tolist() == [1, 0, 0]
        assert matched.delete.tolist() == [True, False, True]
        assert matched.cells["by"].tolist() == matched.masked.tolist() == [False, True, False]

    def test_held_rows(self) -> None:
        """Neither go nor lose cells; those that would go are the subjects' own all the same."""
        looked = matcher({"a": 0, "b": 1}, edge("id"), edge("by", ["by"]), held=keeper("a", "x"))
        rows = columns(id=["a", "b", "x", "y"], by=["b", "z", "b", "b"], key=[1, 2, 3, 4])
        matched = looked(rows, 4)

        assert matched.held.tolist() == [True, False, True, False]
        assert matched.delete.tolist() == [False, True, False, False]
        assert matched.cells["by"].tolist() == [False, False, False, True]
        texts, owners = collected(matched, rows, "key", where="people")
        assert (texts.to_pylist(), owners.tolist()) == (["1", "2"], [0, 1])
        assert matched.touched

    def test_what_it_reads(self) -> None:
        """The columns of the edges, and the subject where somebody is held."""
        assert matcher(["a"], edge("by"), held=keeper()).columns == ("by",)
        assert matcher(["a"], edge("by"), held=keeper("b")).columns == ("by", "id")
        assert matcher(["a"], edge("by", ["x", "y"]), edge("id", ["y"])).emptied == ("x", "y")
        assert matcher([], edge("by")).empty

    def test_a_type_that_names_nobody(self) -> None:
        """Is told with the column, and no value."""
        with pytest.raises(SchemaError, match="people column id") as error:
            matcher(["true"])(columns(id=[True]), 1)
        assert "true" not in str(error.value)

    def test_many_values_of_mixed_kinds(self) -> None:
        """Are cast at once."""
        people = {str(n) if n % 2 else f"x{n}": n % 7 for n in range(50_000)}
        looked = Matcher([(edge(), known(people))], keeper())
        rows = np.arange(1000)
        matched = looked({"id": pa.array(rows)}, 1000)

        assert matched.owners.tolist() == [n % 7 if n % 2 else -1 for n in rows]
