"""Intervals of quantiles, off published answers: they hold the quantile of the rows as often as they say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from tests.unit.dp.asking import SURE, House
from tests.unit.dp.laws import ALARM

from airflow_veil.privacy.dp import measurement
from airflow_veil.privacy.dp.forecast import forecast

SPENDS = [{"epsilon": 6}, {"rho": 2}]
KINDS = pytest.mark.parametrize("spend", SPENDS, ids=["laplace", "gaussian"])
CONFIDENCE = 0.8
GROUPS = 1_200
CANDIDATES = [float(number) for number in range(9)]
QUANTILES = ["0.5", "0.9"]

SHAPES: dict[str, list[float]] = {
    "one row at the first": [0],
    "one row in the middle": [4],
    "a tie at a candidate": [4] * 30,
    "a tie between candidates": [3.5] * 30,
    "two heaps": [1] * 20 + [7] * 20,
    "many places": [number / 10 for number in range(80)],
    "beyond the candidates": [-50, -math.inf, math.inf, 1e300, 99],
    "with nulls": [6, 6.5, 7, math.nan, math.nan],
}
"""Rows of a group; half of a thousand groups have the same ones each."""


def quantiles(rows: list[float], quantile: str) -> tuple[float, float]:
    """The least and the greatest quantile of rows that count, clamped to the candidates."""
    clamped = sorted(min(max(x, CANDIDATES[0]), CANDIDATES[-1]) for x in rows if not math.isnan(x))
    rank = Fraction(quantile) * len(clamped)
    return clamped[math.ceil(rank) - 1], clamped[min(math.floor(rank), len(clamped) - 1)]


def ask(folder: Path, spend: dict[str, float], shapes: dict[str, list[float]] = SHAPES) -> pd.DataFrame:
    """Quantiles of groups of each shape, and the shape of each."""
    groups = np.arange(len(shapes) * GROUPS)
    rows = [row for rows in shapes.values() for _ in range(GROUPS) for row in rows]
    sizes = np.repeat([len(rows) for rows in shapes.values()], GROUPS)
    table = pa.table(
        {
            "id": np.arange(len(rows)),
            "g": np.repeat(groups, sizes),
            "x": pa.array(rows, pa.float64(), from_pandas=True),
        }
    )
    house = House(folder, table)
    of = {"column": "x", "quantiles": [float(q) for q in QUANTILES], "candidates": CANDIDATES}
    query = {"keys": {"g": house.keys(len(groups))}, "measures": {"q": {"quantiles": of}}}
    told = house.ask({"spend": spend, "confidence": CONFIDENCE, **query})
    return told.assign(shape=np.array(list(shapes))[told["g"].astype(int) // GROUPS])


def coverage(told: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """For each shape and quantile: how probable it is that no more intervals hold it, at the confidence."""
    for (shape, part), cells in told.groupby(["shape", "part"]):
        least, greatest = quantiles(SHAPES[shape], part)
        inside = int(((cells["low"] <= least) & (greatest <= cells["high"])).sum())
        yield shape, part, float(stats.binom.cdf(inside, GROUPS, CONFIDENCE))


@KINDS
class TestCoverage:
    def test_quantiles_lie_in_their_intervals(self, tmp_path: Path, spend: dict[str, float]) -> None:
        """Whatever the rows are like: ties, gaps, values between candidates and beyond them, hardly any rows."""
        told = ask(tmp_path, spend)

        assert told["low"].isin(CANDIDATES).all()
        assert told["high"].isin(CANDIDATES).all()
        assert ((told["low"] <= told["value"]) & (told["value"] <= told["high"])).all()
        for shape, part, probability in coverage(told):
            assert probability > ALARM, (shape, part)

    def test_ends_that_aim_half_as_far_are_found(
        self, tmp_path: Path, spend: dict[str, float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same test rejects an interval that is too narrow."""
        right = measurement.margin
        monkeypatch.setattr(measurement, "margin", lambda *given: right(*given) // 2)
        shape = "two heaps"

        told = ask(tmp_path, spend, {shape: SHAPES[shape]})

        assert min(probability for *_, probability in coverage(told)) < ALARM

    def test_of_no_rows_it_is_all_candidates(self, tmp_path: Path, spend: dict[str, float]) -> None:
        """A group without rows has a value, by noise alone, and its interval says that it may be anything."""
        told = ask(tmp_path, spend, {"no row that counts": [math.nan]})

        for _, cells in told.groupby("part"):
            whole = int(((cells["low"] == CANDIDATES[0]) & (cells["high"] == CANDIDATES[-1])).sum())
            assert stats.binom.cdf(whole, GROUPS, CONFIDENCE) > ALARM

    def test_they_reach_no_further_than_foretold(self, tmp_path: Path, spend: dict[str, float]) -> None:
        """`veil dp plan` tells within how many rows of rank the ends are, up to the next candidate."""
        rows = np.repeat(CANDIDATES, 40).tolist()
        told = ask(tmp_path, spend, {"many": rows})
        house = House(tmp_path, pa.table({"id": [1], "g": [1], "x": [1.0]}))
        reaches = {one.part: one.reach for one in forecast(house.query()).expected}

        for part, cells in told.groupby("part"):
            reach = reaches[part]
            assert reach is not None
            assert 0 < reach < len(rows) / 2
            rank = float(part) * len(rows)
            # Rows that lie at the candidate next to an end, or on the quantile's side of it.
            below = 40 * (cells["low"] + 1)
            above = 40 * (9 - cells["high"])
            within = (below >= rank - reach) & (above >= len(rows) - rank - reach)
            assert stats.binom.cdf(int(within.sum()), GROUPS, CONFIDENCE) > ALARM


class TestWords:
    TABLE = pa.table({"id": range(60), "g": ["a"] * 60, "x": [2.0] * 60})

    def test_more_confidence_aims_further_out(self, tmp_path: Path) -> None:
        """And costs the same."""
        out = []
        for number, confidence in enumerate((0.6, 0.9, 0.999)):
            house = House(tmp_path / str(number), self.TABLE)
            of = {"column": "x", "quantiles": [0.5], "candidates": CANDIDATES}
            house.write(
                {"spend": {"epsilon": 1}, "confidence": confidence, "measures": {"q": {"quantiles": of}}}
            )
            value, low, high = house.planned()
            house.close()
            assert value.scale == low.scale == high.scale
            assert value.loss == low.loss == high.loss
            assert (value.out, low.out) == (0, high.out)
            out.append(low.out)

        assert out == sorted(set(out))

    @pytest.mark.parametrize("keys", [{}, {"g": "unknown"}, {"g": {"values": ["a"], "source": "made up"}}])
    def test_of_all_keys(self, tmp_path: Path, keys: dict[str, Any]) -> None:
        """With hardly any noise, the interval is the quantile itself; three draws are charged, and no more."""
        house = House(tmp_path, self.TABLE)
        spend = {**SURE, **({"delta": 1e-6} if "unknown" in keys.values() else {})}
        of = {"column": "x", "quantiles": [0.5], "candidates": CANDIDATES}

        told = house.ask({"spend": spend, "keys": keys, "measures": {"q": {"quantiles": of}}})

        (row,) = told.to_dict("records")
        assert (row["low"], row["value"], row["high"]) == (2, 2, 2)
        drawn = house.workspace().ledger.budgets.events("people")
        names = [event.measurement.statistic for event in drawn]
        assert names[-3:] == ["ranks(x) at 0.5", "ranks(x) at 0.5, low end", "ranks(x) at 0.5, high end"]
        assert sum(event.measurement.loss.epsilon or 0 for event in drawn) <= SURE["epsilon"] * 10**12
        house.close()
