"""The noise of every measure, off published answers: its law and its scale are those that follow from the policy.

Each test derives the scale by formulas of its own, compares thousands of draws of one release, and shows that it
rejects a scale that is off by 30 %.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.unit.dp.asking import House, cells
from tests.unit.dp.laws import ALARM, Law, chi_square, fit, rejects

from airflow_veil.privacy.dp import noise
from airflow_veil.privacy.dp.noise import Drawn
from airflow_veil.privacy.dp.ranks import End
from airflow_veil.privacy.release import dp_release

Kind = Literal["laplace", "gaussian"]
KINDS: list[Kind] = ["laplace", "gaussian"]
GROUPS = 5_000
FILLED = 200
"""Groups with rows; the others are in the public list only, and get noise all the same."""
REACH, EACH = 3, 2
"""Groups of a unit, and its rows in each: all units have just as many, so that no bound changes anything."""
BOUND = {"groups_per_unit": REACH, "rows_per_group": EACH}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Units of six rows each: two in each of three groups."""
    made = np.random.default_rng(7)
    units = np.arange(400)
    frame = pd.DataFrame(
        {
            "id": np.repeat(units, REACH * EACH),
            "g": np.repeat((units[:, None] + np.array([0, 70, 130])) % FILLED, EACH),
        }
    )
    frame["x"] = made.integers(-6, 15, len(frame)) / 2
    return frame


@pytest.fixture
def house(tmp_path: Path, rows: pd.DataFrame) -> House:
    return House(tmp_path, pa.Table.from_pandas(rows, preserve_index=False))


def spend(kind: Kind, amount: float) -> dict[str, float]:
    return {"epsilon" if kind == "laplace" else "rho": amount}


def law(kind: Kind, *, one_group: float, share: float, reach: int = REACH) -> Law:
    """The law of the noise where a unit changes so many groups by so much in each: by the textbook.

    Laplace noise hides a distance in L1 at the scale distance / epsilon; Gaussian noise one in L2 at the standard
    deviation distance / √(2 rho).
    """
    if kind == "laplace":
        return Law(kind, reach * one_group / share)
    return Law(kind, math.sqrt(reach) * one_group / math.sqrt(2 * share))


def holds(drawn: np.ndarray | pd.Series, expected: Law) -> None:
    """Draws follow the law, and the same test rejects a wrong scale."""
    draws = np.asarray(drawn, float)
    assert fit(draws, expected) > ALARM
    assert rejects(lambda other: fit(draws, other), expected)


def exact(rows: pd.DataFrame, value: Callable[[pd.DataFrame], float]) -> np.ndarray:
    """A statistic of each group, by pandas."""
    found = rows.groupby("g")[["id", "x"]].apply(value)
    return found.reindex(range(GROUPS), fill_value=0).to_numpy(float)


@pytest.mark.parametrize("kind", KINDS)
class TestNoiseLaw:
    def ask(
        self, house: House, kind: Kind, amount: float, measures: dict[str, Any], **more: Any
    ) -> pd.DataFrame:
        query = {"spend": spend(kind, amount), "contribution": BOUND, "keys": {"g": house.keys(GROUPS)}}
        return house.ask({**query, **more, "measures": measures})

    def test_count(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """A unit counts for two rows in three groups."""
        answer = self.ask(house, kind, 1.5, {"n": "count"})

        expected = law(kind, one_group=EACH, share=1.5)
        holds(cells(answer, "n") - exact(rows, len), expected)
        assert set(answer["noise_scale"].round(9)) == {round(expected.scale, 9)}
        assert set(answer["noise"]) == {f"discrete_{kind}"}

    def test_count_distinct(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """A unit is one, for however many rows: in three groups."""
        answer = self.ask(house, kind, 0.75, {"n": "count_distinct"})

        noise = cells(answer, "n") - exact(rows, lambda group: group["id"].nunique())
        holds(noise, law(kind, one_group=1, share=0.75))

    def test_sum(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """A row adds the bound that is further from zero, at most."""
        measure = {"sum": {"column": "x", "bounds": [-3, 7], "granularity": 0.5}}
        answer = self.ask(house, kind, 2, {"s": measure})

        noise = cells(answer, "s") - exact(rows, lambda group: group["x"].sum())
        holds(noise / 0.5, law(kind, one_group=EACH * 7 / 0.5, share=2))
        assert answer["noise_scale"].iloc[0] == pytest.approx(law(kind, one_group=EACH * 7, share=2).scale)

    def test_sum_in_millionths(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """Where no granularity is named, steps are too small to matter."""
        answer = self.ask(house, kind, 2, {"s": {"sum": {"column": "x", "bounds": [-3, 7]}}})

        noise = cells(answer, "s") - exact(rows, lambda group: group["x"].sum())
        holds(noise / 1e-6, law(kind, one_group=EACH * 7 / 1e-6, share=2))

    def test_histogram(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """The rows of a unit are in bins of the same group: all bins of it together change by two."""
        edges = [-3, 0, 2.5, 7]
        answer = self.ask(house, kind, 1.5, {"h": {"histogram": {"column": "x", "edges": edges}}})

        parts = ["[-3, 0)", "[0, 2.5)", "[2.5, 7]"]
        assert list(answer["part"].iloc[:3]) == parts
        noise = [
            cells(answer, "h", part) - exact(rows, lambda group, n=n: np.histogram(group["x"], edges)[0][n])
            for n, part in enumerate(parts)
        ]
        holds(np.concatenate(noise), law(kind, one_group=EACH, share=1.5))

    def test_mean_and_variance(self, tmp_path: Path, kind: Kind) -> None:
        """A count, a sum about the middle and a sum of its squares, at a third of the loss each.

        From the three published numbers of a group the three noisy sums follow, hence the noises.
        """
        groups, many = 3_000, 25
        frame = pd.DataFrame({"id": np.arange(groups * many), "g": np.arange(groups * many) % groups})
        frame["x"] = np.random.default_rng(3).integers(0, 11, len(frame)).astype(float)
        house = House(tmp_path, pa.Table.from_pandas(frame, preserve_index=False))
        bounded = {"column": "x", "bounds": [0, 10], "granularity": 1}
        answer = house.ask(
            {
                "spend": spend(kind, 3),
                "keys": {"g": house.keys(groups)},
                "measures": {
                    "n": {"count": {"column": "x"}},
                    "m": {"mean": bounded},
                    "v": {"variance": bounded},
                },
            }
        )

        number, mean, variance = (cells(answer, name) for name in "nmv")
        by_group = frame["x"].sub(5).groupby(frame["g"])
        about = (mean - 5) * number - by_group.sum()
        squares = (variance + (mean - 5) ** 2) * number - by_group.apply(lambda x: (x**2).sum())
        expected = {"reach": 1, "share": 1}
        holds(number - many, law(kind, one_group=1, **expected))
        holds(about.round(6), law(kind, one_group=5, **expected))
        holds((squares / 1e-5).round(), law(kind, one_group=25 / 1e-5, **expected))

    def test_shares(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """The loss is divided evenly among the statistics; measures that need the same one share it."""
        measures = {
            "n": "count",
            "again": "count",
            "units": "count_distinct",
            "h": {"histogram": {"column": "x", "edges": [-10, 10]}},
        }
        answer = self.ask(house, kind, 3, measures)

        assert cells(answer, "n").equals(cells(answer, "again"))
        holds(cells(answer, "n") - exact(rows, len), law(kind, one_group=EACH, share=1))
        units = exact(rows, lambda group: group["id"].nunique())
        holds(cells(answer, "units") - units, law(kind, one_group=1, share=1))
        holds(cells(answer, "h") - exact(rows, len), law(kind, one_group=EACH, share=1))

    def test_cells_are_independent(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """No draw tells of its neighbour, of another measure's or of another release's."""
        measures = {"n": "count", "u": "count_distinct"}
        answer = self.ask(house, kind, 3, measures)
        other = house.ask(number=1)

        first = (cells(answer, "n") - exact(rows, len)).to_numpy()
        units = exact(rows, lambda group: group["id"].nunique())
        pairs = [
            (first[:-1], first[1:]),
            (first, cells(answer, "u") - units),
            (first, cells(other, "n") - exact(rows, len)),
        ]
        for one, another in pairs:
            assert abs(np.corrcoef(one, another)[0, 1]) < 7 / math.sqrt(len(one))

    def test_a_unit_is_in_no_more_groups_than_there_are(
        self, house: House, rows: pd.DataFrame, kind: Kind
    ) -> None:
        """Two groups, however many a unit may be in; the draws are bins here."""
        keys = {"g": {"values": [0, 1], "source": "made up"}}
        edges = [number / 4 for number in range(-40, 4000)]
        bound = {"groups_per_unit": 50, "rows_per_group": EACH}
        measure = {"h": {"histogram": {"column": "x", "edges": edges}}}
        answer = self.ask(house, kind, 2, measure, keys=keys, contribution=bound)

        true = [np.histogram(rows.loc[rows["g"] == group, "x"], edges)[0] for group in (0, 1)]
        holds(cells(answer, "h") - np.concatenate(true), law(kind, one_group=EACH, share=2, reach=2))

    def test_rows_as_units(self, tmp_path: Path, rows: pd.DataFrame, kind: Kind) -> None:
        """Where a unit is a row, it is in one group and counts once."""
        house = House(tmp_path, pa.Table.from_pandas(rows, preserve_index=False), unit=None)
        keys = {"g": house.keys(GROUPS)}
        answer = house.ask({"spend": spend(kind, 0.5), "keys": keys, "measures": {"n": "count"}})

        holds(cells(answer, "n") - exact(rows, len), law(kind, one_group=1, share=0.5, reach=1))

    def test_two_keys(self, house: House, rows: pd.DataFrame, kind: Kind) -> None:
        """Groups are pairs of keys, the first one slowest; each has noise of its own."""
        halves = {"values": [-10, -3, 0, 4], "source": "made up"}
        # One half a unit: of the pairs of keys it is in no more than it may be.
        frame = rows.assign(y=rows["id"] % 2 * 4)
        house.supply(pa.Table.from_pandas(frame, preserve_index=False))
        keys = {"g": house.keys(1_500, "few"), "y": halves}
        answer = self.ask(house, kind, 1.5, {"n": "count"}, keys=keys)

        pairs = list(itertools.product(range(1_500), [-10, -3, 0, 4]))
        assert list(zip(answer["g"].astype(int), answer["y"].astype(int), strict=True)) == pairs
        true = frame.groupby(["g", "y"]).size().reindex(pairs, fill_value=0).to_numpy()
        holds(cells(answer, "n") - true, law(kind, one_group=EACH, share=1.5))

    @pytest.mark.parametrize("factor", [0.7, 1.3])
    def test_wrong_noise_is_found(
        self, house: House, rows: pd.DataFrame, kind: Kind, factor: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where noise of another scale is drawn than is charged, the test of counts fails."""
        right = noise.vector
        monkeypatch.setattr(noise, "vector", lambda kind, scale: right(kind, scale * factor))

        answer = self.ask(house, kind, 1.5, {"n": "count"})

        assert fit(cells(answer, "n") - exact(rows, len), law(kind, one_group=EACH, share=1.5)) < ALARM


DATA = [1.0, 2, 2, 3, 7, 8]
CANDIDATES = [0.0, 2, 4, 8]


def distances(p: int, q: int) -> list[int]:
    """How far rows below and above each candidate are from what the quantile p/q asks, in rows times q."""
    return [abs((q - p) * sum(x < c for x in DATA) - p * sum(x > c for x in DATA)) for c in CANDIDATES]


def outward(p: int, q: int, out: int, sign: int = 1) -> list[int]:
    """How far each candidate is from the lower end of the quantile p/q; with the sign -1, upper one of 1 - p/q.

    It is the distance to the stretch of ranks, up to the next candidate, that holds what is aimed at: `out` below the
    quantile's. The first stretch has no beginning, and the last one no end.
    """
    candidates = sorted(sign * c for c in CANDIDATES)
    leads = [q * sum(sign * x < c for x in DATA) - p * len(DATA) for c in candidates]
    stretches = itertools.pairwise([-math.inf, *leads[1:], math.inf])
    return [int(max(0, low + out, -out - high)) for low, high in stretches][::sign]


def chances(kind: Kind, scores: list[int], epsilon: float, sensitivity: int) -> np.ndarray:
    """The probability of each candidate, in closed form, where one unit changes a score by the sensitivity.

    For Gaussian queries the exponential mechanism (McSherry and Talwar 2007); for Laplace ones permute-and-flip
    (McKenna and Sheldon 2020): candidates in random order, each taken with the probability
    e^(-epsilon (score - least score) / (2 sensitivity)), until one is.
    """
    heads = [math.exp(-epsilon * (s - min(scores)) / (2 * sensitivity)) for s in scores]
    if kind == "gaussian":
        return np.array(heads) / sum(heads)
    shares = np.zeros(len(heads))
    orders = list(itertools.permutations(range(len(heads))))
    for order in orders:
        left = 1.0
        for candidate in order:
            shares[candidate] += left * heads[candidate] / len(orders)
            left *= 1 - heads[candidate]
    return shares


@pytest.mark.parametrize("kind", KINDS)
class TestQuantiles:
    GROUPS = 4_000
    QUANTILES = ((1, 2), (9, 10))

    @pytest.fixture
    def house(self, tmp_path: Path) -> House:
        """The same six rows in each group, of units of their own; a unit may be in two groups, with two rows each."""
        many = self.GROUPS * len(DATA)
        table = {"id": np.arange(many), "g": np.arange(many) % self.GROUPS, "x": np.repeat(DATA, self.GROUPS)}
        return House(tmp_path, pa.table(table))

    def ask(self, house: House, kind: Kind, confidence: float = 0.95) -> pd.DataFrame:
        measure = {"quantiles": {"column": "x", "quantiles": [0.5, 0.9], "candidates": CANDIDATES}}
        return house.ask(
            {
                "spend": spend(kind, 24 if kind == "laplace" else 6),
                "contribution": {"groups_per_unit": 2, "rows_per_group": 2},
                "keys": {"g": house.keys(self.GROUPS)},
                "confidence": confidence,
                "measures": {"x": measure},
            }
        )

    def epsilon(self, kind: Kind) -> float:
        """Half of the loss for each quantile, a third of that for it and for each end, half of that for each group."""
        return 24 / 2 / 3 / 2 if kind == "laplace" else math.sqrt(8 * 6 / 2 / 3 / 2)

    def holds(self, kind: Kind, chosen: np.ndarray, scores: list[int], sensitivity: int) -> None:
        """Choices are as probable as they should be, and the same test rejects a wrong scale."""
        counts = np.array([(chosen == number).sum() for number in range(len(CANDIDATES))])

        def test(factor: float) -> float:
            shares = chances(kind, scores, self.epsilon(kind) * factor, sensitivity)
            return chi_square(counts, self.GROUPS * shares)

        assert counts.sum() == self.GROUPS
        assert test(1) > ALARM
        assert test(0.7) < ALARM
        assert test(1.3) < ALARM

    def test_probabilities(self, house: House, kind: Kind) -> None:
        """Of the values, off the published answer."""
        answer = self.ask(house, kind)

        for part, (p, q) in zip(("0.5", "0.9"), self.QUANTILES, strict=True):
            chosen = np.searchsorted(CANDIDATES, cells(answer, "x", part))
            self.holds(kind, chosen, distances(p, q), EACH * max(p, q - p))
        assert answer["low"].le(answer["value"]).all()
        assert answer["value"].le(answer["high"]).all()

    def test_probabilities_of_ends(self, house: House, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of both ends, as they are drawn: published, they are widened to hold the value."""
        seen: list[Drawn] = []
        right = dp_release.draw

        def watched(*given: Any) -> Drawn:
            seen.append(right(*given))
            return seen[-1]

        monkeypatch.setattr(dp_release, "draw", watched)
        self.ask(house, kind, confidence=0.55)
        drawn = {
            (float(aim.quantile), aim.end): found[:, 0] for (_, aim), found in seen[0].noisy.items() if aim
        }

        for p, q in self.QUANTILES:
            sensitivity = EACH * max(p, q - p)
            scale = 2 * sensitivity / self.epsilon(kind)
            # Each end is wrong with half of what the confidence leaves; three of the four candidates can be.
            out = math.ceil(scale * math.log(3 / (0.45 / 2)))
            self.holds(kind, drawn[p / q, End.LOW], outward(p, q, out), sensitivity)
            self.holds(kind, drawn[p / q, End.HIGH], outward(q - p, q, out, sign=-1), sensitivity)
