from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transforms.keyed_support import refusal

from airflow_veil.privacy.errors import TamperedError
from airflow_veil.privacy.transforms.padding import pad, unpad

COLUMNS = st.lists(
    st.none() | st.binary(max_size=40) | st.sampled_from([b"", b"\0", b"\x80", b"\x80\0", b"a\x80\0\0"])
)


class TestPadding:
    @given(values=COLUMNS, size=st.integers(1, 20), skip=st.integers(0, 3))
    def test_comes_off_again(self, values: list[bytes | None], size: int, skip: int) -> None:
        """Padding is unambiguous, whatever the value ends in."""
        column = pa.array(values, pa.binary())
        padded = pad(column, size).slice(skip)
        assert unpad(padded).equals(column.slice(skip))
        assert all(len(value) % size == 0 for value in padded.to_pylist() if value is not None)

    def test_is_that_of_iso_7816_4(self) -> None:
        """One byte 80, then zeros; a value that fills a block gets a block more."""
        values = pa.array([b"", b"ab", b"abc", b"abcd", None])
        expected = [b"\x80\0\0\0", b"ab\x80\0", b"abc\x80", b"abcd\x80\0\0\0", None]
        assert pad(values, 4).to_pylist() == expected

    @pytest.mark.parametrize(
        "value", [b"", b"\0", b"ab", b"\x80a"], ids=["empty", "zero", "no-mark", "behind"]
    )
    @pytest.mark.parametrize("first", [[], [b"a\x80"]], ids=["alone", "after-a-good-one"])
    def test_what_is_not_padded_is_refused(self, value: bytes, first: list[bytes]) -> None:
        """A value without its mark was not made by `pad`; a neighbour's mark is not taken for its own."""
        text = refusal(lambda: unpad(pa.array([*first, value])), TamperedError)
        assert f"1 of {len(first) + 1}" in text
