"""The nearest rows to some targets, in columns of all kinds, by blocks of a matrix of distances.

Two rows are apart by the sum over columns of: the difference of scaled numbers, at most 1; 0 or 1 for other values; 1
for a null and a value, 0 for two nulls (Gower 1971). Of rows at one distance, those come first that a drawn order has
first, so that nothing depends on how the synthetic rows lie.

All pairs are looked at: with a hundred categories no tree saves anything, and comparing bytes costs little. Memory is
that of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from airflow_veil.privacy.evaluation.tables import Rows
from airflow_veil.privacy.lazy import np

_CELLS = 1 << 20
"""Distances of a block."""
_WIDEST_GROUP = 64
_SIZES = ((1 << 8, "uint8"), (1 << 16, "uint16"))


class Neighbours(NamedTuple):
    """The nearest rows to each target.

    Attributes:
        rows: Their numbers, targets by count, the nearest first.
        distance: How far they are, float32, likewise.
    """

    rows: np.ndarray[Any, Any]
    distance: np.ndarray[Any, Any]


def neighbours(
    targets: Rows, candidates: Rows, columns: Sequence[str], count: int, rng: np.random.Generator
) -> Neighbours:
    """The nearest of some rows to each target; fewer than `count` if there are no more.

    Args:
        targets: Who is looked for.
        candidates: The rows that are looked through; encoded together with the targets.
        columns: By which; one or more.
        count: How many.
        rng: Draws the order among rows at one distance.
    """
    count = min(count, candidates.length)
    order = rng.permutation(candidates.length)
    pairs = [_Column.of(targets, candidates, name, order) for name in columns]
    rows = np.empty((targets.length, count), np.int64)
    distance = np.empty((targets.length, count), np.float32)
    for block, far in _blocks(pairs, targets.length, candidates.length, count):
        place = far.argmin(axis=1)[:, None] if count == 1 else _least(far, count)
        rows[block] = order[place]
        distance[block] = np.take_along_axis(far, place, axis=1)
    return Neighbours(rows, distance)


class _Column(NamedTuple):
    """A column of targets and candidates, as small as it can be."""

    targets: np.ndarray[Any, Any]
    candidates: np.ndarray[Any, Any]
    numeric: bool
    wide: bool
    nulls: bool

    @classmethod
    def of(cls, targets: Rows, candidates: Rows, name: str, order: np.ndarray[Any, Any]) -> _Column:
        if name in targets.scaled:
            mine, theirs = targets.scaled[name], candidates.scaled[name][order]
            both = np.concatenate([mine, theirs])
            known = both[~np.isnan(both)]
            wide = bool(known.size) and float(np.ptp(known)) > 1
            return cls(mine, theirs, numeric=True, wide=wide, nulls=len(known) < len(both))
        cardinality = max(targets.codes[name].cardinality, candidates.codes[name].cardinality)
        kind = next((name for room, name in _SIZES if cardinality <= room), "int32")
        mine, theirs = targets.codes[name].codes, candidates.codes[name].codes[order]
        return cls(mine.astype(kind), theirs.astype(kind), numeric=False, wide=False, nulls=False)


def _blocks(
    columns: Sequence[_Column], targets: int, candidates: int, count: int
) -> Iterator[tuple[slice, np.ndarray[Any, Any]]]:
    """Blocks of targets and their distances from all candidates; padded with infinity to whole groups."""
    padded = (
        candidates
        if count == 1
        else -(-candidates // _groups(candidates, count)) * _groups(candidates, count)
    )
    step = max(1, min(targets, _CELLS // padded))
    far = np.full((step, padded), np.inf, np.float32)
    gap = np.empty((step, candidates), np.float32)
    other = np.empty((step, candidates), bool)
    apart = np.empty((step, candidates), np.uint16)
    for begin in range(0, targets, step):
        block = slice(begin, min(begin + step, targets))
        size = block.stop - begin
        sums = far[:size, :candidates]
        apart[:size] = 0
        for column in columns:
            if not column.numeric:
                np.not_equal(column.targets[block, None], column.candidates[None, :], out=other[:size])
                np.add(apart[:size], other[:size].view(np.uint8), out=apart[:size])
        sums[...] = apart[:size]
        for column in columns:
            if column.numeric:
                _gaps(column, block, gap[:size])
                np.add(sums, gap[:size], out=sums)
        yield block, far[:size]


def _gaps(column: _Column, block: slice, out: np.ndarray[Any, Any]) -> None:
    mine, theirs = column.targets[block, None], column.candidates[None, :]
    np.subtract(mine, theirs, out=out)
    np.abs(out, out=out)
    if column.wide:
        np.minimum(out, 1, out=out)
    if column.nulls:
        none, empty = np.isnan(mine), np.isnan(theirs)
        out[np.broadcast_to(none, out.shape) & empty] = 0
        out[none != empty] = 1


def _groups(candidates: int, count: int) -> int:
    """How many candidates stand for each other in the first look; so few that there are enough groups."""
    return max(1, min(_WIDEST_GROUP, candidates // (4 * count)))


def _least(far: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """The places of the least distances of each row, rising; of equal ones the first places.

    The `count`-th least of the minima of groups is a bound, so that only what is below it has to be sorted. Where
    fewer are below it, the rest are at it.
    """
    rows, padded = far.shape
    groups = _groups(padded, count)
    while padded % groups:
        groups -= 1
    minima = far.reshape(rows, groups, padded // groups).min(axis=1)
    bound = np.partition(minima, count - 1, axis=1)[:, count - 1 : count]
    row, place = np.nonzero(far < bound)
    row_of_equal, equal = np.nonzero(far == bound)
    order = np.lexsort((place, far[row, place], row))
    below = np.bincount(row, minlength=rows)
    begin = np.cumsum(below) - below
    equals = np.bincount(row_of_equal, minlength=rows)
    begin_equal = np.cumsum(equals) - equals
    wanted = np.arange(count)[None, :]
    taken = np.minimum(below, count)[:, None]
    # Both lists end with a place that is never chosen, so that every number can be looked up.
    sorted_places, equal_places = np.append(place[order], 0), np.append(equal, 0)
    first = sorted_places[np.minimum(begin[:, None] + wanted, len(order))]
    rest = equal_places[np.minimum(begin_equal[:, None] + np.maximum(wanted - taken, 0), len(equal))]
    least: np.ndarray[Any, Any] = np.where(wanted < taken, first, rest)
    return least
