"""Text as one flat run of characters: what works on all characters of a batch in a few numpy calls.

UTF-8 is kept as it is: a character is known by its first byte, and the bytes that continue it follow. Where all
is ASCII, characters and bytes are the same and nothing has to be counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.columns import Column, column_of, fitted

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]

_ASCII_END = 0x80
_CONTINUES = (0xC0, 0x80)
"""Mask and mark of a byte that continues a character, 10xxxxxx (RFC 3629 section 3)."""
_MOST_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Characters:
    """The c characters of n rows, one row after the other.

    Attributes:
        data: The bytes of the rows, UTF-8.
        lead: The first byte of each character, shape (c,).
        places: Where in `data` each character begins, shape (c,); None if each is one byte.
        bounds: Row i has the characters `bounds[i]` up to `bounds[i + 1]`; shape (n + 1,).
        valid: Which rows are not null, shape (n,); None if none is. Characters under a null mean nothing.
        type: The Arrow type, `string` or `large_string`.
    """

    data: Bytes
    lead: Bytes
    places: Index | None
    bounds: Index
    valid: Flags | None
    type: pa.DataType

    @property
    def starts(self) -> Index:
        """The first character of every row, shape (n,)."""
        return self.bounds[:-1]

    @property
    def stops(self) -> Index:
        """One past the last character of every row, shape (n,)."""
        return self.bounds[1:]

    def flags(self, table: bytes) -> Flags:
        """Look the first byte of every character up in a table of 256 zeros and ones: shape (c,), writable."""
        return np.frombuffer(bytearray(self.lead).translate(table), np.bool_)

    def overwritten(self, masked: Flags, holes: Index | None, fill: bytes) -> pa.Array:
        """The rows without the masked characters, and with `fill` in the place of some of them.

        Args:
            masked: The characters that go, shape (c,).
            holes: Which of them leave `fill` in their place; None for all of them.
            fill: UTF-8.

        Returns:
            n rows of the same type and with the same nulls.

        Raises:
            TransformError: The result does not fit the type's offsets.
        """
        if self.places is None and holes is None and len(fill) == 1:
            # Bit by bit, and not by np.where, which decides at each byte.
            data = self.data ^ ((self.data ^ np.uint8(fill[0])) & -masked.view(np.uint8))
            large = pa.types.is_large_string(self.type)
            offsets = self.bounds if large else self.bounds.astype(np.int32)
            return Column(data, offsets, self.valid, self.type).to_arrow()
        return self._rebuilt(masked, np.flatnonzero(masked) if holes is None else holes, fill)

    def _rebuilt(self, masked: Flags, holes: Index, fill: bytes) -> pa.Array:
        """`overwritten` where lengths change: each byte is repeated as often as it is to stand, 0, 1 or more times."""
        bounds = self.bounds
        if self.places is not None:
            holes, bounds = self.places[holes], np.append(self.places, len(self.data))[bounds]
        sizes = self._by_byte(~masked).astype(np.int64)
        sizes[holes] = len(fill)
        data = self.data.copy()
        data[holes] = fill[0]
        before, data = ranks(sizes), np.repeat(data, sizes)
        for nth, byte in enumerate(fill):
            if byte != fill[0]:
                data[before[holes] + nth] = byte
        bounds = fitted(before[bounds], self.type)
        return Column(data, bounds, self.valid, self.type).to_arrow()

    def _by_byte(self, flags: Flags) -> Flags:
        """The flags of characters, spread over the bytes of each."""
        if self.places is None:
            return flags
        spread = np.zeros(len(self.data), np.bool_)
        spread[self.places] = flags
        mask, mark = _CONTINUES
        continues = np.flatnonzero((self.data & mask) == mark)
        for _ in range(_MOST_BYTES - 1):
            spread[continues] = spread[continues - 1]
        return spread


def characters_of(values: pa.Array) -> Characters:
    """View a `string` or `large_string` array of n rows as characters; sliced arrays are fine."""
    column = column_of(values)
    first, last = int(column.offsets[0]), int(column.offsets[-1])
    data, bounds = column.data[first:last], column.offsets.astype(np.int64) - first
    if not data.size or data.max() < _ASCII_END:
        return Characters(data, data, None, bounds, column.valid, column.type)
    mask, mark = _CONTINUES
    begins = (data & mask) != mark
    return Characters(
        data, data[begins], np.flatnonzero(begins), ranks(begins)[bounds], column.valid, column.type
    )


def ranks(counts: Flags | Index) -> Index:
    """How many come before each place: shape (c + 1,) for c flags or counts."""
    before = np.empty(len(counts) + 1, np.int64)
    before[0] = 0
    # Summing integers is ten times as fast as summing booleans.
    np.cumsum(counts.astype(np.int64, copy=False), out=before[1:])
    return before
