"""Codes are equal where values are, whatever the batches, the type and the nulls."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.codes import Encoder, codes_of, shared


def partition(values: list[Any]) -> list[int]:
    """The place at which each value was first seen."""
    seen: list[Any] = []
    for value in values:
        if value not in seen:
            seen.append(value)
    return [seen.index(value) for value in values]


class TestEncoder:
    @settings(max_examples=60, deadline=None)
    @given(
        values=st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=30),
        cut=st.integers(1, 7),
        ordered=st.booleans(),
    )
    def test_equal_codes_are_equal_values(self, values: list[int | None], cut: int, ordered: bool) -> None:
        """Rows have one code just where they have one value, however the rows come."""
        encoder = Encoder("n", pa.int64())
        for begin in range(0, len(values), cut):
            encoder.add(pa.array(values[begin : begin + cut], pa.int64()))

        codes = encoder.finish(ordered=ordered)

        assert partition(values) == partition(codes.codes.tolist())
        assert len({*values}) == codes.cardinality
        assert (codes.null is not None) == (None in values)
        if ordered:
            known = [
                (value, code) for value, code in zip(values, codes.codes, strict=True) if value is not None
            ]
            assert sorted(known) == sorted(known, key=lambda pair: int(pair[1]))

    @pytest.mark.parametrize(
        ("values", "numeric"),
        [
            (pa.array(["a", None, "a", ""]), False),
            (pa.array([b"a", None, b"a", b""]), False),
            (pa.array([1.5, None, 1.5, 0.0]), True),
            (pa.array([Decimal("1.5"), None, Decimal("1.5"), Decimal("0.0")]), True),
            (pa.array([date(2020, 1, 1), None, date(2020, 1, 1), date(1970, 1, 1)]), True),
            (pa.array([True, None, True, False]), False),
            (pa.array(["a", None, "a", ""]).dictionary_encode(), False),
        ],
        ids=lambda value: str(getattr(value, "type", value)),
    )
    def test_types(self, values: pa.Array, numeric: bool) -> None:
        """Text, bytes, numbers, times and truth values have codes; a null's is the last."""
        codes = codes_of(pa.table({"c": values}), ["c"], ordered=["c"])["c"]

        assert partition(codes.codes.tolist()) == [0, 1, 0, 2]
        assert codes.null == codes.codes[1] == 2
        assert numeric == codes.numeric

    def test_special_numbers(self) -> None:
        """NaN equals itself and is no null; -0.0 equals 0.0."""
        codes = codes_of(pa.table({"c": [float("nan"), 0.0, -0.0, float("nan"), None]}), ["c"])["c"]

        assert codes.codes.tolist() == [0, 1, 1, 0, 2]

    def test_no_value_is_kept(self) -> None:
        """What is shown of codes is no value."""
        codes = codes_of(pa.table({"c": ["CANARY"]}), ["c"])["c"]

        assert "CANARY" not in repr(codes)

    def test_nested_values(self) -> None:
        """Nested values are refused, by name."""
        with pytest.raises(SchemaError, match=r"column c: values of type list<"):
            codes_of(pa.table({"c": [[1]]}), ["c"])

    def test_missing_column(self) -> None:
        """A column that is not there is an error that tells what is."""
        with pytest.raises(SchemaError, match="there is no column d"):
            codes_of(pa.table({"c": [1]}), ["d"])


class TestShared:
    def test_one_code_for_a_value_of_both(self) -> None:
        """Values of two tables have one code, also where names and types differ."""
        one, other = shared(
            pa.table({"a": pa.array([1, 2, None], pa.int32())}),
            pa.table({"b": pa.array([2, 3], pa.int64())}),
            {"a": "b"},
        )

        assert one["a"].codes[1] == other["a"].codes[0]
        assert len({*one["a"].codes.tolist(), *other["a"].codes.tolist()}) == 4

    def test_numbers_beside_text(self) -> None:
        """A number that was made text in a release is compared as text."""
        one, other = shared(pa.table({"a": [1, 2]}), pa.table({"a": ["2", "*"]}), {"a": "a"})

        assert one["a"].codes[1] == other["a"].codes[0]
