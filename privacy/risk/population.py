"""How many of a population are unique, estimated from a sample of it.

- **Pitman** takes the population for drawn by Pitman's sampling formula; theta and alpha are the most likely ones
  (Hoshino, "Applying Pitman's sampling formula to microdata disclosure risk assessment", 2001).
- **Zayatz** takes the sizes of classes in it for those in the sample (Zayatz, "Estimation of the percent of unique
  population elements", 1991).
- **SNB** takes the sizes for shifted negative binomial: `shifted_binomial.py`.
- **Dankar**'s rule says which of them to believe: Pitman up to a tenth sampled, or else Zayatz; above, the lower of
  Zayatz and SNB (Dankar et al., "Estimating the re-identification risk of clinical data sets", 2012).

The names and the rule are ARX's, which publishes figures for Adult.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import exp, lgamma, log
from typing import Any, Literal, TypeAlias

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.classes import Classes
from airflow_veil.privacy.risk.shifted_binomial import snb

Model: TypeAlias = Literal["pitman", "zayatz", "snb"]

_SMALL_SAMPLE = 0.1
"""Up to this share of the population, Pitman's estimate is the one to believe."""
_STEPS = 40
"""Of Newton's method from one start: it needs ten where it finds something."""
_NEAR = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationUniqueness:
    """How many of a population are unique.

    Attributes:
        population: How many people it has.
        fraction: The share of it that the table is.
        uniques: How many are unique, by the rule's model.
        uniqueness: Their share of the population.
        model: Which one the rule chose; None where the sample has no unique row, and so the estimate is 0.
        pitman: Share of uniques by Pitman's model; None where it has no solution.
        zayatz: Share of uniques by Zayatz's.
        snb: Share of uniques by the SNB model; None where it has no solution.
    """

    population: int
    fraction: float
    uniques: float
    uniqueness: float
    model: Model | None
    pitman: float | None
    zayatz: float
    snb: float | None

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def population_uniqueness(classes: Classes, population: int) -> PopulationUniqueness:
    """Estimate how many of a population are unique.

    Args:
        classes: The classes of the sample, whose rows are people.
        population: How many people the population has.

    Raises:
        SchemaError: The population is smaller than the sample.
    """
    rows = classes.rows
    if population < rows or not rows:
        raise SchemaError(
            f"the population has {population:,} people, and the table {rows:,} rows",
            expected="a table with rows, and a population of as many people or more",
        )
    size, count = np.unique(classes.sizes, return_counts=True)
    fraction = rows / population
    if size[0] != 1:
        return PopulationUniqueness(
            population=population,
            fraction=fraction,
            uniques=0.0,
            uniqueness=0.0,
            model=None,
            pitman=0.0,
            zayatz=0.0,
            snb=0.0,
        )
    estimates: dict[Model, float | None] = {
        "pitman": pitman(size, count, population),
        "zayatz": zayatz(size, count, population),
        "snb": snb(size, count, population),
    }
    model = dankar(fraction, estimates)
    chosen = estimates[model] or 0.0
    shares = {name: None if each is None else each / population for name, each in estimates.items()}
    return PopulationUniqueness(
        population=population,
        fraction=fraction,
        uniques=chosen,
        uniqueness=chosen / population,
        model=model,
        pitman=shares["pitman"],
        zayatz=shares["zayatz"] or 0.0,
        snb=shares["snb"],
    )


def dankar(fraction: float, estimates: dict[Model, float | None]) -> Model:
    """Which estimate to believe."""
    if fraction <= _SMALL_SAMPLE:
        return "pitman" if estimates["pitman"] else "zayatz"
    snb, zayatz = estimates["snb"], estimates["zayatz"] or 0.0
    return "snb" if snb and snb <= zayatz else "zayatz"


def zayatz(size: np.ndarray[Any, Any], count: np.ndarray[Any, Any], population: int) -> float:
    """Uniques of the population, by Zayatz: those of the sample, times the chance that a row alone here is alone there.

    Args:
        size: Sizes of classes in the sample, rising.
        count: How many classes have each size.
        population: People in the population.
    """
    rows, classes = int((size * count).sum()), int(count.sum())
    # The chance that just one row of a class of this size is in a sample of so many, which is hypergeometric:
    # size * rows / population * the product of (population - rows - i) / (population - 1 - i), for i below size - 1.
    left = np.arange(int(size[-1]) - 1, dtype=np.float64)
    with np.errstate(divide="ignore"):
        others = np.log(np.maximum(population - rows - left, 0) / (population - 1 - left))
    once = size * (rows / population) * np.exp(np.append(0.0, np.cumsum(others))[size - 1])
    share = count / classes
    alone = share[0] * once[0] / float(np.dot(share, once))
    return float(count[0] * alone * population / rows)


def pitman(size: np.ndarray[Any, Any], count: np.ndarray[Any, Any], population: int) -> float | None:
    """Uniques of the population, by Pitman's model: gamma(theta + 1) / gamma(theta + alpha) * N^alpha.

    None where the likelihood has no inner maximum that Newton's method finds.
    """
    solved = _pitman_likeliest(size, count)
    if solved is None:
        return None
    theta, alpha = solved
    try:
        found = exp(lgamma(theta + 1) - lgamma(theta + alpha) + alpha * log(population))
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= population else None


def _pitman_likeliest(size: np.ndarray[Any, Any], count: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    """Theta and alpha by Newton's method, from the estimate by moments."""
    rows, classes = float((size * count).sum()), float(count.sum())
    alone = float(count[0])
    twice = float(count[size == 2].sum()) or 1.0
    c = alone * (alone - 1) / twice
    theta = (rows * classes * c - alone * (rows - 1) * (2 * classes + c)) / (
        2 * alone * classes + alone * c - rows * c
    )
    alpha = (theta * (alone - rows) + (rows - 1) * alone) / (rows * classes)
    step = np.arange(1.0, rows)
    order = np.arange(1.0, classes)
    inside = np.arange(1.0, float(size[-1]))
    larger = size > 1
    at, times = size[larger].astype(np.int64) - 2, count[larger]

    def slopes(theta: float, alpha: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The derivatives of the log-likelihood, first and second."""
        by = 1.0 / (theta + order * alpha)
        by_order, by_step, by_inside = order * by, 1.0 / (theta + step), 1.0 / (inside - alpha)
        within, within_squared = np.cumsum(by_inside), np.cumsum(by_inside**2)
        first = np.array([by.sum() - by_step.sum(), by_order.sum() - np.dot(times, within[at])])
        both = -float(np.dot(by, by_order))
        second = np.array(
            [
                [float(np.dot(by_step, by_step)) - float(np.dot(by, by)), both],
                [both, -float(np.dot(by_order, by_order)) - float(np.dot(times, within_squared[at]))],
            ]
        )
        return first, second

    for start in ((theta, alpha), (1.0, 0.5), (rows / 10, 0.5)):
        point = np.array(start)
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                first, second = slopes(*point)
                if not (np.isfinite(first).all() and np.isfinite(second).all()):
                    break
                try:
                    moved = _inside(point, np.linalg.solve(second, first))
                except np.linalg.LinAlgError:
                    break
                if np.abs(first).max() <= _NEAR:
                    # The step doubles the digits that are right once more.
                    return float(moved[0]), float(moved[1])
                if np.allclose(moved, point, rtol=1e-12, atol=0):
                    # It is held at the edge: there is no inner maximum this way.
                    break
                point = moved
    return None


def _inside(point: np.ndarray[Any, Any], step: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A step of Newton's method, halved until theta is not negative and alpha is below 1."""
    for _ in range(60):
        moved: np.ndarray[Any, Any] = point - step
        if moved[0] >= 0 and 0 < moved[1] < 1:
            return moved
        step = step / 2
    return point
