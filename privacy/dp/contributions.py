"""Contribution bounding: how much of one unit is in an answer, made certain on the data whatever they are.

What is guaranteed. Let two tables differ in all rows of one unit. In at most `reach` groups the cells of a statistic
differ, by at most `Statistic.per_group(rows)` in each group, summed over its cells.

Why. The rows of the other units are read the same in both (`rows`). What is left of a unit is a function of its own
rows and of random numbers of its own, which are independent of the data and of those of other units; so let both tables
draw the same numbers for the units that they share (a coupling of the two runs). Then all but the one unit contribute
the same, cells are sums over units, and the difference is what the one contributes: `bounded` leaves it `reach` groups,
and `counted`, `weighed` and `drawn` leave each of them no more than the statistic says. Noise that hides such a
difference hides it for each draw of the numbers, hence for their mixture. It is the bounding of Wilson et al.,
"Differentially Private SQL with Bounded User Contribution", PoPETs 2020, https://arxiv.org/abs/1909.01917, with rows
that weigh less where there are too many, instead of some that are left out.

Which groups stay must not depend on values: it is decided first, by lot, before anything is added. Units and groups are
told by exact numbers, never by a digest: two units in one would contribute twice what is said here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.dp.lots import Ints, Lots, below
from airflow_veil.privacy.errors import InternalError

T = TypeVar("T")
R = TypeVar("R")

_WORTH_THREADS = 1 << 20
"""Rows from which on threads pay."""
_SAMPLE = 1 << 12


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is left of the rows: pairs of a unit and a group, each with its rows together.

    Attributes:
        groups: The number of each pair's group, int64, shape (pairs,).
        names: A number that tells each pair from all others, for drawing lots, int64, shape (pairs,).
        rows: The places of their rows, pair by pair, int64, shape (rows,).
        starts: Where the rows of each pair begin, int64, shape (pairs,).
        counts: How many there are, at least one, int64, shape (pairs,).
    """

    groups: Ints
    names: Ints
    rows: Ints
    starts: Ints
    counts: Ints


def bounded(units: Ints, groups: Ints, *, size: int, reach: int, lots: Lots) -> list[Pairs]:
    """Leave each unit the rows of at most `reach` of its groups, drawn by lot.

    Args:
        units: The unit of each row, from 0 on, int64, shape (rows,). No nulls.
        groups: The group of each row, from 0 to `size` - 1, int64, shape (rows,). No nulls.
        size: How many groups there may be; units times twice the groups fit 62 bits.
        reach: How many groups a unit may be in.
        lots: Draws for units; by several threads at a time.

    Returns:
        The pairs that stay, in parts, all of a unit's in one of them. Of a unit's groups each subset of `reach` is as
        probable as any other.

    Raises:
        InternalError: A unit is left in more groups than `reach`.
    """
    shift = size.bit_length()
    names = units << shift
    names |= groups
    return in_threads(lambda part: _bounded(names, part, shift, reach, lots), _parts(names, shift))


def in_threads(work: Callable[[T], R], parts: list[T]) -> list[R]:
    """Work on all parts, with a thread for each core: numpy holds no lock while it sorts and adds."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(work, parts))


def _parts(names: Ints, shift: int) -> list[tuple[int, int]]:
    """From and up to which name the parts go, none of which parts a unit; a sample tells where they are as large."""
    cores = len(os.sched_getaffinity(0))
    if cores == 1 or len(names) < _WORTH_THREADS:
        return [(0, 1 << 63)]
    sample = np.sort(names[:: len(names) // _SAMPLE])
    cuts = sample[[len(sample) * part // (2 * cores) for part in range(1, 2 * cores)]] >> shift << shift
    ends = [0, *sorted(set(cuts.tolist()) - {0}), 1 << 63]
    return list(pairwise(ends))


def _bounded(names: Ints, part: tuple[int, int], shift: int, reach: int, lots: Lots) -> Pairs:
    """`bounded` for the pairs of a part."""
    least, most = part
    inside = names >= least
    if most < 1 << 63:
        inside &= names < most
    places = np.flatnonzero(inside)
    names, rows = _together(names[places], places)
    starts = _starts(names)
    counts = _lengths(starts, len(names))
    names = names[starts]
    owners = names >> shift
    kept = _chosen(owners, reach, lots)
    if not kept.all():
        rows = rows[np.repeat(kept, counts)]
        names, owners, counts = names[kept], owners[kept], counts[kept]
        starts = np.cumsum(counts) - counts
    _hold(_longest(owners) <= reach, "a unit is in more groups than it may be")
    return Pairs(names & ((1 << shift) - 1), names, rows, starts, counts)


def counted(pairs: Pairs, there: np.ndarray | None, *, most: int) -> Ints:
    """For how many rows each pair counts: for all that do, and for `most` at most.

    Args:
        pairs: The pairs.
        there: Whether each of their rows counts, boolean, shape (rows,); None where all do.
        most: For how many rows a pair may count.

    Returns:
        int64, shape (pairs,).
    """
    return np.minimum(pairs.counts if there is None else _added(there, pairs), most)


def weighed(pairs: Pairs, steps: np.ndarray, there: np.ndarray | None, *, most: int) -> Ints:
    """The sum of each pair, its rows weighing `most` in all where there are more of them.

    A pair of n rows with the sum s has s where n ≤ R, and ⌊s·R/n⌋ else, the expectation of drawing R of the n rows,
    rounded down. With |s| ≤ n·M, s·R/n lies between -R·M and R·M, which are whole: so does what is rounded down.
    s·R is not computed, it may not fit: with s = q·n + r and 0 ≤ r < n, ⌊s·R/n⌋ = q·R + ⌊r·R/n⌋, where |q| ≤ M < 2^31
    and r < n < 2^32, R ≤ 2^20.

    Args:
        pairs: The pairs.
        steps: Whole steps of each of their rows, 0 where it does not count, int32, shape (rows,).
        there: Whether it counts, boolean, shape (rows,); None where all do.
        most: R, for how many rows a pair may count.

    Returns:
        int64, shape (pairs,).
    """
    sums = _added(steps, pairs)
    counts = pairs.counts if there is None else _added(there, pairs)
    much = counts > most
    divisor = np.where(much, counts, 1)
    whole, rest = np.divmod(sums, divisor)
    return np.where(much, whole * most + rest * most // divisor, sums)


def drawn(
    pairs: Pairs, cells: np.ndarray, *, width: int, most: int, lots: Lots, turn: str
) -> tuple[Ints, Ints, Ints]:
    """The rows of each pair in each cell; where there are more than `most`, those of `most` that are drawn by lot.

    Systematic sampling (Madow 1949) without replacement: of the n rows of a pair, in the order of their cells, one is
    drawn every n/R from a random start on. With C_b of them in the cells up to b and an offset o, drawn from 0 to n-1,
    cell b gets ⌊(R·C_b + o)/n⌋ - ⌊(R·C_{b-1} + o)/n⌋. Over all cells these add up to ⌊(R·n + o)/n⌋ - ⌊o/n⌋ = R; and the
    expectation over o of ⌊(x + o)/n⌋ is x/n for whole x, so a cell's is R·n_b/n.

    Args:
        pairs: The pairs.
        cells: The cell of each of their rows, -1 where it does not count, int32, shape (rows,).
        width: How many cells there are.
        most: R.
        lots: Draws for pairs.
        turn: What for.

    Returns:
        Pair, cell, and how many rows, int64, each of one shape; a pair and a cell may come more than once.
    """
    owner = np.repeat(np.arange(len(pairs.counts), dtype=np.int64), pairs.counts)
    there = cells >= 0
    if not there.all():
        owner, cells = owner[there], cells[there]
    counts = np.bincount(owner, minlength=len(pairs.counts))
    much = counts > most
    crowded = much[owner]
    few = (owner[~crowded], cells[~crowded].astype(np.int64))
    many = _sampled(pairs, owner[crowded] * width + cells[crowded], counts, width, most, lots, turn)
    return (
        np.concatenate([few[0], many[0]]),
        np.concatenate([few[1], many[1]]),
        np.concatenate([np.ones(len(few[0]), np.int64), many[2]]),
    )


def hold(owner: Ints | None, values: Ints, *, limit: int) -> None:
    """Look whether no pair contributes more than it may.

    Args:
        owner: The pair of each value; None where there is one for each.
        values: What is contributed, int64.
        limit: The most that the absolute values of a pair may add up to, see `Statistic.per_group`.

    Raises:
        InternalError: One does.
    """
    sizes = np.abs(values)
    if owner is not None:
        # Doubles add whole numbers below 2^53 exactly, and cells hold rows, of which there are fewer.
        sizes = np.bincount(owner, weights=sizes)
    _hold(int(sizes.max(initial=0)) <= limit, "a unit changes a group by more than it may")


def _sampled(
    pairs: Pairs, places: Ints, counts: Ints, width: int, most: int, lots: Lots, turn: str
) -> tuple[Ints, Ints, Ints]:
    """`drawn` for pairs with too many rows; `places` tells pair and cell of each row."""
    places.sort()
    starts = _starts(places)
    inside = _lengths(starts, len(places))
    owner, cell = np.divmod(places[starts], width)
    first = _starts(owner)
    sizes = _lengths(first, len(owner))
    rows = counts[owner]
    so_far = np.cumsum(inside)
    so_far -= np.repeat(so_far[first] - inside[first], sizes)
    whom = pairs.names[owner[first]]
    offset = np.repeat(below(lots.draw(whom, turn), rows[first]), sizes)
    upto = (so_far * most + offset) // rows
    before = ((so_far - inside) * most + offset) // rows
    return owner, cell, upto - before


def _together(names: Ints, places: Ints) -> tuple[Ints, Ints]:
    """Names in order, and the place of each; the memory of `names` is used for it."""
    bits = int(places.max(initial=0)).bit_length()
    if int(names.max(initial=0)).bit_length() + bits > 63:
        order = np.argsort(names)
        return names[order], places[order]
    # One sort of numbers is twice as fast as a sort of places by numbers: the place rides in the lowest bits.
    names <<= bits
    names |= places
    names.sort()
    np.bitwise_and(names, (1 << bits) - 1, out=places)
    names >>= bits
    return names, places


def _chosen(owners: Ints, reach: int, lots: Lots) -> NDArray[np.bool_]:
    """Which pairs stay; the pairs of a unit stand together.

    Of the m groups of a unit that is in more than k = `reach` of them, k are drawn by Floyd's method (Bentley and
    Floyd, "A Sample of Brilliance", CACM 30 (9), 1987), all such units at once: for t from m-k to m-1, one of the
    numbers 0 to t is drawn, and taken if it is not yet, else t is. Each subset of k is as probable as any other.
    """
    starts = _starts(owners)
    sizes = _lengths(starts, len(owners))
    much = sizes > reach
    if not much.any():
        return np.ones(len(owners), np.bool_)
    kept = np.repeat(~much, sizes)
    starts, sizes = starts[much], sizes[much]
    whom = owners[starts]
    for turn in range(reach):
        last = sizes - (reach - turn)
        place = starts + below(lots.draw(whom, f"group {turn}"), last + 1)
        kept[np.where(kept[place], starts + last, place)] = True
    return kept


def _starts(names: Ints) -> Ints:
    """Where runs of equal numbers begin."""
    if not len(names):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))


def _lengths(starts: Ints, end: int) -> Ints:
    """How long the runs are that begin there, the last of which ends at `end`."""
    lengths = np.empty(len(starts), np.int64)
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1:] = end - starts[-1:]
    return lengths


def _longest(names: Ints) -> int:
    """The length of the longest run of equal numbers."""
    return int(_lengths(_starts(names), len(names)).max(initial=0))


def _added(values: np.ndarray, pairs: Pairs) -> Ints:
    """The sum of each pair's rows, int64."""
    if not len(pairs.starts):
        return np.empty(0, np.int64)
    return np.add.reduceat(values, pairs.starts, dtype=np.int64)


def _hold(holds: bool, what: str) -> None:  # noqa: FBT001 - it reads as an assertion
    if not holds:
        raise InternalError(f"contribution bounding failed: {what}")
