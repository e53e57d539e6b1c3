"""AES-SIV (RFC 5297): deterministic authenticated encryption of a whole column.

Equal values under equal key and associated data give equal ciphertexts, which is what joins on tokens need
and all that an observer learns; any change of a ciphertext, its key or its associated data is detected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from airflow_veil.privacy.crypto import text
from airflow_veil.privacy.crypto.blocks import BLOCK, BlockCipher, Words, double, xor
from airflow_veil.privacy.crypto.cmac import Cmac, planes_of
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
from airflow_veil.privacy.errors import KeyRingError, TamperedError

# The bits that section 2.5 of RFC 5297 clears in the counter, so that adding to it carries no further than
# 32 bits: the highest bits of bytes 8 and 12, seen in the second half of a block as it lies in memory.
_COUNTER_BITS = np.frombuffer(b"\x7f\xff\xff\xff\x7f\xff\xff\xff", np.uint64)[0]

_MAX_ASSOCIATED = 126


class _Siv:
    """Both keys of AES-SIV and the state of S2V after the associated data. Used by one call."""

    def __init__(self, key: bytes, associated_data: Sequence[bytes]) -> None:
        if len(key) not in (32, 48, 64):
            msg = f"an AES-SIV key of {len(key)} bytes"
            raise KeyRingError(msg, expected="32, 48 or 64 bytes")
        if len(associated_data) > _MAX_ASSOCIATED:
            msg = f"{len(associated_data)} associated data"
            raise KeyRingError(msg, expected="at most 126 (RFC 5297)")
        half = len(key) // 2
        self._mac, self._ctr = Cmac(key[:half]), BlockCipher(key[half:])
        state = self._mac.digest(bytes(BLOCK))
        for item in associated_data:
            state = xor(double(state), self._mac.digest(item))
        self._state = state
        self._library = AESSIV(key), list(associated_data)

    def encrypt_one(self, plain: memoryview) -> bytes:
        """One text of at least one byte, by the library."""
        cipher, associated_data = self._library
        return cipher.encrypt(plain, associated_data)

    def decrypt_one(self, value: memoryview) -> bytes | None:
        """The inverse of `encrypt_one`; None if the value does not authenticate."""
        cipher, associated_data = self._library
        try:
            return cipher.decrypt(value, associated_data)
        except InvalidTag:
            return None

    def mask(self, length: int) -> bytes:
        """All that S2V adds to a zero-filled text of `length` bytes before its last CBC-MAC."""
        if length < BLOCK:
            padded = xor((bytes(length) + b"\x80").ljust(BLOCK, b"\0"), double(self._state))
            return xor(padded, self._mac.mask(BLOCK))
        own = self._mac.mask(length)
        at_end = (bytes(length - BLOCK) + self._state).ljust(len(own), b"\0")
        return xor(own, at_end)

    def vector(self, planes: Words, length: int) -> Words:
        """The synthetic initialisation vectors of n texts: shape (n, 2); `planes` are overwritten."""
        return self._mac.tags_of_planes(planes, self.mask(length))

    def key_stream(self, vectors: Words, blocks: int) -> Words:
        """What CTR mode adds to n texts: shape (blocks, n, 2); valid until the next call."""
        counters = np.empty((blocks, len(vectors), 2), np.uint64)
        counters[:, :, 0] = vectors[:, 0]
        np.bitwise_and(vectors[:, 1], _COUNTER_BITS, out=counters[0, :, 1])
        counters[1:, :, 1] = counters[0, :, 1]
        lowest = counters.view(">u4")[:, :, 3]
        base = lowest[0].astype(np.uint32)
        for j in range(1, blocks):
            lowest[j] = base + np.uint32(j)
        return self._ctr.encrypt(counters)


def encrypt(
    values: pa.Array | pa.ChunkedArray, *, key: bytes, associated_data: Sequence[bytes]
) -> pa.Array | pa.ChunkedArray:
    """Encrypt every value with AES-SIV (RFC 5297 section 2.6).

    Args:
        values: n strings (their UTF-8 bytes) or byte strings of any length.
        key: 32, 48 or 64 bytes; the first half authenticates, the second encrypts.
        associated_data: At most 126 byte strings that `decrypt` must be given too, in this order; a nonce,
            if wanted, is the last of them.

    Returns:
        n values of type `binary` (`large_binary` for large types), each the 16 bytes of the vector followed
        by as many bytes as the value has. Nulls stay null. A chunked array keeps its chunks.

    Raises:
        KeyRingError: The key or the number of associated data is not allowed.
        TransformError: The column is neither strings nor bytes, or the result exceeds 2 GiB.
    """
    siv = _Siv(key, associated_data)
    return by_chunk(values, binary_like, lambda chunk: _encrypt(chunk, siv))


def encrypt_to_text(
    values: pa.Array | pa.ChunkedArray, *, key: bytes, associated_data: Sequence[bytes], prefix: str
) -> pa.Array | pa.ChunkedArray:
    """What `text.encode` makes of what `encrypt` makes, without laying down the bytes in between.

    Args:
        values: As in `encrypt`.
        key: As in `encrypt`.
        associated_data: As in `encrypt`.
        prefix: What every text begins with; no NUL character.

    Returns:
        n values of type `string` (`large_string` for large types). Nulls stay null. A chunked array keeps its
        chunks.

    Raises:
        KeyRingError: The key or the number of associated data is not allowed.
        TransformError: The column is neither strings nor bytes, the prefix holds a NUL character or the
            result exceeds 2 GiB.
    """
    siv, head = _Siv(key, associated_data), text.head_of(prefix)
    return by_chunk(values, string_like, lambda chunk: _encrypt_to_text(chunk, siv, head))


def _encrypt(values: pa.Array, siv: _Siv) -> pa.Array:
    source = column_of(values)
    target = _resized(source, BLOCK)
    others: list[int] = []
    for rows, length, vectors, planes in _encrypted(source, siv, others):
        _store(target.strip(rows, length + BLOCK), vectors, planes, length)
    plain, room = source.data.data, target.data.data
    for (begin, end), (to, until) in zip(source.spans(others), target.spans(others), strict=True):
        room[to:until] = siv.encrypt_one(plain[begin:end])
    return target.to_arrow()


def _encrypt_to_text(values: pa.Array, siv: _Siv, head: bytes) -> pa.Array:
    source = column_of(values)
    lines = text.Lines.of(source.lengths() + BLOCK, source, head)
    others: list[int] = []
    for rows, length, vectors, planes in _encrypted(source, siv, others):
        room = text.empty_rows(len(vectors), length + BLOCK)
        _store(room, vectors, planes, length)
        lines.write(rows, length + BLOCK, room)
    plain = source.data.data
    for row, (begin, end) in zip(others, source.spans(others), strict=True):
        lines.write_one(row, siv.encrypt_one(plain[begin:end]))
    return lines.target.to_arrow()


def _encrypted(
    source: Column, siv: _Siv, others: list[int]
) -> Iterator[tuple[Index | slice, int, Words, Words]]:
    """Encrypt group by group.

    Args:
        source: The texts.
        siv: The keys.
        others: The numbers of rows that are better encrypted one by one are put here.

    Yields:
        Row numbers, the length of the texts, their vectors of shape (n, 2) and their ciphertexts as planes.
    """
    for rows, length in source.groups(others):
        planes = planes_of(source.strip(rows, length), 0, length)
        vectors = siv.vector(planes.copy(), length)
        np.bitwise_xor(planes, siv.key_stream(vectors, len(planes)), out=planes)
        yield rows, length, vectors, planes


def decrypt(
    values: pa.Array | pa.ChunkedArray, *, key: bytes, associated_data: Sequence[bytes]
) -> pa.Array | pa.ChunkedArray:
    """Decrypt and authenticate every value (RFC 5297 section 2.7).

    Args:
        values: n values as `encrypt` made them.
        key: The key given to `encrypt`.
        associated_data: The associated data given to `encrypt`.

    Returns:
        n values of type `binary` (`large_binary` for large types), 16 bytes shorter. Nulls stay null. A
        chunked array keeps its chunks. Nothing is returned unless every value authenticates.

    Raises:
        TamperedError: Some values are too short or do not authenticate; the message has their count.
        KeyRingError: The key or the number of associated data is not allowed.
        TransformError: The column is neither strings nor bytes.
    """
    siv = _Siv(key, associated_data)
    return by_chunk(values, binary_like, lambda chunk: _decrypt(chunk, siv))


def _decrypt(values: pa.Array, siv: _Siv) -> pa.Array:
    source = column_of(values)
    target = _resized(source, -BLOCK)
    bad = 0
    others: list[int] = []
    for rows, whole in source.groups(others):
        strip, length = source.strip(rows, whole), whole - BLOCK
        if length < 0:
            bad += strip.count
            continue
        vectors = strip.read(0, BLOCK).view(np.uint64)
        planes = planes_of(strip, BLOCK, length)
        np.bitwise_xor(planes, siv.key_stream(vectors, len(planes)), out=planes)
        _clear_tail(planes, length)
        _store_planes(target.strip(rows, length), 0, planes, length)
        bad += int(np.count_nonzero((siv.vector(planes, length) != vectors).any(axis=1)))
    bad += _decrypt_each(source, target, others, siv)
    if bad:
        msg = f"{bad} of {len(values)} values do not authenticate"
        raise TamperedError(
            msg,
            expected="values encrypted with this key and associated data",
        )
    return target.to_arrow()


def _decrypt_each(source: Column, target: Column, rows: list[int], siv: _Siv) -> int:
    """Decrypt rows one by one; returns how many do not authenticate."""
    bad = 0
    values, room = source.data.data, target.data.data
    for (begin, end), (to, until) in zip(source.spans(rows), target.spans(rows), strict=True):
        plain = siv.decrypt_one(values[begin:end])
        if plain is None:
            bad += 1
        else:
            room[to:until] = plain
    return bad


def _resized(source: Column, by: int) -> Column:
    """Room for every non-null row of `source`, longer by some bytes, but not shorter than nothing."""
    lengths = np.maximum(source.lengths() + by, 0)
    if source.valid is not None:
        lengths[~source.valid] = 0
    return allocate(lengths, source.valid, binary_like(source.type))


def _store(strip: Strip, vectors: Words, planes: Words, length: int) -> None:
    """Write vectors, and behind them ciphertexts of `length` bytes."""
    strip.write(0, vectors.view(np.uint8), 0, BLOCK)
    _store_planes(strip, BLOCK, planes, length)


def _store_planes(strip: Strip, column: int, planes: Words, length: int) -> None:
    """Write texts of `length` bytes to byte `column` of every row."""
    for j, plane in enumerate(planes):
        at = j * BLOCK
        strip.write(column + at, plane.view(np.uint8), 0, min(BLOCK, length - at))


def _clear_tail(planes: Words, length: int) -> None:
    """Set the bytes of the last block that lie behind the text to zero."""
    used = length - (len(planes) - 1) * BLOCK
    keep = np.frombuffer((b"\xff" * used).ljust(BLOCK, b"\0"), np.uint64)
    for w in range(2):
        np.bitwise_and(planes[-1, :, w], keep[w], out=planes[-1, :, w])
