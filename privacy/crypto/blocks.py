"""Batched AES: one library call over all 16-byte blocks of a batch.

The Python cost of a call is paid once a batch instead of once a value; resistance against timing is the
matter of the `cryptography` library and the processor's AES instructions, as in any other use of it.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from airflow_veil.privacy.errors import KeyRingError

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

BLOCK = 16

# Kernels work on about this many bytes of rows at a time: enough that the cost of a numpy call does not
# show, few enough that the operands stay in the processor's caches.
WORKING_BYTES = 1 << 18

# `update_into` wants room for one more block than it writes.
_SLACK = BLOCK - 1


class BlockCipher:
    """AES as a permutation of 16-byte blocks (FIPS 197), applied to many blocks in one call.

    An object belongs to one call of a kernel: it is cheap to make and holds scratch memory, so it must
    not be shared between threads.

    Args:
        key: 16, 24 or 32 bytes.

    Raises:
        KeyRingError: The key has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) not in (16, 24, 32):
            msg = f"an AES key of {len(key)} bytes"
            raise KeyRingError(msg, expected="16, 24 or 32 bytes")
        # ECB is the bare permutation; the modes of this package (CMAC, CTR, FF1) are built on top of it.
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        self._room = np.empty(0, np.uint8)

    def encrypt(self, blocks: Words) -> Words:
        """Encrypt every block of a batch.

        Args:
            blocks: C-contiguous, shape (..., 2), uint64: each pair holds the 16 bytes of a block as they lie
                in memory. No nulls: rows are chosen before.

        Returns:
            Same shape. The memory is reused by the next call: copy what has to outlive it.
        """
        size = blocks.nbytes
        if self._room.size < size + _SLACK:
            self._room = np.empty(size + _SLACK, np.uint8)
        # Flat bytes: the library takes any contiguous buffer, but not one of zero length and several axes.
        self._encryptor.update_into(blocks.reshape(-1).view(np.uint8).data, self._room.data)
        return self._room[:size].view(np.uint64).reshape(blocks.shape)

    def encrypt_block(self, block: bytes) -> bytes:
        """Encrypt one block of 16 bytes."""
        return self.encrypt(np.frombuffer(block, np.uint64)).tobytes()

    def chain(self, blocks: bytes, start: bytes = bytes(BLOCK)) -> bytes:
        """The CBC-MAC of whole blocks, one after the other (PRF of SP 800-38G, algorithm 6).

        Args:
            blocks: A multiple of 16 bytes, may be empty.
            start: The chaining value before the first block.

        Returns:
            The last chaining value, 16 bytes.
        """
        state = start
        for at in range(0, len(blocks), BLOCK):
            state = self.encrypt_block(xor(state, blocks[at : at + BLOCK]))
        return state

    def chain_planes(self, planes: Words) -> Words:
        """The CBC-MAC of many messages of the same number of blocks.

        Args:
            planes: Shape (m, n, 2), uint64, m >= 1: block j of message i is `planes[j, i]`. Lying block by
                block instead of message by message keeps every operand contiguous. They are overwritten.

        Returns:
            Shape (n, 2), uint64; a copy of its own.
        """
        state = self.encrypt(planes[0])
        for plane in planes[1:]:
            np.bitwise_xor(plane, state, out=plane)
            state = self.encrypt(plane)
        return state.copy()


def xor(left: bytes, right: bytes) -> bytes:
    """The exclusive or of two byte strings of the same length."""
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))


def double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128): `dbl` of RFC 5297 section 2.3, the subkey step of RFC 4493."""
    shifted = int.from_bytes(block) << 1
    if shifted >> 128:
        shifted = (shifted & ((1 << 128) - 1)) ^ 0x87
    return shifted.to_bytes(BLOCK)
