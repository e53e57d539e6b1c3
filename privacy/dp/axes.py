"""The keys of a query over its rows: the group of each row, as a number where all labels are public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import prod

import numpy as np
import polars as pl
import pyarrow as pa

from airflow_veil.privacy.dp.labels import is_label_type, numbered, parsed, text_of
from airflow_veil.privacy.dp.marks import Added
from airflow_veil.privacy.dp.query import Axis
from airflow_veil.privacy.errors import SchemaError

_UTC = (None, "UTC", "Etc/UTC", "+00:00", "Z")
_MOST_GROUPS = 1 << 40


@dataclass(frozen=True)
class BoundAxis:
    """An axis over a column.

    Attributes:
        axis: The axis.
        add: Adds the column `name` to rows: the number of the label (uint32), or the value itself where labels are
            not public; null where the row is in no group.
        name: That column.
    """

    axis: Axis
    add: Added
    name: str

    @property
    def size(self) -> int:
        """How many labels are public; 1 where they are not."""
        return 1 if self.axis.labels is None else len(self.axis.labels)


def bind_axis(axis: Axis, name: str, column: str, kind: pa.DataType, *, where: str) -> BoundAxis:
    """Bind an axis to a column.

    Args:
        axis: The axis.
        name: The column to add to rows.
        column: Where the column of the axis stands.
        kind: Its type.
        where: The place to name in an error.

    Raises:
        SchemaError: The type does not fit, or a label cannot be a value of the column.
    """
    if axis.to is not None:
        number = _calendar(axis, column, kind, where)
        return BoundAxis(axis, lambda frame: frame.with_columns(number.alias(name)), name)
    if not is_label_type(kind):
        raise SchemaError(
            f"the column has the type {kind}",
            where=where,
            expected="text, whole numbers of at most 64 bits, booleans or dates, for a key",
        )
    if axis.labels is None:
        value = pl.col(column)
        value = value.cast(pl.String) if pa.types.is_string(kind) else value
        return BoundAxis(axis, lambda frame: frame.with_columns(value.alias(name)), name)
    values = parsed(axis.labels, kind, where=where)
    return BoundAxis(axis, lambda frame: numbered(frame, column, kind, values, name), name)


def group_of(axes: list[BoundAxis]) -> pl.Expr:
    """The number of a row's group among those of the public labels, int64; the first axis is the slowest.

    Raises:
        SchemaError: There are too many groups to number.
    """
    if prod(axis.size for axis in axes) >= _MOST_GROUPS:
        raise SchemaError(
            "the public keys make too many groups",
            expected=f"fewer than {_MOST_GROUPS}",
            fix="name fewer keys",
        )
    known = [axis for axis in axes if axis.axis.labels is not None]
    if not known:
        return pl.lit(0, pl.Int64)
    number = pl.col(known[0].name).cast(pl.Int64)
    for axis in known[1:]:
        number = number * axis.size + pl.col(axis.name).cast(pl.Int64)
    return number


def label_texts(axes: list[BoundAxis], groups: np.ndarray) -> list[pa.Array | None]:
    """The labels of some groups.

    Args:
        axes: The axes.
        groups: Numbers of groups, int64, shape (n,).

    Returns:
        For each axis n labels, text; None where labels are not public.
    """
    texts: list[pa.Array | None] = []
    stride = prod(axis.size for axis in axes)
    for axis in axes:
        if axis.axis.labels is None:
            texts.append(None)
            continue
        stride //= axis.size
        labels = pa.array([text_of(label) for label in axis.axis.labels], pa.string())
        texts.append(labels.take(pa.array(groups // stride % axis.size)))
    return texts


def _calendar(axis: Axis, column: str, kind: pa.DataType, where: str) -> pl.Expr:
    """The number of a date's year, month or day among the labels, which follow each other without a gap."""
    if not (pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz in _UTC)):
        raise SchemaError(
            f"the column has the type {kind}",
            where=where,
            expected="dates, or times without a time zone or in UTC, for a key of the calendar",
        )
    labels = axis.labels or ()
    first = date(*([int(part) for part in str(labels[0]).split("-")] + [1, 1])[:3])
    value = pl.col(column)
    match axis.to:
        case "year":
            number = value.dt.year() - first.year
        case "month":
            months = value.dt.year().cast(pl.Int32) * 12 + value.dt.month().cast(pl.Int32)
            number = months - (first.year * 12 + first.month)
        case _:
            number = value.dt.date().cast(pl.Int32) - (first.toordinal() - date(1970, 1, 1).toordinal())
    return pl.when((number >= 0) & (number < len(labels))).then(number).cast(pl.UInt32)
