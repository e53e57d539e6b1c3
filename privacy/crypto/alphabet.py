"""The characters of a format as digits, and back, in place of the column's bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import Bytes
from airflow_veil.privacy.crypto.columns import Column, Mask, Strip, allocate, column_of, fitted, valid_of
from airflow_veil.privacy.crypto.numerals import Digits, Numerals
from airflow_veil.privacy.errors import TransformError

_MAX_RADIX = 1 << 16
_ASCII = 1 << 7
_PART_ROWS = 1 << 15


class Alphabet:
    """The digits of a format are the positions of its characters in the alphabet.

    A column of an ASCII alphabet is worked on as it lies in memory. Any other is first turned into four
    bytes a character (UTF-32), so that all characters have one width; `symbol` is that width.

    Args:
        characters: 2 to 65536 distinct characters.

    Raises:
        TransformError: Too few, too many or repeated characters.
    """

    def __init__(self, characters: str) -> None:
        radix = len(characters)
        if not 2 <= radix <= _MAX_RADIX:
            msg = f"an alphabet of {radix} characters"
            raise TransformError(msg, expected="2 to 65536")
        if len(set(characters)) != radix:
            msg = f"an alphabet with {radix - len(set(characters))} repeated characters"
            raise TransformError(msg)
        if any("\ud800" <= character <= "\udfff" for character in characters):
            raise TransformError("an alphabet with halves of characters (surrogates)")
        self.numerals = Numerals(radix)
        self.points = np.array([ord(character) for character in characters], np.uint32)
        self._order = np.argsort(self.points)
        self.ascii = int(self.points.max()) < _ASCII
        self.symbol = 1 if self.ascii else 4
        self._first = int(self.points[0]) if self.ascii and bool((np.diff(self.points) == 1).all()) else -1
        self._to_digit, self._to_character = self._ascii_tables() if self.ascii else (b"", b"")

    def _ascii_tables(self) -> tuple[bytes, bytes]:
        """Digits of bytes, 255 where there is none, and bytes of digits."""
        digits = np.full(256, 255, np.uint8)
        digits[self.points] = np.arange(len(self.points))
        return digits.tobytes(), self.points.astype(np.uint8).tobytes().ljust(256, b"\0")

    def parts(self, values: pa.Array) -> Iterator[pa.Array]:
        """The array in the pieces in which it is worked on.

        UTF-32 and the digits take many times the memory of UTF-8, so a non-ASCII column is taken apart.
        """
        step = max(1, len(values)) if self.ascii else _PART_ROWS
        for begin in range(0, max(1, len(values)), step):
            yield values[begin : begin + step]

    def load(self, values: pa.Array) -> Column:
        """The column in the width of `symbol` bytes a character; its `type` stays the column's.

        Raises:
            TransformError: The column has no strings, or bytes that are not UTF-8.
        """
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            msg = f"a column of type {values.type}"
            raise TransformError(msg, expected="strings")
        if self.ascii:
            return column_of(values)
        # What lies under a null is arbitrary and need not even be UTF-8.
        filled = column_of(pc.fill_null(values, "") if values.null_count else values)
        first, last = int(filled.offsets[0]), int(filled.offsets[-1])
        data = filled.data[first:last]
        try:
            wide = data.tobytes().decode().encode("utf-32-le")
        except UnicodeDecodeError:
            raise TransformError("a string column with bytes that are not UTF-8") from None
        begins = np.zeros(len(data) + 1, np.int64)
        np.cumsum((data & 0xC0) != 0x80, out=begins[1:])
        offsets = begins[filled.offsets - first] * 4
        return Column(np.frombuffer(wide, np.uint8), offsets, valid_of(values), values.type)

    def room(self, source: Column) -> Column:
        """A column to be written, of the form that `load` gave and with rows of the same lengths."""
        kind = source.type if self.ascii else pa.large_string()
        target = allocate(source.lengths(), source.valid, kind)
        return Column(target.data, target.offsets, target.valid, source.type)

    def store(self, column: Column) -> pa.Array:
        """The inverse of `load`: an Arrow array of the column's type.

        Raises:
            TransformError: The result exceeds 2 GiB; in UTF-8, other characters may take more bytes.
        """
        return column.to_arrow() if self.ascii else _narrowed(column).to_arrow()

    def read(self, strip: Strip, first: int, count: int) -> tuple[Digits, Mask | None]:
        """Characters `first` to `first + count` of every row as digits.

        Returns:
            The digits, shape (n, `numerals.width(count)`): right-aligned, zeros before. And which rows have a
            character outside the alphabet, shape (n,), or None if no row has; their digits mean nothing.
        """
        width = self.numerals.width(count)
        room = np.empty((strip.count, width * self.symbol), np.uint8)
        if width > count:
            room.view(f"<u{self.symbol}")[:, : width - count] = self.points[0]
        strip.read_into(first * self.symbol, room, (width - count) * self.symbol, count * self.symbol)
        digits, foreign = self._narrow_digits(room) if self.ascii else self._wide_digits(room.view("<u4"))
        if not foreign.any():
            return digits, None
        wrong: Mask = np.logical_or.reduce(foreign, axis=1)
        return digits, wrong

    def _narrow_digits(self, room: Bytes) -> tuple[Digits, Mask]:
        if self._first >= 0:
            # Wraps around below the first character, so one comparison finds all that do not belong.
            room -= np.uint8(self._first)
        else:
            room = np.frombuffer(bytearray(room.tobytes().translate(self._to_digit)), np.uint8).reshape(
                room.shape
            )
        return room, room >= self.numerals.radix

    def _wide_digits(self, points: NDArray[np.uint32]) -> tuple[Digits, Mask]:
        place = np.searchsorted(self.points, points, sorter=self._order)
        index = self._order[np.minimum(place, len(self._order) - 1)]
        digits: Digits = (
            index.astype(np.uint8) if self.numerals.dtype.itemsize == 1 else index.astype(np.uint16)
        )
        return digits, self.points[index] != points

    def write(self, strip: Strip, first: int, digits: Digits, count: int) -> None:
        """The inverse of `read`: the last `count` digits of every row become characters `first` and on."""
        skipped = digits.shape[1] - count
        if not self.ascii:
            room: Bytes = self.points[digits].astype("<u4").view(np.uint8)
        elif self._first >= 0:
            room = digits.astype(np.uint8, copy=False) + np.uint8(self._first)
        else:
            room = np.frombuffer(digits.tobytes().translate(self._to_character), np.uint8).reshape(
                digits.shape
            )
        strip.write(first * self.symbol, room, skipped * self.symbol, count * self.symbol)


def _narrowed(column: Column) -> Column:
    """A column of UTF-32 in UTF-8."""
    points = column.data.view("<u4")
    # Bytes of UTF-8 that each character takes.
    sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000).astype(np.int64)
    begins = np.zeros(len(points) + 1, np.int64)
    np.cumsum(sizes, out=begins[1:])
    narrow = np.frombuffer(column.data.tobytes().decode("utf-32-le").encode(), np.uint8)
    return Column(narrow, fitted(begins[column.offsets // 4], column.type), column.valid, column.type)
