"""Tables that differ in one unit, through the public path: the loss that can be observed is within the one charged.

A release has thousands of blocks of groups. In the second table each block has one extreme unit more, which is in no
other block; noise and lots are drawn for each block by itself, so one release of each table gives thousands of answers
about a unit's absence and as many about its presence. With the same tests a bounder that is broken on purpose is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.unit.dp.asking import House
from tests.unit.dp.laws import at_least, at_most

from airflow_veil.privacy.dp import contributions, marks, totals
from airflow_veil.privacy.dp.statistic import Total

BLOCKS = 1_200
WIDE = 16
"""Groups of a block: the extreme unit is in all of them."""
REACH, EACH = 2, 3
BOUND = {"groups_per_unit": REACH, "rows_per_group": EACH}
ALL = ("value", "low", "high")
CROWD = 2
"""Other units in each group."""

MEASURES: dict[str, dict[str, Any]] = {
    "count": {"count": {"column": "x"}},
    "count_distinct": {"count_distinct": {}},
    "sum": {"sum": {"column": "x", "bounds": [-1, 5], "granularity": 0.5}},
    "histogram": {"histogram": {"column": "x", "edges": [-1, 1, 5]}},
}
"""The measures whose cells are told one by one."""


@dataclass(frozen=True)
class Pair:
    """Answers about blocks without the extreme unit and with it: arrays of shape (blocks, cells of a block)."""

    without: np.ndarray
    present: np.ndarray
    spent: float


def crowd(blocks: int) -> pd.DataFrame:
    """The units of all blocks, but for the extreme ones."""
    groups = np.repeat(np.arange(blocks * WIDE), CROWD)
    return pd.DataFrame({"id": np.arange(len(groups)), "g": groups, "x": 0.0})


def extreme(rows: int, value: float, *, wide: int = WIDE) -> Callable[[int], pd.DataFrame]:
    """One unit a block: so many rows in each of its groups, of a value far out of all bounds."""

    def units(blocks: int) -> pd.DataFrame:
        groups = np.arange(blocks * WIDE).reshape(blocks, WIDE)[:, :wide].ravel().repeat(rows)
        return pd.DataFrame({"id": 10_000_000 + groups // WIDE, "g": groups, "x": value})

    return units


def answers(
    folder: Path,
    spend: dict[str, float],
    measure: dict[str, Any],
    unit: Callable[[int], pd.DataFrame],
    *,
    blocks: int = BLOCKS,
    reach: int = REACH,
    columns: tuple[str, ...] = ("value",),
) -> Pair:
    """Ask the same of both tables; neighbours are the same size to whoever asks, so each has a house of its own."""
    found = []
    for name, frame in (("without", crowd(blocks)), ("present", pd.concat([crowd(blocks), unit(blocks)]))):
        # In any order: nothing may depend on it.
        mixed = frame.sample(frac=1, random_state=len(found))
        house = House(folder / name, pa.Table.from_pandas(mixed, preserve_index=False))
        asked = {"keys": {"g": house.keys(blocks * WIDE)}, "measures": {"m": measure}}
        answer = house.ask({"spend": spend, "contribution": {**BOUND, "groups_per_unit": reach}, **asked})
        found.append(np.hstack([answer[each].fillna(0).to_numpy().reshape(blocks, -1) for each in columns]))
        spent = house.spent()
        house.close()
    return Pair(*found, spent)


def directions(pair: Pair) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numbers that tell presence: a block's sum, its greatest and its least cell, and its spread."""
    looks: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda cells: cells.sum(axis=1),
        lambda cells: -cells.sum(axis=1),
        lambda cells: cells[:, :REACH].sum(axis=1),
        lambda cells: cells.max(axis=1),
        lambda cells: -cells.min(axis=1),
        lambda cells: np.sort(cells, axis=1)[:, -REACH:].sum(axis=1),
        lambda cells: -np.sort(cells, axis=1)[:, :REACH].sum(axis=1),
    ]
    return [(look(pair.without), look(pair.present)) for look in looks]


def observed(pair: Pair, loss: Callable[[float, float], float]) -> float:
    """A lower bound on the loss, by the events that a number is beyond a cut.

    The cuts are chosen by one half of the blocks, and the probabilities are bounded by the other.
    """
    found = [0.0]
    half = len(pair.present) // 2
    for without, present in directions(pair):
        cuts = np.quantile(np.concatenate([without[:half], present[:half]]), [0.3, 0.5, 0.7, 0.9])
        for cut in cuts:
            inside = [(numbers[half:] > cut).sum() for numbers in (present, without)]
            for more, fewer in (
                inside,
                inside[::-1],
                [half - n for n in inside],
                [half - n for n in inside[::-1]],
            ):
                found.append(loss(at_least(int(more), half), at_most(int(fewer), half)))
    return max(found)


def pure(more: float, fewer: float) -> float:
    """The epsilon that two probabilities of one event show."""
    return math.log(more / fewer) if more > fewer else 0.0


def concentrated(more: float, fewer: float) -> float:
    """The rho that they show: the divergence of order a of the two events is at most a rho (Bun and Steinke 2016)."""
    if more <= fewer:
        return 0.0
    orders = np.array([1.1, 1.5, 2, 3, 5, 8, 16])
    terms = np.logaddexp(
        orders * math.log(more) + (1 - orders) * math.log(fewer),
        orders * math.log(max(1 - more, 1e-300)) + (1 - orders) * math.log(max(1 - fewer, 1e-300)),
    )
    return float((terms / (orders - 1) / orders).max())


KINDS = [({"epsilon": 2.0}, pure), ({"rho": 0.5}, concentrated)]


@pytest.mark.parametrize(("spend", "loss"), KINDS, ids=["laplace", "gaussian"])
class TestNeighbours:
    @pytest.mark.parametrize("word", MEASURES)
    def test_presence_hides(
        self,
        tmp_path: Path,
        spend: dict[str, float],
        loss: Callable[[float, float], float],
        word: str,
    ) -> None:
        """One unit with fifty rows in each of six groups, of extreme values, costs no more than is charged."""
        pair = answers(tmp_path, spend, MEASURES[word], extreme(50, 1e300 if loss is pure else -math.inf))

        assert pair.spent == pytest.approx(next(iter(spend.values())))
        assert observed(pair, loss) <= pair.spent

    def test_mean_hides(
        self, tmp_path: Path, spend: dict[str, float], loss: Callable[[float, float], float]
    ) -> None:
        """The same of a quotient of two noisy numbers."""
        pair = answers(tmp_path, spend, {"mean": {"column": "x", "bounds": [-1, 5]}}, extreme(50, 1e9))

        assert observed(pair, loss) <= pair.spent

    def test_rows_that_pass_are_seen(
        self, tmp_path: Path, spend: dict[str, float], loss: Callable[[float, float], float]
    ) -> None:
        """The test sees something: what a unit may contribute shows a part of the loss."""
        spend = {word: amount * (2 if loss is pure else 4) for word, amount in spend.items()}
        pair = answers(tmp_path, spend, MEASURES["sum"], extreme(EACH, 5.0, wide=REACH))

        assert 0.05 * pair.spent < observed(pair, loss) <= pair.spent

    def test_no_bound_on_groups_is_found(
        self,
        tmp_path: Path,
        spend: dict[str, float],
        loss: Callable[[float, float], float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A unit that is left in all of its groups."""
        monkeypatch.setattr(contributions, "_chosen", lambda owners, *_: np.ones(len(owners), np.bool_))
        monkeypatch.setattr(contributions, "_hold", lambda *_: None)

        spend = {word: amount / 2 for word, amount in spend.items()}
        pair = answers(tmp_path, spend, MEASURES["count"], extreme(50, 0.0), reach=1)

        assert observed(pair, loss) > pair.spent

    @pytest.mark.parametrize("word", ["count", "sum", "histogram"])
    def test_no_bound_on_rows_is_found(
        self,
        tmp_path: Path,
        spend: dict[str, float],
        loss: Callable[[float, float], float],
        word: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A unit all of whose rows count."""
        names = {"count": "counted", "sum": "weighed", "histogram": "drawn"}
        right = getattr(totals, names[word])
        monkeypatch.setattr(totals, "hold", lambda *_, **__: None)
        monkeypatch.setattr(
            totals, names[word], lambda *given, most, **how: right(*given, most=1_000_000, **how)
        )

        pair = answers(tmp_path, spend, MEASURES[word], extreme(50, 5.0))

        assert observed(pair, loss) > pair.spent

    def test_no_clamp_is_found(
        self,
        tmp_path: Path,
        spend: dict[str, float],
        loss: Callable[[float, float], float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Values that count as they are."""
        right = marks._steps

        def unclamped(total: Total, *given: Any) -> Any:
            return right(replace(total, low=total.low - 10**6, high=total.high + 10**6), *given)

        monkeypatch.setattr(marks, "_steps", unclamped)
        monkeypatch.setattr(totals, "hold", lambda *_, **__: None)

        pair = answers(tmp_path, spend, MEASURES["sum"], extreme(1, 300.0))

        assert observed(pair, loss) > pair.spent


@pytest.mark.parametrize(("spend", "loss"), KINDS, ids=["laplace", "gaussian"])
class TestQuantiles:
    """A quantile of each group and its interval, which are all paid for; one unit in two groups of each block."""

    def test_presence_hides(
        self, tmp_path: Path, spend: dict[str, float], loss: Callable[[float, float], float]
    ) -> None:
        """Fifty rows of a unit at the far end move the choice and its interval no more than is charged."""
        measure = {"quantiles": {"column": "x", "quantiles": [0.5], "candidates": [0, 100, 200]}}
        pair = answers(tmp_path, spend, measure, extreme(50, 200.0), blocks=600, columns=ALL)

        assert observed(pair, loss) <= pair.spent

    def test_no_bound_is_found(
        self,
        tmp_path: Path,
        spend: dict[str, float],
        loss: Callable[[float, float], float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """All of its rows count, in all groups."""
        right = totals.drawn
        monkeypatch.setattr(contributions, "_chosen", lambda owners, *_: np.ones(len(owners), np.bool_))
        monkeypatch.setattr(contributions, "_hold", lambda *_: None)
        monkeypatch.setattr(totals, "hold", lambda *_, **__: None)
        monkeypatch.setattr(totals, "drawn", lambda *given, most, **how: right(*given, most=1_000_000, **how))
        measure = {"quantiles": {"column": "x", "quantiles": [0.5], "candidates": [0, 100, 200]}}

        pair = answers(tmp_path, spend, measure, extreme(50, 200.0), blocks=600, columns=ALL)

        assert observed(pair, loss) > pair.spent
