"""Hierarchies: what is one, and how values become codes and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_veil.privacy.anonymize.lattice import Lattice
from airflow_veil.privacy.anonymize.levels import levels_of, read_levels
from airflow_veil.privacy.errors import TransformError

CITIES = [["Bonn", "DE", "*"], ["Kiel", "DE", "*"], ["Linz", "AT", "*"]]


class TestLevels:
    def test_labels(self) -> None:
        """Values become the label of a level; a null stays null until there is one label for all."""
        levels = levels_of("city", CITIES)
        codes = levels.encode(pa.array(["Kiel", None, "Linz"]))

        assert levels.decode(codes, 0).to_pylist() == ["Kiel", None, "Linz"]
        assert levels.decode(codes, 1).to_pylist() == ["DE", None, "AT"]
        assert levels.decode(codes, 2).to_pylist() == ["*", "*", "*"]

    def test_shares(self) -> None:
        """The share of a label is that of the values behind it; a null is one value."""
        levels = levels_of("city", CITIES)

        np.testing.assert_allclose(levels.shares[0], [1 / 3] * 4)
        np.testing.assert_allclose(levels.shares[1], [2 / 3, 1 / 3, 1 / 3])
        np.testing.assert_allclose(levels.shares[2], [1])

    @pytest.mark.parametrize(
        "column",
        [
            pa.array([1, 2, None]),
            pa.array(["1", "2", None]).dictionary_encode(),
            pa.chunked_array([["1"], ["2", None]]),
            pa.array(["1", "2", None], pa.large_string()),
        ],
        ids=["numbers", "dictionary", "chunks", "large"],
    )
    def test_every_way_of_storing(self, column: pa.Array) -> None:
        """Numbers are looked up by their digits, text however it is stored."""
        levels = levels_of("number", [["1", "*"], ["2", "*"]])

        assert levels.encode(column).tolist() == [0, 1, 2]

    def test_a_file(self, tmp_path: Path) -> None:
        """A file and rows that say the same have the same digest, in whatever order; another has another."""
        file = tmp_path / "cities.csv"
        file.write_text("Linz;AT;*\nKiel;DE;*\nBonn;DE;*\n")

        assert read_levels("city", file).digest == levels_of("city", CITIES).digest
        assert levels_of("city", CITIES[:2]).digest != levels_of("city", CITIES).digest

    @pytest.mark.parametrize(
        ("rows", "match"),
        [
            ([], "is empty"),
            ([["a", "*"], ["b"]], "rows of different lengths"),
            ([["a", "x"], ["a", "y"]], "stands twice"),
            ([["a", "x", "1"], ["b", "x", "2"]], "share a label on level 1 have different ones on level 2"),
        ],
        ids=["empty", "ragged", "twice", "finer"],
    )
    def test_no_hierarchy(self, rows: list[list[str]], match: str) -> None:
        """What does not become coarser, value by value, is refused."""
        with pytest.raises(TransformError, match=match):
            levels_of("city", rows)


class TestLattice:
    def test_size(self) -> None:
        """The lattice of Adult has 12,960 nodes; one that is too large is refused before it is made."""
        assert Lattice((1, 4, 1, 2, 3, 2, 2, 2, 1)).size == 12960
        with pytest.raises(TransformError, match="has 3,486,784,401 nodes"):
            Lattice((2,) * 20)
