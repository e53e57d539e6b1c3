"""Figures of re-identification against those that ARX, pyCANON and sdcMicro publish."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.unit.risk.tables import adult, grouped, of_sizes

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.reidentification import (
    estimated_population,
    individual_risk,
    known_population,
    reidentification,
)

STATES = {
    "age": [20, 30, 40, 20, 40],
    "sex": ["f", "f", "f", "m", "m"],
    "state": ["CA", "CA", "TX", "NY", "CA"],
}
"""The five rows of ARX's TestRiskQuasiIdentifiers."""


class TestPublished:
    def test_adult(self, shared_data: Path) -> None:
        """ARX's TestRiskMetrics on Adult, to the last digit; the other average is pyCANON's."""
        table = adult(shared_data)

        risk = reidentification(grouped(table, tuple(table.column_names)))

        assert risk.average_per_record == 0.6465751607983555
        assert risk.uniqueness == 0.5142895033485844
        assert (risk.highest, risk.k, risk.unique, risk.classes) == (1.0, 1, 15_512, 19_502)
        assert round(risk.average_per_class, 4) == 0.8723

    @pytest.mark.parametrize(
        ("columns", "distinction", "separation"),
        [
            (("sex",), 0.4, 0.6),
            (("state",), 0.6, 0.7),
            (("age",), 0.6, 0.8),
            (("sex", "state"), 0.8, 0.9),
            (("age", "sex"), 1.0, 1.0),
            (("age", "state"), 1.0, 1.0),
            (("age", "sex", "state"), 1.0, 1.0),
        ],
        ids=lambda value: ",".join(value) if isinstance(value, tuple) else None,
    )
    def test_columns(self, columns: tuple[str, ...], distinction: float, separation: float) -> None:
        """ARX's TestRiskQuasiIdentifiers, to the last digit."""
        risk = reidentification(grouped(STATES, columns))

        assert (risk.distinction, risk.separation) == (distinction, separation)

    def test_individual_risk(self) -> None:
        """SdcMicro's test_indivRisk: eight rows, the weights of their classes summed."""
        sizes = np.array([3, 1, 3, 1, 2, 2, 1, 3])
        weight = np.array([108, 45.5, 108, 17, 100, 100, 123.5, 108])

        risk = individual_risk(sizes, sizes / weight)

        published = [
            0.01369863,
            0.08579129,
            0.01369863,
            0.17707583,
            0.01877883,
            0.01877883,
            0.03931625,
            0.01369863,
        ]
        assert risk == pytest.approx(published, abs=5e-9)


class TestAverages:
    def test_two_definitions(self) -> None:
        """A crowd of 98 and two who are alone: 3 %, or 67 %, by what is averaged."""
        risk = reidentification(of_sizes(98, 1, 1))

        assert risk.average_per_record == pytest.approx(3 / 100)
        assert risk.average_per_class == pytest.approx((1 / 98 + 2) / 3)
        assert risk.at_highest == 0.02

    def test_no_rows(self) -> None:
        """No row is in danger where there is none."""
        risk = reidentification(of_sizes())

        assert (risk.rows, risk.k, risk.highest, risk.separation) == (0, 0, 0.0, 0.0)


class TestJournalist:
    def test_known_population(self) -> None:
        """A row alone in the table is one of four in the population."""
        found = known_population(of_sizes(1, 2), np.array([4, 2]))

        assert (found.highest, found.average) == (0.5, (1 / 4 + 2 / 2) / 3)

    def test_absent_rows(self) -> None:
        """Who is not in the population's table cannot be found by it."""
        found = known_population(of_sizes(1, 1), np.array([0, 5]))

        assert (found.highest, found.average, found.absent) == (0.2, 0.1, 1)

    def test_no_population(self) -> None:
        """A table with fewer rows of a class is no population."""
        with pytest.raises(SchemaError, match="fewer rows than the table in 1 classes"):
            known_population(of_sizes(3), np.array([2]))

    def test_estimate_is_the_expectation(self) -> None:
        """The estimate is the mean of 1 ÷ size by a negative binomial law, or little above; another p is not."""
        rng = np.random.default_rng(3)
        for size, slack in ((1, 0.01), (2, 0.01), (3, 0.03)):
            drawn = float((1 / (size + rng.negative_binomial(size, 0.1, 400_000))).mean())
            estimate = float(individual_risk(np.array([size]), np.array([0.1]))[0])

            assert math.isclose(drawn, estimate, rel_tol=slack)
            assert not math.isclose(
                drawn, float(individual_risk(np.array([size]), np.array([0.12]))[0]), rel_tol=slack
            )

    def test_whole_population(self) -> None:
        """Where all were sampled, the journalist is the prosecutor."""
        found = estimated_population(of_sizes(1, 2, 3), 6)

        assert (found.highest, found.average) == (1.0, 0.5)

    def test_small_population(self) -> None:
        """A population is no smaller than its sample."""
        with pytest.raises(SchemaError, match="fewer than the table's 6"):
            estimated_population(of_sizes(1, 2, 3), 5)
