"""Drawing from a junction tree: the law of rows, what is given, and no tie between columns that the model has not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from tests.unit.dp.laws import ALARM, chi_square

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.junction import Shape, Tree, calibrated, spread, tree_shape
from airflow_veil.privacy.synthetic.sampler import Sampler, layered
from airflow_veil.privacy.synthetic.specification import BATCH_ROWS

SIZES = (3, 4, 2, 5, 3)
ALL = tuple(range(5))
ROWS = 200_000


def potentials(*cliques: tuple[int, ...]) -> dict[tuple[int, ...], np.ndarray]:
    """Random ones, the same each time."""
    rng = np.random.default_rng(7)
    return {clique: rng.normal(0, 1.5, [SIZES[column] for column in clique]) for clique in cliques}


def joint(logs: dict[tuple[int, ...], np.ndarray], given: dict[int, int] | None = None) -> np.ndarray:
    """The whole distribution, by brute force."""
    whole = np.exp(sum(spread(one, clique, ALL) for clique, one in logs.items()) + np.zeros(SIZES))
    for column, code in (given or {}).items():
        only = np.zeros(SIZES[column])
        only[code] = 1
        whole = whole * spread(only, (column,), ALL)
    return whole / whole.sum()


def rows_of(tree: Tree, rows: int, seed: int, given: dict[int, int] | None = None) -> np.ndarray:
    """Rows drawn, shape (columns, rows)."""
    return np.concatenate(list(Sampler(tree, given).draw(rows, np.random.default_rng(seed))), axis=1)


LOOP = potentials((0, 1), (1, 2), (2, 3), (1, 3), (3, 4), (0,))
"""Three columns of it are in a circle: their clique has three columns."""
APART = potentials((0, 1), (2,), (3, 4))
"""Three parts that have nothing in common."""


class TestTree:
    """Tables of a few columns are those of the whole distribution."""

    @pytest.mark.parametrize("logs", [LOOP, APART], ids=["loop", "apart"])
    def test_calibration_is_exact(self, logs: dict[tuple[int, ...], np.ndarray]) -> None:
        """Tables of cliques, and of any other columns, agree with brute force."""
        tree = calibrated(tree_shape(SIZES, logs), logs)
        whole = joint(logs)
        for count in range(1, 6):
            for clique in combinations(ALL, count):
                gone = tuple(column for column in ALL if column not in clique)
                assert np.allclose(tree.project(clique), whole.sum(axis=gone)), clique

    def test_mbi_s_oracle_agrees(self) -> None:
        """Two implementations of the same sum."""
        mbi = pytest.importorskip("mbi")
        names = [str(column) for column in ALL]
        domain = mbi.Domain(names, SIZES)
        cliques = [tuple(map(str, clique)) for clique in LOOP]
        factors = {
            name: mbi.Factor(domain.project(name), one.astype(np.float32))
            for name, one in zip(cliques, LOOP.values(), strict=True)
        }
        theirs = mbi.marginal_oracles.message_passing_fast(mbi.CliqueVector(domain, cliques, factors), 1.0)
        tree = calibrated(tree_shape(SIZES, LOOP), LOOP)
        for clique, name in zip(LOOP, cliques, strict=True):
            assert np.allclose(tree.project(clique), np.asarray(theirs[name].values), atol=1e-5)


class TestLaw:
    """Rows have the law of the model."""

    @pytest.mark.parametrize("given", [{}, {0: 1}, {4: 2}, {0: 2, 4: 0}, {2: 1, 3: 3}], ids=str)
    @pytest.mark.parametrize("logs", [LOOP, APART], ids=["loop", "apart"])
    def test_rows_have_the_law(self, logs: dict[tuple[int, ...], np.ndarray], given: dict[int, int]) -> None:
        """Chi-square over all cells; the law of another condition is rejected."""
        tree = calibrated(tree_shape(SIZES, logs), logs)
        drawn = rows_of(tree, ROWS, 1, given)
        counts = np.bincount(np.ravel_multi_index(tuple(drawn), SIZES), minlength=np.prod(SIZES))
        assert all((drawn[column] == code).all() for column, code in given.items())
        assert chi_square(counts, joint(logs, given).ravel() * ROWS + 1e-9) > ALARM
        other = joint(logs, {**given, 1: 0}).ravel() * ROWS
        assert chi_square(counts, 0.97 * joint(logs, given).ravel() * ROWS + 0.03 * other + 1e-9) < ALARM

    def test_columns_that_are_independent_given_a_third_are(self) -> None:
        """A, B, C of two values, B and C independent given A: rounding in the order of rows ties them altogether."""
        half = np.full((2, 2), 0.25)
        tree = Tree(Shape((2, 2, 2), ((0, 1), (0, 2)), (-1, 0)), (half, half))
        drawn = rows_of(tree, ROWS, 2)
        for left, right in combinations(range(3), 2):
            assert abs(np.corrcoef(drawn[left], drawn[right])[0, 1]) < 6 / np.sqrt(ROWS)

    def test_columns_that_are_tied_stay_tied(self) -> None:
        """The other way around: the same value in both."""
        same = np.diag([0.3, 0.7])
        drawn = rows_of(Tree(Shape((2, 2), ((0, 1),), (-1,)), (same,)), 1000, 3)
        assert (drawn[0] == drawn[1]).all()

    def test_each_row_by_itself_has_the_law(self) -> None:
        """Layers tie rows, not the law of one: the first row of ten, drawn anew ten thousand times."""
        table = np.array([[0.1, 0.2], [0.3, 0.4]])
        sampler = Sampler(Tree(Shape((2, 2), ((0,), (0, 1)), (-1, 0)), (table.sum(axis=1), table)))
        rng = np.random.default_rng(4)
        first = [next(sampler.draw(10, rng))[:, 0] for _ in range(10_000)]
        counts = np.bincount([2 * a + b for a, b in first], minlength=4)
        assert chi_square(counts, table.ravel() * 10_000) > ALARM
        assert chi_square(counts, table.ravel()[::-1] * 10_000) < ALARM

    def test_layers_are_uniform_and_a_layer_each(self) -> None:
        """In each group one number in each layer; over many draws uniform for each row."""
        rng = np.random.default_rng(5)
        group = np.array([0, 1, 0, 1, 1, 0, 2])
        drawn = np.array([layered(group, rng) for _ in range(4000)])
        for number in range(3):
            inside = np.sort(drawn[:, group == number], axis=1)
            count = inside.shape[1]
            assert (np.floor(inside * count) == np.arange(count)).all()
        assert min(stats.kstest(drawn[:, row], "uniform").pvalue for row in range(7)) > ALARM
        # A number that leans towards the middle of its layer would be found out.
        assert stats.kstest(np.floor(drawn[:, 0] * 3) / 3 + 1 / 6, "uniform").pvalue < ALARM

    def test_less_varies_than_in_independent_rows(self) -> None:
        """That is what layers are for: counts of a column are off by a row at most."""
        table = np.array([0.125, 0.375, 0.5])
        counts = np.bincount(rows_of(Tree(Shape((3,), ((0,),), (-1,)), (table,)), 1000, 6)[0])
        assert (np.abs(counts - table * 1000) <= 1).all()


class TestDrawing:
    """Seeds, batches, and what cannot be drawn."""

    def test_the_same_seed_draws_the_same(self) -> None:
        """And another one others."""
        tree = calibrated(tree_shape(SIZES, LOOP), LOOP)
        assert (rows_of(tree, 1000, 1) == rows_of(tree, 1000, 1)).all()
        assert (rows_of(tree, 1000, 1) != rows_of(tree, 1000, 2)).any()

    def test_batches_are_bounded(self) -> None:
        """However many rows, so many at a time."""
        tree = calibrated(tree_shape(SIZES, LOOP), LOOP)
        rows = [batch.shape[1] for batch in Sampler(tree).draw(2 * BATCH_ROWS + 1, np.random.default_rng(0))]
        assert rows == [BATCH_ROWS, BATCH_ROWS, 1]

    def test_what_has_no_chance_is_refused(self) -> None:
        """Rather than drawn as something else."""
        with pytest.raises(SyntheticError, match="no chance"):
            Sampler(Tree(Shape((2, 2), ((0, 1),), (-1,)), (np.diag([0.5, 0.5]),)), {0: 0, 1: 1})

    def test_cells_without_a_chance_are_never_drawn(self) -> None:
        """Not at the ends of a table either, where rounding would first show."""
        table = np.array([[0.0, 0.0, 0.3, 0.0], [0.0, 0.2, 0.5, 0.0]])
        drawn = rows_of(Tree(Shape((2, 4), ((0,), (0, 1)), (-1, 0)), (table.sum(axis=1), table)), 100_000, 8)
        assert (table[drawn[0], drawn[1]] > 0).all()
