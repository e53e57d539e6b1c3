"""HMAC-SHA-256 of many short messages side by side, compiled by numba (FIPS 180-4, RFC 2104).

Every step of SHA-256 is a loop over the lanes, one message in each, of which the compiler makes vector instructions.
No branch and no address depends on the content of a message, only on its length. The interpreter's lock is let go
of. Importing this module imports numba and loads the machine code, or compiles it where it was not kept: that takes
tenths of a second, or a second or two, so `prf` does it only when it pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, njit, types, uint8, uint32
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import Bytes
from airflow_veil.privacy.crypto.columns import Index

# So many that loops are worth their beginning, so few that words and states stay in the first-level cache.
_LANES = 256

# The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2) ...
_ROUND_KEYS = np.frombuffer(
    bytes.fromhex(
        "428a2f98 71374491 b5c0fbcf e9b5dba5 3956c25b 59f111f1 923f82a4 ab1c5ed5"
        "d807aa98 12835b01 243185be 550c7dc3 72be5d74 80deb1fe 9bdc06a7 c19bf174"
        "e49b69c1 efbe4786 0fc19dc6 240ca1cc 2de92c6f 4a7484aa 5cb0a9dc 76f988da"
        "983e5152 a831c66d b00327c8 bf597fc7 c6e00bf3 d5a79147 06ca6351 14292967"
        "27b70a85 2e1b2138 4d2c6dfc 53380d13 650a7354 766a0abb 81c2c92e 92722c85"
        "a2bfe8a1 a81a664b c24b8b70 c76c51a3 d192e819 d6990624 f40e3585 106aa070"
        "19a4c116 1e376c08 2748774c 34b0bcb5 391c0cb3 4ed8aa4a 5b9cca4f 682e6ff3"
        "748f82ee 78a5636f 84c87814 8cc70208 90befffa a4506ceb bef9a3f7 c67178f2"
    ),
    ">u4",
).astype(np.uint32)

# ... and of the square roots of the first 8 (5.3.3).
_START = np.frombuffer(
    bytes.fromhex("6a09e667 bb67ae85 3c6ef372 a54ff53a 510e527f 9b05688c 1f83d9ab 5be0cd19"), ">u4"
).astype(np.uint32)


def _kept(function: Any, signature: Any) -> Any:
    """Compile, and keep the machine code for other processes where some folder can be written."""
    try:
        return njit(signature, nogil=True, cache=True)(function)
    except (RuntimeError, OSError):
        return njit(signature, nogil=True)(function)


# numba widens sums of 32 bits to 64; cutting them back at once keeps twice as many lanes in a register.


@njit
def _turned(word, by):  # type: ignore[no-untyped-def]
    return uint32(uint32(word >> uint32(by)) | uint32(word << uint32(32 - by)))


@njit
def _extend(words, t):  # type: ignore[no-untyped-def]
    """Word t of the message schedule, in the place of word t - 16 (6.2.2, step 1)."""
    now, near, far, late = t & 15, (t + 1) & 15, (t + 9) & 15, (t + 14) & 15
    for lane in range(_LANES):
        x, y = words[near, lane], words[late, lane]
        low = uint32(_turned(x, 7) ^ _turned(x, 18) ^ uint32(x >> uint32(3)))
        high = uint32(_turned(y, 17) ^ _turned(y, 19) ^ uint32(y >> uint32(10)))
        words[now, lane] = uint32(words[now, lane] + low + words[far, lane] + high)


@njit
def _round(work, words, t):  # type: ignore[no-untyped-def]
    """Round t (6.2.2, step 3). The working variables keep their places and change their names instead."""
    a, b, c, d = (0 - t) & 7, (1 - t) & 7, (2 - t) & 7, (3 - t) & 7
    e, f, g, h = (4 - t) & 7, (5 - t) & 7, (6 - t) & 7, (7 - t) & 7
    now, key = t & 15, _ROUND_KEYS[t]
    for lane in range(_LANES):
        x, y, z = work[e, lane], work[f, lane], work[g, lane]
        choice = uint32(z ^ (x & (y ^ z)))
        mixed = uint32(_turned(x, 6) ^ _turned(x, 11) ^ _turned(x, 25))
        first = uint32(work[h, lane] + mixed + choice + key + words[now, lane])
        x, y, z = work[a, lane], work[b, lane], work[c, lane]
        majority = uint32((x & y) | (z & (x | y)))
        mixed = uint32(_turned(x, 2) ^ _turned(x, 13) ^ _turned(x, 22))
        work[d, lane] = uint32(work[d, lane] + first)
        work[h, lane] = uint32(first + uint32(mixed + majority))


def _compress_lanes(state, words, work):  # type: ignore[no-untyped-def]
    """Take in one block of every lane; `words` and `work` are overwritten."""
    for j in range(8):
        for lane in range(_LANES):
            work[j, lane] = state[j, lane]
    for t in range(64):
        if t >= 16:
            _extend(words, t)
        _round(work, words, t)
    for j in range(8):
        for lane in range(_LANES):
            state[j, lane] = uint32(state[j, lane] + work[j, lane])


_ROWS = uint32[:, ::1]
_compress: Any = _kept(_compress_lanes, types.void(_ROWS, _ROWS, _ROWS))


@njit
def _set(rows, first, last, word):  # type: ignore[no-untyped-def]
    """One word in all lanes of some rows."""
    for j in range(first, last):
        for lane in range(_LANES):
            rows[j, lane] = word


@njit
def _begin(state, start):  # type: ignore[no-untyped-def]
    for j in range(8):
        _set(state, j, j + 1, start[j])


@njit
def _take_message(words, lane, room, data, begin, length, at):  # type: ignore[no-untyped-def]
    """The 64 bytes of a message from `at` on, its end mark and zeros behind it, to one lane."""
    size = min(max(length - at, 0), 64)
    for i in range(size):
        room[i] = data[begin + at + i]
    for i in range(size, 64):
        room[i] = 0
    if 0 <= length - at < 64:
        room[length - at] = 0x80
    for j in range(16):
        high = uint32(room[4 * j]) << 24 | uint32(room[4 * j + 1]) << 16
        words[j, lane] = high | uint32(room[4 * j + 2]) << 8 | room[4 * j + 3]


@njit
def _take_digest(words, state):  # type: ignore[no-untyped-def]
    """The inner digests as the outer message: always one block, with its end mark and the length in bits."""
    for j in range(8):
        for lane in range(_LANES):
            words[j, lane] = state[j, lane]
    _set(words, 8, 9, 0x80000000)
    _set(words, 9, 15, 0)
    _set(words, 15, 16, 8 * (64 + 32))


def _hmac_lanes(data, begins, lengths, blocks, starts, digests):  # type: ignore[no-untyped-def]
    """The messages, so many at a time as there are lanes; in lanes that are left over something arbitrary."""
    state, work = np.empty((8, _LANES), np.uint32), np.empty((8, _LANES), np.uint32)
    words, room = np.zeros((16, _LANES), np.uint32), np.empty(64, np.uint8)
    for first in range(0, len(begins), _LANES):
        count = min(_LANES, len(begins) - first)
        _begin(state, starts[0])
        for step in range(blocks + 1):
            # One place that compresses, as the compiler makes a copy of it for each.
            if step < blocks:
                for lane in range(count):
                    row = first + lane
                    _take_message(words, lane, room, data, begins[row], lengths[row], 64 * step)
                    if step == blocks - 1:
                        # In bits, with the key block; the messages here are far below 2^32 of them.
                        words[15, lane] = 8 * (64 + lengths[row])
            else:
                _take_digest(words, state)
                _begin(state, starts[1])
            _compress(state, words, work)
        for lane in range(count):
            for j in range(8):
                digests[first + lane, j] = state[j, lane]


# Arrow's memory cannot be written to, which is a type of its own to numba.
_DATA = types.Array(uint8, 1, "C", readonly=True)
_hmac: Any = _kept(_hmac_lanes, types.void(_DATA, int64[::1], int64[::1], int64, _ROWS, _ROWS))


def _starts(pads: tuple[bytes, bytes]) -> NDArray[np.uint32]:
    """The states after the inner and the outer key block, shape (2, 8): the same for all messages."""
    state, words = np.zeros((8, _LANES), np.uint32), np.zeros((16, _LANES), np.uint32)
    state[:] = _START[:, None]
    words[:, :2] = np.frombuffer(b"".join(pads), ">u4").reshape(2, -1).T
    _compress(state, words, np.empty_like(state))
    return np.ascontiguousarray(state[:, :2].T)


def hmac(data: Bytes, begins: Index, lengths: Index, blocks: int, pads: tuple[bytes, bytes]) -> Bytes:
    """The HMAC of each of some messages that take the same number of blocks.

    Args:
        data: Where the messages lie.
        begins: Where each begins, shape (n,).
        lengths: How many bytes each has, shape (n,).
        blocks: How many blocks of SHA-256 each takes, with its end mark and its length; below 2^22.
        pads: The inner and the outer key block of RFC 2104, 64 bytes each.

    Returns:
        Shape (n, 32), uint8.
    """
    digests: NDArray[np.uint32] = np.empty((len(begins), 8), np.uint32)
    if len(begins):
        _hmac(data, begins, lengths, blocks, _starts(pads), digests)
    return digests.astype(">u4").view(np.uint8)
