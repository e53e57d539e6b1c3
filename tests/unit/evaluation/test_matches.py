"""Values and combinations that are there as they are, found where distances see nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd, trio

from airflow_veil.privacy.evaluation.matches import Matches, matches
from airflow_veil.privacy.evaluation.tables import Trio

NAMES = crowd(1, 1).column_names


def found(tables: Trio, seed: int = 1) -> Matches:
    """The matches of a crowd."""
    return matches(tables.encoded(), tables.columns, rng=np.random.default_rng(seed))


class TestMatches:
    def test_rates(self) -> None:
        """Shares are those of people whose value some synthetic row has, nulls among them."""
        train = pa.table({"c": ["a", "a", "b", None] * 10})
        holdout = pa.table({"c": ["a", "x", "y", None] * 10})
        synthetic = pa.table({"c": ["a", None] * 10})

        (column,) = found(Trio(train, holdout, synthetic)).columns

        assert (column.rate, column.control) == (0.75, 0.5)
        assert column.excess == 0.25
        assert column.low < 0.25 < column.high

    @pytest.mark.parametrize("seed", range(4))
    def test_independent(self, seed: int) -> None:
        """Among hundreds of sets none tells anything of an independent draw, though the worst one is taken."""
        told = found(trio("independent", seed=seed))

        assert told.searched > 20
        assert told.worst.low <= 0
        assert told.worst.high < 0.1

    def test_the_search_sees_other_people(self) -> None:
        """The interval of the worst set holds 0 as often as it should, since other people found the set."""
        held = [
            worst.low <= 0 <= worst.high
            for worst in (found(trio("independent", rows=400, seed=100 + seed)).worst for seed in range(60))
        ]

        assert sum(held) >= 52

    def test_pasted_column(self) -> None:
        """A column of the training rows in other rows is named."""
        tables = trio("independent")
        place = tables.columns.index("weight")
        pasted = tables.synthetic.set_column(place, "weight", tables.train.column("weight"))

        told = found(Trio(tables.train, tables.holdout, pasted))

        assert "weight" in told.worst.columns
        assert told.worst.rate == 1
        assert told.worst.excess > 0.9
        assert told.rows.excess < 0.01

    def test_combination(self) -> None:
        """Columns that are common each for themselves, and real together, are found though no pair tells much."""
        rng = np.random.default_rng(1)
        tables = [pa.table({f"c{i}": rng.integers(0, 6, 1_500) for i in range(8)}) for _ in range(3)]
        kept = ["c1", "c2", "c4", "c6", "c7"]
        made = pa.table(
            {name: tables[0 if name in kept else 2].column(name) for name in tables[0].column_names}
        )

        told = found(Trio(tables[0], tables[1], made))

        assert set(told.worst.columns) <= set(kept)
        assert told.worst.excess > 0.5
        assert max(column.excess for column in told.columns) < 0.01

    def test_copy(self) -> None:
        """A copy has all rows, and the hold-out none of them."""
        told = found(trio("copy"))

        assert told.rows.rate == 1
        assert told.rows.control == 0

    def test_half_copied(self) -> None:
        """Half a copy has half of the rows."""
        assert found(trio("half")).rows.excess == pytest.approx(0.5, abs=0.01)

    def test_one_column_of_one_value(self) -> None:
        """A column that does not vary tells nothing."""
        table = pa.table({"c": ["a"] * 30})

        assert found(Trio(table, table, table)).worst.excess == 0
