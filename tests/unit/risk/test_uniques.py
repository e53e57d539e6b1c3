"""Minimal sample uniques and SUDA's scores against sdcMicro's, and against all sets by hand."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from tests.unit.risk.tables import GUIDELINE, coded, grouped

from airflow_veil.privacy.risk.uniques import Uniques, uniques


def of(table: dict[str, Any], **options: Any) -> Uniques:
    columns = coded(table)
    return uniques(list(columns.values()), grouped(table, tuple(table)), **options)


class TestPublished:
    """sdcMicro's test_suda2.R."""

    def test_guideline(self) -> None:
        """The ten rows of its guideline."""
        assert of(GUIDELINE).scores.tolist() == [0, 0, 6, 0, 12, 0, 6, 10, 0, 0]

    def test_book(self) -> None:
        """The eight rows of its book, of which the last four are published."""
        table = {
            "age": ["20s"] * 7 + ["60s"],
            "gender": ["m"] * 4 + ["f"] * 3 + ["m"],
            "income": ["50k+"] * 2 + ["50k-"] * 6,
            "education": ["high"] * 4 + ["uni", "high", "middle", "uni"],
        }

        assert of(table).scores.tolist()[4:] == [4, 2, 6, 8]

    @pytest.mark.parametrize("order", ["abc", "acb", "cab", "cba"])
    def test_contributions(self, order: str) -> None:
        """Of the scores, a half is in sets with one column, three eighths with each other, whatever their order."""
        columns = {"a": [2, 1, 1], "b": [0, 3, 0], "c": [0, 6, 0]}

        found = of({name: columns[name] for name in order}).contribution

        assert found == {name: {"a": 0.5, "b": 0.375, "c": 0.375}[name] for name in order}


class TestSets:
    def test_same_as_all_sets(self) -> None:
        """Each set's rows, alone and minimal, are those that counting every tuple tells."""
        drawn = np.random.default_rng(5).integers(0, 4, (60, 5))
        table = {f"c{i}": drawn[:, i] for i in range(5)}
        rows = [tuple(row) for row in drawn.tolist()]

        found = {each.columns: each for each in of(table).sets}

        alone: dict[tuple[int, ...], set[int]] = {}
        for size in range(1, 6):
            for chosen in combinations(range(5), size):
                keys = [tuple(row[c] for c in chosen) for row in rows]
                alone[chosen] = {i for i, key in enumerate(keys) if keys.count(key) == 1}
                smaller = set().union(*(alone.get(sub, set()) for sub in combinations(chosen, size - 1)))
                each = found[tuple(f"c{c}" for c in chosen)]
                assert (each.unique, each.minimal) == (len(alone[chosen]), len(alone[chosen] - smaller))
                assert each.distinction == len(set(keys)) / 60
        assert len(found) == 31

    def test_largest(self) -> None:
        """Sets beyond the largest size are not looked at, and it is said."""
        found = of(GUIDELINE, largest=2)

        assert (found.searched, found.complete) == (2, False)
        assert max(len(each.columns) for each in found.sets) == 2

    def test_cap(self) -> None:
        """Of twenty columns there are a million sets; as many sizes are looked at as fit the cap."""
        table = {f"c{i}": [0, 1, 1] for i in range(20)}

        found = of(table, most=250)

        assert (found.searched, found.complete, len(found.sets)) == (2, False, 210)

    def test_front(self) -> None:
        """The set that most people are alone in stands first."""
        found = of({"id": list(range(9)), "sex": [0] * 9})

        assert found.sets[0].columns == ("id",)
        assert (found.sets[0].unique, found.rows) == (9, 9)

    def test_no_row_in_figures(self) -> None:
        """What a machine reads has no figure of a single row."""
        assert "scores" not in of(GUIDELINE).as_dict()
