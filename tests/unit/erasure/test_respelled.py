"""The canonical spelling that verification computes is that of keyed treatments, though nothing is shared."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.erasure.respelled import cell_spelled, column_spelled, time_spelled
from airflow_veil.privacy.transforms.canonical import canonical

WHOLE = st.integers(-(2**53), 2**53)
TIMES = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), st.text(st.characters(codec="utf-8"))),
    (pa.large_string(), st.text(st.characters(codec="utf-8"))),
    (pa.dictionary(pa.int32(), pa.string()), st.text(st.characters(codec="utf-8"))),
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.integers(-(2**24), 2**24).map(float)),
    (pa.float64(), WHOLE.map(float)),
    (pa.decimal128(20, 2), st.integers(-(10**17), 10**17).map(Decimal)),
    (pa.decimal128(20, 0), st.integers(-(10**17), 10**17).map(Decimal)),
    (pa.date32(), st.dates(date(1000, 1, 1))),
    (pa.timestamp("s"), TIMES.map(lambda time: time.replace(microsecond=0))),
    (pa.timestamp("ms"), TIMES.map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))),
    (pa.timestamp("us"), TIMES),
    (pa.timestamp("ns"), TIMES),
    (pa.timestamp("us", "UTC"), TIMES.map(lambda time: time.replace(tzinfo=UTC))),
    (pa.timestamp("us", "Europe/Berlin"), TIMES.map(lambda time: time.replace(tzinfo=UTC))),
]


class TestColumns:
    @pytest.mark.parametrize(("kind", "values"), KINDS, ids=[str(kind) for kind, _ in KINDS])
    def test_agrees_with_keyed_treatments(self, kind: pa.DataType, values: st.SearchStrategy[Any]) -> None:
        @settings(max_examples=60, deadline=None)
        @given(st.lists(st.none() | values, min_size=1, max_size=8))
        def agrees(drawn: list[Any]) -> None:
            column = pa.array(drawn, kind)
            frame = pl.from_arrow(pa.table({"c": column}))
            assert isinstance(frame, pl.DataFrame)
            spelled = column_spelled("c", frame.schema["c"])
            assert spelled is not None

            assert frame.select(spelled).to_series().to_list() == canonical(column, where="c").to_pylist()

        agrees()

    def test_no_whole_numbers(self) -> None:
        """They are nobody's number; a keyed treatment refuses them."""
        frame = pl.DataFrame({"c": [1.5, float("nan"), float("inf"), 1e300, -0.0, 3.0, None]})
        spelled = column_spelled("c", frame.schema["c"])
        assert spelled is not None

        assert frame.select(spelled).to_series().to_list() == [None, None, None, None, "0", "3", None]

    @pytest.mark.parametrize("kind", [pl.Boolean(), pl.Binary(), pl.List(pl.String()), pl.Time()])
    def test_types_without_a_spelling(self, kind: pl.DataType) -> None:
        assert column_spelled("c", kind) is None


class TestCells:
    @pytest.mark.parametrize(
        ("text", "kind", "spelled"),
        [
            ("007", pa.string(), "007"),
            ("007", pa.int64(), "7"),
            (" 42 ", pa.int64(), "42"),
            ("-0", pa.int64(), "0"),
            ("+5", pa.int32(), "5"),
            ("17850.00", pa.decimal128(10, 2), "17850"),
            ("17850.50", pa.decimal128(10, 2), "17850.50"),
            ("1e3", pa.float64(), "1000"),
            ("nan", pa.float64(), "nan"),
            ("-17.0", pa.float64(), "-17"),
            ("2026-01-31", pa.date32(), "2026-01-31"),
            ("2026-01-31 10:20", pa.timestamp("s"), "2026-01-31T10:20:00"),
            ("2026-01-31", pa.timestamp("us"), "2026-01-31T00:00:00"),
            ("2026-01-31T10:20:30.500000", pa.timestamp("us"), "2026-01-31T10:20:30.5"),
            ("2026-01-31 10:20:30.000", pa.timestamp("us"), "2026-01-31T10:20:30"),
            ("2026-01-31 10:20:30+02:00", pa.timestamp("us", "UTC"), "2026-01-31T08:20:30Z"),
            ("2026-01-31 23:20:30.25-0130", pa.timestamp("us", "UTC"), "2026-02-01T00:50:30.25Z"),
            ("2026-01-31 10:20:30Z", pa.timestamp("us", "UTC"), "2026-01-31T10:20:30Z"),
            ("somebody", pa.int64(), "somebody"),
        ],
    )
    def test_cells(self, text: str, kind: pa.DataType, spelled: str) -> None:
        assert cell_spelled(text, kind) == spelled

    @given(st.text())
    def test_anything_is_spelled(self, text: str) -> None:
        """What is no value of the type stays as it is; nothing raises."""
        for kind in (pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us", "UTC")):
            assert isinstance(cell_spelled(text, kind), str)

    def test_impossible_times(self) -> None:
        assert time_spelled("0001-01-01 00:00:00+05:00", zoned=True) == "0001-01-01T00:00:00Z"
        assert time_spelled("2026-13-01 00:00:00+05:00", zoned=True) == "2026-13-01T00:00:00Z"
