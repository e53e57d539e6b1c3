"""Equivalence classes are those of a dictionary of tuples; nulls as said; people once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.risk.tables import coded, grouped

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.classes import classes, combined, dense, people
from airflow_veil.privacy.risk.codes import Codes


class TestClasses:
    @pytest.mark.parametrize("width", [3, 50_000], ids=["few", "many"])
    @pytest.mark.parametrize("columns", [1, 2, 6, 12])
    def test_same_as_tuples(self, width: int, columns: int) -> None:
        """Sizes are those that a Counter of tuples tells, also where products do not fit 64 bits."""
        drawn = np.random.default_rng(7).integers(0, width, (2000, columns))
        table = {f"c{i}": drawn[:, i] for i in range(columns)}

        made = grouped(table, tuple(table))

        truth = Counter(map(tuple, drawn.tolist()))
        assert [truth[tuple(row)] for row in drawn.tolist()] == made.sizes[made.of].tolist()
        assert len(truth) == len(made.sizes)
        assert made.of[made.first_rows()].tolist() == list(range(len(made.sizes)))

    def test_nulls_are_a_value(self) -> None:
        """Two nulls are alike, as ARX has it."""
        made = grouped({"a": [None, None, 1]}, ("a",))

        assert made.sizes[made.of].tolist() == [2, 2, 1]

    def test_nulls_are_excluded(self) -> None:
        """A row with a null is in no class, as pyCANON has it, and is counted."""
        columns = coded({"a": [None, None, 1, 1], "b": [1, 2, 3, None]})

        made = classes([columns["a"], columns["b"]], nulls="exclude")

        assert made.of.tolist() == [-1, -1, 0, -1]
        assert (made.rows, made.excluded) == (1, 3)
        assert made.first_rows().tolist() == [2]

    def test_no_column(self) -> None:
        """Classes over nothing are a mistake, not one class."""
        with pytest.raises(SchemaError, match="no quasi-identifier"):
            classes([])

    def test_no_rows(self) -> None:
        """A table without rows has no class."""
        assert not len(grouped({"a": pa.array([], pa.int8())}, ("a",)).sizes)

    def test_dense_of_far_keys(self) -> None:
        """Keys far apart are numbered without gaps."""
        number, count = dense(np.array([1 << 60, 5, 1 << 60]), 1 << 61)

        assert (number.tolist(), count) == ([0, 1, 0], 2)

    def test_no_overflow(self) -> None:
        """Products beyond 64 bits are compacted before they overflow."""
        wide = [Codes(name=str(i), codes=np.array([0, 1], np.int32), cardinality=1 << 31) for i in range(3)]

        key, _ = combined(wide)

        assert key[0] != key[1]
        assert (key >= 0).all()


class TestPeople:
    def test_one_row_a_person_and_combination(self) -> None:
        """Ten rows of one person are no crowd; rows without a subject are people of their own."""
        columns = coded({"city": ["x"] * 10 + ["x", "y", "y"], "who": ["ann"] * 10 + ["bob", None, None]})

        kept = people([columns["city"]], columns["who"])

        assert kept.tolist() == [0, 10, 11, 12]
