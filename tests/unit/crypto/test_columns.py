"""Rows of Arrow arrays as memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.crypto import ff1, prf, siv, text
from airflow_veil.privacy.crypto.columns import allocate, column_of, fitted
from airflow_veil.privacy.errors import TransformError

VALUES = st.lists(st.none() | st.binary(max_size=8), max_size=30)


@settings(deadline=None)
@given(VALUES, st.integers(0, 10), st.sampled_from([pa.binary(), pa.large_binary()]))
def test_groups_hold_every_row_once(values: list[bytes | None], skip: int, kind: pa.DataType) -> None:
    array = pa.array(values, kind)[skip:]
    column = column_of(array)
    lengths = column.lengths()
    copy = allocate(lengths, column.valid, kind)
    seen: list[int] = []
    for rows, length in column.groups():
        numbers = list(range(*rows.indices(len(array)))) if isinstance(rows, slice) else rows.tolist()
        matrix = column.strip(rows, length).read(0, length)
        assert [row.tobytes() for row in matrix] == [array[i].as_py() for i in numbers]
        copy.strip(rows, length).write(0, matrix, 0, length)
        seen += numbers
    assert sorted(seen) == [i for i, value in enumerate(array.to_pylist()) if value is not None]
    assert copy.to_arrow().equals(array)


def test_rare_and_long_rows_are_left_to_the_kernel() -> None:
    values = [b"x" * 20] * 200 + [b"y" * 21] * 5 + [b"z" * 5000] * 300 + [b""] * 3 + [None]
    others: list[int] = []
    groups = [(len(rows), length) for rows, length in column_of(pa.array(values)).groups(others)]
    assert groups == [(3, 0), (200, 20)]
    assert others == list(range(200, 505))


def test_bytes_under_a_null_are_ignored() -> None:
    bitmap, offsets = pa.py_buffer(b"\x05"), pa.py_buffer(np.array([0, 2, 9, 11], np.int32))
    array = pa.Array.from_buffers(pa.string(), 3, [bitmap, offsets, pa.py_buffer(b"12\xff\xfe34567890")])
    key = bytes(range(32))
    assert column_of(array).lengths().tolist() == [2, 0, 2]
    out = siv.encrypt(array, key=key, associated_data=[])
    assert siv.decrypt(out, key=key, associated_data=[]).to_pylist() == [b"12", None, b"89"]
    assert text.encode(array, prefix="").to_pylist() == ["MTI", None, "ODk"]
    assert prf.uint64(array, key=key)[1] == 0
    with pytest.raises(TransformError, match="2 of 3 values are too short"):
        ff1.encrypt(array, key=key, tweak=b"", alphabet="0123456789é")


def test_offsets_beyond_two_gibibytes_are_refused() -> None:
    offsets = np.array([0, 1 << 31], np.int64)
    with pytest.raises(TransformError, match="2147483648 bytes"):
        fitted(offsets, pa.string())
    assert fitted(offsets, pa.large_string()).tolist() == offsets.tolist()


def test_kernels_run_in_several_threads_at_once() -> None:
    key = bytes(range(32))
    column = pa.array([f"{i:0{7 + i % 12}d}" for i in range(20_000)])

    def work(_: int) -> tuple[pa.Array, ...]:
        tokens = text.encode(siv.encrypt(column, key=key, associated_data=[b"d"]), prefix="t:")
        numbers = pa.array(prf.uint64(column, key=key))
        return tokens, ff1.encrypt(column, key=key, tweak=b"", alphabet="0123456789"), numbers

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(8)))
    assert all(a.equals(b) for result in results[1:] for a, b in zip(result, results[0], strict=True))
