"""Counts distinct values of a column that passes by in batches, in constant memory, keeping no value."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.crypto import prf

KEPT = 1 << 16
"""How many hashes are kept: below it a count is exact, beyond it off by 0.4 % (standard error)."""

_SPAN = 2.0**64


@dataclass(slots=True)
class Distinct:
    """The k smallest hashes of a column's values (k minimum values; Bar-Yossef et al., RANDOM 2002).

    Hashes are AES-CMACs of the values' spelling under a key that is drawn for this count and forgotten after
    it, so two values share one with a probability of n^2 / 2^65.

    Attributes:
        key: 16 bytes.
        smallest: The smallest hashes so far, ascending, at most `KEPT`.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    smallest: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64), repr=False)

    def add(self, spellings: pa.BinaryArray) -> None:
        """Count the values of one batch in; nulls do not count.

        Args:
            spellings: One a value, n rows.
        """
        hashes = prf.uint64(pc.drop_null(pc.unique(spellings)), key=self.key)
        if self.is_full:
            hashes = hashes[hashes < self.smallest[-1]]
        self.smallest = np.union1d(self.smallest, hashes)[:KEPT]

    @property
    def is_full(self) -> bool:
        """Whether the count is an estimate from here on."""
        return len(self.smallest) >= KEPT

    @property
    def count(self) -> int:
        """How many distinct values there were."""
        if not self.is_full:
            return len(self.smallest)
        return round((KEPT - 1) / (float(self.smallest[-1]) / _SPAN))
