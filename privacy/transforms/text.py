"""What the treatments of text share: which columns are text, and how a kernel meets each way of storing them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.lazy import pa

FORMULA_STARTS = "=+-@\t\r"
"""What a spreadsheet takes as the beginning of a formula (OWASP, CSV injection)."""


def _harmless(character: str) -> str:
    unseen = unicodedata.category(character)[0] in "CMZ"
    if unseen or character in FORMULA_STARTS:
        raise PydanticCustomError(
            "mask_character",
            "a mask character is one that prints, and none of = + - @, which begin a formula",
        )
    return character


MaskCharacter = Annotated[str, StringConstraints(min_length=1, max_length=1), AfterValidator(_harmless)]
"""One character to write over others."""


def plain_type(source: pa.DataType) -> pa.DataType:
    """The type of the values, dictionary encoding being storage."""
    return source.value_type if pa.types.is_dictionary(source) else source


def is_text(source: pa.DataType) -> bool:
    """Whether a column of this type holds text, however it is stored."""
    kind = plain_type(source)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def text_type(source: pa.DataType) -> pa.DataType:
    """The type of the text that comes out: `large_string` where that went in, else `string`."""
    return pa.large_string() if pa.types.is_large_string(plain_type(source)) else pa.string()


def decoded(column: pa.Array) -> pa.Array:
    """The column without dictionary encoding."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def on_values(kernel: Callable[[pa.Array], pa.Array], column: pa.Array) -> pa.Array:
    """Apply a kernel that looks at one value at a time, once for each value of a dictionary.

    Args:
        kernel: Takes and returns an array of the same number of rows; equal values give equal results.
        column: n rows. A dictionary with more values than the batch has rows is not worth its while.

    Returns:
        n rows, not dictionary-encoded. The kernel may see dictionary values that no row holds, so it must not
        fail over a value; let it give null, and count nulls after.
    """
    if not pa.types.is_dictionary(column.type):
        return kernel(column)
    if len(column.dictionary) > len(column):
        return kernel(column.dictionary_decode())
    return kernel(column.dictionary).take(column.indices)


def as_text(column: pa.Array) -> pa.Array:
    """The column as `string` or `large_string`; integers in decimal digits. Nulls stay null."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column
    return column.cast(pa.string())


def on_text(kernel: Callable[[pa.Array], pa.Array], column: pa.Array) -> pa.Array:
    """`on_values` for a kernel of `string` or `large_string` arrays."""
    return on_values(lambda values: kernel(as_text(values)), column)
