"""Equivalence classes: the rows that nobody can tell apart who knows the quasi-identifiers.

Nulls, in a quasi-identifier:

| `nulls` | what a null is | so do |
|---|---|---|
| `value` | a value like others: two nulls are alike, a null and a value are not | ARX; the default here |
| `exclude` | nothing: such a row is in no class, and counted apart | pyCANON and `groupby` of pandas, without telling |

sdcMicro takes a null for any value, which makes classes that overlap and figures that look smaller than what someone
who sees the null can do; that reading is not offered.

A class counts rows. Where people have several rows, k counted in rows is too high: `people` leaves one row a person
and combination, so that sizes count people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.codes import Codes

Nulls: TypeAlias = Literal["value", "exclude"]

_ROOM = 1 << 62
"""Below this, products of cardinalities fit 64 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Equivalence classes of a table.

    Attributes:
        of: The class of each row, from 0; -1 where a row is in none.
        sizes: How many rows each class has; none is empty.
    """

    of: np.ndarray[Any, Any] = field(repr=False)
    sizes: np.ndarray[Any, Any] = field(repr=False)

    @property
    def rows(self) -> int:
        """How many rows are in classes."""
        return int(self.sizes.sum())

    @property
    def excluded(self) -> int:
        """How many rows are in none."""
        return len(self.of) - self.rows

    def first_rows(self) -> np.ndarray[Any, Any]:
        """A row of each class."""
        place = np.empty(len(self.sizes), np.int64)
        rows = np.flatnonzero(self.of >= 0) if self.excluded else np.arange(len(self.of))
        place[self.of[rows][::-1]] = rows[::-1]
        return place


def classes(columns: Sequence[Codes], *, nulls: Nulls = "value") -> Classes:
    """The equivalence classes over some columns.

    Args:
        columns: The quasi-identifiers, all of one length.
        nulls: What a null is.

    Raises:
        SchemaError: There is no column.
    """
    if not columns:
        raise SchemaError("there is no quasi-identifier", expected="one or more columns")
    out = np.zeros(len(columns[0]), bool)
    if nulls == "exclude":
        for column in columns:
            if column.null is not None:
                out |= column.codes == column.null
    if not out.any():
        of, count = dense(*combined(columns))
        return Classes(of=of, sizes=np.bincount(of, minlength=count))
    kept = np.flatnonzero(~out)
    inner, count = dense(*combined([column.take(kept) for column in columns]))
    of = np.full(len(out), -1, inner.dtype)
    of[kept] = inner
    return Classes(of=of, sizes=np.bincount(inner, minlength=count))


def combined(columns: Sequence[Codes]) -> tuple[np.ndarray[Any, Any], int]:
    """A number a row that is equal where all the columns are, and how many such numbers there can be."""
    key = columns[0].codes.astype(np.int64)
    span = max(columns[0].cardinality, 1)
    for column in columns[1:]:
        if span * max(column.cardinality, 1) >= _ROOM:
            key, span = dense(key, span)
            key = key.astype(np.int64)
        key *= column.cardinality
        key += column.codes
        span *= max(column.cardinality, 1)
    return key, span


def dense(key: np.ndarray[Any, Any], span: int) -> tuple[np.ndarray[Any, Any], int]:
    """Numbers from 0 without gaps that are equal where the keys are, and how many there are."""
    if span <= max(4 * len(key), 1 << 16):
        number = np.cumsum(np.bincount(key, minlength=span) > 0, dtype=np.int32)
        return number[key] - np.int32(1), int(number[-1]) if span else 0
    encoded = pa.array(key).dictionary_encode()
    return encoded.indices.to_numpy(), len(encoded.dictionary)


def people(columns: Sequence[Codes], subject: Codes) -> np.ndarray[Any, Any]:
    """Numbers of rows that leave one a person and combination of the columns, so that classes count people.

    A row without a subject is a person of its own.
    """
    key, span = dense(*combined([*columns, subject]))
    keep = np.zeros(len(key), bool)
    first = np.full(span, -1, np.int64)
    first[key[::-1]] = np.arange(len(key) - 1, -1, -1)
    keep[first] = True
    if subject.null is not None:
        keep |= subject.codes == subject.null
    return np.flatnonzero(keep)
