from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transforms.keyed_support import refusal

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.canonical import canonical, is_canonical_type, joined, once_per_distinct

NUMBERS = [
    pa.int16(),
    pa.int64(),
    pa.uint32(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(9, 3),
    pa.decimal256(50, 0),
]
WHOLE_FLOATS = st.integers(-(2**53), 2**53)


def spelled(values: pa.Array) -> list[str | None]:
    return canonical(values, where="t.c").to_pylist()


class TestCanonical:
    @pytest.mark.parametrize("kind", NUMBERS, ids=str)
    def test_a_number_has_one_spelling_in_all_types(self, kind: pa.DataType) -> None:
        """17850 is spelled 17850, as an integer, a whole float and a decimal with zeros behind the point."""
        values = pa.array([17850, None, 0, 7]).cast(pa.float64()).cast(kind)
        assert is_canonical_type(kind)
        assert spelled(values) == ["17850", None, "0", "7"]

    @given(st.lists(WHOLE_FLOATS))
    def test_floats_are_spelled_as_integers_are(self, values: list[int]) -> None:
        """Up to 2^53 every whole number has one float, and both have one spelling."""
        integers = pa.array(values, pa.int64())
        assert spelled(integers.cast(pa.float64())) == spelled(integers) == [str(value) for value in values]

    def test_minus_zero_is_zero(self) -> None:
        """Equal numbers have equal spellings."""
        assert spelled(pa.array([-0.0])) == ["0"]

    def test_not_a_number_is_a_null(self) -> None:
        """A missing integer is NaN where pandas was about."""
        assert spelled(pa.array([float("nan"), 1.0])) == [None, "1"]

    @pytest.mark.parametrize(
        "values",
        [
            pa.array([1.5, 2.0]),
            pa.array([float("inf"), 2.0]),
            pa.array([-float("inf"), 2.0]),
            pa.array([2.0**53 + 2, 2.0]),
            pa.array([1e300, 2.0]),
            pa.array([Decimal("1.50"), Decimal("2.00")]),
            pa.array([np.float16(1.5), np.float16(2)]),
        ],
        ids=["fraction", "infinite", "minus-infinite", "inexact", "huge", "decimal", "half"],
    )
    def test_what_is_not_whole_is_refused_with_a_count(self, values: pa.Array) -> None:
        """A number whose spelling depends on its type cannot be joined on; it is counted, not shown."""
        text = refusal(lambda: spelled(values), TransformError)
        assert "1 of 2 values" in text
        assert "t.c" in text
        assert "1.5" not in text

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
    def test_text_is_taken_as_it_is(self, kind: pa.DataType) -> None:
        """Nothing is trimmed, folded or normalized: reversible treatments give it back."""
        values = [" A ", "", None, "e\u0301", "\u00e9", "01"]
        assert spelled(pa.array(values, kind)) == values

    @pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
    def test_dates_are_iso_8601(self, kind: pa.DataType) -> None:
        """A date is spelled by year, month and day."""
        assert spelled(pa.array([date(2026, 1, 31), None], kind)) == ["2026-01-31", None]

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    def test_times_have_one_spelling_in_all_units(self, unit: str) -> None:
        """Fractions of a second are written only as far as there are any."""
        moments = [datetime(2026, 1, 31, 23, 59, 50), datetime(2026, 1, 31), None]
        expected = ["2026-01-31T23:59:50", "2026-01-31T00:00:00", None]
        assert spelled(pa.array(moments, pa.timestamp(unit))) == expected

    def test_fractions_of_seconds_are_kept(self) -> None:
        """Two different instants have two spellings."""
        values = pa.array([1_500_000, 1_500_001, 10_000_000], pa.timestamp("us"))
        assert spelled(values) == [
            "1970-01-01T00:00:01.5",
            "1970-01-01T00:00:01.500001",
            "1970-01-01T00:00:10",
        ]

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "+05:30"])
    def test_an_instant_has_one_spelling_in_all_zones(self, zone: str) -> None:
        """A time zone is how an instant is shown, not which one it is."""
        values = pa.array([datetime(2026, 7, 1, 12, tzinfo=UTC), None], pa.timestamp("us", zone))
        assert spelled(values) == ["2026-07-01T12:00:00Z", None]

    def test_dictionaries_and_slices_are_plain_columns(self) -> None:
        """How Arrow stores a column is not part of its values."""
        values = pa.array([5, None, 7, 5], pa.int32())
        assert spelled(values.dictionary_encode().slice(1)) == spelled(values.slice(1)) == [None, "7", "5"]

    @pytest.mark.parametrize("kind", [pa.bool_(), pa.binary(), pa.null(), pa.list_(pa.int8())], ids=str)
    def test_other_types_are_refused(self, kind: pa.DataType) -> None:
        """What `is_canonical_type` denies, `canonical` refuses."""
        assert not is_canonical_type(kind)
        assert str(kind) in refusal(lambda: spelled(pa.nulls(1, kind)), TransformError)


class TestOncePerDistinct:
    @pytest.mark.parametrize(
        ("rows", "entries"), [(100, 3), (2, 3)], ids=["few-entries", "more-entries-than-rows"]
    )
    def test_treats_no_more_than_it_must(self, rows: int, entries: int) -> None:
        """A dictionary's entries are treated once each, unless the rows are fewer."""
        seen: list[int] = []

        def kernel(values: pa.Array) -> pa.Array:
            seen.append(len(values))
            return values

        indices = pa.array([None, *range(entries - 1), *[0] * (rows - entries)][:rows], pa.int8())
        column = pa.DictionaryArray.from_arrays(indices, pa.array(list("abc")[:entries]))
        assert once_per_distinct(column, kernel).equals(column.dictionary_decode())
        assert seen == [min(rows, entries)]

    @pytest.mark.parametrize(
        ("values", "once"),
        [
            (np.arange(16_384), False),
            (np.random.default_rng(1).integers(0, 14_000, 16_384), False),
            (np.random.default_rng(1).integers(0, 4_000, 16_384), True),
            (np.repeat(np.arange(1_639), 10)[:16_384], True),
            (np.repeat(np.arange(10), 10), False),
        ],
        ids=["distinct", "few repeats", "repeats", "sorted repeats", "short"],
    )
    def test_repeats_are_treated_once(self, values: np.ndarray, once: bool) -> None:
        """A column of repeats reaches the kernel as its distinct values; the result is the same either way."""
        seen: list[int] = []

        def kernel(column: pa.Array) -> pa.Array:
            seen.append(len(column))
            return pc.cast(column, pa.string())

        column = pa.array(values, mask=values == values[3])

        treated = once_per_distinct(column, kernel)

        assert treated.equals(pc.cast(column, pa.string()))
        assert (seen[0] < len(values)) == once


class TestJoined:
    def test_puts_rows_back_in_order(self) -> None:
        """Rows that were treated in groups stand where they stood."""
        parts = [pa.array(["b", "d"]), pa.array(["a", None])]
        assert joined(parts, [np.array([1, 3]), np.array([0, 2])]).to_pylist() == ["a", "b", None, "d"]
