"""Digit strings of any radix as integers and back, for many rows at once.

Neighbouring digits are joined pairwise, all pairs of a batch in one operation: 8 digits of one byte become 4
numbers of two bytes, 2 of four, 1 of eight. `NUM_radix` and `STR_radix` of SP 800-38G, section 4.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import Words

Digits = NDArray[np.uint8] | NDArray[np.uint16]

_WORD = 8


class Numerals:
    """The digits of one radix, most significant first, and their numbers.

    Args:
        radix: 2 to 65536.

    Attributes:
        radix: As given.
        dtype: The type of a digit: one byte up to radix 256, else two, little-endian.
        per_word: How many digits make a 64-bit word.
    """

    def __init__(self, radix: int) -> None:
        self.radix = radix
        self.dtype = np.dtype("u1") if radix <= 1 << 8 else np.dtype("<u2")
        self.per_word = _WORD // self.dtype.itemsize

    def width(self, digits: int) -> int:
        """The number of digits, filled up to whole words."""
        return -(-digits // self.per_word) * self.per_word

    def words(self, digits: Digits) -> Words:
        """Join digits to 64-bit words.

        Args:
            digits: Shape (n, multiple of `per_word`), C-contiguous, type `dtype`, all below the radix. They
                are overwritten.

        Returns:
            Shape (n, words): the number of each `per_word` digits, less than radix ** per_word.
        """
        level: NDArray[Any] = digits
        scale = self.radix
        while level.itemsize < _WORD:
            half = 8 * level.itemsize
            pairs = level.view(f"<u{2 * level.itemsize}")
            # In little-endian memory the first digit, the more significant one, is the lower half.
            joined = pairs & pairs.dtype.type((1 << half) - 1)
            joined *= pairs.dtype.type(scale)
            pairs >>= pairs.dtype.type(half)
            joined += pairs
            level, scale = joined, scale * scale
        return level

    def digits(self, words: Words) -> Digits:
        """Split 64-bit words into digits, the inverse of `words`.

        Args:
            words: Shape (n, words), C-contiguous, each less than radix ** per_word.

        Returns:
            Shape (n, words * per_word), type `dtype`.
        """
        level: NDArray[Any] = words
        while level.itemsize > self.dtype.itemsize:
            half = 4 * level.itemsize
            scale = level.dtype.type(self.radix ** (half // (8 * self.dtype.itemsize)))
            high = level // scale
            low = level - high * scale
            low <<= level.dtype.type(half)
            low |= high
            level = low.view(f"<u{level.itemsize // 2}")
        return level

    def small(self, words: Words) -> Words:
        """One 64-bit number per row: shape (n,). Exact if every number is less than 2 ** 64."""
        number = words[:, 0].copy()
        for column in range(1, words.shape[1]):
            number *= np.uint64(self.radix**self.per_word)
            number += words[:, column]
        return number

    def from_small(self, numbers: Words, count: int) -> Words:
        """The inverse of `small`: shape (n, count)."""
        words = np.empty((len(numbers), count), np.uint64)
        rest = numbers
        for column in range(count - 1, 0, -1):
            scale = np.uint64(self.radix**self.per_word)
            higher = rest // scale
            words[:, column] = rest - higher * scale
            rest = higher
        words[:, 0] = rest
        return words

    def big(self, words: Words) -> list[int]:
        """One Python integer per row, of any size."""
        number: NDArray[np.object_] = words[:, 0].astype(object)
        for column in range(1, words.shape[1]):
            number = number * self.radix**self.per_word + words[:, column].astype(object)
        return list(number)

    def from_big(self, numbers: list[int], count: int) -> Words:
        """The inverse of `big`: shape (n, count)."""
        words = np.empty((len(numbers), count), np.uint64)
        rest = np.array(numbers, object)
        for column in range(count - 1, -1, -1):
            words[:, column] = rest % self.radix**self.per_word
            rest = rest // self.radix**self.per_word
        return words
