"""The characters of an alphabet within the values of a column, wherever they stand in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.alphabet import Alphabet
from airflow_veil.privacy.crypto.columns import Column, Mask, fitted, valid_of

Counts = NDArray[np.int64]
Units = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class Picked:
    """Some of a layout's characters: `mask` over all units of the column, `counts` in each row."""

    mask: Mask
    counts: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A column of n texts as one run of units: bytes of UTF-8 for an ASCII alphabet, code points for others.

    Attributes:
        alphabet: The alphabet.
        units: All rows, one after the other.
        edges: Shape (n + 1,): row i is `units[edges[i]:edges[i + 1]]`; null rows are empty.
        places: Where the alphabet's characters stand in `units`, in order.
        firsts: Shape (n + 1,): those of row i are `places[firsts[i]:firsts[i + 1]]`.
        valid: Shape (n,), False for null rows; None if there are none.
    """

    alphabet: Alphabet
    units: Units
    edges: Counts
    places: Counts
    firsts: Counts
    valid: Mask | None

    @classmethod
    def of(cls, values: pa.StringArray, characters: str) -> Layout:
        """Find the characters of an alphabet in a column.

        Raises:
            TransformError: The alphabet is not allowed.
        """
        alphabet = Alphabet(characters)
        filled = alphabet.load(pc.fill_null(values, "") if values.null_count else values)
        units, edges = _units(filled, alphabet)
        inside = _inside(units, alphabet)
        if inside.all():
            return cls(alphabet, units, edges, np.arange(len(units)), edges, valid_of(values))
        before = np.zeros(len(units) + 1, np.int64)
        np.cumsum(inside, out=before[1:])
        return cls(alphabet, units, edges, np.flatnonzero(inside), before[edges], valid_of(values))

    @property
    def rows(self) -> int:
        """Number of rows, nulls included."""
        return len(self.edges) - 1

    @property
    def counts(self) -> Counts:
        """How many characters of the alphabet each row has, shape (n,)."""
        return np.diff(self.firsts)

    def count_where(self, condition: Mask) -> int:
        """How many rows that are not null meet a condition of shape (n,)."""
        return int(np.count_nonzero(condition if self.valid is None else condition & self.valid))

    def at(self, position: int) -> tuple[Mask, Counts]:
        """One character of each row that has it.

        Args:
            position: Among the characters of the alphabet, from 0 on counted from the beginning, from -1 down
                counted from the end.

        Returns:
            Which rows have it, shape (n,), and where it stands in `units`, one for each of these.
        """
        has = self.counts > (position if position >= 0 else -position - 1)
        index = self.firsts[:-1] + position if position >= 0 else self.firsts[1:] + position
        return has, self.places[index[has]]

    def between(self, first: int, last: int) -> Picked:
        """All characters of the alphabet but the `first` ones and the `last` ones of each row."""
        counts, mask = self.counts, np.zeros(len(self.units), bool)
        if counts.size and counts.min() == counts.max():
            mask[self.places.reshape(self.rows, -1)[:, first : max(first, counts[0] - last)]] = True
        else:
            mask[self.places] = True
            for position in (*range(first), *range(-last, 0)):
                mask[self.at(position)[1]] = False
        return Picked(mask, np.maximum(counts - first - last, 0))

    def changed(self, picked: Picked, change: Callable[[pa.Array], pa.Array]) -> Layout:
        """The column with some of its characters changed to others of the alphabet.

        Args:
            picked: Which.
            change: Takes the picked characters of each row as a text, n rows, and gives as many back.
        """
        edges = np.zeros(self.rows + 1, np.int64)
        np.cumsum(picked.counts, out=edges[1:])
        others = change(self._stored(self.units[picked.mask], edges))
        units = self.units.copy()
        units[picked.mask] = _units(self.alphabet.load(others), self.alphabet)[0]
        return replace(self, units=units)

    def stored(self) -> pa.StringArray:
        """The column as Arrow holds it: n texts, nulls where they were."""
        return self._stored(self.units, self.edges)

    def _stored(self, units: Units, edges: Counts) -> pa.StringArray:
        size = self.alphabet.symbol
        offsets = fitted(edges * size, pa.string() if size == 1 else pa.large_string())
        return self.alphabet.store(Column(units.view(np.uint8), offsets, self.valid, pa.string()))


def _units(column: Column, alphabet: Alphabet) -> tuple[Units, Counts]:
    """The units of all rows, and where each row begins and the last one ends."""
    first, last = int(column.offsets[0]), int(column.offsets[-1])
    units: Units = column.data[first:last]
    edges = (column.offsets - first).astype(np.int64)
    return (units, edges) if alphabet.ascii else (units.view("<u4"), edges // alphabet.symbol)


def _inside(units: Units, alphabet: Alphabet) -> Mask:
    """Which units are characters of the alphabet."""
    if not alphabet.ascii:
        return np.isin(units, alphabet.points)
    table = np.zeros(256, bool)
    table[alphabet.points] = True
    return table[units]
