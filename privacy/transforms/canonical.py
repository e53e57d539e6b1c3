"""One spelling for one value: what keyed treatments take as their input.

A customer number may be an integer in one table, a text in another and, where nulls are about, a float in a
third. Keyed treatments join across tables only if all three give the same bytes, so every column passes here
before it meets a key.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.errors import TransformError


def is_canonical_type(source: pa.DataType) -> bool:
    """Whether a column of this type has one spelling: text, bytes, integers, whole floats, dates, decimals."""
    return (
        pa.types.is_string(source)
        or pa.types.is_large_string(source)
        or pa.types.is_integer(source)
        or pa.types.is_floating(source)
        or pa.types.is_decimal(source)
        or pa.types.is_date(source)
        or pa.types.is_timestamp(source)
    )


def canonical(values: pa.Array, *, where: str) -> pa.StringArray:
    """Spell every value as text: integers and whole floats in decimal digits, dates and times in ISO 8601.

    Args:
        values: One column, n rows, of a type that `is_canonical_type` accepts.
        where: The place to name in an error.

    Returns:
        n strings. Nulls stay null.

    Raises:
        TransformError: A float is not a whole number (its spelling depends on its type), or the type has no
            canonical spelling.
    """
    source = values.type
    if pa.types.is_string(source):
        return values
    if pa.types.is_dictionary(source):
        return canonical(values.dictionary_decode(), where=where)
    if not is_canonical_type(source):
        raise TransformError(
            f"a column of type {source} has no canonical spelling", where=where, expected="text, integer or date"
        )
    if pa.types.is_floating(source):
        values = _whole(values, where=where)
    return pc.cast(values, pa.string())


def _whole(values: pa.Array, *, where: str) -> pa.Array:
    """Turn whole floats into integers, so that 17850.0 is spelled as 17850 is; NaN counts as null."""
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    try:
        return pc.cast(values, pa.int64(), safe=True)
    except pa.ArrowInvalid:
        fractions = pc.sum(pc.not_equal(values, pc.trunc(values))).as_py()
    raise TransformError(
        f"{fractions} values are not whole numbers",
        where=where,
        expected="whole numbers, text or dates under a keyed treatment",
        fix="treat the column with `generalize` or `noise`, or cast it upstream",
    )
