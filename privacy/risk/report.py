"""The risk of one table: all figures at once, from its codes alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.classes import Classes, Nulls, classes, people
from airflow_veil.privacy.risk.codes import Codes, codes_of, shared
from airflow_veil.privacy.risk.diversity import Diversity, diversity
from airflow_veil.privacy.risk.population import PopulationUniqueness, population_uniqueness
from airflow_veil.privacy.risk.reidentification import (
    Journalist,
    Reidentification,
    estimated_population,
    known_population,
    reidentification,
)
from airflow_veil.privacy.risk.uniques import Uniques, uniques

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source

LARGEST = 3
"""The largest sets of columns that are looked at, where not said: few people can say more of somebody at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The risk of a table: figures, and names of columns; never a value, and no figure of a single row.

    Attributes:
        quasi_identifiers: What an attacker is taken to know.
        rows: How many rows the table has.
        counts: What classes count: `rows`, or `people` where rows have a subject. Shares are of rows, or of a person's
            distinct combinations.
        nulls: What a null in a quasi-identifier is: see `classes.py`.
        reidentification: How likely somebody is found again.
        diversity: What is learned of a sensitive column, one each.
        population: How many of the population are unique; None if its size is not known, or if people have several
            combinations, which the models do not know.
        uniques: Which sets of columns identify people.
    """

    quasi_identifiers: tuple[str, ...]
    rows: int
    counts: str
    nulls: Nulls
    reidentification: Reidentification
    diversity: tuple[Diversity, ...]
    population: PopulationUniqueness | None
    uniques: Uniques

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {
            "quasi_identifiers": list(self.quasi_identifiers),
            "rows": self.rows,
            "counts": self.counts,
            "nulls": self.nulls,
            "reidentification": self.reidentification.as_dict(),
            "diversity": [each.as_dict() for each in self.diversity],
            "population": self.population.as_dict() if self.population else None,
            "uniques": self.uniques.as_dict(),
        }

    @property
    def digest(self) -> str:
        """SHA-256 over the figures, in hex."""
        text = json.dumps(self.as_dict(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def assess(
    data: pa.Table | Source,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    subject: str | None = None,
    nulls: Nulls = "value",
    population: int | pa.Table | Source | None = None,
    largest: int | None = LARGEST,
) -> Risk:
    """Measure the risk of a table. A source is read batch by batch, and only codes are kept.

    Args:
        data: The table.
        quasi_identifiers: The columns that an attacker is taken to know.
        sensitive: The columns that an attacker wants to know.
        subject: The column that says whose row it is. Classes then count people: who has many rows alike is one.
        nulls: What a null in a quasi-identifier is.
        population: What the table is a sample of: how many people, or a table of them with the quasi-identifiers, a
            row a person. Without one there is no journalist and no estimate of the population's uniques.
        largest: The largest sets of columns that are looked at; None for all.

    Raises:
        SchemaError: A column is not there or has nested values, or the population is smaller than the table.
        StorageError: The source cannot be read.
    """
    named = [*quasi_identifiers, *sensitive, *((subject,) if subject else ())]
    codes = codes_of(data, named, ordered=sensitive)
    keys = [codes[name] for name in dict.fromkeys(quasi_identifiers)]
    whose = codes[subject] if subject else None
    counted = _counted(keys, whose)
    groups = classes(counted, nulls=nulls)
    crowd = len(_counted([whose], whose)[0]) if whose is not None else groups.rows
    return Risk(
        quasi_identifiers=tuple(column.name for column in keys),
        rows=len(keys[0]) if keys else 0,
        counts="people" if subject else "rows",
        nulls=nulls,
        reidentification=reidentification(
            groups, journalist=_journalist(data, counted, groups, population, nulls, subject, crowd)
        ),
        diversity=tuple(_diversity(keys, codes[name], whose, nulls) for name in sensitive),
        population=(
            population_uniqueness(groups, population)
            if isinstance(population, int) and groups.rows and crowd == len(counted[0])
            else None
        ),
        uniques=uniques(counted, groups, largest=largest),
    )


def _counted(keys: Sequence[Codes], whose: Codes | None) -> list[Codes]:
    """The rows that count: all, or one a person and combination."""
    if whose is None or not keys:
        return list(keys)
    kept = people(keys, whose)
    return [column.take(kept) for column in keys]


def _diversity(keys: Sequence[Codes], sensitive: Codes, whose: Codes | None, nulls: Nulls) -> Diversity:
    *counted, wanted = _counted([*keys, sensitive], whose)
    return diversity(classes(counted, nulls=nulls), wanted)


def _journalist(
    data: pa.Table | Source,
    counted: Sequence[Codes],
    groups: Classes,
    population: int | pa.Table | Source | None,
    nulls: Nulls,
    subject: str | None,
    crowd: int,
) -> Journalist | None:
    if population is None:
        return None
    if isinstance(population, int):
        return estimated_population(groups, population, people=crowd)
    names = {column.name: column.name for column in counted}
    if subject:
        names[subject] = subject
    mine, theirs = shared(data, population, names)
    both = [
        one.then(other)
        for one, other in zip(
            _counted([mine[c.name] for c in counted], mine.get(subject or "")),
            _counted([theirs[c.name] for c in counted], theirs.get(subject or "")),
            strict=True,
        )
    ]
    together = classes(both, nulls=nulls)
    here, there = together.of[: len(counted[0])], together.of[len(counted[0]) :]
    count = len(together.sizes)
    sample, others = (np.bincount(side[side >= 0], minlength=count) for side in (here, there))
    present = sample > 0
    return known_population(Classes(of=here, sizes=sample[present]), others[present])


def figures(risk: Mapping[str, Risk]) -> dict[str, Any]:
    """The figures of several tables for a machine to read, with a digest each."""
    return {name: {**each.as_dict(), "digest": each.digest} for name, each in risk.items()}
