from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.transforms import luhn
from airflow_veil.privacy.transforms.characters import Layout


def layout(values: list[str | None]) -> Layout:
    return Layout.of(pa.array(values, pa.string()), "0123456789")


def satisfies(text: str) -> bool:
    """The check as ISO/IEC 7812-1 words it, digit by digit."""
    total = 0
    for place, digit in enumerate(int(c) for c in reversed(text) if c in "0123456789"):
        doubled = digit * 2 if place % 2 else digit
        total += doubled // 10 + doubled % 10
    return total % 10 == 0


class TestFailing:
    @pytest.mark.parametrize(
        "good", ["4111 1111-1111 1111", "79927398713", "378282246310005", "0", "", "no digits"]
    )
    def test_known_numbers_pass(self, good: str) -> None:
        """Published test numbers satisfy the check, with and without separators."""
        assert luhn.failing(layout([good, None])) == 0

    @given(st.lists(st.none() | st.text("0123456789- x", max_size=20)))
    def test_agrees_with_the_wording_of_the_standard(self, values: list[str | None]) -> None:
        """The check over a column is the check of each value."""
        assert luhn.failing(layout(values)) == sum(not satisfies(text) for text in values if text is not None)


class TestCompleted:
    @given(values=st.lists(st.none() | st.text("0123456789 ", max_size=20)), free=st.integers(1, 6))
    def test_sets_one_digit_so_that_the_check_holds(self, values: list[str | None], free: int) -> None:
        """Only the free digit changes, whatever its weight, and rows without it stay as they are."""
        completed = luhn.completed(layout(values), free).stored().to_pylist()
        for before, after in zip(values, completed, strict=True):
            digits = [i for i, c in enumerate(before or "") if c != " "]
            if before is None or len(digits) < free:
                assert after == before
            else:
                place = digits[-free]
                assert after[:place] + after[place + 1 :] == before[:place] + before[place + 1 :]
                assert satisfies(after)
