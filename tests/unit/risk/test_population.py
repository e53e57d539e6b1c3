"""Estimates of population uniques against ARX's figures, and against populations that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.risk.tables import adult, grouped, of_sizes

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.classes import Classes
from airflow_veil.privacy.risk.population import PopulationUniqueness, population_uniqueness


class TestPublished:
    """ARX's TestRiskMetrics, which compares four digits of what an iteration ends with."""

    @pytest.mark.parametrize(
        ("fraction", "model", "published"),
        [
            (0.1, "pitman", 0.27684993883653597),
            (0.1, "zayatz", 0.3207402393466189),
            (0.2, "zayatz", 0.3577099234829125),
            (0.01, "pitman", 0.1446083531167384),
            (1.0, "zayatz", 0.5142895033485844),
        ],
    )
    def test_adult(self, shared_data: Path, fraction: float, model: str, published: float) -> None:
        """Zayatz's is a formula and equal to sixteen digits; Pitman's is where a search ends, equal to ten."""
        table = adult(shared_data)
        groups = grouped(table, tuple(table.column_names))

        found = population_uniqueness(groups, round(groups.rows / fraction))

        digits = 1e-15 if model == "zayatz" else 1e-10
        assert getattr(found, model) == pytest.approx(published, rel=digits)
        if (fraction, model) != (0.1, "zayatz"):
            assert found.uniqueness == pytest.approx(published, rel=digits)


def sampled(sizes: np.ndarray, fraction: float, seed: int) -> tuple[PopulationUniqueness, float]:
    """What is estimated from a sample of a population of these classes, and the truth."""
    population = int(sizes.sum())
    drawn = np.random.default_rng(seed).choice(population, int(population * fraction), replace=False)
    counts = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[drawn])
    counts = counts[counts > 0]
    made = Classes(of=np.repeat(np.arange(len(counts)), counts), sizes=counts)
    return population_uniqueness(made, population), float((sizes == 1).sum()) / population


def ewens_pitman(theta: float, alpha: float, people: int, seed: int) -> np.ndarray:
    """Classes drawn by Pitman's sampling formula: each joins a class by its size, or opens one."""
    rng = np.random.default_rng(seed)
    sizes = np.zeros(people, np.int64)
    of = np.zeros(people, np.int64)
    classes = 0
    for person, chance in enumerate(rng.random(people)):
        point = chance * (person + theta)
        if point < theta + alpha * classes:
            of[person], classes = classes, classes + 1
        else:
            # A random earlier person's class, but a class of one is left alone with probability alpha.
            while True:
                chosen = of[rng.integers(person)]
                if rng.random() >= alpha / sizes[chosen]:
                    break
            of[person] = chosen
        sizes[of[person]] += 1
    return sizes[:classes]


class TestKnownPopulations:
    def test_pitman(self) -> None:
        """A population by Pitman's formula: right within a tenth; the sample's own uniqueness is far off."""
        found, truth = sampled(ewens_pitman(500.0, 0.5, 60_000, 1), 0.1, 2)

        assert found.model == "pitman"
        assert found.uniqueness == pytest.approx(truth, rel=0.1)
        assert found.zayatz != pytest.approx(truth, rel=0.1)

    def test_snb(self) -> None:
        """A population by shifted negative binomial sizes, half of it sampled: right within a twentieth."""
        sizes = 1 + np.random.default_rng(4).negative_binomial(0.3, 0.05, 50_000)

        found, truth = sampled(sizes, 0.5, 5)

        assert found.snb == pytest.approx(truth, rel=0.05)

    def test_no_unique(self) -> None:
        """Where nobody is alone in the sample, nobody is taken to be alone in the population."""
        found = population_uniqueness(of_sizes(2, 3), 100)

        assert (found.uniqueness, found.model) == (0.0, None)

    def test_small_population(self) -> None:
        """A population is no smaller than its sample."""
        with pytest.raises(SchemaError, match="the population has 3 people"):
            population_uniqueness(of_sizes(2, 2), 3)
