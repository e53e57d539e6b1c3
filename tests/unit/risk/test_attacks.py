"""Attacks find what was planted, and nothing in releases that are safe against them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.attacks.attack import Attack, outcome, truth_of, wilson
from airflow_veil.privacy.risk.attacks.differencing import differencing
from airflow_veil.privacy.risk.attacks.frequency import frequency
from airflow_veil.privacy.risk.attacks.inference import inference
from airflow_veil.privacy.risk.attacks.linkage import linkage, nearest

ROWS = 3000


def harmless(attack: Attack) -> bool:
    """Whether the interval of the advantage holds 0."""
    return attack.low <= 0 <= attack.high


def crowd(rows: int = ROWS, seed: int = 1) -> pa.Table:
    """People by age, city and an illness that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "age": rng.integers(0, 90, rows),
            "city": pa.array([f"c{i}" for i in rng.integers(0, 60, rows)]),
            "ill": pa.array([f"i{i}" for i in rng.choice(5, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05])]),
        }
    )


class TestOutcome:
    @pytest.mark.parametrize(("right", "tried"), [(0, 10), (3, 10), (97, 100), (500, 1000)])
    def test_wilson(self, right: int, tried: int) -> None:
        """The interval of a share is the one of SciPy; another confidence gives another."""
        truth = stats.binomtest(right, tried).proportion_ci(method="wilson")

        assert wilson(right / tried, tried) == pytest.approx((truth.low, truth.high))
        assert wilson(right / tried, tried, 0.9) != pytest.approx((truth.low, truth.high))

    def test_newcombe(self) -> None:
        """The example of Newcombe's method 10: 56 of 70 against 48 of 80 is 0.0524 to 0.3339."""
        found = outcome("x", 56, 70, baseline=48 / 80, of=80)

        assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)

    def test_coverage(self) -> None:
        """Of many attacks that only guess, the interval of about 95 in 100 holds 0; that of better ones does not."""
        rng = np.random.default_rng(2)

        def share(chance: float) -> float:
            drawn = rng.binomial(400, chance, 2000)
            return sum(harmless(outcome("x", int(right), 400, baseline=0.2)) for right in drawn) / 2000

        assert 0.93 < share(0.2) < 0.97
        assert share(0.3) < 0.05

    def test_nobody(self) -> None:
        """An attack on nobody has no rate."""
        with pytest.raises(SchemaError, match="nobody to attack"):
            outcome("x", 0, 0, baseline=0.0)

    def test_truth(self) -> None:
        """Which row is whose has to be known where tables differ in length, and to name rows."""
        assert truth_of(None, 3, 3, where="x").tolist() == [0, 1, 2]
        with pytest.raises(SchemaError, match="which is which is not known"):
            truth_of(None, 3, 2, where="x")
        with pytest.raises(SchemaError, match="does not name rows"):
            truth_of(np.array([0, 5]), 2, 2, where="x")


class TestLinkage:
    def test_planted(self) -> None:
        """A release that keeps a number of each person finds everybody, also shuffled and with rows left out."""
        source = crowd().append_column("member", pa.array(range(ROWS)))
        order = np.random.default_rng(3).permutation(ROWS)[:2000]
        truth = np.full(ROWS, -1)
        truth[order] = np.arange(2000)

        found = linkage(source, source.take(pa.array(order)), {"member": "member"}, truth=truth)

        assert found.rate == pytest.approx(2000 / ROWS)
        assert found.low > 0.6

    def test_safe(self) -> None:
        """Columns that were shuffled link nobody."""
        release = pa.table({"city": crowd(seed=9)["city"]})

        assert harmless(linkage(crowd(), release, {"city": "city"}))

    def test_expected_success(self) -> None:
        """A class of k is a guess of one in k."""
        table = pa.table({"a": [1, 1, 1, 2]})

        assert linkage(table, table, {"a": "a"}).rate == pytest.approx((3 / 3 + 1) / 4)
        assert linkage(table, table, {"a": "a"}).baseline == 0.25

    def test_nobody_released(self) -> None:
        """Of an empty release nobody is found."""
        found = linkage(crowd(), crowd(0), {"age": "age"}, truth=np.full(ROWS, -1))

        assert (found.rate, found.baseline) == (0.0, 0.0)


class TestNearest:
    def test_planted(self) -> None:
        """Noise that is small beside the gaps between people hides nobody; exact linkage finds none."""
        rng = np.random.default_rng(4)
        source = pa.table({"x": rng.uniform(0, 1, 500), "y": rng.uniform(0, 1, 500)})
        release = pa.table(
            {name: pc.add(source[name], pa.array(rng.normal(0, 1e-4, 500))) for name in ("x", "y")}
        )
        columns = {"x": "x", "y": "y"}

        assert nearest(source, release, columns).rate > 0.95
        assert linkage(source, release, columns).rate == 0.0

    def test_safe(self) -> None:
        """Noise as wide as the data hides everybody."""
        rng = np.random.default_rng(5)
        source = pa.table({"x": rng.uniform(0, 1, 500)})

        assert harmless(nearest(source, pa.table({"x": rng.uniform(0, 1, 500)}), {"x": "x"}))

    def test_same_as_by_hand(self) -> None:
        """Distances are Gower's: of numbers by the range, of texts 0 or 1, of a null and a value 1."""
        mine: dict[str, list[Any]] = {"n": [0.0, 5.0, None, 9.0], "s": ["a", "b", "a", None]}
        theirs: dict[str, list[Any]] = {"n": [1.0, None, 6.0, 10.0], "s": ["b", "a", "b", None]}

        def far(i: int, j: int) -> float:
            one, other = mine["n"][i], theirs["n"][j]
            gap = 0.0 if one is None and other is None else 1.0
            if one is not None and other is not None:
                gap = abs(one - other) / 9
            return gap + (mine["s"][i] != theirs["s"][j])

        truth = 0.0
        for i in range(4):
            row = [far(i, j) for j in range(4)]
            ties = [j for j in range(4) if math.isclose(row[j], min(row))]
            truth += (i in ties) / len(ties) / 4

        assert nearest(pa.table(mine), pa.table(theirs), {"n": "n", "s": "s"}).rate == pytest.approx(truth)

    def test_targets_are_drawn(self) -> None:
        """Of many targets some are looked for, the same ones each time."""
        found = nearest(crowd(), crowd(), {"age": "age", "city": "city"}, targets=50)

        assert found.tried == 50
        assert found == nearest(crowd(), crowd(), {"age": "age", "city": "city"}, targets=50)

    def test_dates(self) -> None:
        """Dates are near where days are, whatever the unit they are kept in."""
        days = pa.array(np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]"))
        times = pc.add(days.cast(pa.timestamp("s")), pa.scalar(3600, pa.duration("s")))

        assert nearest(pa.table({"d": days}), pa.table({"d": times}), {"d": "d"}).rate == 1.0


class TestFrequency:
    def test_planted(self) -> None:
        """Deterministic tokens of a skewed column are read off their frequencies."""
        rng = np.random.default_rng(6)
        drawn = rng.choice(20, 20_000, p=(weights := 1 / np.arange(1, 21)) / weights.sum())
        values = pa.array([f"v{i}" for i in drawn])
        tokens = pa.array([f"t{hash(('k', int(i))) % 10**9}" for i in drawn])

        found = frequency(values, tokens)

        assert found.rate > 0.99
        assert found.low > 0
        assert found.baseline == pytest.approx(float((drawn == 0).mean()))

    def test_other_frequencies(self) -> None:
        """Last year's frequencies do nearly as well, of another draw."""
        rng = np.random.default_rng(7)
        weights = 0.5 ** np.arange(8)
        now, before = (rng.choice(8, 20_000, p=weights / weights.sum()) for _ in range(2))

        assert frequency(pa.array(now), pa.array(now + 100), auxiliary=pa.array(before)).rate > 0.98

    def test_safe(self) -> None:
        """Tokens made anew for each cell have no frequencies."""
        values = crowd()["ill"]

        assert frequency(values, pa.array(range(ROWS))).rate < 0.01
        assert frequency(values, pa.array(range(ROWS))).advantage < 0

    def test_one_value(self) -> None:
        """Where everybody has the same value, tokens tell nothing that was not known."""
        assert harmless(frequency(pa.array(["a"] * 50), pa.array(["t"] * 50)))

    def test_nulls_are_no_guess(self) -> None:
        """Rows without a value are not counted."""
        found = frequency(pa.array(["a", None, "a"]), pa.array(["t", None, "t"]))

        assert (found.tried, found.rate) == (2, 1.0)


class TestInference:
    KNOWN = ("age", "city")

    def test_planted(self) -> None:
        """In classes of one, the sensitive value is there to read; people outside are not told."""
        found = inference(crowd(), crowd(), self.KNOWN, "ill", control=crowd(seed=8))

        assert found.rate > 0.7
        assert found.low > 0.2

    def test_general_knowledge_is_no_attack(self) -> None:
        """That smokers cough holds for all: people who are not in the release are guessed as well."""
        rng = np.random.default_rng(9)
        smokes = rng.integers(0, 2, 4000)
        coughs = np.where(rng.random(4000) < 0.9, smokes, 1 - smokes)
        table = pa.table({"smokes": smokes, "coughs": coughs})

        found = inference(table[:2000], table[:2000], ["smokes"], "coughs", control=table[2000:])

        assert found.rate > 0.85
        assert harmless(found)
        assert inference(table[:2000], table[:2000], ["smokes"], "coughs").advantage > 0.3

    def test_safe(self) -> None:
        """A sensitive column that was shuffled tells nothing of anybody."""
        table = crowd()
        shuffled = table.set_column(
            2, "ill", table["ill"].take(pa.array(np.random.default_rng(1).permutation(ROWS)))
        )

        assert harmless(inference(table, shuffled, ["city"], "ill", control=crowd(seed=8)))

    def test_most_frequent_of_the_class(self) -> None:
        """The guess is the class's most frequent value, and the release's for who is in no class."""
        release = pa.table({"a": [1, 1, 1, 2, 2, 2], "s": [*"xyyzzz"]})
        targets = pa.table({"a": [1, 1, 2, 3, 3], "s": [*"yxzzx"]})

        assert inference(targets, release, ["a"], "s").rate == pytest.approx(3 / 5)

    def test_numbers(self) -> None:
        """A guess of a number may be off by as much as is said."""
        table = pa.table({"a": [1, 1, 1], "pay": [100.0, 104.0, 150.0]})

        assert inference(table, table, ["a"], "pay", within=5).rate == pytest.approx(2 / 3)

    def test_missing_column(self) -> None:
        """Without the sensitive column there is nothing to guess."""
        with pytest.raises(SchemaError, match="no column s"):
            inference(crowd(), crowd(), self.KNOWN, "s")


class TestDifferencing:
    WAS = pa.array(range(1000))
    NOW = pa.array(range(50, 1100))
    """Fifty people left overnight, and a hundred joined."""

    @staticmethod
    def night(people: pa.Array, tokens: pa.Array) -> pa.Table:
        """A release of people: a token, and a city of ten."""
        return pa.table({"token": tokens, "city": pc.bit_wise_and(people, 7)})

    def test_stable_tokens(self) -> None:
        """Tokens that stay tell who left, who joined and who is who."""
        found = differencing(
            self.night(self.WAS, self.WAS),
            self.night(self.NOW, self.NOW),
            ["token"],
            was=self.WAS,
            now=self.NOW,
        )

        assert found.left is not None
        assert found.joined is not None
        assert found.linked is not None
        assert (found.left.tried, found.joined.tried, found.linked.tried) == (50, 100, 950)
        assert found.left.rate == found.joined.rate == found.linked.rate == 1.0
        assert min(found.left.low, found.joined.low, found.linked.low) > 0.5

    def test_new_tokens(self) -> None:
        """Tokens made anew each night tell nothing: all look as if they had joined."""
        found = differencing(
            self.night(self.WAS, self.WAS),
            self.night(self.NOW, pc.add(self.NOW, 10_000)),
            ["token"],
            was=self.WAS,
            now=self.NOW,
        )

        assert found.left is not None
        assert found.joined is not None
        assert found.linked is not None
        assert harmless(found.left)
        assert harmless(found.joined)
        assert found.linked.rate == 0.0

    def test_rows_without_tokens(self) -> None:
        """Rows that are unique are as good as tokens; crowds of alike rows hide who is who."""
        rng = np.random.default_rng(3)
        unique = pa.array(rng.permutation(2000)[:1100])
        was = pa.table({"x": unique.take(self.WAS)})
        now = pa.table({"x": unique.take(self.NOW)})

        alone = differencing(was, now, ["x"], was=self.WAS, now=self.NOW)
        crowd = differencing(
            self.night(self.WAS, self.WAS),
            self.night(self.NOW, self.NOW),
            ["city"],
            was=self.WAS,
            now=self.NOW,
        )

        assert alone.linked is not None
        assert alone.linked.rate == 1.0
        assert crowd.linked is not None
        assert crowd.linked.rate < 0.01

    def test_nobody_left(self) -> None:
        """Two releases alike make no claim."""
        table = self.night(self.WAS, self.WAS)

        found = differencing(table, table, ["token", "city"], was=self.WAS, now=self.WAS)

        assert (found.left, found.joined) == (None, None)

    def test_unknown_people(self) -> None:
        """Without knowing who rows are, an attack cannot be judged."""
        with pytest.raises(SchemaError, match="who rows are is not known"):
            differencing(crowd(), crowd(), ["age"], was=self.WAS, now=self.NOW)


class TestSecrecy:
    def test_figures_only(self) -> None:
        """What an attack tells has no value in it."""
        table = pa.table({"a": ["CANARY", "CANARY2"], "s": ["CANARY3", "x"]})

        found = [
            linkage(table, table, {"a": "a"}),
            inference(table, table, ["a"], "s"),
            frequency(table["a"], table["s"]),
        ]

        assert "CANARY" not in "".join(repr(each) + repr(each.as_dict()) for each in found)
