"""One spelling for one value: what keyed treatments take as their input.

A customer number may be an integer in one table, a text in another and, where nulls are about, a float in a
third. Keyed treatments join across tables only if all three give the same bytes, so every column passes here
before it meets a key. Text is taken as it is: nothing is trimmed, folded or normalized.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.family import SPELLED, Family, family_of
from airflow_veil.privacy.transforms.text import decoded, on_values

# Beyond it neighbouring whole numbers share one float64.
_EXACT = float(1 << 53)


def is_canonical_type(source: pa.DataType) -> bool:
    """Whether a column of this type has one spelling: text, whole numbers, dates and times."""
    return family_of(source) in SPELLED


def canonical(values: pa.Array, *, where: str) -> pa.StringArray:
    """Spell every value as text.

    Whole numbers are spelled in decimal digits whatever their type, dates as `2026-01-31`, times as
    `2026-01-31T23:59:59.5`, with `Z` and in UTC where the type has a time zone (ISO 8601).

    Args:
        values: One column, n rows, of a type that `is_canonical_type` accepts.
        where: The place to name in an error.

    Returns:
        n strings. Nulls stay null; NaN is a null.

    Raises:
        TransformError: A number is not whole, or a float so large that it stands for several whole numbers,
            or the type has no canonical spelling.
    """
    values = decoded(values)
    spell = _SPELLINGS.get(family_of(values.type))
    if spell is not None:
        return spell(values, where)
    msg = f"a column of type {values.type} has no canonical spelling"
    raise TransformError(
        msg,
        where=where,
        expected="text, whole numbers, dates or times",
        fix="cast the column upstream, or choose a treatment without a key",
    )


def _text(values: pa.Array, _where: str) -> pa.Array:
    return values if pa.types.is_string(values.type) else pc.cast(values, pa.string())


def _integer(values: pa.Array, _where: str) -> pa.Array:
    return pc.cast(values, pa.string())


def _float(values: pa.Array, where: str) -> pa.Array:
    """17850.0 is spelled as 17850 is."""
    values = pc.cast(values, pa.float64())
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    whole = pc.and_(pc.equal(values, pc.trunc(values)), pc.less_equal(pc.abs(values), _EXACT))
    _require_whole(whole, where)
    return pc.cast(pc.cast(values, pa.int64()), pa.string())


def _decimal(values: pa.Array, where: str) -> pa.Array:
    """17850.00 is spelled as 17850 is; a scale of zero also keeps Arrow from writing exponents."""
    _require_whole(pc.equal(values, pc.trunc(values)), where)
    digits = pa.decimal256(76, 0) if pa.types.is_decimal256(values.type) else pa.decimal128(38, 0)
    return pc.cast(pc.cast(values, digits), pa.string())


def _require_whole(whole: pa.BooleanArray, where: str) -> None:
    wrong = pc.sum(pc.invert(whole)).as_py() or 0
    if wrong:
        msg = f"{wrong} of {len(whole)} values are not whole numbers below 2^53"
        raise TransformError(
            msg,
            where=where,
            expected="whole numbers, text, dates or times under a keyed treatment",
            fix="treat the column with `generalize` or `noise`, or cast it upstream",
        )


def _date(values: pa.Array, _where: str) -> pa.Array:
    return pc.cast(values, pa.string())


def _timestamp(values: pa.Array, _where: str) -> pa.Array:
    """One instant has one spelling, whatever the unit and the zone that the column is shown in."""
    zoned = values.type.tz is not None
    naive = pc.cast(values, pa.int64()).view(pa.timestamp(values.type.unit))
    text = pc.replace_substring(pc.cast(naive, pa.string()), " ", "T", max_replacements=1)
    if values.type.unit != "s":
        text = pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), ".")
    return pc.binary_join_element_wise(text, "Z", "") if zoned else text


_SPELLINGS: dict[Family, Callable[[pa.Array, str], pa.Array]] = {
    Family.TEXT: _text,
    Family.INTEGER: _integer,
    Family.FLOATING: _float,
    Family.DECIMAL: _decimal,
    Family.DATE: _date,
    Family.TIMESTAMP: _timestamp,
}

_SHARE = 16
"""One row in so many is looked at to see whether values repeat."""

_FEWEST = 256
"""Below so many rows to look at, encoding saves nothing worth while."""


def once_per_distinct(values: pa.Array, kernel: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Apply a kernel that treats each value by itself; values that repeat a lot are treated once.

    Encoding a column costs a fraction of treating it by key, so it pays where half the values are repeats: the
    references of a fact table.

    Args:
        values: One column, n rows.
        kernel: Treats every value without regard to the others, and keeps nulls.

    Returns:
        n treated values, without dictionary encoding.
    """
    if not pa.types.is_dictionary(values.type) and _repeats(values):
        values = values.dictionary_encode()
    return on_values(kernel, values)


def _repeats(values: pa.Array) -> bool:
    """Whether about half of a long column's values are repeats, judged by one run of rows in its middle.

    Of m rows drawn from n with d distinct values, about m*m / 2d are repeats: with d = n/2 and m = n/16 one in 16.
    A run of neighbours shows the repeats of a sorted column as well, which rows drawn far apart would not.
    """
    count = len(values) // _SHARE
    if count < _FEWEST or pa.types.is_nested(values.type):
        return False
    run = values.slice(len(values) // 2, count)
    return (count - int(pc.count_distinct(run, mode="all").as_py())) * _SHARE >= count


def joined(parts: list[pa.Array], rows: list[np.ndarray]) -> pa.Array:
    """Put parts of a column back in order: `rows[i]` are the row numbers of `parts[i]`."""
    if len(parts) == 1:
        return parts[0]
    return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(rows), kind="stable")))
