"""Bytes as text: a prefix and base64url without padding (RFC 4648 section 5), for whole columns."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import Bytes
from airflow_veil.privacy.crypto.columns import (
    Column,
    Index,
    Strip,
    allocate,
    binary_like,
    by_chunk,
    column_of,
    string_like,
)
from airflow_veil.privacy.errors import TamperedError, TransformError

# Six bytes are eight characters: the unit in which rows are worked on.
_SIX, _EIGHT = 6, 8

_INVALID = 0xFFFF


@cache
def _pairs() -> NDArray[np.uint16]:
    """The two characters of every 12-bit number, as they lie in memory: shape (4096,)."""
    threes = b"".join((high << 12 | low).to_bytes(3) for high in range(4096) for low in (0,))
    return np.frombuffer(base64.urlsafe_b64encode(threes), np.uint16)[::2].copy()


@cache
def _numbers() -> NDArray[np.uint16]:
    """The 12-bit number of every two characters as they lie in memory: shape (65536,)."""
    numbers = np.full(1 << 16, _INVALID, np.uint16)
    numbers[_pairs()] = np.arange(4096, dtype=np.uint16)
    return numbers


def encode(values: pa.Array | pa.ChunkedArray, *, prefix: str) -> pa.Array | pa.ChunkedArray:
    """Write every value as `prefix` and its base64url without padding (RFC 4648 section 5).

    Args:
        values: n byte strings (or strings, by their UTF-8 bytes) of any length.
        prefix: What every text begins with; no NUL character.

    Returns:
        n values of type `string` (`large_string` for large types). Nulls stay null. A chunked array keeps its
        chunks.

    Raises:
        TransformError: The column is neither strings nor bytes, the prefix holds a NUL character or the
            result exceeds 2 GiB.
    """
    head = head_of(prefix)
    return by_chunk(values, string_like, lambda chunk: _encode(chunk, head))


def head_of(prefix: str) -> bytes:
    """The bytes of a prefix.

    Raises:
        TransformError: It holds a NUL character.
    """
    # numpy compares byte strings without their trailing NULs.
    if "\0" in prefix:
        raise TransformError("a prefix with a NUL character")
    return prefix.encode()


def _encode(values: pa.Array, head: bytes) -> pa.Array:
    source = column_of(values)
    lines = Lines.of(source.lengths(), source, head)
    for rows, length in source.groups():
        strip = source.strip(rows, length)
        room = empty_rows(strip.count, length)
        strip.read_into(0, room.data[: room.count * room.stride].reshape(room.count, -1), 0, length)
        lines.write(rows, length, room)
    return lines.target.to_arrow()


@dataclass(frozen=True, slots=True)
class Lines:
    """A column of texts that is written group by group, by whoever has the bytes of the rows.

    Attributes:
        target: The texts.
        head: What every text begins with.
    """

    target: Column
    head: bytes

    @classmethod
    def of(cls, lengths: Index, source: Column, head: bytes) -> Lines:
        """Room for the texts of as many bytes as `lengths` says for each row of `source`."""
        sizes = (lengths * 4 + 2) // 3 + len(head)
        if source.valid is not None:
            sizes[~source.valid] = 0
        return cls(allocate(sizes, source.valid, string_like(source.type)), head)

    def write(self, rows: Index | slice, length: int, values: Strip) -> None:
        """The texts of a group of rows, whose `length` bytes were put into `empty_rows`."""
        size = (length * 4 + 2) // 3
        strip = self.target.strip(rows, len(self.head) + size)
        strip.fill(0, self.head)
        strip.write(len(self.head), _characters(values), 0, size)

    def write_one(self, row: int, value: bytes) -> None:
        """The text of one row."""
        line = self.head + base64.urlsafe_b64encode(value).rstrip(b"=")
        begin = int(self.target.offsets[row])
        self.target.data[begin : begin + len(line)] = np.frombuffer(line, np.uint8)


def empty_rows(count: int, length: int) -> Strip:
    """Zero-filled rows for `length` bytes and up to a unit more, as `Lines.write` takes them."""
    stride = -(-length // _SIX) * _SIX
    # Two bytes more, as the last unit is read as eight bytes like the others.
    return Strip(np.zeros(count * stride + 2, np.uint8), count, None, 0, stride)


def _characters(rows: Strip) -> Bytes:
    """The base64url characters of `empty_rows` that were filled: shape (n, multiple of 8)."""
    sixes = np.ndarray((rows.count * rows.stride // _SIX,), ">u8", rows.data, 0, (_SIX,)).astype("<u8")
    sixes >>= np.uint64(16)
    # Spread 48 bits to two lanes of 24, then to four of 12, the first in the lowest place.
    halves = ((sixes >> np.uint64(24)) | (sixes << np.uint64(32))).view("<u4")
    halves &= np.uint32(0xFFFFFF)
    quarters = ((halves >> np.uint32(12)) | (halves << np.uint32(16))).view("<u2")
    quarters &= np.uint16(0xFFF)
    # Clipping skips numpy's bounds check; the indexes have 12 bits.
    pairs = np.take(_pairs(), quarters.astype(np.intp), mode="clip")
    return pairs.view(np.uint8).reshape(rows.count, -1)


def decode(values: pa.Array | pa.ChunkedArray, *, prefix: str) -> pa.Array | pa.ChunkedArray:
    """The inverse of `encode`.

    Args:
        values: n texts as `encode` made them.
        prefix: The prefix given to `encode`.

    Returns:
        n values of type `binary` (`large_binary` for large types). Nulls stay null. A chunked array keeps its
        chunks.

    Raises:
        TamperedError: Some values lack the prefix or are not what `encode` writes: other characters, an
            impossible length, unused bits that are set. The message has their count.
        TransformError: The column is neither strings nor bytes, or the prefix holds a NUL character.
    """
    head = head_of(prefix)
    return by_chunk(values, binary_like, lambda chunk: _decode(chunk, head))


def _decode(values: pa.Array, head: bytes) -> pa.Array:
    source = column_of(values)
    lengths = np.maximum(source.lengths() - len(head), 0) * 3 // 4
    target = allocate(lengths, source.valid, binary_like(source.type))
    bad = 0
    for rows, whole in source.groups():
        strip, size = source.strip(rows, whole), whole - len(head)
        if size < 0 or size % 4 == 1:
            bad += strip.count
            continue
        numbers = _twelves(strip, len(head), size)
        length, plain = size * 3 // 4, _bytes(numbers)
        bad += _malformed(strip, head, numbers, plain[:, length:])
        target.strip(rows, length).write(0, plain, 0, length)
    if bad:
        msg = f"{bad} of {len(values)} values are not texts of this kind"
        raise TamperedError(
            msg,
            expected="the prefix and base64url without padding",
        )
    return target.to_arrow()


def _malformed(strip: Strip, head: bytes, numbers: NDArray[np.uint16], behind: Bytes) -> int:
    """How many of n rows are not what `encode` writes.

    Args:
        strip: The texts.
        head: What each has to begin with.
        numbers: Their 12-bit numbers, shape (n, any).
        behind: What was decoded beyond their bytes, shape (n, any). Characters behind the text read as
            zero, so it can only be unused bits of the last one.
    """
    wrong = np.zeros(strip.count, np.bool_)
    if head:
        wrong |= strip.read(0, len(head)).view(f"S{len(head)}")[:, 0] != head
    # First all rows at once: reducing many short rows is slow, and there is rarely a wrong one.
    if numbers.size and numbers.max() == _INVALID:
        wrong |= (numbers == _INVALID).any(axis=1)
    for column in range(behind.shape[1]):
        wrong |= behind[:, column] != 0
    return int(np.count_nonzero(wrong))


def _twelves(strip: Strip, column: int, size: int) -> NDArray[np.uint16]:
    """The 12-bit numbers of `size` characters of n rows, filled up with zeros: shape (n, multiple of 4)."""
    room = np.full((strip.count, -(-size // _EIGHT) * _EIGHT), ord("A"), np.uint8)
    strip.read_into(column, room, 0, size)
    numbers: NDArray[np.uint16] = np.take(_numbers(), room.view(np.uint16), mode="clip")
    return numbers


def _bytes(numbers: NDArray[np.uint16]) -> Bytes:
    """The bytes of n rows of 12-bit numbers: shape (n, multiple of 6)."""
    pairs = numbers.reshape(-1).view("<u4")
    # The inverse of the spreading in `_characters`.
    halves = ((pairs << np.uint32(12)) & np.uint32(0xFFF000) | (pairs >> np.uint32(16))).view("<u8")
    sixes = (halves << np.uint64(40)) | ((halves >> np.uint64(32)) << np.uint64(16))
    eights = sixes.astype(">u8").view(np.uint8)
    return Strip(eights, len(sixes), None, 0, _EIGHT).read(0, _SIX).reshape(len(numbers), -1)
