"""Exact matches: values and combinations of values of the training rows that the synthetic rows have too.

A real column that is pasted into synthetic rows, and real rows whose columns are permuted one by one, are at the same
distances from training rows and hold-out, so that no nearest neighbour tells them. But each of their values is there,
and of the hold-out's only those that anybody has.

Measured is the share of people whose value, or combination, some synthetic row has; among the training rows, among the
hold-out, and their difference with Newcombe's interval (1998, method 10). Combinations are searched for the one that
tells most: all columns, all pairs, from the best pairs on always the column that adds most, and back again. The search
sees one half of the people and the figure is of the other, so that looking at many sets makes it no larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import sqrt
from typing import Any

from airflow_veil.privacy.evaluation.tables import Encoded
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, outcome
from airflow_veil.privacy.risk.classes import combined, dense

MOST_PAIRS = 1_000
"""Pairs of columns that are looked at; of more, so many are drawn."""
BEGINNINGS = 3
"""Pairs from which the search goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How many people's values in some columns are among the synthetic rows.

    Attributes:
        columns: The columns.
        tried: People of the training rows.
        rate: The share of them whose values some synthetic row has.
        control_tried: People of the hold-out.
        control: The share of them.
        excess: The one less the other.
        low: The lower end of its interval.
        high: The upper end.
    """

    columns: tuple[str, ...]
    tried: int
    rate: float
    control_tried: int
    control: float
    excess: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What the synthetic rows have of the training rows as it is.

    Attributes:
        columns: Each column, of all people.
        rows: All columns together, of all people.
        worst: The set of columns that tells most: found by one half of the people, measured on the other.
        searched: How many sets were looked at.
    """

    columns: tuple[Match, ...]
    rows: Match
    worst: Match
    searched: int

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def matches(
    tables: Encoded, columns: Sequence[str], *, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> Matches:
    """Look for the training rows' values among the synthetic rows.

    Args:
        tables: The three tables.
        columns: The columns.
        rng: Halves the people, and draws pairs if there are too many.
        confidence: Of the intervals.
    """
    people = _People(tables)
    halves = [rng.permutation(part.length) for part in tables[:2]]
    one, other = (tuple(half[begin::2] for half in halves) for begin in (0, 1))
    search = _Search(people, one)
    worst = search.worst(columns, rng)
    everybody = tuple(np.arange(part.length) for part in tables[:2])
    return Matches(
        columns=tuple(people.match((name,), everybody, confidence) for name in columns),
        rows=people.match(tuple(columns), everybody, confidence),
        worst=people.match(worst, other, confidence),
        searched=search.searched,
    )


class _People:
    """The rows of the three tables as one, and what is in the synthetic ones."""

    def __init__(self, tables: Encoded) -> None:
        self.train, self.holdout, _ = (part.length for part in tables)
        self._codes = {
            name: tables.train.codes[name].then(tables.holdout.codes[name]).then(tables.synthetic.codes[name])
            for name in tables.train.codes
        }

    def key(self, columns: Sequence[str]) -> tuple[np.ndarray[Any, Any], int]:
        """A number a row that is equal where the columns are, without gaps."""
        return dense(*combined([self._codes[name] for name in columns]))

    def joined(self, key: tuple[np.ndarray[Any, Any], int], name: str) -> tuple[np.ndarray[Any, Any], int]:
        """The same with one column more."""
        column = self._codes[name]
        return dense(key[0].astype(np.int64) * column.cardinality + column.codes, key[1] * column.cardinality)

    def found(self, key: tuple[np.ndarray[Any, Any], int]) -> tuple[np.ndarray[Any, Any], ...]:
        """Whether each row of train and hold-out has a key that some synthetic row has."""
        people = self.train + self.holdout
        there = np.zeros(key[1], bool)
        there[key[0][people:]] = True
        return there[key[0][: self.train]], there[key[0][self.train : people]]

    def match(self, columns: tuple[str, ...], of: Sequence[np.ndarray[Any, Any]], confidence: float) -> Match:
        """The figures of some columns and some people."""
        train, holdout = (each[rows] for each, rows in zip(self.found(self.key(columns)), of, strict=True))
        control = float(holdout.mean())
        told = outcome(
            "match",
            int(train.sum()),
            len(train),
            baseline=control,
            of=len(holdout),
            confidence=confidence,
        )
        return Match(
            columns=columns,
            tried=len(train),
            rate=told.rate,
            control_tried=len(holdout),
            control=control,
            excess=told.advantage,
            low=told.low,
            high=told.high,
        )


class _Search:
    """Looks for the columns whose matches differ most between some people of either kind."""

    def __init__(self, people: _People, of: Sequence[np.ndarray[Any, Any]]) -> None:
        self._people, self._of = people, of
        self._seen: dict[frozenset[str], float] = {}

    @property
    def searched(self) -> int:
        """How many sets were looked at."""
        return len(self._seen)

    def worst(self, columns: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
        """The set that tells most."""
        for name in columns:
            self._look((name,), self._people.key((name,)))
        for pair in _few(list(combinations(columns, 2)), rng):
            self._look(pair, self._people.key(pair))
        pairs = sorted((each for each in self._seen if len(each) == 2), key=lambda each: -self._seen[each])
        for best_pair in pairs[:BEGINNINGS]:
            self._grow(tuple(sorted(best_pair)), columns)
        self._look(tuple(columns), self._people.key(tuple(columns)))
        return self._pruned(tuple(name for name in columns if name in self._best()))

    def _best(self) -> frozenset[str]:
        """The set that tells most of those that were looked at; of equal ones the smallest."""
        return max(self._seen, key=lambda each: (self._seen[each], -len(each)))

    def _pruned(self, chosen: tuple[str, ...]) -> tuple[str, ...]:
        """Take away columns as long as the rest tells more, or as much."""
        while len(chosen) > 1:
            for name in chosen:
                rest = tuple(each for each in chosen if each != name)
                self._look(rest, self._people.key(rest))
            best = tuple(name for name in chosen if name in self._best())
            if len(best) == len(chosen):
                break
            chosen = best
        return chosen

    def _grow(self, chosen: tuple[str, ...], columns: Sequence[str]) -> None:
        """Add the column that adds most, until all are in."""
        key = self._people.key(chosen)
        while len(chosen) < len(columns):
            rest = [name for name in columns if name not in chosen]
            keys = {name: self._people.joined(key, name) for name in rest}
            best = max(rest, key=lambda name: self._look((*chosen, name), keys[name]))
            chosen, key = (*chosen, best), keys[best]

    def _look(self, columns: Iterable[str], key: tuple[np.ndarray[Any, Any], int]) -> float:
        """How many standard errors the two shares are apart."""
        name = frozenset(columns)
        if name not in self._seen:
            train, holdout = (
                each[rows] for each, rows in zip(self._people.found(key), self._of, strict=True)
            )
            gap = float(train.mean()) - float(holdout.mean())
            middle = (float(train.sum()) + float(holdout.sum())) / (len(train) + len(holdout))
            error = sqrt(middle * (1 - middle) * (1 / len(train) + 1 / len(holdout)))
            self._seen[name] = gap / error if error else 0.0
        return self._seen[name]


def _few(pairs: list[tuple[str, str]], rng: np.random.Generator) -> list[tuple[str, str]]:
    if len(pairs) <= MOST_PAIRS:
        return pairs
    return [pairs[place] for place in np.sort(rng.choice(len(pairs), MOST_PAIRS, replace=False))]
