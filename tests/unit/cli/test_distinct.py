"""The count of distinct values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.cli import distinct
from airflow_veil.cli.distinct import Distinct


def counted(*batches: list[str | None]) -> Distinct:
    counter = Distinct()
    for batch in batches:
        counter.add(pa.array(batch, pa.string()))
    return counter


class TestDistinct:
    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.lists(st.text() | st.none(), max_size=20), max_size=5))
    def test_small_counts_are_exact(self, batches: list[list[str | None]]) -> None:
        """Small counts are those of a set, however the values are batched; nulls do not count."""
        expected = {value for batch in batches for value in batch if value is not None}

        counter = counted(*batches)

        assert (counter.count, counter.is_full) == (len(expected), False)

    @pytest.mark.parametrize("true", [200_000, 1_000_000])
    def test_large_counts_are_close(self, true: int) -> None:
        """Beyond, the estimate is within five standard errors (2 %), in memory that does not grow."""
        counter = Distinct()
        for start in range(0, true, 100_000):
            values = pa.array(np.arange(start, start + 100_000)).cast(pa.string())
            counter.add(values)
            counter.add(values)

        assert counter.is_full
        assert counter.count == pytest.approx(true, rel=0.02)
        assert len(counter.smallest) == distinct.KEPT

    def test_shows_no_value_and_no_key(self) -> None:
        """The text of a counter holds neither its key nor its hashes."""
        counter = counted(["canary-5f1d"])

        assert repr(counter) == "Distinct()"
        assert Distinct().key != Distinct().key
