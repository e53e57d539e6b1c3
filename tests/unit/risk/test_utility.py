"""Utility against SciPy, NumPy and ARX, and against releases whose loss is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from tests.unit.risk.tables import adult

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.association import cramers_v, pearson
from airflow_veil.privacy.risk.utility import ColumnUtility, Utility, score, utility, wasserstein

ROWS = 2000
SAME = np.arange(ROWS)


def people(seed: int = 1) -> pa.Table:
    """Age goes with pay, and pay with the job; the city with nothing."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 70, ROWS)
    pay = age * 10 + rng.integers(0, 200, ROWS)
    return pa.table(
        {
            "age": age,
            "pay": pay,
            "job": np.where(pay > 540, "lead", "hand"),
            "city": [f"c{i}" for i in rng.integers(0, 9, ROWS)],
        }
    )


def by_name(found: Utility) -> dict[str, ColumnUtility]:
    return {each.column: each for each in found.columns}


class TestOracles:
    def test_wasserstein(self) -> None:
        """The area between distributions is SciPy's, over the range."""
        rng = np.random.default_rng(2)
        one, other = rng.normal(0, 1, 300).round(1), rng.normal(0.4, 2, 170).round(1)

        assert wasserstein(one, other) == pytest.approx(stats.wasserstein_distance(one, other) / np.ptp(one))

    def test_cramers_v(self) -> None:
        """Cramér's V is SciPy's."""
        from airflow_veil.privacy.risk.codes import codes_of

        rng = np.random.default_rng(3)
        a = rng.integers(0, 5, 500)
        b = (a + rng.integers(0, 3, 500)) % 4
        codes = codes_of(pa.table({"a": a, "b": b}), ["a", "b"])
        cells = np.zeros((5, 4), int)
        np.add.at(cells, (a, b), 1)

        assert cramers_v(codes["a"], codes["b"]) == pytest.approx(
            stats.contingency.association(cells, "cramer")
        )

    def test_pearson(self) -> None:
        """Correlation is NumPy's, of rows without nulls."""
        rng = np.random.default_rng(4)
        a = rng.normal(size=200)
        b = a + rng.normal(size=200)
        truth = np.corrcoef(a[1:], b[1:])[0, 1]
        a[0] = np.nan

        assert pearson(a, b) == pytest.approx(truth)
        assert pearson(a, np.ones(200)) is None

    def test_non_uniform_entropy(self, shared_data: Path) -> None:
        """ARX's TestAnonymization on Adult: its 5-anonymous optimum without suppression loses 407289.5388925293."""
        source = adult(shared_data)
        levels = dict(zip(source.column_names, (1, 2, 1, 1, 3, 2, 2, 1, 1), strict=True))
        released = {}
        for name, level in levels.items():
            path = shared_data / "arx" / f"adult_hierarchy_{name}.csv"
            steps = [line.split(";") for line in path.read_text().splitlines() if line]
            up = {step[0]: step[level] for step in steps}
            released[name] = [up[str(value)] for value in source[name].to_pylist()]

        found = utility(source, pa.table(released), truth=np.arange(source.num_rows), pairs=False)

        lost = sum(each.lost_bits or 0.0 for each in found.columns) * source.num_rows
        assert lost == pytest.approx(407289.5388925293, rel=1e-12)


class TestUtility:
    def test_nothing_lost(self) -> None:
        """A release that is the source has lost nothing."""
        found = utility(people(), people(), truth=SAME, target="job")

        assert all((each.distance, each.loss, each.lost_bits) == (0, 0, 0) for each in found.columns)
        assert all(each.before == each.after and each.distance == 0 for each in found.pairs)
        assert found.score is not None
        assert found.score.original == found.score.released > found.score.majority

    def test_suppressed_column(self) -> None:
        """A column of nulls has lost everything, and goes with nothing any more."""
        source = people()
        release = source.set_column(3, "city", pa.nulls(ROWS, pa.string()))

        found = utility(source, release, truth=SAME)

        city = by_name(found)["city"]
        assert (city.distance, city.loss) == (1.0, 1.0)
        assert city.lost_bits == pytest.approx(np.log2(9), abs=0.01)
        assert {each.columns: each.after for each in found.pairs}["age", "city"] is None

    def test_generalized_column(self) -> None:
        """Ages in decades: as many of 52 ages as a decade has stand behind each."""
        source = people()
        decades = pa.array([f"{age // 10}0s" for age in source["age"].to_pylist()])
        release = source.set_column(0, "age", decades)

        age = by_name(utility(source, release, truth=SAME, pairs=False))["age"]

        behind = np.array([2 if a < 20 else 10 for a in source["age"].to_pylist()])
        assert age.loss == pytest.approx((behind - 1).mean() / 51)
        assert (age.distance, age.by) == (1.0, "total variation")

    def test_dropped_rows(self) -> None:
        """A row that is not released has lost all of it."""
        source = people()
        truth = np.where(SAME < 1500, SAME, -1)

        found = utility(source, source[:1500], truth=truth, pairs=False)

        assert {each.loss for each in found.columns} == {0.25}
        assert found.released == 1500

    def test_shuffled_column(self) -> None:
        """Shuffling a column keeps its distribution, and breaks what goes with it."""
        source = people()
        shuffled = source["pay"].take(pa.array(np.random.default_rng(0).permutation(ROWS)))
        release = source.set_column(1, "pay", shuffled)

        found = utility(source, release, truth=SAME)

        pair = {each.columns: each for each in found.pairs}["age", "pay"]
        assert by_name(found)["pay"].distance == 0
        assert pair.by == "pearson"
        assert pair.before is not None
        assert pair.after is not None
        assert pair.before > 0.9 > 0.1 > abs(pair.after)
        assert pair.distance is not None
        assert pair.distance > 0.5

    def test_not_aligned(self) -> None:
        """Of other people alike, distances are small, and loss is not known."""
        found = utility(people(), people(seed=2), target="job")

        assert all(each.distance is not None and each.distance < 0.06 for each in found.columns)
        assert {each.loss for each in found.columns} == {None}
        assert found.score is not None
        assert found.score.released > found.score.majority + 0.2

    def test_mistakes(self) -> None:
        """Columns that are not there, and rows that are not, are errors."""
        with pytest.raises(SchemaError, match="no column missing"):
            utility(people(), people(), ["missing"])
        with pytest.raises(SchemaError, match="does not name rows"):
            utility(people(), people(), truth=np.full(ROWS, ROWS))

    def test_figures_only(self) -> None:
        """What is told has no value in it."""
        table = pa.table({"a": ["CANARY", "b"]})

        assert "CANARY" not in repr(utility(table, table, truth=np.arange(2)))


class TestScore:
    def test_noise_costs(self) -> None:
        """A release whose features were shuffled teaches nothing: the score falls to the majority's."""
        source = people()
        order = pa.array(np.random.default_rng(5).permutation(ROWS))
        release = pa.table(
            {name: source[name].take(order) for name in ("age", "pay", "city")} | {"job": source["job"]}
        )

        found = score(source, release, "job", ["age", "pay", "city"], truth=SAME)

        assert found.original > 0.9
        assert found.released < found.majority + 0.05

    def test_generalizing_costs_little(self) -> None:
        """Where rows are known to be which, features that became others still teach."""
        source = people()
        release = source.set_column(
            1, "pay", pa.array([f"{pay // 100}" for pay in source["pay"].to_pylist()])
        )

        found = score(source, release, "job", ["age", "pay"], truth=SAME)

        assert found.original - 0.1 < found.released
        assert found.released > found.majority + 0.2

    def test_nothing_to_try(self) -> None:
        """A model needs rows and a feature."""
        with pytest.raises(SchemaError, match="nothing to try"):
            score(people(), people(), "job", [])
