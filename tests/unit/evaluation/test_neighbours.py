"""The nearest rows are those that a loop over all pairs finds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd

from airflow_veil.privacy.evaluation.neighbours import neighbours
from airflow_veil.privacy.evaluation.tables import Rows, encode


def slowly(targets: Rows, candidates: Rows, columns: list[str]) -> np.ndarray:
    """All distances, by the definition."""
    far = np.zeros((targets.length, candidates.length))
    for name in columns:
        for i in range(targets.length):
            for j in range(candidates.length):
                if name not in targets.scaled:
                    far[i, j] += targets.codes[name].codes[i] != candidates.codes[name].codes[j]
                    continue
                one, other = targets.scaled[name][i], candidates.scaled[name][j]
                if np.isnan(one) or np.isnan(other):
                    far[i, j] += np.isnan(one) != np.isnan(other)
                else:
                    far[i, j] += min(abs(one - other), 1)
    return far


class TestNeighbours:
    @pytest.mark.parametrize(
        "columns", [["age", "income", "city", "ill", "vip"], ["city", "vip"], ["income"]]
    )
    @pytest.mark.parametrize("count", [1, 2, 7])
    def test_as_a_loop(self, columns: list[str], count: int) -> None:
        """Distances are those of the definition, with nulls, ties and numbers beyond the range."""
        people, made = crowd(40, 1), crowd(70, 2)
        targets, candidates = encode(people, made, scale=people.slice(0, 10))

        found = neighbours(targets, candidates, columns, count, np.random.default_rng(1))

        far = slowly(targets, candidates, columns)
        np.testing.assert_allclose(found.distance, np.sort(far, axis=1)[:, :count], atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(far, found.rows, axis=1), found.distance, atol=1e-5)
        assert all(len(set(row)) == count for row in found.rows.tolist())

    def test_ties_are_drawn(self) -> None:
        """Of rows at one distance none is preferred: over many seeds each comes first about as often."""
        table = pa.table({"c": ["a"] * 5 + ["b"] * 5})
        targets, candidates = encode(table.slice(0, 1), table, scale=table)

        first = [
            int(neighbours(targets, candidates, ["c"], 3, np.random.default_rng(seed)).rows[0, 0])
            for seed in range(500)
        ]

        counts = np.bincount(first, minlength=10)
        assert (counts[:5] > 60).all()
        assert (counts[5:] == 0).all()

    def test_more_than_there_are(self) -> None:
        """Who asks for more neighbours than there are rows gets all."""
        people = crowd(6, 1)
        one, other = encode(people, people, scale=people)

        assert sorted(neighbours(one, other, ["age"], 50, np.random.default_rng(1)).rows[0]) == list(range(6))

    def test_many_categories(self) -> None:
        """More categories than a byte holds are told apart."""
        table = pa.table({"c": [f"v{i}" for i in range(400)]})
        one, other = encode(table, table, scale=table)

        found = neighbours(one, other, ["c"], 1, np.random.default_rng(1))

        assert (found.distance == 0).all()
        assert (found.rows[:, 0] == np.arange(400)).all()

    def test_many_targets(self) -> None:
        """Targets in several blocks are the same as targets one by one."""
        people, made = crowd(700, 1), crowd(3_000, 2)
        targets, candidates = encode(people, made, scale=people)
        columns = list(people.column_names)

        all_at_once = neighbours(targets, candidates, columns, 4, np.random.default_rng(1))

        for row in (0, 349, 350, 699):
            alone = neighbours(
                targets.take(np.array([row])), candidates, columns, 4, np.random.default_rng(1)
            )
            assert (alone.rows[0] == all_at_once.rows[row]).all()
