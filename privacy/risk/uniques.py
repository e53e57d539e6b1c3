"""Which sets of columns identify people: minimal sample uniques, SUDA scores, and what each set of columns tells apart.

A set of columns is a **minimal sample unique** of a row if the row is alone with its values in them, and no smaller
set of these does the same. The smaller the sets and the more of them, the more special the row: SUDA's score of a row
is the sum over its sets of the product of (columns - i), for i from the set's size to the largest size looked for.

Every set up to that size is counted, size by size; since a row that is alone in a set is alone in each larger one, the
minimal ones need the size before only. Rows alike in all columns are counted together, so that the cost is of classes,
not of rows.

Sources: Elliot, Manning and Ford, "A computational algorithm for handling the special uniques problem" (2002);
Manning, Haglin and Keane, "A recursive search algorithm for statistical disclosure assessment" (2008); for distinction
and separation, Motwani and Xu (2007).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from math import comb, prod
from typing import Any

from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.classes import Classes, combined, dense
from airflow_veil.privacy.risk.codes import Codes
from airflow_veil.privacy.risk.reidentification import separation

MOST_SETS = 4096
"""Sets of columns that are looked at; of more, the largest ones are left out, and it is said."""
_SPARSE = 8
"""Combinations that can be, of each row there is: beyond, those that are there are numbered first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSet:
    """What a set of columns tells apart.

    Attributes:
        columns: The columns.
        unique: Rows that are alone in them.
        minimal: Rows that are alone in them, and in no smaller set of them.
        distinction: Distinct combinations ÷ rows.
        separation: The share of pairs of rows that they tell apart.
    """

    columns: tuple[str, ...]
    unique: int
    minimal: int
    distinction: float
    separation: float

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniques:
    """Minimal sample uniques of a table.

    Attributes:
        searched: The largest sets that were looked at.
        complete: Whether that is all sets.
        rows: Rows that are alone in some set looked at.
        sets: The sets, those first in which most rows are alone; of as many rows, the smaller ones first.
        contribution: Of the sum of all scores, the share in sets with a column.
        highest_score: The highest score of a row.
        scores: The score of each row of the table; 0 where it is alone in no set. Internal: one row each.
    """

    searched: int
    complete: bool
    rows: int
    sets: tuple[ColumnSet, ...]
    contribution: dict[str, float]
    highest_score: float
    scores: np.ndarray[Any, Any] = field(repr=False, compare=False)

    def as_dict(self, most: int = 20) -> dict[str, Any]:
        """The figures for a machine to read, with the sets in front; not the scores of rows."""
        return {
            "searched": self.searched,
            "complete": self.complete,
            "rows": self.rows,
            "highest_score": self.highest_score,
            "contribution": self.contribution,
            "sets": [each.as_dict() for each in self.sets[:most]],
        }


def uniques(
    columns: Sequence[Codes], classes: Classes, *, largest: int | None = None, most: int = MOST_SETS
) -> Uniques:
    """Minimal sample uniques over sets of quasi-identifiers.

    Args:
        columns: The quasi-identifiers.
        classes: The classes over all of them. Rows in none are not looked at.
        largest: The largest sets to look at; all if not said. SUDA's scores depend on it.
        most: How many sets are looked at; if there are more, smaller ones only.
    """
    count = len(columns)
    searched = _searched(count, largest, most)
    names = [column.name for column in columns]
    # A row of each class stands for all of it.
    firsts = classes.first_rows()
    short = [column.take(firsts) for column in columns]
    alone = np.flatnonzero(classes.sizes == 1)
    score = np.zeros(len(alone))
    share = np.zeros(count)
    ever = np.zeros(len(alone), bool)
    sets = []
    before: dict[tuple[int, ...], np.ndarray[Any, Any]] = {}
    for size in range(1, searched + 1):
        # The score of a set in terms of the sizes that were looked for, M: sets of M columns still count.
        weight = float(prod(count - i for i in range(size, min(searched, count - 1) + 1)))
        level = {}
        for chosen, sizes, single in _level(short, classes.sizes, alone, size):
            smaller = np.zeros(len(alone), bool)
            for column in chosen if size > 1 else ():
                smaller |= _unpacked(before[tuple(c for c in chosen if c != column)], len(alone))
            minimal = single & ~smaller
            found = int(minimal.sum())
            score += minimal * weight
            share[list(chosen)] += found * weight
            ever |= single
            level[chosen] = np.packbits(single)
            sets.append(
                ColumnSet(
                    columns=tuple(names[c] for c in chosen),
                    unique=int(single.sum()),
                    minimal=found,
                    distinction=len(sizes) / classes.rows if classes.rows else 0.0,
                    separation=separation(sizes),
                )
            )
        before = level
    scores = np.zeros(len(classes.of))
    scores[firsts[alone]] = score
    total = float(score.sum())
    return Uniques(
        searched=searched,
        complete=searched == count,
        rows=int(ever.sum()),
        sets=tuple(sorted(sets, key=lambda each: (-each.unique, len(each.columns), -each.separation))),
        contribution={name: float(share[c]) / total if total else 0.0 for c, name in enumerate(names)},
        highest_score=float(score.max(initial=0.0)),
        scores=scores,
    )


def _level(
    columns: Sequence[Codes], weights: np.ndarray[Any, Any], alone: np.ndarray[Any, Any], size: int
) -> Iterator[tuple[tuple[int, ...], np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Each set of a size, the sizes of its classes, and which of the rows `alone` in all columns are so in it."""
    for chosen in combinations(range(len(columns)), size):
        key, span = combined([columns[c] for c in chosen])
        if span > _SPARSE * len(key):
            key, span = dense(key, span)
        # Sums of whole numbers in doubles are exact below 2^53 rows.
        sizes = np.bincount(key, weights=weights, minlength=span)
        yield chosen, sizes[sizes > 0], sizes[key[alone]] == 1


def _searched(count: int, largest: int | None, most: int) -> int:
    """The largest size of sets of which all fit."""
    size = total = 0
    while size < min(largest or count, count) and total + comb(count, size + 1) <= max(most, count):
        size += 1
        total += comb(count, size)
    return size


def _unpacked(bits: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    return np.unpackbits(bits, count=count).view(bool)
