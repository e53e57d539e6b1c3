"""Keyed pseudo-random functions of a column: HMAC-SHA-256 digests and 64-bit numbers."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.cmac import Cmac
from airflow_veil.privacy.crypto.columns import bitmap_of, by_chunk, column_of
from airflow_veil.privacy.errors import KeyRingError, TransformError

_HASH_BLOCK = 64
_HASH_BYTES = 32


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
    # The hash states after the two key blocks are the same for all values: copying one is cheaper than
    # setting up an HMAC object, and saves half of the compressions.
    inner, outer = _pads(key)
    column = column_of(values)
    data, edges = column.data.data, column.offsets.tolist()
    digests = []
    for begin, end in itertools.pairwise(edges):
        one, two = inner.copy(), outer.copy()
        one.update(data[begin:end])
        two.update(one.digest())
        digests.append(two.digest())
    kept = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _HASH_BYTES)[:, :length]
    bitmap, nulls = bitmap_of(column.valid)
    buffers = [bitmap, pa.py_buffer(np.ascontiguousarray(kept))]
    return pa.Array.from_buffers(pa.binary(length), column.rows, buffers, nulls)


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
        for rows, length in column.groups():
            part[rows] = mac.tags(column.strip(rows, length), length)[:, 0].view(">u8")
        done += len(chunk)
    return numbers
