"""Seeds: one number of the policy gives each place that draws a seed of its own, and leaves no trace behind.

SDV, CTGAN and PAR draw from the random numbers of the whole process; so these are set for a while and put back.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_veil.privacy.lazy import np

LARGEST = 2**32 - 1
"""The largest seed that all libraries take."""


def seed_of(seed: int, *place: str) -> int:
    """A seed for a place, below 2**32: far apart for places and seeds that are near."""
    text = "\0".join((str(seed), *place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's random numbers of the process inside the block, and put them back after it.

    torch is seeded only where it is there. Not for several threads at once.
    """
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % LARGEST)
    try:
        with _torch_seeded(seed):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


@contextmanager
def _torch_seeded(seed: int) -> Iterator[None]:
    try:
        import torch
    except ImportError:
        yield
        return
    before = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(before)
