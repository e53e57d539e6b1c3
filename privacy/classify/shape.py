"""What characters values are made of, counted in one pass: on which of them a pattern is worth trying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Counts = NDArray[np.uint8]

LONGEST = 255
"""Bytes of a value that are looked at; counts of one value fit into a byte."""

_CLASSES = {
    "digits": b"0123456789",
    "letters": b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + bytes(range(0x80, 0x100)),
    "spaces": b" \t\n\r",
    "ats": b"@",
    "dots": b".",
    "colons": b":",
    "links": b"-/",
}
_FIELD = 8
"""Bits of a counter: eight counters, one a class and one for all other characters, share a 64-bit number."""


def _weights() -> NDArray[np.uint64]:
    """For each byte a one in its class's counter."""
    table = np.full(256, np.uint64(1) << np.uint64(_FIELD * len(_CLASSES)), np.uint64)
    for place, members in enumerate(_CLASSES.values()):
        table[list(members)] = np.uint64(1) << np.uint64(_FIELD * place)
    return table


_WEIGHTS = _weights()


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Counts of characters in each of n values, each of shape (n,). Bytes of UTF-8 count where letters are not ASCII.

    Attributes:
        sizes: Bytes of the whole value.
        digits: 0 to 9.
        letters: Letters, and all bytes beyond ASCII.
        spaces: Spaces, tabs and line ends.
        ats: The sign @.
        dots: Full stops.
        colons: Colons.
        links: Hyphens and slashes.
        others: Everything else.
    """

    sizes: NDArray[np.int64]
    digits: Counts
    letters: Counts
    spaces: Counts
    ats: Counts
    dots: Counts
    colons: Counts
    links: Counts
    others: Counts

    @classmethod
    def of(cls, values: pa.Array) -> Shape:
        """Count the characters of n texts that are not null.

        One table look-up and one running sum count all classes at once: the counters of a byte share a 64-bit number,
        and the difference of two running sums is exact modulo 2^64 as long as no counter of a single value overflows,
        which the cut at 255 bytes sees to.
        """
        sizes = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
        values = values.cast(pa.large_binary())
        if len(sizes) and sizes.max() > LONGEST:
            values = pc.binary_slice(values, 0, LONGEST)
        _, offsets, data = values.buffers()
        edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
        first, last = int(edges[0]), int(edges[-1])
        codes = np.frombuffer(data, np.uint8)[first:last] if data is not None else np.empty(0, np.uint8)
        total = np.zeros(last - first + 1, np.uint64)
        np.cumsum(_WEIGHTS[codes], out=total[1:])
        packed = np.diff(total[edges - first])
        counters = np.ascontiguousarray(packed).view(np.uint8).reshape(-1, 8)
        return cls(sizes, *(np.ascontiguousarray(counters[:, place]) for place in range(8)))

    @property
    def separators(self) -> Counts:
        """What is neither letter nor digit."""
        return self.spaces + self.ats + self.dots + self.colons + self.links + self.others
