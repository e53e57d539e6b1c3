"""Batches of one size and with plain types."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.storage.batches import plain, plain_array, rebatch


class TestRebatch:
    @given(sizes=st.lists(st.integers(0, 30), max_size=12), rows=st.integers(1, 25))
    def test_keeps_all_rows_in_order(self, sizes: list[int], rows: int) -> None:
        """Every batch but the last has the asked size, and the rows are those that came."""
        values = iter(range(sum(sizes)))
        incoming = [
            pa.record_batch({"n": pa.array([next(values) for _ in range(size)], pa.int64())})
            for size in sizes
        ]

        batches = list(rebatch(incoming, rows))

        assert [n for batch in batches for n in batch.column("n").to_pylist()] == list(range(sum(sizes)))
        assert all(batch.num_rows == rows for batch in batches[:-1])
        assert all(0 < batch.num_rows <= rows for batch in batches)

    def test_reads_no_further_than_asked(self) -> None:
        """A slow consumer must not make rows pile up."""
        read = []

        def source():
            for number in range(10):
                read.append(number)
                yield pa.record_batch({"n": [number]})

        next(rebatch(source(), 2))

        assert read == [0, 1]


class TestPlain:
    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            (pa.dictionary(pa.int8(), pa.large_string()), pa.string()),
            (pa.string_view(), pa.string()),
            (pa.large_binary(), pa.binary()),
            (pa.run_end_encoded(pa.int32(), pa.int64()), pa.int64()),
            (pa.uuid(), pa.binary(16)),
            (pa.timestamp("ns", "UTC"), pa.timestamp("ns", "UTC")),
        ],
        ids=str,
    )
    def test_type_has_no_storage_in_it(self, stored: pa.DataType, expected: pa.DataType) -> None:
        """Encodings and widths are the storage's business."""
        assert plain(stored) == expected

    def test_array_keeps_its_values(self) -> None:
        """Only the encoding changes."""
        column = pa.array(["x", None, "x"]).dictionary_encode()

        assert plain_array(column).equals(pa.array(["x", None, "x"]))
