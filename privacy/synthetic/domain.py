"""Domains: the values of a column as a few whole numbers, told by the policy and never by the data.

A value's code depends on that value and on the declared domain alone. So two tables that differ in one unit's rows have
the same codes in all others, which a domain that is looked up in the table does not give (Ganev, Annamalai, Mahiou and
De Cristofaro, "The Importance of Being Discrete", 2025, https://arxiv.org/abs/2504.06923). What is outside of it is
clamped, counts as the declared other value, or has no code; a row without a code does not count, whoever else does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.dp.labels import Label, is_label_type, parsed
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.synthetic import Categories, Dates, Numbers, SyntheticColumn
from airflow_veil.privacy.storage.batches import plain, plain_array

Codes = NDArray[np.int32]

NO_CODE = -1
"""The code of a value that the domain does not have."""
MOST_CODES = 1 << 16
"""How many codes a domain may have."""
_MOST_WHOLE = 1 << 53
"""Whole bounds up to here are what the policy's number says."""
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a column may hold, as the codes from 0 to `size` - 1.

    Attributes:
        name: The column.
        type: Its type, plain.
        values: Its values, one code each; empty where it has bins.
        edges: The edges of its bins of float64: a bin holds its left edge, the last one both; empty for others.
        starts: The first whole number of each bin of whole numbers (of dates: days since 1970; of times: seconds), and
            the number after the last; empty for others.
        decimals: How many decimals floats have; None for all that they can have.
        other: The code of all values that are not listed; None where these have none.
        nulls: Whether null has a code: the last one.
    """

    name: str
    type: pa.DataType
    values: tuple[Any, ...] = ()
    edges: tuple[float, ...] = ()
    starts: tuple[int, ...] = ()
    decimals: int | None = None
    other: int | None = None
    nulls: bool = False

    @property
    def known(self) -> int:
        """How many codes stand for values."""
        return len(self.values) or (len(self.edges) or len(self.starts)) - 1

    @property
    def size(self) -> int:
        """How many codes there are."""
        return self.known + self.nulls

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, for digests."""
        return {
            "name": self.name,
            "type": str(self.type),
            "values": [value.isoformat() if isinstance(value, date) else value for value in self.values],
            "edges": [repr(edge) for edge in self.edges],
            "starts": list(self.starts),
            "decimals": self.decimals,
            "other": self.other,
            "nulls": self.nulls,
        }

    def encode(self, column: pa.Array) -> Codes:
        """The code of each value.

        Args:
            column: Values of the domain's type, in any storage of it, n of them; NaN counts as null.

        Returns:
            int32, shape (n,); `NO_CODE` where the value has none.

        Raises:
            SchemaError: The column is of another type.
        """
        column = plain_array(column)
        if column.type != self.type:
            raise SchemaError(
                f"the column has the type {column.type}", where=self.name, expected=str(self.type)
            )
        codes, empty = self._of_values(column) if self.values else self._of_numbers(column)
        codes = np.where(empty, np.int32(self.known if self.nulls else NO_CODE), codes)
        return codes.astype(np.int32, copy=False)

    def decode(self, codes: NDArray[Any], rng: np.random.Generator) -> pa.Array:
        """A value for each code: uniform within its bin.

        Args:
            codes: From 0 to `size` - 1, shape (n,).
            rng: Draws within bins.

        Returns:
            n values of the domain's type; null for the code of nulls. Within the bounds, whole where the type is.
        """
        codes = np.asarray(codes).astype(np.int64)
        empty = codes == self.known if self.nulls else np.zeros(len(codes), np.bool_)
        inside = np.where(empty, 0, codes)
        if self.values:
            array = pa.array(self.values, self.type).take(pa.array(inside))
        elif self.starts:
            starts = np.array(self.starts, np.int64)
            array = self._whole(rng.integers(starts[inside], starts[inside + 1]))
        else:
            array = self._fractions(inside, rng)
        return pc.if_else(pa.array(empty), pa.scalar(None, self.type), array) if empty.any() else array

    def code_of(self, value: Label | float | date | None) -> int:
        """The code of one value, for conditions on what is drawn.

        Raises:
            SchemaError: The domain does not have it.
        """
        code = int(self.encode(pa.array([self.scalar_of(value)]))[0])
        if code == NO_CODE or not self._within(value):
            raise SchemaError("the value is not in the domain of the column", where=self.name)
        return code

    def scalar_of(self, value: Label | float | date | None) -> pa.Scalar:
        """One value in the domain's type; dates and times may be text of ISO 8601.

        Raises:
            SchemaError: It cannot be of the type.
        """
        try:
            if isinstance(value, str) and pa.types.is_temporal(self.type):
                value = datetime.fromisoformat(value)
            return pa.scalar(value, self.type)
        except (ValueError, TypeError, pa.ArrowException, OverflowError):
            raise SchemaError("the value is not in the domain of the column", where=self.name) from None

    def _within(self, value: Label | float | date | None) -> bool:
        """Whether a value that has a code is declared: neither clamped nor another one."""
        if value is None:
            return True
        if self.values:
            return self.scalar_of(value).as_py() in self.values
        if self.starts:
            number = int(_whole_numbers(pa.array([self.scalar_of(value)]))[0][0])
            return self.starts[0] <= number < self.starts[-1]
        return self.edges[0] <= float(value) <= self.edges[-1]  # type: ignore[arg-type]

    def _of_values(self, column: pa.Array) -> tuple[Codes, NDArray[np.bool_]]:
        found = pc.index_in(column, value_set=pa.array(self.values, self.type))
        missing = NO_CODE if self.other is None else self.other
        return found.fill_null(missing).to_numpy(zero_copy_only=False), _empty(column)

    def _of_numbers(self, column: pa.Array) -> tuple[Codes, NDArray[np.bool_]]:
        if self.starts:
            numbers, empty = _whole_numbers(column)
            starts = np.array(self.starts, np.int64)
            inside = numbers.clip(starts[0], starts[-1] - 1)
            return np.searchsorted(starts[1:-1], inside, side="right").astype(np.int32), empty
        floats = column.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy(zero_copy_only=False)
        empty = np.isnan(floats)
        edges = np.array(self.edges)
        # What is beyond an end is in the bin at that end: it is clamped by that alone.
        codes = np.searchsorted(edges[1:-1], np.where(empty, edges[0], floats), side="right")
        return codes.astype(np.int32), empty

    def _whole(self, numbers: NDArray[np.int64]) -> pa.Array:
        if pa.types.is_date(self.type):
            return pa.array(numbers.astype(np.int32)).cast(pa.date32()).cast(self.type)
        if pa.types.is_timestamp(self.type):
            return pa.array(numbers).cast(pa.timestamp("s", self.type.tz)).cast(self.type)
        return pa.array(numbers).cast(self.type)

    def _fractions(self, codes: NDArray[np.int64], rng: np.random.Generator) -> pa.Array:
        edges = np.array(self.edges)
        left, right = edges[codes], edges[codes + 1]
        last = codes == len(edges) - 2
        if pa.types.is_decimal(self.type):
            whole = _steps(left, right, last, self.type.scale, rng)
            scaled = pa.array(whole).cast(pa.decimal128(19, 0))
            return pc.multiply(scaled, pa.scalar(Decimal(1).scaleb(-self.type.scale))).cast(self.type)
        if self.decimals is not None:
            whole = _steps(left, right, last, self.decimals, rng)
            return pa.array(whole / 10.0**self.decimals).cast(self.type, safe=False)
        share = rng.random(len(codes))
        # Written so that a wide bin does not overflow; rounding may reach the right edge, which is the next bin's.
        floats = (left * (1 - share) + right * share).astype(self.type.to_pandas_dtype())
        right = right.astype(floats.dtype)
        below = np.where(last, right, np.nextafter(right, floats.dtype.type(-np.inf)))
        return pa.array(floats.clip(left.astype(floats.dtype), below), self.type)


def domain_of(
    name: str,
    column: SyntheticColumn,
    kind: pa.DataType,
    *,
    values: Sequence[Label] | None = None,
    where: str = "",
) -> Domain:
    """The domain of a learned column.

    Args:
        name: The column.
        column: What the policy says of it.
        kind: Its type in the source.
        values: Its values where the policy's data set lists them, and the word `categories` does not.
        where: The place to name in an error.

    Raises:
        SchemaError: The type does not fit the word, the list of values is missing, or there are too many.
    """
    where = where or f"column {name}"
    kind = plain(kind)
    if column.categories is not None:
        domain = _categories(name, column.categories, kind, values, nulls=column.nulls, where=where)
    elif column.numbers is not None:
        domain = _numbers(name, column.numbers, kind, nulls=column.nulls, where=where)
    elif column.dates is not None:
        domain = _dates(name, column.dates, kind, nulls=column.nulls, where=where)
    else:
        raise SchemaError(f"a column of the word {column.word} is not learned", where=where)
    if domain.size > MOST_CODES:
        raise SchemaError("the column has too many values", where=where, expected=f"at most {MOST_CODES}")
    return domain


def digest_of(domains: Sequence[Domain]) -> str:
    """SHA-256 of all that domains are."""
    from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of

    return sha256_of(canonical_json([domain.as_dict() for domain in domains]))


def encoded(
    domains: Sequence[Domain], columns: Mapping[str, pa.Array]
) -> tuple[list[Codes], NDArray[np.bool_]]:
    """The codes of the rows that have one in each column.

    Args:
        domains: The domains, each of another column.
        columns: Arrow columns by name, n values each.

    Returns:
        For each domain int32 codes of the rows that are left, and which are, boolean, shape (n,). How many there are is
        exact and private: it is nothing to tell.
    """
    codes = [domain.encode(columns[domain.name]) for domain in domains]
    there = np.logical_and.reduce([one >= 0 for one in codes])
    return codes if there.all() else [one[there] for one in codes], there


def _categories(
    name: str,
    word: Categories,
    kind: pa.DataType,
    listed: Sequence[Label] | None,
    *,
    nulls: bool,
    where: str,
) -> Domain:
    labels = list(word.values if word.values is not None else listed or ())
    if not labels:
        raise SchemaError("the values of the column are not listed", where=where, fix="name its `values`")
    if not is_label_type(kind):
        raise SchemaError(
            f"a column of type {kind} has no categories",
            where=where,
            expected="text, whole numbers, booleans or dates",
        )
    values = parsed(labels, kind, where=where)
    other = None
    if word.other is not None:
        (rest,) = parsed([word.other], kind, where=where)
        if rest not in values:
            values.append(rest)
        other = values.index(rest)
    return Domain(name=name, type=kind, values=tuple(values), other=other, nulls=nulls)


def _numbers(name: str, word: Numbers, kind: pa.DataType, *, nulls: bool, where: str) -> Domain:
    low, high = word.bounds
    edges = word.edges or tuple(np.linspace(low, high, word.bins + 1).tolist())
    if any(right <= left for left, right in pairwise(edges)):
        raise SchemaError("the edges of the bins do not rise", where=where)
    if pa.types.is_integer(kind):
        if max(map(abs, edges)) > _MOST_WHOLE:
            raise SchemaError("the bounds are too far out", where=where, expected=f"at most {_MOST_WHOLE}")
        starts = _starts(edges, where)
        _check_fits((starts[0], starts[-1] - 1), kind, where)
        return Domain(name=name, type=kind, starts=starts, nulls=nulls)
    if not (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise SchemaError(f"the column has the type {kind}", where=where, expected="numbers")
    if pa.types.is_decimal(kind) or pa.types.is_float64(kind):
        return Domain(name=name, type=kind, edges=edges, decimals=word.decimals, nulls=nulls)
    # The edges that a narrow float has, so that what is drawn is within its bin.
    narrow = tuple(float(edge) for edge in np.array(edges).astype(kind.to_pandas_dtype()))
    if any(right <= left or math.isinf(right) for left, right in pairwise(narrow)):
        raise SchemaError(f"the edges of the bins do not fit the type {kind}", where=where)
    return Domain(name=name, type=kind, edges=narrow, decimals=word.decimals, nulls=nulls)


def _dates(name: str, word: Dates, kind: pa.DataType, *, nulls: bool, where: str) -> Domain:
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        raise SchemaError(f"the column has the type {kind}", where=where, expected="dates or times")
    first, last = (day.toordinal() - _EPOCH for day in word.bounds)
    if last < first:
        raise SchemaError("the last day is before the first", where=where)
    _check_fits(word.bounds, kind, where)
    # The last day is a whole one: the right edge of the last part is the day after it, which no part holds.
    unit = _DAY if pa.types.is_timestamp(kind) else 1
    end = (last + 1) * unit
    edges = np.linspace(first * unit, end, word.bins + 1).tolist()
    starts = sorted({math.ceil(edge) for edge in edges[:-1]} | {end})
    return Domain(name=name, type=kind, starts=tuple(starts), nulls=nulls)


def _starts(edges: Sequence[float], where: str) -> tuple[int, ...]:
    """The first whole number of each bin that has one, and the number after the last one's last."""
    starts = sorted({math.ceil(edge) for edge in edges[:-1]} | {math.floor(edges[-1]) + 1})
    if len(starts) < 2:
        raise SchemaError("there is no whole number between the bounds", where=where)
    return tuple(starts)


def _check_fits(bounds: tuple[Any, ...], kind: pa.DataType, where: str) -> None:
    """Look whether bounds are values of a type."""
    try:
        pa.array(bounds).cast(kind)
    except pa.ArrowInvalid:
        raise SchemaError(f"the bounds are no values of the type {kind}", where=where) from None


def _whole_numbers(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Whole numbers, or days or seconds since 1970, 0 for nulls; and which are null."""
    empty = _empty(column)
    if pa.types.is_timestamp(column.type):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        ticks = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return ticks // per_second, empty
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.int32())
    whole = column.fill_null(pa.scalar(0, column.type)).to_numpy(zero_copy_only=False)
    if whole.dtype == np.uint64:
        whole = np.minimum(whole, np.uint64(np.iinfo(np.int64).max))
    return whole.astype(np.int64, copy=False), empty


def _empty(column: pa.Array) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
    return empty


def _steps(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    last: NDArray[np.bool_],
    decimals: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Steps of a decimal, from the left edges to before the right ones, or up to them where they are last."""
    steps = 10.0**decimals
    first = np.ceil(left * steps)
    end = np.where(last, np.floor(right * steps) + 1, np.ceil(right * steps))
    return rng.integers(first.astype(np.int64), np.maximum(end, first + 1).astype(np.int64))
