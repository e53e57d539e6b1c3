"""Counts of characters: equal to counting one value at a time, whatever is stored around them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_veil.privacy.classify.shape import LONGEST, Shape

VALUES = ["", "abc", "A-1/2 b", "x@y.z", "12:30:45", "Grüße, 7", "a" * 400, "9" * 254 + "@@", "(+49) 30"]


def _counted(value: str) -> list[int]:
    seen = value.encode()[:LONGEST]
    classes = [
        sum(48 <= byte <= 57 for byte in seen),
        sum(byte >= 128 or chr(byte).isalpha() for byte in seen),
        sum(byte in b" \t\n\r" for byte in seen),
        seen.count(b"@"),
        seen.count(b"."),
        seen.count(b":"),
        sum(byte in b"-/" for byte in seen),
    ]
    return [*classes, len(seen) - sum(classes)]


class TestShape:
    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
    @pytest.mark.parametrize("start", [0, 3])
    def test_equal_to_counting_by_hand(self, kind: pa.DataType, start: int) -> None:
        """Every class, for values longer than a counter holds and for sliced arrays."""
        shape = Shape.of(pa.array(VALUES, kind)[start:])
        names = ("digits", "letters", "spaces", "ats", "dots", "colons", "links", "others")
        rows = list(zip(*(getattr(shape, name).tolist() for name in names), strict=True))

        assert [list(row) for row in rows] == [_counted(value) for value in VALUES[start:]]
        assert shape.sizes.tolist() == [len(value.encode()) for value in VALUES[start:]]

    def test_nothing(self) -> None:
        """No values, no counts."""
        assert len(Shape.of(pa.array([], pa.string())).digits) == 0
