"""The equivalence classes of a node, made from those of a finer one: what is together there stays together.

An entry is a combination that some rows have of all quasi-identifiers as they are, of the sensitive columns and of the
person; it counts its rows. Rolling up merges entries that became the same, so that coarse nodes cost little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_veil.privacy.anonymize.lattice import Node
from airflow_veil.privacy.anonymize.levels import Levels
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.classes import combined, dense
from airflow_veil.privacy.risk.codes import Codes
from airflow_veil.privacy.risk.diversity import Pairs

MOST_KEPT = 1 << 24
"""Entries of evaluated nodes that are kept to roll up from, all together."""
ROOM = 1 << 62
"""Below this, keys fit 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """The classes of a node.

    Attributes:
        node: The node.
        place: A row of the table for each entry, to look its codes up.
        rows: How many rows each entry stands for.
        of: The class of each entry.
        sizes: How many rows each class has.
        people: How many people each class has; its rows where rows are nobody's.
        first: An entry of each class.
        key: A number for each entry that is its class's own; None where they do not fit 64 bits.
    """

    node: Node
    place: np.ndarray[Any, Any] = field(repr=False)
    rows: np.ndarray[Any, Any] = field(repr=False)
    of: np.ndarray[Any, Any] = field(repr=False)
    sizes: np.ndarray[Any, Any] = field(repr=False)
    people: np.ndarray[Any, Any] = field(repr=False)
    first: np.ndarray[Any, Any] = field(repr=False)
    key: np.ndarray[Any, Any] | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.sizes)


class Grouping:
    """Makes the classes of nodes, and keeps them to make those of coarser ones from.

    Args:
        levels: The hierarchies of the quasi-identifiers.
        codes: Their columns as codes of level 0, n rows each.
        sensitive: Columns whose values are to be told within classes.
        subject: Whose row each is; None where rows count.
        totals: How many rows, or people, of the whole table have each sensitive value; of these rows if not said.
    """

    def __init__(
        self,
        levels: Sequence[Levels],
        codes: Sequence[np.ndarray[Any, Any]],
        sensitive: Mapping[str, Codes],
        subject: Codes | None,
        totals: Mapping[str, np.ndarray[Any, Any]] | None = None,
    ) -> None:
        self.levels, self._codes, self._sensitive = tuple(levels), tuple(codes), dict(sensitive)
        self._subject = None if subject is None else _each_a_person(subject)
        self.total_rows = len(self._codes[0])
        self.totals = dict(
            totals or {name: self._people_by_value(each) for name, each in self._sensitive.items()}
        )
        more = [*self._sensitive.values(), *((self._subject,) if self._subject else ())]
        self._more: tuple[np.ndarray[Any, Any], int] | None = dense(*combined(more)) if more else None
        self._steps = _steps(self.levels)
        self._made: list[Groups] = []
        self._nodes = np.empty((0, len(self.levels)), np.int16)
        self._costs = np.empty(0, np.int64)
        self._start(tuple(0 for _ in self.levels))

    def _start(self, node: Node) -> None:
        place = np.arange(self.total_rows)
        key = None
        if self._steps is not None:
            key = np.zeros(self.total_rows, np.int64)
            for step, levels, codes in zip(self._steps, self.levels, self._codes, strict=True):
                key += (levels.codes[0].astype(np.int64) * step)[codes]
        self._keep(self._grouped(node, place, np.ones(self.total_rows, np.int64), key))

    @property
    def counts_people(self) -> bool:
        """Whether classes count people, of whom one may have several rows."""
        return self._subject is not None

    def at(self, node: Node) -> Groups:
        """The classes of a node, rolled up from the node with the fewest entries of those that are finer."""
        finer = np.flatnonzero((self._nodes <= np.asarray(node)).all(axis=1))
        nearest: Groups = self._made[finer[self._costs[finer].argmin()]]
        if nearest.node == node:
            return nearest
        made = self._grouped(node, nearest.place, nearest.rows, self._moved(nearest, node))
        self._keep(made)
        return made

    def _moved(self, groups: Groups, node: Node) -> np.ndarray[Any, Any] | None:
        """The keys of entries at a coarser node: only columns whose level changes are looked at."""
        if groups.key is None or self._steps is None:
            return None
        key = groups.key.copy()
        for which, (old, new) in enumerate(zip(groups.node, node, strict=True)):
            if old != new:
                codes = self.levels[which].codes
                change = (codes[new].astype(np.int64) - codes[old]) * self._steps[which]
                key += change[self._codes[which][groups.place]]
        return key

    def _classes(
        self, node: Node, place: np.ndarray[Any, Any], key: np.ndarray[Any, Any] | None
    ) -> tuple[np.ndarray[Any, Any], int]:
        """The class of each of some rows, and how many there are."""
        if key is not None:
            return dense(key, ROOM)
        columns = [
            _as_codes(self.column(which, level, place), len(self.levels[which].labels[level]))
            for which, level in enumerate(node)
        ]
        return dense(*combined(columns))

    def class_of_rows(self, groups: Groups) -> np.ndarray[Any, Any]:
        """The class of each row of the table."""
        every = np.arange(self.total_rows)
        number, count = self._classes(groups.node, every, None)
        of = np.empty(count, np.int64)
        of[number[groups.place[groups.first]]] = np.arange(len(groups))
        found: np.ndarray[Any, Any] = of[number]
        return found

    def column(self, which: int, level: int, place: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The codes of a quasi-identifier at a level, of some rows."""
        found: np.ndarray[Any, Any] = self.levels[which].codes[level][self._codes[which][place]]
        return found

    def pairs(self, groups: Groups, name: str) -> Pairs:
        """The values of a sensitive column in each class: how many rows, or people, have each."""
        column = self._sensitive[name]
        of, rows, place = groups.of, groups.rows, groups.place
        if self._subject is not None:
            keys = [_as_codes(of, len(groups)), column.take(place), self._subject.take(place)]
            number, count = dense(*combined(keys))
            seen = _first(number, count)
            of, rows, place = of[seen], np.ones(count, np.int64), place[seen]
        number, count = dense(*combined([_as_codes(of, len(groups)), column.take(place)]))
        counts = np.bincount(number, weights=rows, minlength=count).astype(np.int64)
        seen = _first(number, count)
        owner, value = of[seen].astype(np.int64), column.codes[place][seen]
        order = np.lexsort((value, owner))
        owner, value, counts = owner[order], value[order], counts[order]
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        return Pairs(
            of=owner,
            value=value,
            rows=counts,
            starts=starts,
            sizes=np.add.reduceat(counts, starts) if len(starts) else counts,
            totals=self.totals[name],
        )

    def _people_by_value(self, column: Codes) -> np.ndarray[Any, Any]:
        """How many rows, or people, of the whole table have each value: what t is measured from."""
        codes = column.codes
        if self._subject is not None:
            codes = codes[_first(*dense(*combined([column, self._subject])))]
        return np.bincount(codes, minlength=column.cardinality)

    def _grouped(
        self,
        node: Node,
        place: np.ndarray[Any, Any],
        rows: np.ndarray[Any, Any],
        key: np.ndarray[Any, Any] | None,
    ) -> Groups:
        of, count = self._classes(node, place, key)
        sizes = np.bincount(of, weights=rows, minlength=count).astype(np.int64)
        if self._more is None:
            first = _first(of, count)
            return Groups(
                node=node,
                place=place[first],
                rows=sizes,
                of=np.arange(count),
                sizes=sizes,
                people=sizes,
                first=np.arange(count),
                key=None if key is None else key[first],
            )
        more, width = self._more
        number, entries = dense(*combined([_as_codes(of, count), _as_codes(more[place], width)]))
        kept = _first(number, entries)
        place, of = place[kept], of[kept]
        return Groups(
            node=node,
            place=place,
            rows=np.bincount(number, weights=rows, minlength=entries).astype(np.int64),
            of=of,
            sizes=sizes,
            people=self._people(of, count, place, sizes),
            first=_first(of, count),
            key=None if key is None else key[kept],
        )

    def _people(
        self, of: np.ndarray[Any, Any], count: int, place: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        if self._subject is None:
            return sizes
        number, pairs = dense(*combined([_as_codes(of, count), self._subject.take(place)]))
        return np.bincount(of[_first(number, pairs)], minlength=count)

    def _keep(self, groups: Groups) -> None:
        if self._costs.sum() + len(groups.place) > MOST_KEPT and len(self._made):
            return
        self._made.append(groups)
        self._nodes = np.vstack([self._nodes, np.asarray(groups.node, np.int16)])
        self._costs = np.append(self._costs, len(groups.place))


def _steps(levels: Sequence[Levels]) -> list[int] | None:
    """What a code of each column counts in a key; None if keys do not fit 64 bits."""
    steps, span = [], 1
    for each in levels:
        steps.append(span)
        span *= len(each.labels[0]) + 1
    return steps if span < ROOM else None


def _as_codes(codes: np.ndarray[Any, Any], cardinality: int) -> Codes:
    return Codes(name="", codes=codes, cardinality=cardinality)


def _first(number: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """A place of each number from 0."""
    first = np.empty(count, np.int64)
    first[number] = np.arange(len(number))
    return first


def _each_a_person(subject: Codes) -> Codes:
    """A row without a subject is a person of its own."""
    if subject.null is None:
        return subject
    nobody = np.flatnonzero(subject.codes == subject.null)
    codes = subject.codes.astype(np.int64)
    codes[nobody] = subject.cardinality + np.arange(len(nobody))
    return Codes(name=subject.name, codes=codes, cardinality=subject.cardinality + len(nobody))
