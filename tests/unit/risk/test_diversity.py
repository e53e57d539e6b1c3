"""Figures of sensitive columns against those that pyCANON publishes, and against their definitions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.risk.tables import ADULT_KEYS, STUDENT_KEYS, adult, coded, read

from airflow_veil.privacy.risk.classes import classes
from airflow_veil.privacy.risk.diversity import Diversity, diversity, pairs


def of(table: pa.Table | dict[str, Any], keys: tuple[str, ...], sensitive: str) -> Diversity:
    columns = coded(table, ordered=(sensitive,))
    return diversity(classes([columns[key] for key in keys]), columns[sensitive])


class TestPublished:
    """Equal to the last digit that pyCANON prints."""

    @pytest.mark.parametrize(
        ("k", "file", "beta", "enhanced", "delta", "t"),
        [
            (
                3,
                "adult_anonymized_3.csv.gz",
                2.491177598772535,
                1.2502391001524518,
                2.9206129677828674,
                0.7135636982914904,
            ),
            (
                10,
                "adult_anonymized_10.csv.gz",
                1.739309827456864,
                1.0077060008814558,
                2.803878920792833,
                0.634944543338354,
            ),
            (
                20,
                "adult_anonymized_20.csv",
                2.0161490683229815,
                1.1039808747608255,
                2.855304953356684,
                0.6684514003294892,
            ),
        ],
        ids=["3", "10", "20"],
    )
    def test_adult(
        self, shared_data: Path, k: int, file: str, beta: float, enhanced: float, delta: float, t: float
    ) -> None:
        """Its example on Adult, anonymized by ARX."""
        found = of(read(shared_data / "pycanon" / "processed" / file), ADULT_KEYS, "salary-class")

        assert (found.basic_beta, found.enhanced_beta, found.delta, found.t) == (beta, enhanced, delta, t)
        assert (found.alpha, found.distinct_l, found.entropy_l) == (1.0, 1, 1.0)
        assert found.disclosed >= k

    def test_students(self, shared_data: Path) -> None:
        """Its tests on the scores of students, with the ordered distance; a logarithm's last bit is the machine's."""
        path = shared_data / "pycanon" / "processed" / "StudentsMath_Score.csv"

        found = of(read(path), STUDENT_KEYS, "Score")

        assert (found.basic_beta, found.t) == (71.0, 0.4165919952210274)
        assert found.enhanced_beta == pytest.approx(5.375278407684164, rel=3e-16)
        assert found.delta == pytest.approx(4.276666119016055, rel=3e-16)
        assert (found.recursive_c, found.alpha, found.distance) == (None, 1.0, "ordered")

    def test_students_diverse(self, shared_data: Path) -> None:
        """(alpha, k) of the five-anonymous file; (c, l) of pyCANON is (1, 4), by frequencies sorted upwards."""
        columns = coded(
            read(shared_data / "pycanon" / "processed" / "StudentsMath_Score_k5.csv"), ordered=("Score",)
        )
        groups = classes([columns[key] for key in STUDENT_KEYS])

        found = diversity(groups, columns["Score"])

        made = pairs(groups, columns["Score"])
        upwards = [np.sort(rows) for rows in np.split(made.rows, made.starts[1:])]
        assert max(int(rows[0] / rows[found.distinct_l - 1 :].sum() + 1) for rows in upwards) == 1
        assert (found.distinct_l, found.alpha) == (4, 0.5)
        assert found.recursive_c == max(rows[-1] / rows[::-1][3:].sum() for rows in upwards)

    def test_raw_adult(self, shared_data: Path) -> None:
        """Raw Adult, as pyCANON computes it."""
        keys = ("age", "education", "occupation", "sex", "native-country", "marital-status")

        found = of(adult(shared_data), keys, "salary-class")

        assert found.t == 0.7510775147536636
        assert found.basic_beta == 3.0173148641449123
        assert found.delta == 2.971850120861511


def by_hand(groups: list[int], values: list[int]) -> dict[str, float]:
    """The definitions, one value after the other."""
    kinds = sorted(set(values))
    p = {s: values.count(s) / len(values) for s in kinds}
    inside = [[v for g, v in zip(groups, values, strict=True) if g == each] for each in sorted(set(groups))]
    shares = [{s: rows.count(s) / len(rows) for s in kinds} for rows in inside]
    gaps = [[q[s] - p[s] for s in kinds] for q in shares]
    return {
        "distinct_l": min(len(set(rows)) for rows in inside),
        "entropy_l": math.exp(min(-sum(x * math.log(x) for x in q.values() if x) for q in shares)),
        "alpha": max(max(q.values()) for q in shares),
        "basic_beta": max((q[s] - p[s]) / p[s] for q in shares for s in kinds),
        "delta": max(abs(math.log(q[s] / p[s])) for q in shares for s in kinds if q[s]),
        "equal": max(sum(map(abs, gap)) / 2 for gap in gaps),
        "ordered": max(
            sum(abs(sum(gap[: i + 1])) for i in range(len(kinds))) / max(len(kinds) - 1, 1) for gap in gaps
        ),
    }


class TestDefinitions:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(-4, 4)), min_size=1, max_size=40))
    def test_same_as_by_hand(self, rows: list[tuple[int, int]]) -> None:
        """All figures of random tables are the definitions'."""
        groups, values = [row[0] for row in rows], [row[1] for row in rows]
        columns = coded({"g": groups, "v": values}, ordered=("v",))
        made = classes([columns["g"]])

        found = diversity(made, columns["v"])
        equal = diversity(made, columns["v"], ordered=False)

        truth = by_hand(groups, values)
        assert {**truth, "ordered": found.t, "equal": equal.t} == pytest.approx(truth, abs=1e-12)
        assert {name: getattr(found, name) for name in truth if hasattr(found, name)} == pytest.approx(
            {name: figure for name, figure in truth.items() if hasattr(found, name)}, abs=1e-12
        )

    def test_recursive(self) -> None:
        """The example of the paper's kind: 6, 3 and 1 of three values are (c, 2)-diverse for c above 6 / 4."""
        found = of({"g": [0] * 10, "v": [*"aaaaaabbbc"]}, ("g",), "v")

        assert (found.distinct_l, found.recursive_c) == (3, 6.0)
        assert of({"g": [0] * 10, "v": [*"aaaaaabbbb"]}, ("g",), "v").recursive_c == 1.5

    def test_order_matters(self) -> None:
        """Neighbouring salaries are near by the ordered distance, and far by the equal one (Li et al. 2007)."""
        table = {"g": [0, 0, 0, 1, 1, 1, 2, 2, 2], "v": [3, 4, 5, 6, 11, 8, 7, 9, 10]}
        columns = coded(table, ordered=("v",))
        made = classes([columns["g"]])

        assert diversity(made, columns["v"]).t == pytest.approx(0.375)
        assert diversity(made, columns["v"], ordered=False).t == pytest.approx(2 / 3)

    def test_nulls_are_a_value(self) -> None:
        """A class of one value and a null tells neither."""
        found = of({"g": [0, 0], "v": ["a", None]}, ("g",), "v")

        assert (found.distinct_l, found.values, found.disclosed) == (2, 2, 0)

    def test_no_rows(self) -> None:
        """A table without rows tells nothing."""
        found = of({"g": pa.array([], pa.int8()), "v": pa.array([], pa.string())}, ("g",), "v")

        assert (found.values, found.t) == (0, 0.0)
