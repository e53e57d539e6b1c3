"""Singling out: predicates read off the synthetic rows that hold for exactly one person.

- **univariate**: a value that occurs once in the synthetic rows, or its least or greatest number.
- **multivariate**: some columns of a synthetic row together, drawn: the same value, and for numbers at least as far
  from the median. Those are tried that hold for one synthetic row.

A predicate is right if it holds for exactly one row of as many rows as the smaller of training rows and hold-out has
(Giomi et al. 2023, section 4.1; Cohen and Nissim, "Towards formalizing the GDPR's notion of singling out", 2020). Of
the larger table the chance is counted that this is so in a draw of that size, and not a draw looked at: K rows of N
leave one in n with the probability of the hypergeometric law. What the training rows tell more is multiplied by their
size over that of the draw, since a leaked row is drawn no more often than that.

The baseline are predicates with columns, values and comparisons drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from airflow_veil.privacy.evaluation.attack_risk import AttackRisk, attack_risk
from airflow_veil.privacy.evaluation.tables import Encoded, Rows
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE
from airflow_veil.privacy.risk.codes import Codes

COLUMNS = 3
"""Columns of a multivariate predicate."""
FEWEST = 100
"""Predicates that are tried at least: where too few hold for one synthetic row, others make up for them."""
ROUNDS = 50
"""How often as many multivariate predicates are drawn as are wanted, until enough of them hold for one row."""
_BLOCK = 4096
_BITS = 1 << 24
"""Truth values that are compared at a time."""

Mode: TypeAlias = Literal["univariate", "multivariate"]


class Predicates(NamedTuple):
    """Conjunctions of ranges of codes, each predicates by columns.

    Attributes:
        column: The number of the column.
        low: The least code.
        high: The greatest.
        outside: Whether it holds outside the range, for what is no null.
    """

    column: np.ndarray[Any, Any]
    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]
    outside: np.ndarray[Any, Any]

    def take(self, rows: np.ndarray[Any, Any]) -> Predicates:
        """Some of them."""
        return Predicates(*(each[rows] for each in self))

    def __len__(self) -> int:
        return len(self.column)


def singling_out(
    tables: Encoded,
    mode: Mode,
    columns: Sequence[str],
    *,
    attempts: int,
    rng: np.random.Generator,
    width: int = COLUMNS,
    confidence: float = CONFIDENCE,
) -> AttackRisk:
    """Single out people of the training rows, and of the hold-out.

    Args:
        tables: The three tables.
        mode: What predicates.
        columns: Of which columns they are.
        attempts: How many predicates are tried, if there are so many.
        rng: Draws them.
        width: Columns of a multivariate predicate; fewer if there are no more.
        confidence: Of the interval.
    """
    width = min(width, len(columns)) if mode == "multivariate" else 1
    made = _univariate if mode == "univariate" else _multivariate
    tried = made(tables.synthetic, columns, attempts, width, rng)
    guessed = _guessed(tables.synthetic, columns, attempts, width, rng)
    size = min(tables.train.length, tables.holdout.length)

    def alone(part: Rows, predicates: Predicates) -> float:
        return float(_one_of(holding(part, columns, predicates), part.length, size).sum())

    return attack_risk(
        f"singling out, {mode}",
        right=alone(tables.train, tried),
        tried=len(tried),
        control_right=alone(tables.holdout, tried),
        control_tried=len(tried),
        baseline=alone(tables.train, guessed) / len(guessed),
        stretch=tables.train.length / size,
        confidence=confidence,
    )


def holding(rows: Rows, columns: Sequence[str], predicates: Predicates) -> np.ndarray[Any, Any]:
    """For how many rows each predicate holds."""
    sides = [rows.codes[name] for name in columns]
    if predicates.column.shape[1] == 1:
        return _holding_one(sides, predicates)
    words = -(-rows.length // 64)
    found = np.empty(len(predicates), np.int64)
    for begin in range(0, len(predicates), _BLOCK):
        block = predicates.take(np.arange(begin, min(begin + _BLOCK, len(predicates))))
        all_of = np.full((len(block), words), ~np.uint64(0))
        for number, side in enumerate(sides):
            # A column is at most once in a predicate.
            row, place = np.nonzero(block.column == number)
            if len(row):
                all_of[row] &= _bits(side, *(each[row, place] for each in block[1:]))
        found[begin : begin + len(block)] = np.bitwise_count(all_of).sum(axis=1)
    return found


def _bits(
    side: Codes, low: np.ndarray[Any, Any], high: np.ndarray[Any, Any], outside: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Which rows are in each range, 64 in a word."""
    width = max(side.cardinality, 1)
    key = ((low.astype(np.int64) * (width + 1) + high + 1) << 1) | outside
    ranges, which = np.unique(key, return_inverse=True)
    rows = len(side)
    bits = np.zeros((len(ranges), -(-rows // 64) * 8), np.uint8)
    bounds, beyond = ranges >> 1, (ranges & 1).astype(bool)
    least, most = bounds // (width + 1), bounds % (width + 1) - 1
    known = None if side.null is None else side.codes != side.null
    codes = side.codes.view(np.uint32)
    step = max(1, _BITS // max(rows, 1))
    for begin in range(0, len(ranges), step):
        part = slice(begin, begin + step)
        offset = codes[None, :] - least[part, None].astype(np.uint32)
        inside = offset <= (most - least)[part, None].astype(np.uint32)
        inside &= (most >= least)[part, None]
        inside ^= beyond[part, None]
        if known is not None and beyond[part].any():
            inside &= known | ~beyond[part, None]
        packed = np.packbits(inside, axis=1)
        bits[part, : packed.shape[1]] = packed
    return bits.view(np.uint64)[which.reshape(-1)]


def _holding_one(sides: Sequence[Codes], predicates: Predicates) -> np.ndarray[Any, Any]:
    """The same for predicates of one column, by counts of codes."""
    found = np.empty(len(predicates), np.int64)
    column, low, high, outside = (each[:, 0] for each in predicates)
    for number, side in enumerate(sides):
        mine = column == number
        below = np.concatenate([[0], np.cumsum(np.bincount(side.codes, minlength=side.cardinality))])
        inside = below[np.maximum(high[mine] + 1, low[mine])] - below[low[mine]]
        known = below[_values(side)]
        beyond = np.where(low[mine] < _values(side), known - inside, known)
        found[mine] = np.where(outside[mine], beyond, inside)
    return found


def _one_of(holds: np.ndarray[Any, Any], rows: int, size: int) -> np.ndarray[Any, Any]:
    """How likely exactly one of the rows that a predicate holds for is in a draw of so many of all."""
    if size == rows:
        alone: np.ndarray[Any, Any] = holds == 1
        return alone
    from scipy.stats import hypergeom

    chance: np.ndarray[Any, Any] = hypergeom.pmf(1, rows, holds, size)
    return chance


def _values(side: Codes) -> int:
    """How many codes are values."""
    return side.cardinality - (side.null is not None)


def _univariate(
    synthetic: Rows, columns: Sequence[str], attempts: int, _width: int, rng: np.random.Generator
) -> Predicates:
    """Values that occur once, least and greatest numbers."""
    parts = []
    for number, name in enumerate(columns):
        side = synthetic.codes[name]
        counts = np.bincount(side.codes, minlength=side.cardinality)
        once = np.flatnonzero(counts == 1)
        lows, highs = [once], [once]
        seen = np.flatnonzero(counts[: _values(side)])
        if name in synthetic.scaled and len(seen):
            lows += [np.array([0, seen[-1]])]
            highs += [np.array([seen[0], _values(side) - 1])]
        low, high = np.concatenate(lows), np.concatenate(highs)
        parts.append((np.full(len(low), number), low, high, np.zeros(len(low), bool)))
    every = Predicates(*(np.concatenate(each)[:, None] for each in zip(*parts, strict=True)))
    found = every.take(holding(synthetic, columns, every) == 1) if len(every) else every
    chosen = found.take(rng.permutation(len(found))[:attempts])
    return _enough(chosen, lambda: _like_a_row(synthetic, columns, FEWEST, 1, rng))


def _multivariate(
    synthetic: Rows, columns: Sequence[str], attempts: int, width: int, rng: np.random.Generator
) -> Predicates:
    """Columns of synthetic rows together, those that hold for one row, each once."""
    found: Predicates | None = None
    for _ in range(ROUNDS):
        made = _like_a_row(synthetic, columns, attempts, width, rng)
        alone = made.take(holding(synthetic, columns, made) == 1)
        found = _distinct(alone if found is None else _joined(found, alone))
        if len(found) >= attempts:
            break
    assert found is not None  # noqa: S101 - there is a round
    return _enough(
        found.take(rng.permutation(len(found))[:attempts]),
        lambda: _like_a_row(synthetic, columns, FEWEST, width, rng),
    )


def _like_a_row(
    synthetic: Rows, columns: Sequence[str], count: int, width: int, rng: np.random.Generator
) -> Predicates:
    """What some columns of drawn rows have: the value, or a number at least as far from the median."""
    chosen = np.sort(np.argsort(rng.random((count, len(columns))), axis=1)[:, :width], axis=1)
    rows = rng.integers(0, synthetic.length, count)
    low, high = np.empty_like(chosen), np.empty_like(chosen)
    for number, name in enumerate(columns):
        side = synthetic.codes[name]
        row, place = np.nonzero(chosen == number)
        value = side.codes[rows[row]]
        least, most = value.copy(), value.copy()
        if name in synthetic.scaled:
            known = side.codes[side.codes != side.null] if side.null is not None else side.codes
            middle = np.median(known) if len(known) else 0
            number_of = value < _values(side)
            most[number_of & (value > middle)] = _values(side) - 1
            least[number_of & (value <= middle)] = 0
        low[row, place], high[row, place] = least, most
    return Predicates(chosen, low, high, np.zeros_like(chosen, bool))


def _guessed(
    synthetic: Rows, columns: Sequence[str], attempts: int, width: int, rng: np.random.Generator
) -> Predicates:
    """Drawn columns, drawn values of the synthetic rows, drawn comparisons."""
    chosen = np.sort(np.argsort(rng.random((attempts, len(columns))), axis=1)[:, :width], axis=1)
    low, high = np.empty_like(chosen), np.empty_like(chosen)
    outside = np.zeros_like(chosen, bool)
    for number, name in enumerate(columns):
        side = synthetic.codes[name]
        values = np.unique(side.codes)
        row, place = np.nonzero(chosen == number)
        value = values[rng.integers(0, len(values), len(row))]
        last = np.where(value < _values(side), _values(side) - 1, value)
        # Equal, not equal, and of numbers: less, at most, greater, at least.
        word = rng.integers(0, 6 if name in synthetic.scaled else 2, len(row))
        low[row, place] = np.select([word < 2, word < 4, word == 4], [value, 0, value + 1], value)
        high[row, place] = np.select([word < 2, word == 2, word == 3], [value, value - 1, value], last)
        outside[row, place] = word == 1
    return Predicates(chosen, low, np.maximum(high, -1), outside)


def _enough(found: Predicates, others: Any) -> Predicates:
    """Enough to tell something by."""
    if len(found) >= FEWEST:
        return found
    return _joined(found, others().take(np.arange(FEWEST - len(found))))


def _joined(one: Predicates, other: Predicates) -> Predicates:
    return Predicates(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))


def _distinct(predicates: Predicates) -> Predicates:
    """Each once, in the order in which they came."""
    _, first = np.unique(np.concatenate(predicates[:3], axis=1), axis=0, return_index=True)
    return predicates.take(np.sort(first))
