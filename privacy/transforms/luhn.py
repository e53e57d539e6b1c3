"""The Luhn check (ISO/IEC 7812-1, annex B) over whole columns; what is no digit does not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.columns import Mask
from airflow_veil.privacy.transforms.characters import Layout

# What a digit counts: itself at odd places from the end, the digits of its double added up at even ones.
_WORTH = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]], np.uint8)
# The digit that counts so much; both rows of `_WORTH` have every number once.
_DIGIT = np.argsort(_WORTH, axis=1).astype(np.uint8)

_ZERO = np.uint8(ord("0"))


def failing(layout: Layout) -> int:
    """How many rows that are not null do not satisfy the check; a row without digits does."""
    return layout.count_where(~passing(layout))


def passing(layout: Layout) -> Mask:
    """Which rows satisfy the check, shape (n,); a row without digits does, and so does a null one."""
    satisfied: Mask = _sums(layout) % 10 == 0
    return satisfied


def completed(layout: Layout, free: int) -> Layout:
    """Set one digit of every row so that the row satisfies the check.

    Args:
        layout: n rows over the alphabet of digits.
        free: Which digit, counted from 1 at the end. Rows with fewer digits stay as they are.
    """
    has, places = layout.at(-free)
    units = layout.units.copy()
    doubled = (free - 1) % 2
    others = _sums(layout)[has] - _WORTH[doubled][units[places] - _ZERO]
    units[places] = _DIGIT[doubled][-others % 10] + _ZERO
    return replace(layout, units=units)


def _sums(layout: Layout) -> NDArray[np.int64]:
    """What all digits of each row count together, shape (n,)."""
    digits = layout.units[layout.places] - _ZERO
    # A digit's place from the end of its row is odd or even as the ends and the digit's own place differ.
    ends = np.repeat((layout.firsts[1:] - 1).astype(np.uint8), layout.counts)
    doubled = (ends - np.arange(len(digits)).astype(np.uint8)) & np.uint8(1)
    total = np.zeros(len(digits) + 1, np.int64)
    np.cumsum(_WORTH.reshape(-1)[digits + doubled * np.uint8(10)], out=total[1:])
    return np.diff(total[layout.firsts])
