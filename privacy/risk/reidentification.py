"""How likely a person of a table is found again, by three attackers.

- The **prosecutor** looks for somebody known to be in the table: 1 of the class's size.
- The **journalist** looks for anybody of the population that the table is a sample of: 1 of the size that the class has
  in the population. The population is a table of its own, or is estimated.
- The **marketer** wants as many as possible: the share of rows that are found on average.

Two figures bear the name "average risk". `average_per_record` weighs each row alike and is classes ÷ rows (ARX);
`average_per_class` weighs each class alike and is the mean of 1 ÷ size (pyCANON's `average_rir`). The second is higher.

Sources: Dankar and El Emam, "A method for evaluating marketer re-identification risk" (2010), for the attackers;
Benedetti and Franconi, "Statistical and technological solutions for controlled data dissemination" (1998), for the
estimate; Motwani and Xu, "Efficient algorithms for masking and finding quasi-identifiers" (2007), for distinction and
separation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.classes import Classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Journalist:
    """What the journalist and the marketer find.

    Attributes:
        by: Whether the population is a table, or estimated from its size.
        highest: The risk of the row that is in most danger.
        average: The risk of a row on average: what the marketer finds.
        absent: Rows whose combination the population's table has not; they cannot be found in it. 0 if estimated.
    """

    by: Literal["table", "estimate"]
    highest: float
    average: float
    absent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reidentification:
    """The risk of being found again; all 0 for a table without rows.

    Attributes:
        rows: Rows in classes.
        excluded: Rows in none, since a quasi-identifier is null and nulls were excluded.
        classes: How many classes there are.
        k: The size of the smallest class.
        unique: Rows that are alone in their class.
        uniqueness: Their share.
        highest: The prosecutor's risk of the row that is in most danger: 1 ÷ k.
        at_highest: The share of rows with that risk.
        lowest: The risk of the row that is in least danger.
        average_per_record: Classes ÷ rows: the prosecutor's on average, and the marketer's who has no other table.
        average_per_class: The mean over classes of 1 ÷ size.
        distinction: Distinct combinations ÷ rows; the same figure as `average_per_record`, under its other name.
        separation: The share of pairs of rows that the quasi-identifiers tell apart.
        journalist: What they find who know a population; None if none is known.
    """

    rows: int
    excluded: int
    classes: int
    k: int
    unique: int
    uniqueness: float
    highest: float
    at_highest: float
    lowest: float
    average_per_record: float
    average_per_class: float
    distinction: float
    separation: float
    journalist: Journalist | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def reidentification(classes: Classes, *, journalist: Journalist | None = None) -> Reidentification:
    """The risk of being found again, of a table's classes."""
    sizes, rows = classes.sizes, classes.rows
    if not rows:
        return Reidentification(
            rows=0,
            excluded=classes.excluded,
            classes=0,
            k=0,
            unique=0,
            uniqueness=0.0,
            highest=0.0,
            at_highest=0.0,
            lowest=0.0,
            average_per_record=0.0,
            average_per_class=0.0,
            distinction=0.0,
            separation=0.0,
            journalist=journalist,
        )
    count, k = len(sizes), int(sizes.min())
    unique = int((sizes == 1).sum())
    average = 1.0 / (rows / count)
    return Reidentification(
        rows=rows,
        excluded=classes.excluded,
        classes=count,
        k=k,
        unique=unique,
        uniqueness=unique / rows,
        highest=1.0 / k,
        at_highest=int((sizes == k).sum()) * k / rows,
        lowest=1.0 / int(sizes.max()),
        average_per_record=average,
        average_per_class=float(np.mean(1.0 / sizes)),
        distinction=count / rows,
        separation=separation(sizes),
        journalist=journalist,
    )


def separation(sizes: np.ndarray[Any, Any]) -> float:
    """The share of pairs of rows that are in different classes; 0 for fewer than two rows."""
    whole = sizes.astype(np.float64)
    rows = float(whole.sum())
    pairs = rows * (rows - 1) / 2
    return (pairs - float((whole * (whole - 1)).sum()) / 2) / pairs if pairs else 0.0


def known_population(sample: Classes, of_sample: np.ndarray[Any, Any]) -> Journalist:
    """The journalist and the marketer, by a table of the population.

    Args:
        sample: The classes of the table.
        of_sample: For each class of the sample, how many rows the population has of it; 0 where it has none.

    Raises:
        SchemaError: The population is no population: it has fewer rows of a combination than the table.
    """
    present = of_sample > 0
    if (of_sample[present] < sample.sizes[present]).any():
        smaller = int((of_sample[present] < sample.sizes[present]).sum())
        raise SchemaError(
            f"the population has fewer rows than the table in {smaller:,} classes",
            expected="a table that holds all rows of the table, and others",
        )
    risks = np.zeros(len(of_sample))
    risks[present] = 1.0 / of_sample[present]
    return Journalist(
        by="table",
        highest=float(risks.max(initial=0.0)),
        average=float((sample.sizes * risks).sum()) / sample.rows if sample.rows else 0.0,
        absent=int(sample.sizes[~present].sum()),
    )


def estimated_population(sample: Classes, population: int, *, people: int | None = None) -> Journalist:
    """The journalist and the marketer, by an estimate: the table is a simple random sample of so many people.

    Args:
        sample: The classes of the table.
        population: How many people the population has.
        people: How many people the table has; as many as rows if not said.

    Raises:
        SchemaError: The population is smaller than the table.
    """
    sampled = sample.rows if people is None else people
    if population < sampled:
        raise SchemaError(
            f"the population has {population:,} people, fewer than the table's {sampled:,}",
            expected="as many as the table, or more",
        )
    if not sample.rows:
        return Journalist(by="estimate", highest=0.0, average=0.0, absent=0)
    fraction = sampled / population
    risks = individual_risk(sample.sizes, np.full(len(sample.sizes), fraction))
    return Journalist(
        by="estimate",
        highest=float(risks.max()),
        average=float((sample.sizes * risks).sum()) / sample.rows,
        absent=0,
    )


def individual_risk(sizes: np.ndarray[Any, Any], fraction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The expected 1 ÷ size in the population of classes of which a share was sampled (Benedetti and Franconi).

    The size in the population, given the sample's, is negative binomial. The expectation is exact for classes of one
    and two rows; from three on it is sdcMicro's p ÷ (f - (1 - p)), which is a little above it.

    Args:
        sizes: Rows in the sample.
        fraction: The share of each class that was sampled, above 0, 1 at most.
    """
    p = np.asarray(fraction, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = p / (1 - p)
        one = -odds * np.log(p)
        two = odds - odds * odds * -np.log(p)
        more = p / (sizes - (1 - p))
    risk = np.select([p >= 1, sizes == 1, sizes == 2], [1.0 / sizes, one, two], more)
    clipped: np.ndarray[Any, Any] = np.clip(risk, 0.0, 1.0)
    return clipped
