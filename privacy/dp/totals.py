"""The exact statistics of a query: sums of whole numbers, of bounded contributions. They are private; noise is next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod

import numpy as np
import polars as pl
import pyarrow as pa

from airflow_veil.privacy.dp.axes import label_texts
from airflow_veil.privacy.dp.contributions import Pairs, bounded, counted, drawn, hold, in_threads, weighed
from airflow_veil.privacy.dp.foreign import polars_storing
from airflow_veil.privacy.dp.lots import Ints, Lots, SystemLots
from airflow_veil.privacy.dp.query import Query
from airflow_veil.privacy.dp.rows import GROUP, UNIT, BoundRows, bind_rows, where_of
from airflow_veil.privacy.dp.statistic import Bins, Ranks, Rows, Statistic, Total, Units
from airflow_veil.privacy.dp.units import unit_map, with_units
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.failure import unfit

MOST_CELLS = 1 << 27
"""Cells of one statistic: a gibibyte."""
MOST_ROWS = 1 << 32
"""So many rows of 2^31 steps still add up in 64 bits."""
_MOST_NAMES = 1 << 62
"""Pairs of a unit and a group are numbered below it."""
_MOST_RANGE = 1 << 40
"""Whole numbers that lie closer together are taken as they are."""
_ROWS, _CELL = "rows", "cell"
_NONE = -(1 << 31)
"""Stands for no steps in a column without nulls: there are fewer than 2^31 of either sign."""


@dataclass(frozen=True)
class Totals:
    """The statistics of a query before noise: private, all of it; with unknown keys, which groups there are as well.

    Attributes:
        groups: How many groups there are: the product of the public labels, or those that were found.
        keys: For each axis the label of each group, text; public labels vary as in a product, the first axis slowest.
        cells: For each statistic its cells, int64, shape (groups, `Statistic.width`). Two statistics may bear one name;
            they are told by themselves.
    """

    groups: int
    keys: tuple[pa.StringArray, ...] = field(repr=False)
    cells: dict[Statistic, Ints] = field(repr=False)


def totals(
    query: Query,
    source: Source,
    *,
    joined: Mapping[str, Source] | None = None,
    beat: Callable[[], None] | None = None,
    _lots: Lots | None = None,
) -> Totals:
    """Read the rows of a query, bound what each unit contributes, and add up.

    Where the unit is a row there is nothing to bound: a row is in one group and counts once. Else see
    `airflow_veil.privacy.dp.contributions` for what is guaranteed and why. Memory: that of the groups, where the unit
    is a row; else some 60 bytes a row, and the text of units that are told by text.

    Args:
        query: The query.
        source: Its data set.
        joined: The data sets that `query.joins` names.
        beat: Called now and then while it takes long.

    Returns:
        Exact statistics, which must not leave without noise.

    Raises:
        SchemaError: The query does not fit the sources, or a key of a joined data set belongs to two units.
        StorageError: A source cannot be read.
        TransformError: `where` does not fit the columns.
        InternalError: A bound does not hold.
    """
    beat = beat or (lambda: None)
    rows = bind_rows(query, source)
    if query.groups is not None:
        _check_room(query, query.groups)
    if query.subject is None:
        return _by_row(rows, beat)
    units = unit_map(query, rows.types[query.subject], joined or {}, beat)
    return _by_unit(rows, units, _lots or SystemLots(), beat)


def _by_row(rows: BoundRows, beat: Callable[[], None]) -> Totals:
    """Plain aggregation, a scan or a batch at a time."""
    keys = [GROUP, *rows.keys]
    statistics = dict(enumerate(rows.query.statistics))
    inner = [n for n, statistic in statistics.items() if isinstance(statistic, Bins | Ranks)]
    plain = [n for n in statistics if n not in inner]
    sums: list[pl.DataFrame] = []
    for frame in rows.frames():
        plans = [
            frame.group_by(keys).agg(pl.len().cast(pl.Int64).alias(_ROWS), *(_sum(rows, n) for n in plain))
        ]
        plans += [_in_cells(rows, frame, keys, n) for n in inner]
        with polars_storing("reading", where_of(rows.query)):
            parts = pl.collect_all(plans, engine="streaming")
            sums = [_merged(*pair) for pair in zip(sums, parts, strict=True)] if sums else parts
        beat()
    if not sums:
        return _Found(
            rows, pl.DataFrame(schema={GROUP: pl.Int64} | dict.fromkeys(rows.keys, pl.String))
        ).totals({})
    whole, *by_cell = sums
    _check_rows(rows, int(whole[_ROWS].sum()))
    found = _Found(rows, whole.select(keys))
    added = {n: [_Added(found.places(whole), whole[_name(n)].to_numpy())] for n in plain}
    for n, counts in zip(inner, by_cell, strict=True):
        added[n] = [_Added(found.places(counts), counts[_ROWS].to_numpy(), counts[_CELL].to_numpy())]
    return found.totals(added)


def _sum(rows: BoundRows, number: int) -> pl.Expr:
    """The sum of a statistic over the rows of a group, int64."""
    mark = rows.marked(number)
    value = pl.len() if mark is None else pl.col(mark)
    if isinstance(rows.query.statistics[number], Total):
        # In 64 bits before it is added: the sum of a column of 32 bits has 32 bits in Polars.
        value = value.cast(pl.Int64)
    return (value if mark is None else value.sum()).cast(pl.Int64).alias(_name(number))


def _in_cells(rows: BoundRows, frame: pl.LazyFrame, keys: list[str], number: int) -> pl.LazyFrame:
    """How many rows there are in each cell of each group."""
    cell = pl.col(str(rows.marked(number))).cast(pl.Int64).alias(_CELL)
    return (
        frame.select(*keys, cell)
        .filter(pl.col(_CELL).is_not_null())
        .group_by(*keys, _CELL)
        .agg(pl.len().cast(pl.Int64).alias(_ROWS))
    )


def _merged(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Sums of two batches in one."""
    by = [name for name in left.columns if name in (GROUP, _CELL) or name.startswith("key")]
    return pl.concat([left, right]).group_by(by).sum()


def _by_unit(rows: BoundRows, units: pl.DataFrame | None, lots: Lots, beat: Callable[[], None]) -> Totals:
    """All rows of a unit belong together, wherever they stand: they are read whole, and bounded."""
    query = rows.query
    frame = _collected(rows, units, beat)
    _check_rows(rows, frame.height)
    owners, owner_count = dense(frame.drop_in_place(UNIT))
    groups, size = _group_numbers(rows, frame)
    if 2 * owner_count * size >= _MOST_NAMES:
        known, groups = np.unique(groups, return_inverse=True)
        size = len(known)
    beat()
    parts = bounded(owners, groups, size=size, reach=query.reach, lots=lots)
    del owners, groups
    beat()
    found, places = _found(rows, parts, frame)
    added: dict[int, list[_Added]] = {}
    for number, statistic in enumerate(query.statistics):
        mark = rows.marked(number)
        values = None if mark is None else _values(frame.drop_in_place(mark), statistic)
        added[number] = in_threads(
            partial(_contributed, query, number, values, lots), list(zip(parts, places, strict=True))
        )
        beat()
    return found.totals(added)


def _found(rows: BoundRows, parts: list[Pairs], frame: pl.DataFrame) -> tuple[_Found, list[Ints]]:
    """The groups that pairs are in, and the place of each pair's group among them."""
    keys = frame.select(GROUP, *rows.keys)
    if not rows.query.unknown_keys:
        return _Found(rows, keys.clear()), [pairs.groups for pairs in parts]
    # One row of each group has its labels.
    distinct = [np.unique(pairs.groups, return_index=True, return_inverse=True) for pairs in parts]
    labels = [
        keys[pairs.rows[pairs.starts[first]]] for pairs, (_, first, _) in zip(parts, distinct, strict=True)
    ]
    found = _Found(rows, pl.concat(labels))
    return found, [
        found.places(some)[inverse] for some, (_, _, inverse) in zip(labels, distinct, strict=True)
    ]


def _contributed(
    query: Query, number: int, marks: np.ndarray | None, lots: Lots, part: tuple[Pairs, Ints]
) -> _Added:
    """What some units contribute to one statistic, bounded and looked over."""
    statistic, most = query.statistics[number], query.rows_per_group
    pairs, places = part
    values = None if marks is None else marks[pairs.rows]
    owner, cell = None, None
    match statistic:
        case Units():
            amount = np.ones(len(pairs.counts), np.int64)
        case Rows():
            amount = counted(pairs, values, most=most)
        case Total() if values is not None:
            there = values != _NONE
            everywhere = bool(there.all())
            steps = values if everywhere else np.where(there, values, 0)
            amount = weighed(pairs, steps, None if everywhere else there, most=most)
        case Bins() | Ranks() if values is not None:
            owner, cell, amount = drawn(
                pairs, values, width=statistic.width, most=most, lots=lots, turn=f"statistic {number}"
            )
    hold(owner, amount, limit=statistic.per_group(most))
    return _Added(places if owner is None else places[owner], amount, cell)


def dense(series: pl.Series) -> tuple[Ints, int]:
    """Whole numbers from 0 on in place of values: the same for equal ones, others for others.

    They are exact: whole numbers less the least, or the places in a dictionary of all values. A digest would give one
    number to two units, sooner or later, and they would contribute as one what is bounded for one.

    Args:
        series: n values of any type, no nulls.

    Returns:
        int64, shape (n,), and what all of them are below.
    """
    if series.dtype.is_integer() and len(series):
        least, most = int(series.min()), int(series.max())  # type: ignore[arg-type]
        if most - least < _MOST_RANGE:
            whole = series.to_numpy() if series.dtype == pl.UInt64 else series.cast(pl.Int64).to_numpy()
            return (whole - whole.dtype.type(least)).astype(np.int64, copy=False), most - least + 1
    encoded = series.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), max(1, len(encoded.dictionary))


def _collected(rows: BoundRows, units: pl.DataFrame | None, beat: Callable[[], None]) -> pl.DataFrame:
    """All rows that are in a group and have a unit."""
    parts = []
    for frame in rows.frames():
        with polars_storing("reading", where_of(rows.query)):
            parts.append(with_units(frame, units).collect(engine="streaming"))
        beat()
    if not parts:
        marks = [rows.marked(n) for n in range(len(rows.marks))]
        columns = [*rows.keys, UNIT, *(mark for mark in marks if mark is not None)]
        return pl.DataFrame(schema={GROUP: pl.Int64} | dict.fromkeys(columns, pl.Int64))
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def _group_numbers(rows: BoundRows, frame: pl.DataFrame) -> tuple[Ints, int]:
    """The group of each row as a number, and what all of them are below."""
    numbers = frame[GROUP].to_numpy()
    size = prod(axis.size for axis in rows.axes)
    for key in rows.keys:
        codes, count = dense(frame[key])
        if size * count >= _MOST_NAMES:
            known, numbers = np.unique(numbers, return_inverse=True)
            size = len(known)
            known, codes = np.unique(codes, return_inverse=True)
            count = len(known)
        numbers, size = numbers * np.int64(count) + codes, size * count
    return numbers, size


def _values(series: pl.Series, statistic: Statistic) -> np.ndarray:
    """What rows count for, without nulls: booleans; int32, -1 for no cell, -2^31 for no steps."""
    if isinstance(statistic, Rows):
        return series.to_numpy()
    nothing = _NONE if isinstance(statistic, Total) else -1
    return series.cast(pl.Int32).fill_null(nothing).to_numpy()


@dataclass(frozen=True)
class _Added:
    """Amounts to add up: the place of the group of each, and the cell where a group has several."""

    places: Ints
    amounts: Ints
    cells: Ints | None = None

    def add_to(self, sums: Ints) -> None:
        """Add them to sums, int64, shape (groups, width): whole numbers, the same in any order."""
        width = sums.shape[1]
        np.add.at(
            sums.reshape(-1),
            self.places if self.cells is None else self.places * width + self.cells,
            self.amounts,
        )


class _Found:
    """The groups of an answer: all public ones, or those that were found, in the order of their labels."""

    def __init__(self, rows: BoundRows, found: pl.DataFrame) -> None:
        self._rows = rows
        self._keys = found.columns
        self._known = rows.query.groups
        # In an order of their own: that of the rows would tell of them.
        self._found = found.unique().sort(self._keys).with_row_index("place")

    def places(self, frame: pl.DataFrame) -> Ints:
        """The place of each row's group, int64."""
        if self._known is not None:
            return frame[GROUP].to_numpy()
        joined = frame.select(self._keys).join(self._found, on=self._keys, how="left", maintain_order="left")
        return joined["place"].cast(pl.Int64).to_numpy()

    def totals(self, added: Mapping[int, list[_Added]]) -> Totals:
        """The totals of these groups; zero where nothing is added."""
        groups = self._found.height if self._known is None else self._known
        numbers = self._found[GROUP].to_numpy() if self._known is None else np.arange(groups)
        _check_room(self._rows.query, groups)
        keys = []
        for axis, labels in zip(self._rows.axes, label_texts(self._rows.axes, numbers), strict=True):
            keys.append(self._found[axis.name].cast(pl.String).to_arrow() if labels is None else labels)
        cells = {}
        for number, statistic in enumerate(self._rows.query.statistics):
            cells[statistic] = np.zeros((groups, statistic.width), np.int64)
            for some in added.get(number, ()):
                some.add_to(cells[statistic])
        return Totals(groups, tuple(key.cast(pa.string()) for key in keys), cells)


def _check_room(query: Query, groups: int) -> None:
    for statistic in query.statistics:
        if groups * statistic.width > MOST_CELLS:
            raise SchemaError(
                f"the groups make too many cells for {statistic.name}",
                where=where_of(query),
                expected=f"at most {MOST_CELLS}",
                fix="name fewer keys, bins or candidates",
            )


def _check_rows(rows: BoundRows, count: int) -> None:
    if count >= MOST_ROWS:
        raise unfit(
            "there are more rows than can be added",
            where=where_of(rows.query),
            expected=f"fewer than {MOST_ROWS}",
        )


def _name(number: int) -> str:
    """The column of a statistic's sums."""
    return f"sum{number}"
