"""Exact marginals, and how much one unit changes them: by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.synthetic.private_support import batch, categories, synthesizer

from airflow_veil.privacy.dp.lots import SystemLots
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.synthetic.bounding import UnitRows
from airflow_veil.privacy.synthetic.draws import Candidate, Draws
from airflow_veil.privacy.synthetic.marginals import Marginals, summed
from airflow_veil.privacy.synthetic.planned import STEPS

SIZES = (2, 3, 2)
CLIQUES = [(0,), (1,), (0, 1), (0, 2), (0, 1, 2)]
ROWS = st.lists(st.tuples(*(st.integers(0, size - 1) for size in SIZES)), max_size=12)
UNIT = st.lists(st.tuples(*(st.integers(0, size - 1) for size in SIZES)), min_size=1, max_size=6)


def marginals(rows: list[tuple[int, ...]]) -> Marginals:
    """Of rows of codes."""
    made = Marginals(SIZES, CLIQUES)
    made.add(list(np.array(rows, np.int32).reshape(-1, 3).T))
    return made


class TestCounts:
    """Counting."""

    @given(rows=ROWS)
    @settings(max_examples=50, deadline=None)
    def test_counts_are_those_of_a_loop(self, rows: list[tuple[int, ...]]) -> None:
        """Each cell is the number of rows that are in it."""
        made = marginals(rows)
        for clique in CLIQUES:
            for codes in product(*(range(SIZES[column]) for column in clique)):
                there = sum(tuple(row[column] for column in clique) == codes for row in rows)
                assert made.counts(clique)[codes] == there

    def test_large_tables_are_counted_alike(self) -> None:
        """Where a block has fewer rows than the table cells, and where it has more."""
        rng = np.random.default_rng(0)
        codes = [rng.integers(0, 400, 70_000).astype(np.int32) for _ in range(2)]
        made = Marginals((400, 400), [(0, 1), (1,)])
        made.add([column[:1000] for column in codes])
        made.add([column[1000:] for column in codes])
        assert (made.counts((0, 1)).sum(axis=0) == made.counts((1,))).all()
        assert (made.counts((1,)) == np.bincount(codes[1], minlength=400)).all()

    def test_groups_are_sums(self) -> None:
        """Of each axis."""
        cells = np.arange(12).reshape(3, 4)
        over = summed(cells, [np.array([0, 1, 0]), np.array([0, 0, 1, 1])])
        assert over.tolist() == [[0 + 1 + 8 + 9, 2 + 3 + 10 + 11], [4 + 5, 6 + 7]]

    def test_too_many_cells_are_refused(self) -> None:
        """Before any memory is taken."""
        with pytest.raises(SchemaError, match="cells"):
            Marginals((1 << 14, 1 << 14), [(0, 1)])

    def test_nothing_is_told_by_accident(self) -> None:
        """Neither counts nor how many rows there are."""
        assert repr(marginals([(0, 0, 0)] * 77)) == "Marginals(5 of 3 columns)"


class TestSensitivity:
    """What a unit changes, against what is planned."""

    @given(others=ROWS, own=UNIT, most=st.integers(1, 4), data=st.data())
    @settings(max_examples=150, deadline=None)
    def test_a_unit_changes_no_more_than_is_said(
        self, others: list[tuple[int, ...]], own: list[tuple[int, ...]], most: int, data: st.DataObject
    ) -> None:
        """Marginals change by its rows at most in L1, scores by sixteen times that: through the code that counts."""

        class Fixed:
            """The same lots for the units that both tables have."""

            def draw(self, whom: np.ndarray, turn: str) -> np.ndarray:
                return np.arange(len(whom), dtype=np.uint64)

        made = [UnitRows(most, Fixed()) for _ in range(2)]
        names = [data.draw(st.integers(1, 4)) for _ in others]
        for with_own, units in zip((False, True), made, strict=True):
            rows, owner = [*others], [*names]
            if with_own:
                rows, owner = rows + own, owner + [99] * len(own)
            units.add(list(np.array(rows, np.int32).reshape(-1, 3).T), pa.array(owner, pa.int64()), where="t")
        left, right = (Marginals(SIZES, CLIQUES) for _ in range(2))
        left.add(made[0].bounded())
        right.add(made[1].bounded())
        scores = []
        for exact in (left, right):
            draws = Draws(exact, ())
            groups = [draws.codes(column) for column in range(3)]
            expected = np.random.default_rng(len(others)).uniform(0, 5, (2, 3))
            scores.append(draws._score(Candidate((0, 1), expected, 1.3, 2), groups))
        for clique in CLIQUES:
            assert np.abs(left.counts(clique) - right.counts(clique)).sum() <= min(most, len(own))
        assert abs(scores[0] - scores[1]) <= 2 * STEPS * min(most, len(own))

    def test_the_claim_is_tight(self) -> None:
        """A unit does change a marginal by all that it is charged for: a smaller claim would be wrong."""
        made = synthesizer({"a": categories(2), "b": categories(2)}, rows_per_unit=3)
        rows = {"who": [1, 1, 1, 1, 2], "a": [0, 0, 0, 0, 1], "b": [1, 1, 1, 1, 0]}
        exact = made.count([batch(**rows)], unit="who")
        assert exact.counts((0,)).tolist() == [3, 1]
        assert exact.counts((0, 1)).tolist() == [[0, 3], [1, 0]]
        assert {one.sensitivity for one in made.plan()} == {3.0, 3.0 * STEPS}

    def test_nobody_s_rows_do_not_count(self) -> None:
        """And rows outside of the domain are left out, without a word."""
        made = synthesizer({"a": categories(2)}, rows_per_unit=5)
        rows = pa.record_batch({"who": pa.array(["x", None, "y", "x"]), "a": pa.array([0, 0, 7, 1])})
        assert made.count([rows], unit="who").counts((0,)).tolist() == [1, 1]

    def test_which_rows_stay_is_drawn_uniformly_and_anew(self) -> None:
        """Each of five rows is one of the two that stay with a probability of two fifths."""
        counts = np.zeros(5)
        for _ in range(3000):
            units = UnitRows(2, SystemLots())
            units.add([np.arange(5, dtype=np.int32)], pa.array([7] * 5), where="t")
            counts[units.bounded()[0]] += 1
        assert counts.sum() == 6000
        assert (np.abs(counts - 1200) < 6 * np.sqrt(3000 * 0.4 * 0.6)).all()
