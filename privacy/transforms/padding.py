"""Unambiguous padding of whole columns (ISO/IEC 7816-4): a byte 80, then as many zeros as it takes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.crypto.columns import Column, column_of
from airflow_veil.privacy.errors import TamperedError

_MARK = 0x80


def pad(values: pa.Array, size: int) -> pa.BinaryArray:
    """Fill every value up to a multiple of `size` bytes; a value that is one gets `size` more.

    Args:
        values: n strings (their UTF-8 bytes) or byte strings.
        size: At least 1.

    Returns:
        n byte strings. Nulls stay null.
    """
    values = pc.cast(values, pa.binary())
    fillings = pa.array([bytes([_MARK]) + bytes(zeros) for zeros in range(size)], pa.binary())
    over = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False) % size
    return pc.binary_join_element_wise(values, fillings.take(pa.array(size - 1 - over)), b"")


def unpad(values: pa.BinaryArray) -> pa.BinaryArray:
    """Take the padding off.

    Args:
        values: n byte strings as `pad` makes them.

    Returns:
        n byte strings. Nulls stay null.

    Raises:
        TamperedError: Some values are not padded; the message has their count.
    """
    filled = column_of(pc.fill_null(values, bytes([_MARK])) if values.null_count else values)
    edges, memory = filled.offsets, filled.data
    inked = np.flatnonzero(memory)
    marks = np.append(inked, -1)[np.searchsorted(inked, edges[1:]) - 1]
    padded = marks >= edges[:-1]
    padded[padded] = memory[marks[padded]] == _MARK
    if not padded.all():
        msg = f"{int(np.count_nonzero(~padded))} of {len(values)} values are not padded"
        raise TamperedError(msg)
    # The value and its padding are neighbours in memory: read as two columns in turn, the first is the value.
    turns = np.empty(2 * filled.rows + 1, np.int32)
    turns[0::2], turns[1::2] = edges, marks
    pieces = Column(memory, turns, None, filled.type).to_arrow()
    index = pa.array(np.arange(0, 2 * filled.rows, 2), mask=values.is_null().to_numpy(zero_copy_only=False))
    return pieces.take(index)
