"""Charts: the same bytes each time, complete, and without values of rare people."""

from __future__ import annotations

import sys
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd, trio

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.charts import attack_rates, correlations, distributions
from airflow_veil.privacy.evaluation.evaluate import evaluate
from airflow_veil.privacy.evaluation.picture import png, svg
from airflow_veil.privacy.evaluation.tables import Trio


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
        """A value of nine people is not shown, that of ten is."""
        table = rare(1_000, 1)

        shown = texts(svg(distributions(Trio(table, table, table))))
        with_less = texts(svg(distributions(Trio(table, table, table), fewest=9)))

        assert "common" in shown
        assert not {"rare", "other"} & shown
        assert "rare" in with_less

    def test_other(self) -> None:
        """Rare values that are many together are one bar."""
        table = pa.table({"c": ["common"] * 100 + [f"rare {i}" for i in range(30)]})

        shown = texts(svg(distributions(Trio(table, table, table))))

        assert {"common", "other"} <= shown
        assert not any(each.startswith("rare") for each in shown)

    def test_far_numbers(self) -> None:
        """The axis does not tell the number of the few who are far off."""
        table = rare(1_000, 1)

        shown = texts(svg(distributions(Trio(table, table, table), ["number"])))

        ticks = [float(each) for each in shown if each.replace(".", "").isdigit()]
        assert max(ticks) < 200

    def test_nulls_and_one_value(self) -> None:
        """Columns of nulls, and of one value, have a chart."""
        table = pa.table(
            {"n": pa.array([None] * 30, pa.float64()), "c": [3] * 30, "w": pa.array([None] * 30, pa.string())}
        )

        assert {"too few people", "(null)"} <= texts(svg(distributions(Trio(table, table, table))))

    def test_values_are_no_formulas(self) -> None:
        """Values and names with signs of formulas, and with line breaks, are shown as they are."""
        table = pa.table({"$x^{": ["$5 to $9_{", "a\nb"] * 30, "$y": ["c", "d"] * 30})

        shown = texts(svg(distributions(Trio(table, table, table))))

        assert {"$5 to $9_{", "a·b", "$x^{", "$y"} <= shown
        assert "$x^{" in texts(svg(correlations(Trio(table, table, table))))

    def test_no_such_column(self) -> None:
        """A column that is not there is named."""
        with pytest.raises(SchemaError, match="nothing"):
            distributions(trio("half", rows=50), ["nothing"])


class TestCharts:
    def test_same_bytes(self) -> None:
        """A chart made anew, and one saved again, are the same files."""
        tables = trio("half", rows=60)
        evaluation = evaluate(tables, secrets=["ill"], attempts=50)

        for draw in (
            lambda: distributions(tables, ["age", "ill"]),
            lambda: correlations(tables, ["age", "ill"]),
            lambda: attack_rates(evaluation),
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

        shown = texts(svg(attack_rates(evaluation)))

        assert {"singling out, univariate", "linkability", "inference, ill", "inference, city"} <= shown
        assert {"membership, online, 0.1 % wrong", "not measured", "hold-out", "guessing"} <= shown

    def test_associations(self) -> None:
        """A pair that goes together in the hold-out alone is shown with its difference."""
        rng = np.random.default_rng(1)
        x = rng.normal(0, 1, 500)
        real = pa.table({"x": x, "y": 2 * x, "flat": np.zeros(500)})
        torn = pa.table({"x": x, "y": 2 * x[rng.permutation(500)], "flat": np.zeros(500)})

        shown = texts(svg(correlations(Trio(real, real, torn))))

        differences = [
            float(each.replace("\N{MINUS SIGN}", "-")) for each in shown if each.startswith(("-0.", "-1."))
        ]
        assert min(differences) < -0.85

    def test_without_pyplot(self) -> None:
        """Nothing takes pyplot, which keeps figures and opens windows."""
        distributions(trio("half", rows=50))

        assert "matplotlib.pyplot" not in sys.modules
