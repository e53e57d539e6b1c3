"""Keyed pseudo-random functions of a column: HMAC-SHA-256 digests and 64-bit numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import Bytes
from airflow_veil.privacy.crypto.cmac import Cmac
from airflow_veil.privacy.crypto.columns import Column, Index, binary_like, bitmap_of, by_chunk, column_of
from airflow_veil.privacy.errors import KeyRingError, TransformError

_HASH_BLOCK = 64
_HASH_BYTES = 32
_WINDOW_ROWS = 1 << 16

# What the compiled kernel is not for: long values, which keep a processor busy anyhow, and a few, which leave
# lanes empty.
_MANY_BLOCKS, _FEW_ROWS = 16, 64

# Loading the compiled kernel takes as long as so many values one by one.
_LOADING_PAYS = 1 << 18

Pads = tuple[bytes, bytes]
Digests = Callable[[Bytes, Index, Index, int, Pads], Bytes]


def hmac_sha256(
    values: pa.Array | pa.ChunkedArray, *, key: bytes, length: int = _HASH_BYTES
) -> pa.Array | pa.ChunkedArray:
    """HMAC-SHA-256 of every value (RFC 2104), cut to its first bytes.

    Args:
        values: n strings (their UTF-8 bytes) or byte strings of any length.
        key: Any number of bytes but none; 32 are recommended.
        length: Bytes to keep, 1 to 32 (section 5 of RFC 2104 advises against less than 16).

    Returns:
        n values of the fixed-size type `binary(length)`. Nulls stay null. A chunked array keeps its chunks.

    Raises:
        KeyRingError: The key is empty.
        TransformError: The column is neither strings nor bytes, or `length` is out of range.
    """
    if not key:
        raise KeyRingError("an HMAC key of 0 bytes", expected="32 bytes")
    if not 1 <= length <= _HASH_BYTES:
        msg = f"an HMAC cut to {length} bytes"
        raise TransformError(msg, expected="1 to 32 bytes")
    return by_chunk(values, lambda _: pa.binary(length), lambda chunk: _hmac(chunk, key, length))


def _hmac(values: pa.Array, key: bytes, length: int) -> pa.Array:
    column = column_of(values)
    kept = np.empty((column.rows, length), np.uint8)
    pads, compiled = _pads(key), _LANES.kernel(column.rows)
    # What is needed on the way, Python objects or numbers for every row, exists for one window of rows at a time.
    for begin in range(0, column.rows, _WINDOW_ROWS):
        window = values[begin : begin + _WINDOW_ROWS]
        digests = _side_by_side(column_of(window), pads, compiled) if compiled else _in_turn(window, pads)
        kept[begin : begin + _WINDOW_ROWS] = digests[:, :length]
    if column.valid is not None:
        kept[~column.valid] = 0
    bitmap, nulls = bitmap_of(column.valid)
    return pa.Array.from_buffers(pa.binary(length), column.rows, [bitmap, pa.py_buffer(kept)], nulls)


class _Lanes:
    """The compiled kernel of `lanes`, where numba is installed.

    It is loaded once so many values have passed that it would have saved the time by now, so that a small table
    does not wait for a compiler. The digests are the same either way.
    """

    def __init__(self) -> None:
        self._passed = 0

    def kernel(self, rows: int) -> Digests | None:
        """The kernel for a column of so many rows, or None to go on without."""
        self._passed += rows
        return _compiled() if self._passed > _LOADING_PAYS else None


_LANES = _Lanes()


@cache
def _compiled() -> Digests | None:
    try:
        from airflow_veil.privacy.crypto import lanes
    except ImportError:
        return None
    return lanes.hmac


def _side_by_side(column: Column, pads: Pads, compiled: Digests) -> Bytes:
    """The HMACs of all rows by the compiled kernel: shape (n, 32); something arbitrary for nulls."""
    begins, lengths = column.offsets[:-1].astype(np.int64), column.lengths()
    # Behind a message SHA-256 puts a mark of one byte and the length in eight. Lanes are filled by number of blocks.
    blocks = np.minimum((lengths + 9 + _HASH_BLOCK - 1) // _HASH_BLOCK, _MANY_BLOCKS)
    counts = np.bincount(blocks)
    if counts[1] == column.rows:
        return compiled(column.data, begins, lengths, 1, pads)
    data, digests = column.data.data, np.empty((column.rows, _HASH_BYTES), np.uint8)
    for count in np.flatnonzero(counts).tolist():
        rows = np.flatnonzero(blocks == count)
        if count == _MANY_BLOCKS or len(rows) < _FEW_ROWS:
            digests[rows] = _each((data[begin:end] for begin, end in column.spans(rows)), pads)
        else:
            digests[rows] = compiled(column.data, begins[rows], lengths[rows], count, pads)
    return digests


def _in_turn(values: pa.Array, pads: Pads) -> Bytes:
    """The HMACs of all rows, one after the other: shape (n, 32); something arbitrary for nulls."""
    return _each((value or b"" for value in values.cast(binary_like(values.type)).to_pylist()), pads)


def _each(values: Iterable[bytes | memoryview], pads: Pads) -> Bytes:
    """The HMACs of n values: shape (n, 32)."""
    # The hash states after the two key blocks are the same for all values: copying one is cheaper than
    # setting up an HMAC object, and saves half of the compressions.
    start_inner, start_outer = (hashlib.sha256(pad).copy for pad in pads)
    digests = []
    for value in values:
        one = start_inner()
        one.update(value)
        two = start_outer()
        two.update(one.digest())
        digests.append(two.digest())
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _HASH_BYTES)


def _pads(key: bytes) -> Pads:
    """The inner and the outer key block of RFC 2104 section 2."""
    block = key if len(key) <= _HASH_BLOCK else hashlib.sha256(key).digest()
    block = block.ljust(_HASH_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def uint64(values: pa.Array | pa.ChunkedArray, *, key: bytes) -> NDArray[np.uint64]:
    """A keyed pseudo-random number for every value: the same value gives the same number under the same key.

    For date offsets, sampling and noise that must be repeatable. Without the key the numbers cannot be told
    from random ones; they are not unique, and not meant as tokens.

    Args:
        values: n strings (their UTF-8 bytes) or byte strings of any length.
        key: 16, 24 or 32 bytes.

    Returns:
        Shape (n,), uint64: the first 8 bytes of the AES-CMAC (RFC 4493) of the value, most significant first.
        Rows that are null get 0.

    Raises:
        KeyRingError: The key has another length.
        TransformError: The column is neither strings nor bytes.
    """
    mac = Cmac(key)
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    numbers = np.zeros(len(values), np.uint64)
    done = 0
    for chunk in chunks:
        column, part = column_of(chunk), numbers[done : done + len(chunk)]
        others: list[int] = []
        for rows, length in column.groups(others):
            part[rows] = mac.tags(column.strip(rows, length), length)[:, 0].view(">u8")
        if others:
            part[others] = _one_by_one(column, others, key)
        done += len(chunk)
    return numbers


def _one_by_one(column: Column, rows: list[int], key: bytes) -> list[int]:
    """The numbers of some rows, by the library."""
    keyed, data = CMAC(AES(key)), column.data.data
    numbers = []
    for begin, end in column.spans(rows):
        mac = keyed.copy()
        mac.update(bytes(data[begin:end]))
        numbers.append(int.from_bytes(mac.finalize()[:8]))
    return numbers
