"""Dictionaries: nothing in them that no row has, and none begun in vain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.rewriting import dictionaries, parquet_file
from airflow_veil.privacy.rewriting.dictionaries import cut_down, repeating
from airflow_veil.privacy.rewriting.loss import Loss


@settings(deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.sampled_from("abcde")), max_size=30),
    more=st.lists(st.sampled_from("xyz"), unique=True),
    kept=st.lists(st.booleans(), min_size=30, max_size=30),
    pieces=st.integers(1, 4),
)
def test_what_is_in_use(values: list[str | None], more: list[str], kept: list[bool], pieces: int) -> None:
    """Is all that a dictionary holds; the values are the same, nulls too."""
    column = pa.array(values, pa.string()).dictionary_encode()
    wide = pa.DictionaryArray.from_arrays(
        column.indices, pa.concat_arrays([column.dictionary, pa.array(more, pa.string())])
    )
    step = max(1, len(values) // pieces)
    chunks = [wide.slice(start, step) for start in range(0, len(values), step)]
    chosen = pa.chunked_array(chunks, wide.type).filter(pa.array(kept[: len(values)], pa.bool_()))

    clean = cut_down(chosen)

    assert clean.to_pylist() == chosen.to_pylist()
    for chunk in clean.chunks:
        assert sorted(chunk.dictionary.to_pylist()) == sorted({each for each in chosen.to_pylist() if each})


class TestFiles:
    def test_values_that_no_row_has_any_more(self, tmp_path: Path) -> None:
        """Are left out of what is written, also of row groups that lose nothing."""
        column = pa.DictionaryArray.from_arrays(
            pa.array([0, 2, 0, 2], pa.int8()), pa.array(["here", "gone-long-ago", "there"])
        )
        path, new = tmp_path / "a.parquet", tmp_path / "b.parquet"
        pq.write_table(pa.table({"x": column}), path, compression="none", row_group_size=2)
        assert b"gone-long-ago" in path.read_bytes()

        with new.open("wb") as sink:
            parquet_file.rewrite(path, sink, Loss(np.array([True, False, False, False])), where="x")

        assert b"gone-long-ago" not in new.read_bytes()
        assert pq.read_table(new).column("x").to_pylist() == ["there", "here", "there"]

    @pytest.mark.parametrize("distinct", [50, 200_000])
    def test_a_dictionary_that_was_given_up(self, tmp_path: Path, distinct: int) -> None:
        """Is not begun again; one that was kept to is kept."""
        numbers = pa.array(np.random.default_rng(1).permutation(200_000) % distinct)
        texts = pa.array([f"customer.{number}@example.com" for number in numbers.to_pylist()])
        path, new = tmp_path / "a.parquet", tmp_path / "b.parquet"
        pq.write_table(pa.table({"number": numbers, "text": texts}), path)
        metadata = pq.read_metadata(path)
        kept = distinct == 50

        assert repeating(metadata, pq.read_schema(path)) == (["text"] if kept else [])
        with new.open("wb") as sink:
            parquet_file.rewrite(path, sink, Loss(np.arange(200_000) == 7), where="x")

        group = pq.read_metadata(new).row_group(0)
        assert [group.column(index).has_dictionary_page for index in (0, 1)] == [kept, kept]
        stays = np.arange(200_000) != 7
        assert pq.read_table(new).equals(pq.read_table(path).filter(pa.array(stays)))
        assert dictionaries.LARGEST == 1 << 20

    def test_reading_ahead_passes_errors_on(self) -> None:
        """And items in order."""

        def items() -> object:
            yield 1
            yield 2
            raise ZeroDivisionError

        made = parquet_file.ahead(items())  # type: ignore[arg-type]
        assert [next(made), next(made)] == [1, 2]
        with pytest.raises(ZeroDivisionError):
            next(made)
