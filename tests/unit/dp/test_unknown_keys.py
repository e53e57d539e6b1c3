"""Keys that are not public: which are told, how probably, and that nothing is told of the others."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from tests.unit.dp.asking import House, cells, tells
from tests.unit.dp.laws import ALARM, Law, at_least, fit
from tests.unit.dp.test_noise_law import KINDS, Kind, law, spend

from airflow_veil.privacy.dp import mechanism

DELTA = 0.004


def least(noise: Law, delta: float, *, reach: int = 1) -> int:
    """The least threshold that one of `reach` keys of a single unit passes with a probability of delta at most.

    For Gaussian noise by the bound on its tail that Canonne, Kamath and Steinke (2020, Proposition 25) give: that of
    the continuous one, one step nearer.
    """

    def chance(threshold: int) -> float:
        if noise.kind == "laplace":
            return passes(noise, threshold, 1)
        return float(stats.norm.sf((threshold - 2) / noise.scale))

    return next(threshold for threshold in range(2, 10_000) if reach * chance(threshold) <= delta)


def passes(noise: Law, threshold: int, units: int) -> float:
    """The probability that so many units and noise come to the threshold."""
    return float(1 - noise.at_most(np.array([threshold - units - 1]))[0])


def crowds(units: dict[str, int]) -> pa.Table:
    """A table with so many units behind each key, each unit behind one."""
    keys = [key for key, count in units.items() for _ in range(count)]
    return pa.table({"id": np.arange(len(keys)), "k": keys})


def query(kind: Kind, amount: float, **more: Any) -> dict[str, Any]:
    return {
        "spend": {**spend(kind, amount), "delta": DELTA},
        "keys": {"k": "unknown"},
        "measures": {"n": "count_distinct"},
        **more,
    }


@pytest.mark.parametrize("kind", KINDS)
class TestUnknownKeys:
    KEYS = 8_000

    def test_single_units_hardly_ever_get_out(self, tmp_path: Path, kind: Kind) -> None:
        """A key of one unit is told as rarely as delta says, and as often as the law of the noise says."""
        noise = law(kind, one_group=1, share=0.02, reach=1)
        house = House(tmp_path, crowds({f"only {n}": 1 for n in range(self.KEYS)}))

        told = len(house.ask(query(kind, 0.02)))

        assert at_least(told, self.KEYS) <= DELTA
        chance = passes(noise, least(noise, DELTA), 1)
        assert DELTA / 5 < chance <= DELTA
        assert (
            min(stats.binom.cdf(told, self.KEYS, chance), stats.binom.sf(told - 1, self.KEYS, chance)) > ALARM
        )

    def test_a_threshold_one_too_low_is_found(
        self, tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """OpenDP's own delta leaves out counts that equal the threshold (issue 2922): with it, too many get out."""

        def of_opendp(
            kind: Kind, scale: float, least: int, reach: int, sensitivity: float
        ) -> tuple[float, float]:
            distance = mechanism._distance
            bounds = (reach, distance(kind, sensitivity), distance(kind, 1.0))
            loss: tuple[float, float] = mechanism.threshold(kind, scale, least).map(bounds)
            return loss

        monkeypatch.setattr("airflow_veil.privacy.dp.measurement.threshold_loss", of_opendp)
        monkeypatch.setattr("airflow_veil.privacy.dp.noise.threshold_loss", of_opendp)
        house = House(tmp_path, crowds({f"only {n}": 1 for n in range(self.KEYS)}))

        told = len(house.ask(query(kind, 2 if kind == "laplace" else 0.9)))

        assert at_least(told, self.KEYS) > DELTA

    def test_keys_of_some_units(self, tmp_path: Path, kind: Kind) -> None:
        """Whether a key is told follows the law of its noise, for each number of units, and so does what is told."""
        noise = law(kind, one_group=1, share=0.5, reach=1)
        threshold = least(noise, DELTA)
        units = [threshold - 2, threshold - 1, threshold, threshold + 1, threshold + 40]
        each = 1_000
        house = House(tmp_path, crowds({f"{many:03}:{n}": many for many in units for n in range(each)}))

        answer = house.ask(query(kind, 0.5))

        many = answer["k"].str[:3].astype(int)
        for count in units:
            told, chance = int((many == count).sum()), passes(noise, threshold, count)
            assert min(stats.binom.cdf(told, each, chance), stats.binom.sf(told - 1, each, chance)) > ALARM
        assert answer["value"].min() == threshold
        certain = many == threshold + 40
        assert certain.sum() == each
        drawn = answer.loc[certain, "value"] - (threshold + 40)
        assert fit(drawn, noise) > ALARM
        assert max(fit(drawn, noise.times(factor)) for factor in (0.5, 2)) < ALARM

    def test_a_unit_with_several_keys(self, tmp_path: Path, kind: Kind) -> None:
        """Any key of a unit that is alone behind three gets out with a probability of delta at most, in all."""
        units = 4_000
        table = {"id": np.repeat(np.arange(units), 3), "k": [f"{n // 3} {n % 3}" for n in range(3 * units)]}
        house = House(tmp_path, pa.table(table))

        answer = house.ask(query(kind, 0.3, contribution={"groups_per_unit": 3}))

        noise = law(kind, one_group=1, share=0.3, reach=3)
        told = answer["k"].str.split().str[0].nunique()
        assert at_least(told, units) <= DELTA
        assert (house.planned()[0].threshold or 0) - least(noise, DELTA, reach=3) in (0, 1)

    def test_order_and_silence(self, tmp_path: Path, kind: Kind) -> None:
        """Keys are told sorted, whatever their order in the table; of suppressed ones nothing, not even how many."""
        keys = {f"key {n:03}": 200 for n in np.random.default_rng(5).permutation(300)}
        silent = {f"canary-{n}": 1 for n in range(431)}
        house = House(tmp_path, crowds({**silent, **keys}))
        house.write(query(kind, 4, measures={"n": "count_distinct", "rows": "count"}))

        done = house.release()

        answer = house.published()
        shown = answer[~answer["k"].str.startswith("canary")]
        assert answer["k"].is_monotonic_increasing
        assert sorted(set(shown["k"])) == sorted(keys)
        assert set(answer["measure"]) == {"n", "rows"}
        manifest = (tmp_path / "releases" / "q" / done.reference.release_id / "_manifest.json").read_text()
        for text in (manifest, json.dumps(done.lineage.as_dict()), str(done.reference), done.summary):
            assert "canary" not in text
            assert not any(tells(text, str(number)) for number in (431, 731, 60_000 + 431))

    def test_measures_of_told_keys(self, tmp_path: Path, kind: Kind) -> None:
        """With unknown keys the threshold takes its share of the loss; other measures have noise of theirs."""
        house = House(tmp_path, crowds({f"{n:04}": 60 for n in range(3_000)}))

        answer = house.ask(query(kind, 1, measures={"rows": "count"}))

        noise = law(kind, one_group=1, share=0.5, reach=1)
        assert set(answer["measure"]) == {"rows"}
        assert answer["k"].nunique() == 3_000
        assert fit(cells(answer, "rows") - 60, noise) > ALARM

    def test_half_of_a_product_is_public(self, tmp_path: Path, kind: Kind) -> None:
        """One key public, one not: pairs are told by the threshold, those that are in no row never."""
        frame = pd.DataFrame({"id": np.arange(900), "k": np.repeat(["a", "b", "c"], 300), "p": 1})
        house = House(tmp_path, pa.Table.from_pandas(frame, preserve_index=False))
        keys = {"k": "unknown", "p": {"values": [1, 2], "source": "the manual"}}

        answer = house.ask(query(kind, 4, keys=keys))

        assert list(zip(answer["k"], answer["p"].astype(int), strict=True)) == [("a", 1), ("b", 1), ("c", 1)]


class TestThreshold:
    @pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 5e-8), (1, 1e-6), (3, 1e-3), (0.1, 0.004)])
    def test_laplace(self, tmp_path: Path, epsilon: float, delta: float) -> None:
        """The threshold is the least one whose delta, in closed form, is within the query's."""
        house = House(tmp_path, crowds({"a": 1}))
        house.write(query("laplace", epsilon) | {"spend": {"epsilon": epsilon, "delta": delta}})

        (planned,) = house.planned()

        # P(1 + noise ≥ T) = p^(T-1) / (1+p)
        p = math.exp(-epsilon)
        threshold = next(t for t in range(2, 10_000) if p ** (t - 1) / (1 + p) <= delta)
        assert planned.scale == pytest.approx(1 / epsilon)
        assert planned.threshold == threshold
        assert p ** (threshold - 1) / (1 + p) * 1e18 <= planned.loss.delta <= delta * 1e18
