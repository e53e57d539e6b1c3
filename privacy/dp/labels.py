"""Public labels over columns: which number of a list a value is, row by row.

A value's number depends on the value and the public list alone, never on other rows. (A cut or a dictionary that is
made of the column itself does depend on them: opendp issue 2944, where one row moves all others to other bins.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.batches import plain

Label = str | int | bool
"""A label, as a policy or a file of keys writes it."""


def is_whole(kind: pa.DataType) -> bool:
    """Whether a column of this type holds whole numbers that fit 64 bits with a sign."""
    return bool(pa.types.is_integer(kind)) and not pa.types.is_uint64(kind)


def is_day(kind: pa.DataType) -> bool:
    """Whether a column of this type holds dates."""
    return bool(pa.types.is_date(kind))


def is_label_type(kind: pa.DataType) -> bool:
    """Whether values of this type can be told by labels: text, whole numbers, booleans or dates."""
    return (
        bool(pa.types.is_string(plain(kind)) or pa.types.is_boolean(kind)) or is_whole(kind) or is_day(kind)
    )


def text_of(label: Label) -> str:
    """How an answer spells a label."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def parsed(labels: Sequence[Label], kind: pa.DataType, *, where: str) -> list[Any]:
    """Labels as values of a column's type.

    Args:
        labels: In order, each once.
        kind: The type of the column, see `is_label_type`.
        where: The place to name in an error.

    Returns:
        As many text, whole numbers, booleans or dates.

    Raises:
        SchemaError: A label cannot be of the type, or two are the same value.
    """
    parse, spelling = _parser(kind)
    values = []
    for number, label in enumerate(labels, 1):
        try:
            values.append(parse(label))
        except (TypeError, ValueError, OverflowError):
            raise SchemaError(
                f"label {number} cannot be a value of a column of type {kind}",
                where=where,
                expected=spelling,
                fix="correct the list of labels, or declare the column's type",
            ) from None
    if len(set(values)) < len(values):
        raise SchemaError("two labels are the same value", where=where, expected="each value once")
    return values


def numbered(
    frame: pl.LazyFrame, column: str, kind: pa.DataType, values: Sequence[Any], name: str
) -> pl.LazyFrame:
    """Add a column with the number of each row's value in a list.

    Args:
        frame: Rows.
        column: A column of text, whole numbers, booleans or dates.
        kind: Its type.
        values: What `parsed` made of the labels.
        name: The new column, uint32: 0 for the first value; null for nulls and for what is not in the list.

    Returns:
        The same rows, in any order.
    """
    if pa.types.is_string(plain(kind)):
        listed = pl.Enum(pl.Series(values, dtype=pl.String))
        number = pl.col(column).cast(pl.String).cast(listed, strict=False).to_physical().cast(pl.UInt32)
        return frame.with_columns(number.alias(name))
    if not is_day(kind) and values == list(range(whole_first := int(values[0]), whole_first + len(values))):
        value = pl.col(column).cast(pl.Int64)
        inside = value.is_between(whole_first, whole_first + len(values) - 1)
        return frame.with_columns(pl.when(inside).then(value - whole_first).cast(pl.UInt32).alias(name))
    # A hash join on 64-bit integers: exact, made once for all rows, and as fast for 200,000 values as for two.
    whole = [value.toordinal() - _EPOCH if isinstance(value, date) else int(value) for value in values]
    listed_values = pl.LazyFrame(
        {_JOINED: pl.Series(whole, dtype=pl.Int64), name: pl.Series(range(len(whole)), dtype=pl.UInt32)}
    )
    value = pl.col(column).cast(pl.Int32) if is_day(kind) else pl.col(column)
    return (
        frame.with_columns(value.cast(pl.Int64).alias(_JOINED))
        .join(listed_values, on=_JOINED, how="left")
        .drop(_JOINED)
    )


_JOINED = "__joined"
_EPOCH = date(1970, 1, 1).toordinal()
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


def _parser(kind: pa.DataType) -> tuple[Callable[[Label], Any], str]:
    if pa.types.is_boolean(kind):
        return _boolean, "true or false"
    if is_whole(kind):
        return _whole, "whole numbers of at most 64 bits"
    if is_day(kind):
        return _day, "dates such as 2024-01-31"
    return _text, "text; `true` and `false` in quotes"


def _text(label: Label) -> str:
    if isinstance(label, bool):
        raise TypeError
    return str(label)


def _whole(label: Label) -> int:
    if isinstance(label, bool):
        raise TypeError
    value = int(label)
    if not _LEAST <= value <= _MOST:
        raise OverflowError
    return value


def _boolean(label: Label) -> bool:
    if isinstance(label, str) and label.lower() in ("true", "false"):
        return label.lower() == "true"
    if not isinstance(label, bool):
        raise TypeError
    return label


def _day(label: Label) -> date:
    if not isinstance(label, str):
        raise TypeError
    return date.fromisoformat(label)
