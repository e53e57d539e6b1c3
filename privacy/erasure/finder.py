"""Finds any of many byte strings in large content, in time that hardly depends on how many there are.

    content   | 8 bytes | 8 bytes | 8 bytes | …       read as whole numbers, every eighth byte one
                    └── in tables of hashes? ── in the sorted windows? ── looks like a string? ── the string

A string of at least 15 bytes covers, wherever it stands, one aligned window of 8 whole: for each of the 8 ways that it
may lie, one of its windows is kept. Shorter strings are looked for at every fourth, second or each byte. Measured
against Aho-Corasick (polars `find_many`): several times as fast for 10,000 texts, nothing is rebuilt for each chunk,
and content need not be text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Places = NDArray[np.int64]

WINDOW = 8
STRIDES = (8, 4, 2, 1)
_BLOCK = 1 << 15
"""Windows that are hashed at a time: what is computed of them stays in the processor's cache."""
_MULTIPLIERS = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_MOST_BITS, _FEWEST_BITS = 22, 12


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a string stands.

    Attributes:
        begin: Its first byte.
        end: One after its last.
    """

    begin: int
    end: int


class Finder:
    """Finds strings of at least 8 bytes; each place where one stands is given once.

    Args:
        strings: What to look for.

    Attributes:
        longest: The length of the longest string; 0 of none.
    """

    def __init__(self, strings: Iterable[bytes]) -> None:
        self._strings = frozenset(strings)
        if any(len(string) < WINDOW for string in self._strings):
            raise ValueError(f"strings of less than {WINDOW} bytes cannot be found")
        self.longest = max(map(len, self._strings), default=0)
        groups: dict[int, list[bytes]] = {}
        for string in self._strings:
            stride = next(stride for stride in STRIDES if len(string) >= WINDOW + stride - 1)
            groups.setdefault(stride, []).append(string)
        self._groups = [_Group(stride, found) for stride, found in sorted(groups.items())]

    def find(self, content: bytes | memoryview) -> Iterator[Hit]:
        """All places, in no order.

        Args:
            content: Any bytes.
        """
        if len(content) < WINDOW:
            return
        # The word that begins at each byte: eight bytes each, a byte apart.
        words: Words = np.ndarray((len(content) - WINDOW + 1,), "<u8", content, 0, (1,))
        for group in self._groups:
            begins, lengths = group.find(words)
            for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
                if bytes(content[begin : begin + length]) in self._strings:
                    yield Hit(begin, begin + length)


class _Group:
    """Strings that are looked for at the same strides."""

    def __init__(self, stride: int, strings: list[bytes]) -> None:
        self._stride = stride
        windows, offsets, lengths = _windows(stride, strings)
        # Of one window, each offset and length that it has in some string: strings of one beginning share them.
        rows = np.unique(np.rec.fromarrays([windows, offsets, lengths]))
        self._keys, first, counts = np.unique(rows["f0"], return_index=True, return_counts=True)
        self._first, self._counts = first.astype(np.int64), counts.astype(np.int64)
        self._offsets, self._lengths = rows["f1"], rows["f2"]
        self._marks = np.unique(np.concatenate([_marks_of(*pair) for pair in _matrices(strings).items()]))
        bits = int(len(self._keys) * 32 - 1).bit_length()
        self._shift = np.uint64(64 - min(max(bits, _FEWEST_BITS), _MOST_BITS))
        self._tables = []
        for multiplier in _MULTIPLIERS:
            table = np.zeros(1 << (64 - int(self._shift)), bool)
            table[_hash(self._keys, multiplier, self._shift)] = True
            self._tables.append((multiplier, table))

    def find(self, words: Words) -> tuple[Places, Places]:
        """Where strings may begin, and how long they are: their first, middle and last eight bytes are right."""
        begins, lengths = [], []
        for at in range(0, len(words), _BLOCK * self._stride):
            block = words[at : at + _BLOCK * self._stride : self._stride]
            maybe = self._maybe(block)
            if len(maybe):
                found, long = self._checked(words, maybe * self._stride + at)
                begins.append(found)
                lengths.append(long)
        if not begins:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        # One string may be seen twice: by a window of its own, and by one that another of its length has there.
        pairs = np.unique(np.stack([np.concatenate(begins), np.concatenate(lengths)]), axis=1)
        return pairs[0], pairs[1]

    def _maybe(self, block: Words) -> Places:
        """The windows of a block that both tables know."""
        (first, table), (second, other) = self._tables
        maybe = np.flatnonzero(table.take(_hash(block, first, self._shift)))
        known: Places = maybe[other.take(_hash(block[maybe], second, self._shift))]
        return known

    def _checked(self, words: Words, places: Places) -> tuple[Places, Places]:
        there = words[places]
        index = np.minimum(np.searchsorted(self._keys, there), len(self._keys) - 1)
        same = self._keys[index] == there
        places, index = places[same], index[same]
        counts = self._counts[index]
        # One candidate for each offset and length that the window has.
        rows = np.repeat(self._first[index] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        begins = np.repeat(places, counts) - self._offsets[rows]
        lengths = self._lengths[rows]
        inside = (begins >= 0) & (begins + lengths - WINDOW < len(words))
        begins, lengths = begins[inside], lengths[inside]
        marks = _marks(
            words[begins], words[begins + _middle(lengths)], words[begins + lengths - WINDOW], lengths
        )
        kept = self._marks[np.minimum(np.searchsorted(self._marks, marks), len(self._marks) - 1)] == marks
        return begins[kept], lengths[kept]


def _matrices(strings: Iterable[bytes]) -> Mapping[int, NDArray[np.uint8]]:
    """The strings by length, one in a row."""
    grouped: dict[int, list[bytes]] = {}
    for string in strings:
        grouped.setdefault(len(string), []).append(string)
    return {
        length: np.frombuffer(b"".join(found), np.uint8).reshape(len(found), length)
        for length, found in grouped.items()
    }


def _windows(stride: int, strings: list[bytes]) -> tuple[Words, Places, Places]:
    """For each string and each way that it may lie to the stride, the window that fewest other strings have."""
    matrices = _matrices(strings)
    every = {length: _words(matrix) for length, matrix in matrices.items()}
    known, counts = np.unique(np.concatenate([words.ravel() for words in every.values()]), return_counts=True)
    windows, offsets, lengths = [], [], []
    for length, words in every.items():
        shared = counts[np.searchsorted(known, words)]
        for lie in range(stride):
            best = shared[:, lie::stride].argmin(axis=1) * stride + lie
            windows.append(words[np.arange(len(words)), best])
            offsets.append(best)
            lengths.append(np.full(len(words), length, np.int64))
    return np.concatenate(windows), np.concatenate(offsets), np.concatenate(lengths)


def _words(matrix: NDArray[np.uint8]) -> Words:
    """The word that begins at each byte of each string."""
    views = np.lib.stride_tricks.sliding_window_view(matrix, WINDOW, axis=1)
    words: Words = np.ascontiguousarray(views).view("<u8")[..., 0]
    return words


def _middle(length: Any) -> Any:
    """Where the middle window of a string of some length begins."""
    return (length - WINDOW) // 2


def _marks_of(length: int, matrix: NDArray[np.uint8]) -> Words:
    words = _words(matrix)
    lengths = np.full(len(words), length, np.int64)
    return _marks(words[:, 0], words[:, _middle(length)], words[:, -1], lengths)


def _marks(first: Words, middle: Words, last: Words, lengths: Places) -> Words:
    """Three windows of a string, and its length, as one number."""
    one, other = _MULTIPLIERS
    mixed: Words = ((first * one) ^ (middle + lengths.astype(np.uint64))) * other ^ last
    return mixed


def _hash(words: Words, multiplier: np.uint64, shift: np.uint64) -> Places:
    hashed: Places = ((words * multiplier) >> shift).astype(np.int64)
    return hashed
