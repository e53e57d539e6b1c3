"""Random numbers for the bounding of contributions, fresh in each run."""

from __future__ import annotations

import os
from threading import Lock
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_HALF = np.uint64(32)
_LOW = np.uint64((1 << 32) - 1)


class Lots(Protocol):
    """Draws numbers for units, or for pairs of a unit and a group."""

    def draw(self, whom: Ints, turn: str) -> Words:
        """One number of 64 bits for each.

        Args:
            whom: For whom, int64, shape (n,), each once.
            turn: What for; another turn draws others.

        Returns:
            uint64, shape (n,).
        """


class SystemLots:
    """Numbers that nobody can foretell: AES-256 in counter mode (NIST SP 800-38A), its key drawn from the system.

    They are drawn one after the other, so that each is independent of all others and of the data, whatever the thread.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._stream = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(bytes(16))).encryptor()

    def draw(self, whom: Ints, turn: str) -> Words:  # noqa: ARG002 - the next numbers, whomever they are for
        """See `Lots.draw`."""
        with self._lock:
            return np.frombuffer(self._stream.update(bytes(8 * len(whom))), np.uint64)


def below(words: Words, limits: Ints) -> Ints:
    """Whole numbers from 0 up to a limit, without it.

    Args:
        words: Uniform in 64 bits, shape (n,).
        limits: Positive, below 2^32, int64, shape (n,).

    Returns:
        int64, shape (n,): ⌊word · limit / 2^64⌋, each with its probability but for one part in 2^32.
    """
    limit = limits.astype(np.uint64)
    carried = ((words & _LOW) * limit) >> _HALF
    return (((words >> _HALF) * limit + carried) >> _HALF).astype(np.int64)
