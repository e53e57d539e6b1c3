"""Families of types."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_veil.privacy.transforms.family import Family, family_of


class TestFamily:
    @pytest.mark.parametrize(
        ("source", "family"),
        [
            (pa.string(), Family.TEXT),
            (pa.large_string(), Family.TEXT),
            (pa.string_view(), Family.TEXT),
            (pa.dictionary(pa.int8(), pa.string()), Family.TEXT),
            (pa.dictionary(pa.int8(), pa.int64()), Family.INTEGER),
            (pa.uint8(), Family.INTEGER),
            (pa.float16(), Family.FLOATING),
            (pa.decimal128(9, 2), Family.DECIMAL),
            (pa.decimal256(50, 0), Family.DECIMAL),
            (pa.bool_(), Family.BOOLEAN),
            (pa.date32(), Family.DATE),
            (pa.date64(), Family.DATE),
            (pa.timestamp("ns", "Asia/Tokyo"), Family.TIMESTAMP),
            (pa.time64("us"), Family.OTHER),
            (pa.duration("s"), Family.OTHER),
            (pa.binary(), Family.OTHER),
            (pa.list_(pa.string()), Family.OTHER),
            (pa.null(), Family.OTHER),
        ],
        ids=str,
    )
    def test_every_type_has_one(self, source: pa.DataType, family: Family) -> None:
        """Width, unit, zone and storage do not matter."""
        assert family_of(source) is family
