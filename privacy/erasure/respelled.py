"""The canonical spelling of values, computed without the code that keyed treatments and the eraser use.

What is canonical: whole numbers in decimal digits, dates `2026-01-31`, times `2026-01-31T23:59:59.5`, with `Z` and in
UTC where they have a time zone; text as it is. See `transforms/canonical.py`, which computes the same in Arrow.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_veil.privacy.lazy import pa

if TYPE_CHECKING:
    import polars as pl

_LARGEST = 9.2e18
_NUMBER = re.compile(r"\s*\+?(-?)0*(\d+)(?:\.0*)?\s*")
_TIME = re.compile(
    r"\s*(?P<day>\d{4,}-\d\d-\d\d)(?:[T ](?P<clock>\d\d:\d\d)(?::(?P<second>\d\d)(?:\.(?P<part>\d+))?)?)?"
    r"\s*(?P<zone>Z|z|[+-]\d\d(?::?\d\d)?)?\s*"
)


def column_spelled(name: str, kind: pl.DataType) -> pl.Expr | None:
    """A column's values as canonical texts, by polars; null where a value has none, such as 1.5.

    Args:
        name: The column.
        kind: Its type.

    Returns:
        An expression, or None for a type whose values have no canonical spelling.
    """
    import polars as pl

    column = pl.col(name)
    if kind.is_integer() or isinstance(kind, pl.String | pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if kind.is_float():
        whole = (column == column.round(0)) & (column.abs() < _LARGEST)
        return pl.when(whole).then(column).cast(pl.Int64).cast(pl.String)
    if kind.is_decimal():
        digits = column.cast(pl.String)
        return pl.when(digits.str.contains(r"\.")).then(digits.str.replace(r"\.0*$", "")).otherwise(digits)
    if isinstance(kind, pl.Date):
        return column.dt.strftime("%Y-%m-%d")
    if isinstance(kind, pl.Datetime):
        zoned = kind.time_zone is not None
        text = (column.dt.convert_time_zone("UTC") if zoned else column).dt.strftime("%Y-%m-%dT%H:%M:%S%.9f")
        short = text.str.strip_chars_end("0").str.strip_chars_end(".")
        return short + "Z" if zoned else short
    return None


def cell_spelled(text: str, kind: pa.DataType) -> str:
    """A text that a file or database holds for a value of a type, as the value's canonical text.

    Args:
        text: The text; what is no value of the type is given back as it is.
        kind: The type.
    """
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return _number(text)
    if pa.types.is_date(kind):
        return text.strip()
    if pa.types.is_timestamp(kind):
        return time_spelled(text, zoned=kind.tz is not None)
    return text


def _number(text: str) -> str:
    found = _NUMBER.fullmatch(text)
    if found:
        return found[1] + found[2] if found[2] != "0" else "0"
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def time_spelled(text: str, *, zoned: bool) -> str:
    """A time in ISO 8601, however short, as canonical text.

    Args:
        text: The text; what is no time is given back as it is.
        zoned: Whether its type has a time zone; UTC is meant where the text names none.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    day, clock = found["day"], f"{found['clock'] or '00:00'}:{found['second'] or '00'}"
    zone = found["zone"]
    if zoned and zone not in (None, "Z", "z"):
        day, clock = _in_utc(day, clock, zone).split("T")
    part = (found["part"] or "").rstrip("0")
    return f"{day}T{clock}{f'.{part}' if part else ''}{'Z' if zoned else ''}"


def _in_utc(day: str, clock: str, zone: str) -> str:
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    try:
        local = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
        return (local - offset if zone[0] == "+" else local + offset).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError):
        return f"{day}T{clock}"
