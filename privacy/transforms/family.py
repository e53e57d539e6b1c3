"""Families of column types: what a treatment takes, told without Arrow, so that a policy is checked without it."""

from __future__ import annotations

from enum import StrEnum

from airflow_veil.privacy.lazy import pa


class Family(StrEnum):
    """The types that treatments do not tell apart: widths, units, time zones and ways of storing are left out."""

    TEXT = "text"
    INTEGER = "integer"
    FLOATING = "floating"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    OTHER = "other"


ANY = frozenset(Family)
"""Every type there is."""

TEXT = frozenset({Family.TEXT})
"""Text, however it is stored."""

NUMBERS = frozenset({Family.INTEGER, Family.FLOATING, Family.DECIMAL})
"""What can be counted with."""

SPELLED = TEXT | NUMBERS | {Family.DATE, Family.TIMESTAMP}
"""What has one spelling for one value; see `canonical`."""


def family_of(source: pa.DataType) -> Family:
    """The family of a type; of a dictionary-encoded one, that of its values."""
    if pa.types.is_dictionary(source):
        return family_of(source.value_type)
    tests = {
        Family.TEXT: (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        Family.INTEGER: (pa.types.is_integer,),
        Family.FLOATING: (pa.types.is_floating,),
        Family.DECIMAL: (pa.types.is_decimal,),
        Family.BOOLEAN: (pa.types.is_boolean,),
        Family.DATE: (pa.types.is_date,),
        Family.TIMESTAMP: (pa.types.is_timestamp,),
    }
    return next(
        (family for family, is_it in tests.items() if any(test(source) for test in is_it)), Family.OTHER
    )
