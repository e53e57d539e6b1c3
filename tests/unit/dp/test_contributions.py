"""What one unit changes: never more than is promised, whatever its rows are; and that the lots are fair."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.dp.totals_support import FixedLots, Memory, axis, query, told, total

from airflow_veil.privacy.dp import contributions, lots, marks
from airflow_veil.privacy.dp import totals as module
from airflow_veil.privacy.dp.contributions import Pairs, bounded, drawn, weighed
from airflow_veil.privacy.dp.lots import SystemLots, below
from airflow_veil.privacy.dp.query import Axis, Query
from airflow_veil.privacy.dp.statistic import Bins, Form, Ranks, Reading, Rows, Statistic, Units
from airflow_veil.privacy.dp.totals import Totals, totals
from airflow_veil.privacy.errors import InternalError

PAID = Reading(column="paid")
SCHEMA = pa.schema([("who", pa.int64()), ("city", pa.string()), ("day", pa.date32()), ("paid", pa.float64())])
CITIES = tuple("abcdefgh")
KNOWN = (axis("city", *CITIES), Axis(name="year", column="day", to="year", labels=("2023", "2024")))
PLAIN = (
    Units(),
    Rows(),
    Rows(of=PAID),
    total("paid", -10, 7, "0.001"),
    total("paid", -1, 9, form=Form.CENTRED),
)
CELLS = (
    total("paid", -3, 5, "0.01", Form.SQUARED, null=9.0),
    Bins(of=PAID, edges=(-100.0, 0.0, 1.0, 100.0)),
    Bins(of=Reading(column="city"), values=("a", "b", "c")),
    Ranks(of=PAID, candidates=(-1.0, 0.0, 2.0), quantiles=()),
)
NASTY = 7
"""The unit that one table has and the other has not; units from 0 to 9 keep their numbers with or without it."""

PAYMENTS = st.floats() | st.none() | st.sampled_from([-1e308, 1e308, -10.0, 7.0, 0.0, math.inf])
DAYS = st.sampled_from([None, date(2023, 12, 31), date(2024, 1, 1), date(2022, 1, 1)])
CROWD = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 9]), st.sampled_from([*CITIES, None, "z"]), DAYS, PAYMENTS),
    max_size=30,
)
PERSON = st.lists(
    st.tuples(st.sampled_from([*CITIES, "only-mine", "mine-too", None]), DAYS, PAYMENTS),
    min_size=1,
    max_size=60,
)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def neighbours(crowd: list[tuple[Any, ...]], person: list[tuple[Any, ...]]) -> tuple[pa.Table, pa.Table]:
    """A table with a unit and one without: the ends of the units' numbers are in both."""
    ends = [(0, "a", date(2024, 1, 1), 1.0), (9, "b", date(2024, 1, 1), 1.0)]
    return table([*ends, *crowd]), table([*ends, *crowd, *((NASTY, *row) for row in person)])


def differences(left: Totals, right: Totals) -> dict[Statistic, list[int]]:
    """For each statistic, by how much each group differs, summed over its cells."""
    first, second = told(left), told(right)
    return {
        statistic: [
            sum(
                abs(a - b)
                for a, b in zip(
                    first.get(key, {}).get(statistic, [0] * statistic.width),
                    second.get(key, {}).get(statistic, [0] * statistic.width),
                    strict=True,
                )
            )
            for key in {*first, *second}
        ]
        for statistic in left.cells
    }


def assert_close(asked: Query, with_it: pa.Table, without: pa.Table, *, seed: int = 0) -> None:
    """What is promised of two tables that differ in one unit."""
    found = [totals(asked, Memory(one, 11), _lots=FixedLots(seed)) for one in (with_it, without)]
    for statistic, groups in differences(*found).items():
        limit = statistic.per_group(asked.rows_per_group)
        assert sum(groups) <= asked.reach * limit, statistic.name
        assert max(groups, default=0) <= limit, statistic.name
        assert sum(group > 0 for group in groups) <= asked.reach, statistic.name


class TestNeighbours:
    @given(CROWD, PERSON, st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
    @settings(max_examples=150, deadline=None)
    def test_public_keys(self, crowd: Any, person: Any, groups: int, rows: int, seed: int) -> None:
        """One unit more or less changes few groups, and each by little."""
        asked = query(*PLAIN, *CELLS, subject="who", axes=KNOWN, groups=groups, rows=rows)
        assert_close(asked, *neighbours(crowd, person), seed=seed)

    @given(CROWD, PERSON, st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
    @settings(max_examples=100, deadline=None)
    def test_unknown_keys(self, crowd: Any, person: Any, groups: int, rows: int, seed: int) -> None:
        """Also where the unit brings keys that nobody else has."""
        asked = query(*PLAIN, subject="who", axes=(axis("city"), KNOWN[1]), groups=groups, rows=rows)
        assert_close(asked, *neighbours(crowd, person), seed=seed)

    @given(CROWD, PERSON)
    @settings(max_examples=50, deadline=None)
    def test_one_group_of_all(self, crowd: Any, person: Any) -> None:
        """Without keys."""
        assert_close(query(*PLAIN, *CELLS, subject="who", groups=9, rows=3), *neighbours(crowd, person))

    @given(CROWD, st.tuples(st.sampled_from(CITIES), DAYS, PAYMENTS))
    @settings(max_examples=50, deadline=None)
    def test_a_row_where_that_is_the_unit(self, crowd: Any, row: Any) -> None:
        """One row changes one group, each statistic by what one row is worth."""
        asked = query(*PLAIN, *CELLS, axes=KNOWN)
        assert_close(asked, *neighbours(crowd, [row]))


def no_group_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contributions, "_chosen", lambda owners, reach, lots: np.ones(len(owners), bool))


def one_group_too_many(patch: pytest.MonkeyPatch) -> None:
    chosen = contributions._chosen
    patch.setattr(contributions, "_chosen", lambda owners, reach, lots: chosen(owners, reach + 1, lots))


def one_row_too_many(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def patch_it(patch: pytest.MonkeyPatch) -> None:
        true = getattr(module, name)
        patch.setattr(module, name, lambda *args, most, **more: true(*args, most=most + 1, **more))

    return patch_it


def no_clamp(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marks, "_steps", lambda total, number, where: number.clip(0, 1e9).round().cast(pl.Int32))


def each_row_a_unit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "dense", lambda series: (np.arange(len(series)), len(series)))


def two_units_in_one(patch: pytest.MonkeyPatch) -> None:
    dense = module.dense
    patch.setattr(module, "dense", lambda series: (dense(series)[0] % 4, 4))


UNCHECKED = (each_row_a_unit, two_units_in_one)
"""What no check of the outcome can see."""
BROKEN = (
    no_group_bound,
    one_group_too_many,
    one_row_too_many("counted"),
    one_row_too_many("weighed"),
    one_row_too_many("drawn"),
    no_clamp,
)


class TestTheTestsThemselves:
    """A bounder that is broken is caught: by its own checks, and by the neighbours where these are off."""

    CROWD: ClassVar = [(n % 4, CITIES[n % 8], date(2024, 1, 1), 1.0) for n in range(20)]
    PERSON: ClassVar = [(CITIES[n % 8], date(2023 + n % 2, 1, 1), 1e300) for n in range(64)]
    ASKED: ClassVar = query(*PLAIN, *CELLS, subject="who", axes=KNOWN, groups=2, rows=3)

    @pytest.mark.parametrize("broken", BROKEN)
    def test_the_module_itself_catches_it(self, broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Maxima are held against the data."""
        broken(monkeypatch)
        with pytest.raises(InternalError, match="contribution bounding failed"):
            assert_close(self.ASKED, *neighbours(self.CROWD, self.PERSON))

    @pytest.mark.parametrize("broken", [*BROKEN, *UNCHECKED])
    def test_neighbours_catch_it(self, broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the checks of the module off."""
        monkeypatch.setattr(contributions, "_hold", lambda holds, what: None)
        assert_close(self.ASKED, *neighbours(self.CROWD, self.PERSON))
        broken(monkeypatch)
        with pytest.raises(AssertionError):
            assert_close(self.ASKED, *neighbours(self.CROWD, self.PERSON))


def fair(counts: dict[Any, int], outcomes: int) -> bool:
    """Whether each outcome is as frequent as any other, by chi-square at one in a million (Wilson and Hilferty)."""
    mean, freedom = sum(counts.values()) / outcomes, outcomes - 1
    square = sum((count - mean) ** 2 for count in counts.values()) / mean + mean * (outcomes - len(counts))
    return (square / freedom) ** (1 / 3) < 1 - 2 / (9 * freedom) + 4.76 * (2 / (9 * freedom)) ** 0.5


def subsets(units: int, groups: int, reach: int) -> Counter[tuple[int, ...]]:
    """How often each subset of the groups is what a unit is left with."""
    owner, group = np.repeat(np.arange(units), groups), np.tile(np.arange(groups), units)
    order = np.random.default_rng(5).permutation(len(owner))
    (pairs,) = bounded(owner[order], group[order], size=groups, reach=reach, lots=SystemLots())
    kept: dict[int, list[int]] = {}
    for name, group in zip(pairs.names.tolist(), pairs.groups.tolist(), strict=True):
        kept.setdefault(name - group, []).append(group)
    return Counter(tuple(sorted(groups)) for groups in kept.values())


class TestLots:
    @pytest.mark.parametrize(("groups", "reach"), [(6, 2), (5, 4), (7, 1), (4, 3)])
    def test_each_subset_of_groups_is_as_probable(self, groups: int, reach: int) -> None:
        """Of a unit's groups."""
        found = subsets(20_000, groups, reach)
        possible = list(combinations(range(groups), reach))
        assert set(found) == set(possible)
        assert fair(found, len(possible))

    @pytest.mark.parametrize("first", [True, False])
    def test_a_choice_of_the_first_groups_is_not_fair(
        self, first: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor is one that fills up from the first."""

        def choose(owners: np.ndarray, reach: int, lots: Any) -> np.ndarray:
            place = np.arange(len(owners)) % 6
            if first:
                return place < reach
            return np.where(owners % 10 == 0, place < reach, place >= 6 - reach)

        monkeypatch.setattr(contributions, "_chosen", choose)
        assert not fair(subsets(20_000, 6, 2), 15)

    def test_each_run_draws_anew(self) -> None:
        """Two answers of one table need not have the same units in the same groups."""
        rows = [(n, city, None, 1.0) for n in range(50) for city in CITIES]
        asked = query(Rows(), subject="who", axes=(axis("city", *CITIES),), groups=3)
        found = {tuple(totals(asked, Memory(table(rows), 99)).cells[Rows()][:, 0].tolist()) for _ in range(5)}
        assert len(found) > 1
        assert all(sum(cells) == 150 for cells in found)

    def test_the_key_is_the_systems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The stream is AES-256 in counter mode, from its first block on."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        monkeypatch.setattr(lots.os, "urandom", lambda size: bytes(range(size)))
        drawn_lots = SystemLots()
        numbers = np.concatenate([drawn_lots.draw(np.arange(3), "a"), drawn_lots.draw(np.arange(5), "b")])
        block = Cipher(algorithms.AES(bytes(range(32))), modes.ECB()).encryptor()
        stream = b"".join(block.update(n.to_bytes(16, "big")) for n in range(4))
        assert numbers.tobytes() == stream

    @given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1)), max_size=20))
    def test_below_is_a_product_of_128_bits(self, draws: list[tuple[int, int]]) -> None:
        """Exactly, at both ends too."""
        words, limits = (
            np.array([draw[n] for draw in draws], kind) for n, kind in ((0, np.uint64), (1, np.int64))
        )
        assert below(words, limits).tolist() == [word * limit >> 64 for word, limit in draws]


def pair_of(counts: list[int]) -> Pairs:
    sizes = np.array(counts, np.int64)
    places = np.arange(len(counts))
    return Pairs(places, places, np.arange(sizes.sum()), np.cumsum(sizes) - sizes, sizes)


class OneWord:
    """The same number for all."""

    def __init__(self, word: int) -> None:
        self.word = word

    def draw(self, whom: np.ndarray, turn: str) -> np.ndarray:
        return np.full(len(whom), self.word, np.uint64)


class TestRows:
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any), st.integers(1, 8))
    @settings(deadline=None)
    def test_drawing_is_unbiased_and_draws_so_many(self, counts: list[int], most: int) -> None:
        """Over all starts a cell gets what R·n_b/n adds up to; each draw has R rows, none of them twice."""
        rows = sum(counts)
        cells = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        cells = np.random.default_rng(0).permutation(cells)
        added = np.zeros(len(counts), np.int64)
        for start in range(rows):
            word = OneWord(-(-(start << 64) // rows))
            _, cell, count = drawn(pair_of([rows]), cells, width=len(counts), most=most, lots=word, turn="")
            once = np.bincount(cell, weights=count, minlength=len(counts)).astype(np.int64)
            assert once.sum() == min(most, rows)
            assert (once <= counts).all()
            added += once
        assert added.tolist() == [min(most, rows) * count for count in counts]

    def test_rows_without_a_cell_do_not_count(self) -> None:
        """Of five rows in one pair two are nowhere, so that three are all there are."""
        cells = np.array([0, -1, 2, 2, -1, -1], np.int32)
        owner, cell, count = drawn(pair_of([5, 1]), cells, width=3, most=3, lots=SystemLots(), turn="")
        assert (owner.tolist(), cell.tolist(), count.tolist()) == ([0, 0, 0], [0, 2, 2], [1, 1, 1])

    @given(
        st.lists(
            st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=9), min_size=1, max_size=5
        ),
        st.integers(1, 1_000_000),
    )
    def test_weights_are_those_of_whole_numbers(self, values: list[list[int]], most: int) -> None:
        """As Python counts, which has no bits to overflow."""
        most = most if most % 2 else most % 9 + 1
        steps = np.array([value for pair in values for value in pair], np.int32)
        found = weighed(pair_of([len(pair) for pair in values]), steps, None, most=most)
        exact = [sum(p) if len(p) <= most else math.floor(Fraction(sum(p) * most, len(p))) for p in values]
        assert found.tolist() == exact

    @pytest.mark.parametrize("sign", [1, -1])
    def test_the_most_rows_of_the_most_steps(self, sign: int) -> None:
        """A million rows that count, of more, each of 2^31 - 1 steps."""
        steps = np.full(1_200_001, sign * (2**31 - 1), np.int32)
        found = weighed(pair_of([1_200_001]), steps, None, most=1_000_000)
        assert found.tolist() == [sign * (2**31 - 1) * 1_000_000]

    def test_what_does_not_count_weighs_nothing(self) -> None:
        """Of four rows two count, and two may: nothing is scaled."""
        there = np.array([True, False, True, False])
        assert weighed(pair_of([4]), np.array([5, 0, 7, 0], np.int32), there, most=2).tolist() == [12]
        assert weighed(pair_of([4]), np.array([5, 0, 7, 0], np.int32), there, most=1).tolist() == [6]


class TestBounded:
    @given(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=80),
        st.integers(1, 12),
        st.integers(0, 99),
    )
    @settings(deadline=None)
    def test_whole_pairs_stay(self, rows: list[tuple[int, int]], reach: int, seed: int) -> None:
        """All rows of a pair or none, of as many pairs as a unit may have."""
        units, groups = (np.array([row[n] for row in rows], np.int64) for n in (0, 1))
        parts = bounded(units, groups, size=10, reach=reach, lots=FixedLots(seed))

        kept = [
            (name >> 4, group)
            for pairs in parts
            for name, group in zip(pairs.names.tolist(), pairs.groups.tolist(), strict=True)
        ]
        assert Counter(unit for unit, _ in kept) == {
            unit: min(reach, len({g for u, g in rows if u == unit})) for unit in {u for u, _ in rows}
        }
        places = [
            sorted(pairs.rows[start : start + count].tolist())
            for pairs in parts
            for start, count in zip(pairs.starts, pairs.counts, strict=True)
        ]
        assert places == [[n for n, row in enumerate(rows) if row == pair] for pair in kept]

    @pytest.mark.parametrize("cores", [1, 2, 3, 7])
    def test_threads_do_not_matter(self, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Parts are cut between units, and give together what one gives; also where one unit has most rows."""
        monkeypatch.setattr(contributions, "_SAMPLE", 20)
        random = np.random.default_rng(cores)
        rows = [
            (int(unit), CITIES[city], None, float(paid))
            for unit, city, paid in zip(
                random.choice([0, 3, 3, 3, 3, 3, *range(10)], 999),
                random.integers(0, 8, 999),
                random.integers(-9, 9, 999),
                strict=True,
            )
        ]
        for axes in ((axis("city", *CITIES),), (axis("city"),)):
            asked = query(*PLAIN, *CELLS, subject="who", axes=axes, groups=3, rows=4)
            alone = told(totals(asked, Memory(table(rows), 99), _lots=FixedLots()))
            with monkeypatch.context() as patch:
                patch.setattr(contributions, "_WORTH_THREADS", 10)
                patch.setattr(contributions.os, "sched_getaffinity", lambda _: range(cores))
                assert told(totals(asked, Memory(table(rows), 99), _lots=FixedLots())) == alone
