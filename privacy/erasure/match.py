"""Tells which rows of a data set name people to erase, whose they are, and what becomes of each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.erasure.graph import Edge
from airflow_veil.privacy.erasure.subjects import Known, Owners
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.erasure import Mask as MaskCells
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.rewriting.loss import Mask
from airflow_veil.privacy.storage.batches import plain, plain_array
from airflow_veil.privacy.transforms.canonical import canonical, is_canonical_type
from airflow_veil.privacy.transforms.family import NUMBERS, family_of

_EXACT = float(1 << 53)


@dataclass(frozen=True)
class Matched:
    """What becomes of some rows.

    Attributes:
        delete: Which go.
        cells: Column to the rows in which its cell becomes null; none of a row that goes.
        owners: Whose request each row is of that goes or loses cells, or that is held; -1 for all others.
        held: Which would go or lose cells, and are held.
        own: Which would go, held or not: the subjects' own rows.
    """

    delete: Mask
    cells: Mapping[str, Mask]
    owners: Owners
    held: Mask
    own: Mask

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
    _sorted: dict[tuple[int, str], _Sorted] = field(default_factory=dict, repr=False, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read: those of the edges, and the subject where some are held."""
        held = [self.keeper.column] if self.keeper.looks and self.keeper.column else []
        return tuple(dict.fromkeys([*(edge.column for edge, _ in self.edges), *held]))

    @property
    def emptied(self) -> tuple[str, ...]:
        """The columns of which cells become null."""
        masks = [edge.action.mask for edge, _ in self.edges if isinstance(edge.action, MaskCells)]
        return tuple(dict.fromkeys(name for names in masks for name in names))

    @property
    def deletes(self) -> bool:
        """Whether rows may go."""
        return any(edge.word == "delete" for edge, _ in self.edges)

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
        own = np.zeros(rows, bool)
        cells: dict[str, Mask] = {}
        owners: Owners = np.full(rows, -1, np.int32)
        # A row is whose it goes for; only else theirs who are named in it, too.
        for index in sorted(range(len(self.edges)), key=lambda each: self.edges[each][0].word != "delete"):
            edge, known = self.edges[index]
            if not len(known):
                continue
            found = self.owners_of(index, columns[edge.column])
            hit = found >= 0
            if not hit.any():
                continue
            owners = np.where(owners < 0, found, owners)
            if isinstance(edge.action, MaskCells):
                for name in edge.action.mask:
                    cells[name] = cells[name] | hit if name in cells else hit
            else:
                own |= hit
        held = self._held(columns, owners, rows)
        kept = {name: mask & ~held & ~own for name, mask in cells.items()}
        return Matched(own & ~held, kept, owners, held, own)

    def owners_of(self, index: int, column: pa.Array) -> Owners:
        """Whose request each value of an edge's column is of; -1 for nobody's.

        Args:
            index: Which of `edges`.
            column: Values of its column, n of any type that has a canonical spelling; dictionaries are fine.

        Returns:
            n numbers of requests.
        """
        nobody = np.full(len(column), -1, np.int32)
        if pa.types.is_dictionary(column.type):
            among = self.owners_of(index, column.dictionary)
            if not (among >= 0).any():
                return nobody
            codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
            # Code -1 is the last one: nobody.
            named: Owners = np.append(among, np.int32(-1))[codes]
            return named
        column = plain_array(column)
        if pa.types.is_floating(column.type):
            # Zero is one number, whatever its sign; to a hash table it is two.
            column = pc.add(column, pa.scalar(0, column.type))
        values, owners = self.typed(index, column.type)
        places = pc.index_in(column, value_set=values) if len(values) else None
        if places is None or places.null_count == len(places):
            return nobody
        found: Owners = np.append(owners, np.int32(-1))[places.fill_null(-1).to_numpy(zero_copy_only=False)]
        return found

    def may_hold(self, index: int, kind: pa.DataType, least: int | bytes, greatest: int | bytes) -> bool:
        """Whether any looked-for value lies between two bounds, both included.

        Args:
            index: Which of `edges`.
            kind: The plain type of its column: text, whole numbers of at most 64 bits with a sign, or dates.
            least: The lower bound; UTF-8 for text, days since 1970 for dates.
            greatest: The upper bound.
        """
        key = (index, str(kind))
        if key not in self._sorted:
            self._sorted[key] = _Sorted(self.typed(index, kind)[0])
        values = self._sorted[key]
        return bisect_left(values, least) < bisect_right(values, greatest)

    def _held(self, columns: Mapping[str, pa.Array], owners: Owners, rows: int) -> Mask:
        hit = owners >= 0
        if not hit.any() or not (self.keeper.held.everything or self.keeper.looks):
            return np.zeros(rows, bool)
        subjects = columns[self.keeper.column] if self.keeper.looks and self.keeper.column else None
        return hit & self.keeper.mask(subjects, rows)


class _Sorted(Sequence[Any]):
    """Values as statistics of Parquet have them, in whose order they are compared: bytes of text, numbers."""

    def __init__(self, values: pa.Array) -> None:
        kind = values.type
        stored = pa.binary() if pa.types.is_string(kind) else pa.int32() if pa.types.is_date32(kind) else kind
        self._values = values.cast(stored).sort()

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index].as_py()


def _typed(known: Known, kind: pa.DataType, *, where: str) -> tuple[pa.Array, Owners]:
    if not is_canonical_type(kind):
        raise SchemaError(
            f"a column of type {kind} cannot name people",
            where=where,
            expected="text, whole numbers, dates or times",
        )
    texts, owners = known.texts, known.owners
    if family_of(kind) in NUMBERS:
        whole = _whole(texts, floating=pa.types.is_floating(kind))
        texts, owners = texts.filter(whole), owners[np.asarray(whole)]
    try:
        values = texts.cast(kind)
    except pa.ArrowInvalid:
        found = [_cast(text, kind) for text in texts]
        fits = np.array([value is not None for value in found], bool)
        values = pa.array([value for value in found if value is not None], kind)
        texts, owners = texts.filter(pa.array(fits)), owners[fits]
    # A date that is spelled in another way is not what whoever is called so is called.
    same = pc.equal(canonical(values, where=where), texts).fill_null(fill_value=False)
    return values.filter(same), owners[np.asarray(same)]


def _whole(texts: pa.StringArray, *, floating: bool) -> pa.BooleanArray:
    """Which texts are a whole number's one spelling: "007" is 7 to Arrow, and not to whoever is called so."""
    whole = pc.match_substring_regex(texts, "^(0|-?[1-9][0-9]*)$")
    if not floating:
        return whole
    # Beyond this one float stands for several numbers.
    values = pc.if_else(whole, texts, "0").cast(pa.float64())
    return pc.and_(whole, pc.less_equal(pc.abs(values), _EXACT))


def _cast(text: pa.StringScalar, kind: pa.DataType) -> pa.Scalar | None:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None


def collected(
    matched: Matched, columns: Mapping[str, pa.Array], key: str, *, where: str
) -> tuple[pa.StringArray, Owners]:
    """The values of a key in the rows that are the subjects' own, held ones too: what leads on from here.

    Rows that only lose cells are also somebody else's, so their keys do not lead on.
    """
    rows = np.flatnonzero(matched.own)
    values = columns[key].take(pa.array(rows))
    return canonical(values.cast(plain(values.type)), where=where), matched.owners[rows]
