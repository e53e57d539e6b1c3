"""Attacks find a copy, find nothing in an independent draw, and half of it in half a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd, trio

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.attack_risk import AttackRisk
from airflow_veil.privacy.evaluation.inference import inference
from airflow_veil.privacy.evaluation.linkability import linkability
from airflow_veil.privacy.evaluation.nearest import LABEL, Nearest, nearest
from airflow_veil.privacy.evaluation.singling_out import Predicates, holding, singling_out
from airflow_veil.privacy.evaluation.tables import Encoded, Trio, encode

NAMES = crowd(1, 1).column_names
HALVES = (["age", "weight", "vip"], ["income", "city", "ill"])


def attacks(tables: Encoded, seed: int = 1, attempts: int = 1_000) -> dict[str, AttackRisk]:
    """All attacks with a control on a crowd."""
    common: dict[str, Any] = {"attempts": attempts, "rng": np.random.default_rng(seed)}
    return {
        "univariate": singling_out(tables, "univariate", NAMES, **common),
        "multivariate": singling_out(tables, "multivariate", NAMES, **common),
        "linkability": linkability(tables, HALVES, near=1, **common),
        "inference": inference(tables, "ill", ["age", "weight", "income", "city"], **common),
        "inference of a number": inference(tables, "income", ["age", "weight", "city", "ill"], **common),
    }


class TestTruth:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_independent(self, seed: int) -> None:
        """An independent draw tells nothing: no lower end is above a hair, and every upper end is small."""
        for name, found in attacks(trio("independent", seed=seed).encoded()).items():
            assert found.low is not None, name
            assert found.high is not None, name
            assert found.low <= 0.01, name
            assert found.high < 0.2, name

    def test_intervals_hold_0(self) -> None:
        """Of independent draws about 95 in 100 intervals hold 0."""
        held = [
            found.low <= 0 <= found.high
            for seed in range(12)
            for found in attacks(trio("independent", seed=50 + seed).encoded()).values()
            if found.low is not None and found.high is not None
        ]

        assert len(held) == 60
        assert sum(held) >= 51

    def test_copy(self) -> None:
        """A copy gives everybody away, with intervals that are far from 0."""
        for name, found in attacks(trio("copy").encoded()).items():
            assert found.risk is not None, name
            assert found.low is not None, name
            # By one half of the columns several people may be the nearest.
            assert found.risk > (0.6 if name == "linkability" else 0.95), name
            assert found.low > 0.5, name
            assert not found.weak, name

    def test_half_copied(self) -> None:
        """Half a copy gives about half of the people away."""
        for name, found in attacks(trio("half").encoded()).items():
            assert found.low is not None, name
            assert found.high is not None, name
            assert found.low > 0.15, name
            assert found.high < 0.7, name

    def test_weak(self) -> None:
        """Synthetic rows that have nothing to do with anybody make attacks that are called weak."""
        rng = np.random.default_rng(1)
        people = crowd(600, 1)
        noise = pa.table({name: people.column(name).take(rng.permutation(600)) for name in NAMES})

        found = attacks(Trio(crowd(600, 2), crowd(600, 3), noise).encoded())

        assert found["inference"].weak
        assert not attacks(trio("copy").encoded())["inference"].weak

    def test_same_seed(self) -> None:
        """The same seed has the same figures, another one others."""
        tables = trio("half").encoded()

        assert attacks(tables, 4) == attacks(tables, 4)
        assert attacks(tables, 4, 300) != attacks(tables, 5, 300)


class TestSinglingOut:
    def test_holding_as_polars(self) -> None:
        """For how many rows a predicate holds is what Polars says of the same one."""
        people = crowd(500, 1)
        rows, _ = encode(people, people, scale=people)
        frame, rng = pl.from_arrow(people), np.random.default_rng(2)
        assert isinstance(frame, pl.DataFrame)
        for width in (1, 2, 4):
            column = np.argsort(rng.random((200, len(NAMES))), axis=1)[:, :width]
            picked = rng.integers(0, 500, 200)
            code = np.stack([rows.codes[name].codes[picked] for name in NAMES], axis=1)
            own = np.take_along_axis(code, column, axis=1)
            kind = rng.integers(0, 4, own.shape)
            last = np.array([rows.codes[n].cardinality - (rows.codes[n].null is not None) for n in NAMES])[
                column
            ]
            low = np.where(kind == 0, 0, own)
            high = np.where(kind == 1, np.maximum(last - 1, own), own)

            found = holding(rows, NAMES, Predicates(column, low, high, kind == 3))

            for place in range(200):
                whole = pl.lit(value=True)
                for at in range(width):
                    name = NAMES[column[place, at]]
                    value = frame[name][int(picked[place])]
                    whole &= _said(pl.col(name), value, int(kind[place, at]))
                assert found[place] == frame.select(whole.fill_null(value=False).sum()).item()

    def test_smaller_holdout(self) -> None:
        """A copy is a copy, and an independent draw none, where the hold-out is a quarter of the training rows."""
        people = crowd(2_000, 1)
        for made, least, most in ((people, 0.85, 1.01), (crowd(2_000, 7), -0.2, 0.2)):
            tables = Trio(people, crowd(500, 2), made).encoded()

            found = singling_out(tables, "univariate", NAMES, attempts=1_500, rng=np.random.default_rng(1))

            assert found.risk is not None
            assert least < found.risk < most

    def test_nobody_is_alone(self) -> None:
        """Where no synthetic value is rare, predicates are tried all the same, and single out nobody."""
        few = pa.table({"c": ["a", "b"] * 100, "d": ["x", "x", "y", "y"] * 50})

        found = singling_out(
            Trio(few, few, few).encoded(),
            "multivariate",
            ["c", "d"],
            attempts=500,
            rng=np.random.default_rng(1),
        )

        assert found.tried == 100
        assert found.risk == 0
        assert found.high is not None
        assert found.high < 0.06


class TestLinkability:
    def test_baseline(self) -> None:
        """The chance that two draws of neighbours meet is what drawing them shows."""
        tables = trio("independent", rows=200).encoded()
        found = linkability(tables, HALVES, attempts=50, rng=np.random.default_rng(1), near=10)
        rng = np.random.default_rng(2)

        met = np.mean(
            [bool(set(rng.permutation(200)[:10]) & set(rng.permutation(200)[:10])) for _ in range(4_000)]
        )

        assert found.baseline == pytest.approx(met, abs=0.03)

    def test_one_source(self) -> None:
        """Two sources need a column each."""
        with pytest.raises(SchemaError, match="no column"):
            linkability(trio("copy").encoded(), (["age"], []), attempts=10, rng=np.random.default_rng(1))


class TestInference:
    def test_numbers_within(self) -> None:
        """A number is right within 5 % of the truth, and zero only by itself."""
        people = pa.table({"key": [f"k{i}" for i in range(40)], "pay": [0.0, *np.linspace(100, 200, 39)]})

        def rate(factor: float, shift: float) -> float:
            made = people.set_column(1, "pay", pa.array(people["pay"].to_numpy() * factor + shift))
            tables = Trio(people, people, made).encoded()
            return inference(tables, "pay", ["key"], attempts=99, rng=np.random.default_rng(1)).rate

        assert rate(1.04, 0) == 1
        assert rate(1.06, 0) == 1 / 40
        assert rate(1, 4) == 39 / 40

    def test_secret_is_known(self) -> None:
        """Who knows the secret infers nothing."""
        with pytest.raises(SchemaError, match="nothing is known"):
            inference(trio("copy").encoded(), "ill", ["ill"], attempts=9, rng=np.random.default_rng(1))


class TestNearest:
    def distances(self, kind: str) -> Nearest:
        """Distances of a crowd."""
        return nearest(trio(kind).encoded(), NAMES, attempts=1_000, rng=np.random.default_rng(1))

    def test_copy(self) -> None:
        """A copy is at distance 0 from the training rows."""
        found = self.distances("copy")

        assert found.label == LABEL
        assert found.closer > 0.99
        assert found.train.copies == 1
        assert found.train.closest_50 == 0 < found.holdout.closest_50

    def test_independent(self) -> None:
        """An independent draw is as near to one as to the other."""
        found = self.distances("independent")

        assert found.low <= 0.5 <= found.high
        assert found.train.closest_5 == pytest.approx(found.holdout.closest_5, rel=0.2)
        assert 0.5 < found.train.ratio_50 < 1


def _said(column: pl.Expr, value: Any, kind: int) -> pl.Expr:
    """A predicate in Polars: at most, at least but for nulls, equal, not equal."""
    if value is None:
        return (
            column.is_null() if kind in (1, 2) else column.is_not_null() if kind == 3 else pl.lit(value=True)
        )
    return [column <= value, column >= value, column == value, column != value][kind]
