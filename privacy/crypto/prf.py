"""Keyed pseudo-random functions of a column: HMAC-SHA-256 digests and 64-bit numbers."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.cmac import Cmac
from airflow_veil.privacy.crypto.columns import Column, binary_like, bitmap_of, by_chunk, column_of
from airflow_veil.privacy.errors import KeyRingError, TransformError

_HASH_BLOCK = 64
_HASH_BYTES = 32
_WINDOW_ROWS = 1 << 16


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
    plain = values.cast(binary_like(values.type))
    # Python objects exist for one window of rows at a time.
    for begin in range(0, column.rows, _WINDOW_ROWS):
        digests = _digests(plain[begin : begin + _WINDOW_ROWS].to_pylist(), key)
        kept[begin : begin + _WINDOW_ROWS] = np.frombuffer(digests, np.uint8).reshape(-1, _HASH_BYTES)[
            :, :length
        ]
    if column.valid is not None:
        kept[~column.valid] = 0
    bitmap, nulls = bitmap_of(column.valid)
    return pa.Array.from_buffers(pa.binary(length), column.rows, [bitmap, pa.py_buffer(kept)], nulls)


def _digests(values: list[bytes | None], key: bytes) -> bytes:
    """The HMACs of the values, one after the other; something arbitrary for None."""
    # The hash states after the two key blocks are the same for all values: copying one is cheaper than
    # setting up an HMAC object, and saves half of the compressions.
    inner, outer = _pads(key)
    start_inner, start_outer = inner.copy, outer.copy
    digests = []
    for value in values:
        one = start_inner()
        one.update(value or b"")
        two = start_outer()
        two.update(one.digest())
        digests.append(two.digest())
    return b"".join(digests)


def _pads(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """SHA-256 after the inner and after the outer key block of RFC 2104 section 2."""
    block = key if len(key) <= _HASH_BLOCK else hashlib.sha256(key).digest()
    block = block.ljust(_HASH_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    return inner, outer


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
