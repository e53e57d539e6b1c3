"""Charts: the same bytes each time, complete, and without values of rare people."""

from __future__ import annotations

import datetime as dt
import json
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd, trio

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.charts import associations, attacks, distribution, distributions
from airflow_veil.privacy.evaluation.evaluate import evaluate
from airflow_veil.privacy.evaluation.shown import (
    Declared,
    Shown,
    associations_of,
    attacks_of,
    distributions_of,
    shown,
)
from airflow_veil.privacy.evaluation.tables import Trio
from airflow_veil.privacy.pages.chart import png, svg


def texts(drawing: str) -> set[str]:
    """What is written in a drawing."""
    return {
        "".join(each.itertext()).strip()
        for each in ET.fromstring(drawing).iter()
        if each.tag.endswith("text")
    }


def rare(rows: int, seed: int) -> pa.Table:
    """Nine people with a value and a number of their own among many with common ones."""
    numbers = np.random.default_rng(seed).integers(0, 100, rows)
    numbers[:9] = 424_242
    return pa.table({"word": ["rare"] * 9 + ["common"] * (rows - 9), "number": numbers})


class TestDistributions:
    def test_rare_values(self) -> None:
        """A value of nine people is not told, that of ten is."""
        table = rare(1_000, 1)

        told = texts(svg(distributions(distributions_of(Trio(table, table, table)))))
        with_less = texts(svg(distributions(distributions_of(Trio(table, table, table), fewest=9))))

        assert "common" in told
        assert not {"rare", "other"} & told
        assert "rare" in with_less

    def test_other(self) -> None:
        """Rare values that are many together are one bar."""
        table = pa.table({"c": ["common"] * 100 + [f"rare {i}" for i in range(30)]})

        told = texts(svg(distributions(distributions_of(Trio(table, table, table)))))

        assert {"common", "other"} <= told
        assert not any(each.startswith("rare") for each in told)

    def test_far_numbers(self) -> None:
        """The axis does not tell the number of the few who are far off."""
        table = rare(1_000, 1)

        told = texts(svg(distributions(distributions_of(Trio(table, table, table), ["number"]))))

        ticks = [float(each) for each in told if each.replace(".", "").isdigit()]
        assert max(ticks) < 200

    def test_nulls_and_one_value(self) -> None:
        """Columns of nulls, and of one value, have a chart."""
        table = pa.table(
            {"n": pa.array([None] * 30, pa.float64()), "c": [3] * 30, "w": pa.array([None] * 30, pa.string())}
        )

        assert {"too few people", "(null)"} <= texts(
            svg(distributions(distributions_of(Trio(table, table, table))))
        )

    def test_values_are_no_formulas(self) -> None:
        """Values and names with signs of formulas, and with line breaks, are told as they are."""
        table = pa.table({"$x^{": ["$5 to $9_{", "a\nb"] * 30, "$y": ["c", "d"] * 30})

        told = texts(svg(distributions(distributions_of(Trio(table, table, table)))))

        assert {"$5 to $9_{", "a·b", "$x^{", "$y"} <= told
        assert "$x^{" in texts(svg(associations(associations_of(Trio(table, table, table)))))

    def test_no_such_column(self) -> None:
        """A column that is not there is named."""
        with pytest.raises(SchemaError, match="nothing"):
            distributions_of(trio("half", rows=50), ["nothing"])


class TestWholeNumbers:
    def test_bins_hold_as_many_numbers_each(self) -> None:
        """Numbers that are equally frequent are no comb."""
        for low, high, bins in ((1, 16, 16), (17, 90, 19), (5, 5, 1)):
            table = pa.table({"n": pa.array([*range(low, high + 1)] * 20, pa.int64())})
            declared = {"n": Declared(bounds=(float(low), float(high)))}

            (found,) = distributions_of(Trio(table, table, table), declared=declared)

            assert len(found.holdout) == bins
            assert len(set(found.holdout[:-1])) <= 1
            assert (found.bins[0], found.bins[-1] > high) == (low, True)


class TestCharts:
    def test_same_bytes(self) -> None:
        """A chart made anew, and one saved again, are the same files."""
        tables = trio("half", rows=60)
        evaluation = evaluate(tables, secrets=["ill"], attempts=50)

        for draw in (
            lambda: distributions(distributions_of(tables, ["age", "ill"])),
            lambda: associations(associations_of(tables, ["age", "ill"])),
            lambda: attacks(tuple(attacks_of(evaluation)), 0.95),
        ):
            figure, again = draw(), draw()
            assert svg(figure) == svg(figure) == svg(again)
            assert png(figure) == png(again)
            assert png(figure).startswith(b"\x89PNG")
            assert "<script" not in svg(figure)

    def test_attacks_are_named(self) -> None:
        """Each attack has a line, and what has no figure says so."""
        train = crowd(100, 1)
        evaluation = evaluate(
            Trio(train, crowd(100, 2), train),
            secrets=["ill", "city"],
            refit=lambda rows, seed: rows,
            shadows=4,
            attempts=80,
        )

        told = texts(svg(attacks(tuple(attacks_of(evaluation)), 0.95)))

        assert {"singling out, univariate", "linkability", "inference, ill", "inference, city"} <= told
        assert {"membership, online, 0.1 % wrong", "not measured", "hold-out", "guessing"} <= told

    def test_associations(self) -> None:
        """A pair that goes together in the hold-out alone is told with its difference."""
        rng = np.random.default_rng(1)
        x = rng.normal(0, 1, 500)
        real = pa.table({"x": x, "y": 2 * x, "flat": np.zeros(500)})
        torn = pa.table({"x": x, "y": 2 * x[rng.permutation(500)], "flat": np.zeros(500)})

        told = texts(svg(associations(associations_of(Trio(real, real, torn)))))

        differences = [
            float(each.replace("\N{MINUS SIGN}", "-")) for each in told if each.startswith(("-0.", "-1."))
        ]
        assert min(differences) < -0.85

    def test_without_pyplot(self) -> None:
        """Nothing takes pyplot, which keeps figures and opens windows."""
        distributions(distributions_of(trio("half", rows=50)))

        assert "matplotlib.pyplot" not in sys.modules


class TestDeclared:
    """Charts for others tell of a column what the policy says that it may hold, and how often that is."""

    def test_no_value_of_the_data(self) -> None:
        """An undeclared category is `other`, and the axis of numbers is the policy's, whatever the rows hold."""
        table = pa.table({"word": ["said"] * 500 + ["canary"] * 500, "number": [41.5] * 500 + [77.25] * 500})
        trio = Trio(table, table, table)
        declared = {"word": Declared(values=("said", "never")), "number": Declared(bounds=(0.0, 100.0))}

        open_ = distributions_of(trio)
        closed = distributions_of(trio, declared=declared)

        assert open_[0].bins == ("canary", "said")
        assert closed[0].bins == ("said", "other")
        assert closed[0].holdout == (0.5, 0.5)
        assert not {41.5, 77.25} & set(closed[1].bins)
        assert (closed[1].bins[0], closed[1].bins[-1]) == (0.0, 100.0)

    def test_the_order_of_alike_ones_is_by_name(self) -> None:
        """It tells nothing of who comes first in the table."""
        rows = ["b"] * 20 + ["a"] * 20
        tables = [pa.table({"c": each}) for each in (rows, rows[::-1])]

        assert {distributions_of(Trio(table, table, table))[0].bins for table in tables} == {("a", "b")}

    def test_columns_that_are_not_declared(self) -> None:
        """They are not shown."""
        tables = trio("half", rows=60)
        evaluation = evaluate(tables, secrets=["ill"], attempts=50)

        found = shown(tables, evaluation, declared={"ill": Declared(values=("yes", "no"))})

        assert [each.column for each in found.distributions] == ["ill"]
        assert found.associations.columns == ("ill",)

    def test_days(self) -> None:
        """Dates have an axis of dates."""
        days = pa.array([dt.date(2020, 1, 1) + dt.timedelta(days=7 * n) for n in range(200)])
        table = pa.table({"day": days})

        (found,) = distributions_of(Trio(table, table, table))
        drawn = texts(svg(distribution(found)))

        assert found.kind == "times"
        assert {"2021", "2022"} <= drawn

    def test_goes_through_json(self) -> None:
        """What a manifest has is what was shown."""
        tables = trio("half", rows=60)
        found = shown(tables, evaluate(tables, secrets=["ill"], attempts=50))

        assert Shown.from_dict(json.loads(json.dumps(found.as_dict()))) == found
