"""Tells which rows of a data set name people to erase, whose they are, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.erasure.graph import Edge
from airflow_veil.privacy.erasure.subjects import Known, Owners
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.erasure import Mask as MaskCells
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.storage.batches import plain
from airflow_veil.privacy.transforms.canonical import canonical, is_canonical_type

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Matched:
    """What becomes of some rows.

    Attributes:
        delete: Which go.
        cells: Column to the rows in which its cell becomes null; none of a row that goes.
        owners: Whose request each row is of that goes or loses cells, or that is held; -1 for all others.
        held: Which would go or lose cells, and are held.
    """

    delete: Mask
    cells: Mapping[str, Mask]
    owners: Owners
    held: Mask

    @property
    def masked(self) -> Mask:
        """Which rows lose cells."""
        lost = np.zeros(len(self.delete), bool)
        for mask in self.cells.values():
            lost |= mask
        return lost

    @property
    def touched(self) -> bool:
        """Whether any row goes or loses a cell."""
        return bool(self.delete.any()) or any(mask.any() for mask in self.cells.values())


@dataclass(frozen=True)
class Matcher:
    """Finds people in the rows of one data set.

    Attributes:
        edges: The data set's edges that delete or mask, each with the values that its column is looked up in.
        keeper: Tells which rows are held.
        where: The data set, to name in an error.
    """

    edges: Sequence[tuple[Edge, Known]]
    keeper: Keeper
    where: str = ""
    _typed: dict[tuple[int, str], tuple[pa.Array, Owners]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read: those of the edges, and the subject where some are held."""
        held = [self.keeper.column] if self.keeper.looks and self.keeper.column else []
        return tuple(dict.fromkeys([*(edge.column for edge, _ in self.edges), *held]))

    @property
    def empty(self) -> bool:
        """Whether no row can match, for no value is known."""
        return not any(len(known) for _, known in self.edges)

    def typed(self, index: int, kind: pa.DataType) -> tuple[pa.Array, Owners]:
        """The values that an edge's column is looked up in, as its own type spells them, and their owners.

        A value that the type cannot hold is left out: it is in no row.

        Args:
            index: Which of `edges`.
            kind: The plain type of the column.

        Raises:
            SchemaError: Values of the type have no canonical spelling.
        """
        key = (index, str(kind))
        if key not in self._typed:
            edge, known = self.edges[index]
            self._typed[key] = _typed(known, kind, where=f"{self.where} column {edge.column}")
        return self._typed[key]

    def __call__(self, columns: Mapping[str, pa.Array], rows: int) -> Matched:
        """What becomes of some rows.

        Args:
            columns: At least `self.columns`, n rows each; dictionaries are fine.
            rows: n.
        """
        delete = np.zeros(rows, bool)
        cells: dict[str, Mask] = {}
        owners: Owners = np.full(rows, -1, np.int32)
        for index, (edge, known) in enumerate(self.edges):
            if not len(known):
                continue
            found = self._owners(index, columns[edge.column])
            hit = found >= 0
            if not hit.any():
                continue
            owners = np.where(owners < 0, found, owners)
            if isinstance(edge.action, MaskCells):
                for name in edge.action.mask:
                    cells[name] = cells[name] | hit if name in cells else hit
            else:
                delete |= hit
        held = self._held(columns, owners, rows)
        delete &= ~held
        kept = {name: mask & ~held & ~delete for name, mask in cells.items()}
        return Matched(delete, kept, owners, held)

    def _owners(self, index: int, column: pa.Array) -> Owners:
        """Whose request each value of a column is of; -1 for nobody's."""
        if pa.types.is_dictionary(column.type):
            among = self._owners(index, column.dictionary)
            codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            return np.append(among, np.int32(-1))[codes] if len(among) else np.full(len(column), -1, np.int32)
        values, owners = self.typed(index, plain(column.type))
        if not len(values):
            return np.full(len(column), -1, np.int32)
        places = pc.index_in(column, value_set=values).fill_null(-1).to_numpy(zero_copy_only=False)
        # Place -1 is the last one: nobody.
        found: Owners = np.append(owners, np.int32(-1))[places]
        return found

    def _held(self, columns: Mapping[str, pa.Array], owners: Owners, rows: int) -> Mask:
        hit = owners >= 0
        if not hit.any() or not (self.keeper.held.everything or self.keeper.looks):
            return np.zeros(rows, bool)
        subjects = columns[self.keeper.column] if self.keeper.looks and self.keeper.column else None
        return hit & self.keeper.mask(subjects, rows)


def _typed(known: Known, kind: pa.DataType, *, where: str) -> tuple[pa.Array, Owners]:
    if not is_canonical_type(kind):
        raise SchemaError(
            f"a column of type {kind} cannot name people",
            where=where,
            expected="text, whole numbers, dates or times",
        )
    try:
        values = known.texts.cast(kind)
        places = np.arange(len(known))
    except pa.ArrowInvalid:
        fits = [
            (place, value) for place, value in enumerate(map(_cast(kind), known.texts)) if value is not None
        ]
        places = np.array([place for place, _ in fits], np.int64)
        values = pa.array([value for _, value in fits], kind)
    # "007" is the number 7 to Arrow, and not to whoever is called so.
    same = pc.equal(canonical(values, where=where), known.texts.take(pa.array(places)))
    keep = same.fill_null(fill_value=False)
    return values.filter(keep), known.owners[places][np.asarray(keep)]


def _cast(kind: pa.DataType):  # type: ignore[no-untyped-def]
    def one(text: pa.StringScalar) -> pa.Scalar | None:
        try:
            return text.cast(kind)
        except pa.ArrowInvalid:
            return None

    return one


def collected(
    matched: Matched, columns: Mapping[str, pa.Array], key: str, *, where: str
) -> tuple[pa.StringArray, Owners]:
    """The values of a key in the rows that are the subjects' own, held ones too: what leads on from here.

    Rows that only lose cells are also somebody else's, so their keys do not lead on.
    """
    own = matched.delete | (matched.held & (matched.owners >= 0))
    rows = np.flatnonzero(own)
    values = columns[key].take(pa.array(rows))
    return canonical(values.cast(plain(values.type)), where=where), matched.owners[rows]
