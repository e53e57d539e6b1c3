"""AES-CMAC (RFC 4493, SP 800-38B) of many messages of one length at a time."""

from __future__ import annotations

import numpy as np

from airflow_veil.privacy.crypto.blocks import BLOCK, BlockCipher, Bytes, Words, double, xor
from airflow_veil.privacy.crypto.columns import Strip


def planes_of(strip: Strip, column: int, length: int) -> Words:
    """The blocks of every row, the last one filled up with zeros.

    Args:
        strip: n rows.
        column: Where the message begins in the row.
        length: Bytes of the message.

    Returns:
        Shape (m, n, 2), uint64, m = ceil(length / 16) and at least 1: block j of row i is `[j, i]`.
    """
    blocks = max(1, -(-length // BLOCK))
    planes = np.empty((blocks, strip.count, 2), np.uint64)
    for j in range(blocks):
        width = min(BLOCK, length - j * BLOCK)
        if width < BLOCK:
            planes[j] = 0
        strip.read_into(column + j * BLOCK, planes[j].view(np.uint8), 0, width)
    return planes


def mask_planes(planes: Words, mask: bytes) -> None:
    """Exclusive-or the same m * 16 bytes to every message, in place.

    Column by column, and only where the mask is not zero: most blocks of a message have no mask.
    """
    words = np.frombuffer(mask, np.uint64).reshape(-1, 2)
    for j, w in zip(*np.nonzero(words), strict=True):
        np.bitwise_xor(planes[j, :, w], words[j, w], out=planes[j, :, w])


class Cmac:
    """AES-CMAC under one key. Belongs to one call of a kernel, not to several threads.

    Args:
        key: 16, 24 or 32 bytes.

    Raises:
        KeyRingError: The key has another length.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = BlockCipher(key)
        self._whole = double(self._cipher.encrypt_block(bytes(BLOCK)))
        self._partial = double(self._whole)

    def mask(self, length: int) -> bytes:
        """What section 2.4 of RFC 4493 adds to the zero-filled blocks of a message of `length` bytes."""
        blocks = max(1, -(-length // BLOCK))
        if length == blocks * BLOCK:
            return bytes(length - BLOCK) + self._whole
        padding = (bytes(length % BLOCK) + b"\x80").ljust(BLOCK, b"\0")
        return bytes((blocks - 1) * BLOCK) + xor(padding, self._partial)

    def tags_of_planes(self, planes: Words, mask: bytes) -> Words:
        """The tags of zero-filled messages; `planes` are overwritten.

        Args:
            planes: As `planes_of` makes them.
            mask: `mask(length)`, with anything added to it that is to be added to every message.

        Returns:
            Shape (n, 2), uint64: the 16 bytes of each tag as they lie in memory.
        """
        mask_planes(planes, mask)
        return self._cipher.chain_planes(planes)

    def tags(self, strip: Strip, length: int) -> Words:
        """The tags of the rows of a strip: shape (n, 2), uint64."""
        return self.tags_of_planes(planes_of(strip, 0, length), self.mask(length))

    def digest(self, message: bytes) -> bytes:
        """The tag of one message, 16 bytes."""
        mask = self.mask(len(message))
        return self._cipher.chain(xor(message.ljust(len(mask), b"\0"), mask))


def cmac(messages: Bytes, *, key: bytes) -> Bytes:
    """AES-CMAC of every row of a matrix (RFC 4493).

    Args:
        messages: Shape (n, length), uint8. There are no nulls in a matrix.
        key: 16, 24 or 32 bytes.

    Returns:
        Shape (n, 16), uint8.

    Raises:
        KeyRingError: The key has another length.
    """
    rows, length = messages.shape
    data = np.ascontiguousarray(messages).reshape(-1)
    return Cmac(key).tags(Strip(data, rows, None, 0, length), length).view(np.uint8)
