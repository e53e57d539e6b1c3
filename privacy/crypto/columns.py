"""Arrow string and binary arrays as numpy memory: rows of equal length in, rows of equal length out.

A kernel asks for the groups of rows that have one length, copies fixed-width pieces of them with a single
numpy call, and writes fixed-width pieces to the result the same way. No Python object is made per value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import BLOCK, WORKING_BYTES, Bytes
from airflow_veil.privacy.errors import TransformError

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Sorting by length jumps about in memory; within this many rows the jumps stay in the cache.
_WINDOW_ROWS = 1 << 16
_MIN_GROUP_ROWS = 256
_FEW_ROWS = 128
_LONG_ROW = 768
_INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows of one length inside a byte buffer.

    Attributes:
        data: The buffer.
        count: Number of rows, n.
        starts: Where each row begins, shape (n,), or None if the rows follow each other at a fixed distance.
        first: Where the first row begins, when `starts` is None.
        stride: The distance between rows in bytes, when `starts` is None.
    """

    data: Bytes
    count: int
    starts: Index | None
    first: int = 0
    stride: int = 0

    def _items(self, column: int, width: int) -> tuple[NDArray[np.void], Index | slice]:
        """A view of `width`-byte items and the index that selects those at `column` of every row."""
        item = np.dtype((np.void, width))
        if self.starts is None:
            view = np.ndarray((self.count,), item, self.data, self.first + column, (self.stride,))
            return view, slice(None)
        # Every byte of the buffer begins an item; the items overlap, only the selected ones are touched.
        view = np.ndarray((self.data.size - width + 1,), item, self.data, 0, (1,))
        return view, self.starts + column if column else self.starts

    def read(self, column: int, width: int) -> Bytes:
        """Copy bytes `column` to `column + width` of every row: shape (n, width), uint8, C-contiguous."""
        if not (width and self.count):
            return np.empty((self.count, width), np.uint8)
        view, index = self._items(column, width)
        items = view.copy() if isinstance(index, slice) else view[index]
        return items.view(np.uint8).reshape(self.count, width)

    def read_into(self, column: int, target: Bytes, at: int, width: int) -> None:
        """Copy bytes of every row to columns `at` to `at + width` of `target`, C-contiguous, (n, any)."""
        if width and self.count:
            view, index = self._items(column, width)
            _pieces(target, at, width)[...] = view[index]

    def write(self, column: int, source: Bytes, at: int, width: int) -> None:
        """Copy columns `at` to `at + width` of `source`, shape (n, any), to byte `column` of every row."""
        if width and self.count:
            view, index = self._items(column, width)
            view[index] = _pieces(source, at, width)

    def fill(self, column: int, piece: bytes) -> None:
        """Write the same bytes at `column` of every row."""
        if piece and self.count:
            view, index = self._items(column, len(piece))
            # Many items instead of one: numpy is slow at spreading a single item over an index.
            view[index] = np.frombuffer(piece * self.count, view.dtype)


def _pieces(matrix: Bytes, at: int, width: int) -> NDArray[np.void]:
    """Columns `at` to `at + width` of a C-contiguous (n, any) matrix, as n items of `width` bytes."""
    item = np.dtype((np.void, width))
    return np.ndarray((matrix.shape[0],), item, matrix, at, (matrix.shape[1],))


@dataclass(frozen=True, slots=True)
class Column:
    """A variable-width column in memory.

    Attributes:
        data: The bytes of all rows.
        offsets: Shape (n + 1,), int32 or int64: row i is `data[offsets[i]:offsets[i + 1]]`.
        valid: Shape (n,), False for null rows, or None if there are none. Bytes under a null mean nothing.
        type: The Arrow type the column came from or is bound for.
    """

    data: Bytes
    offsets: NDArray[np.signedinteger]
    valid: Mask | None
    type: pa.DataType

    @property
    def rows(self) -> int:
        """Number of rows, nulls included."""
        return len(self.offsets) - 1

    def lengths(self) -> Index:
        """The length of every row in bytes, shape (n,), int64; null rows have 0."""
        lengths = np.diff(self.offsets).astype(np.int64, copy=False)
        if self.valid is not None:
            lengths[~self.valid] = 0
        return lengths

    def groups(self, others: list[int] | None = None) -> Iterator[tuple[Index | slice, int]]:
        """The non-null rows, in groups of one length, small enough for the processor's cache.

        A group has a fixed cost of some tens of microseconds, and very long rows gain nothing from a group.
        A kernel that has another way for single values passes `others`.

        Args:
            others: If given, the numbers of rows that are better treated one by one are put here instead of
                into a group. Rows of at most 16 bytes are always in a group.

        Yields:
            Row numbers (a slice when all rows of the column have one length), and the length in bytes.
        """
        lengths = self.lengths()
        if not lengths.size:
            return
        length = int(lengths[0])
        if self.valid is None and length == lengths.max() == lengths.min():
            if others is not None and _is_rare(length, self.rows):
                others += range(self.rows)
                return
            step = _group_rows(length)
            for begin in range(0, self.rows, step):
                yield slice(begin, min(begin + step, self.rows)), length
            return
        for begin in range(0, self.rows, _WINDOW_ROWS):
            yield from self._window(begin, lengths[begin : begin + _WINDOW_ROWS], others)

    def _window(self, begin: int, lengths: Index, others: list[int] | None) -> Iterator[tuple[Index, int]]:
        """The groups of the rows from `begin` on."""
        rows = np.arange(begin, begin + len(lengths))
        if self.valid is not None:
            chosen = self.valid[begin : begin + len(lengths)]
            rows, lengths = rows[chosen], lengths[chosen]
        if not rows.size:
            return
        # numpy sorts 16-bit integers by counting, ten times as fast as wider ones.
        keys = lengths.astype(np.uint16) if lengths.max() < 1 << 16 else lengths
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(rows)]
        for first, last in itertools.pairwise(edges):
            length = int(keys[first])
            if others is not None and _is_rare(length, last - first):
                others += rows[first:last].tolist()
                continue
            step = _group_rows(length)
            for at in range(first, last, step):
                yield rows[at : min(at + step, last)], length

    def strip(self, rows: Index | slice, length: int) -> Strip:
        """The rows of a group: `rows` as `groups` of this column or of one of the same shape gave them."""
        if isinstance(rows, slice):
            return Strip(self.data, rows.stop - rows.start, None, int(self.offsets[rows.start]), length)
        return Strip(self.data, len(rows), self.offsets[rows].astype(np.int64, copy=False))

    def spans(self, rows: list[int] | Index) -> Iterator[tuple[int, int]]:
        """Where each of some rows begins and ends in `data`."""
        begins, ends = self.offsets[rows].tolist(), self.offsets[np.asarray(rows, np.int64) + 1].tolist()
        return zip(begins, ends, strict=True)

    def to_arrow(self) -> pa.Array:
        """The column as an Arrow array of its type, without copying the bytes."""
        bitmap, nulls = bitmap_of(self.valid)
        buffers = [bitmap, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(self.type, self.rows, buffers, nulls)


def _group_rows(length: int) -> int:
    """How many rows of a length make one group."""
    return max(_MIN_GROUP_ROWS, WORKING_BYTES // max(length, BLOCK))


def _is_rare(length: int, rows: int) -> bool:
    """Whether rows of one length are too few or too long to gain from a group (measured, for AES-SIV)."""
    return length > BLOCK and (length > _LONG_ROW or rows < _FEW_ROWS + length // 8)


def bitmap_of(valid: Mask | None) -> tuple[pa.Buffer | None, int]:
    """The validity bitmap of an Arrow array and its number of nulls."""
    if valid is None:
        return None, 0
    return pa.py_buffer(np.packbits(valid, bitorder="little")), int(valid.size - np.count_nonzero(valid))


def is_large(kind: pa.DataType) -> bool:
    """Whether a string or binary type has 64-bit offsets."""
    return bool(pa.types.is_large_string(kind) or pa.types.is_large_binary(kind))


def binary_like(kind: pa.DataType) -> pa.DataType:
    """`binary`, or `large_binary` for a type with 64-bit offsets."""
    return pa.large_binary() if is_large(kind) else pa.binary()


def string_like(kind: pa.DataType) -> pa.DataType:
    """`string`, or `large_string` for a type with 64-bit offsets."""
    return pa.large_string() if is_large(kind) else pa.string()


def column_of(values: pa.Array) -> Column:
    """View an Arrow array of strings or bytes as memory, without copying.

    Args:
        values: A `string`, `large_string`, `binary` or `large_binary` array; sliced arrays are fine.

    Returns:
        The column; its `data` is read-only.

    Raises:
        TransformError: The array has another type.
    """
    kind = values.type
    if not (pa.types.is_string(kind) or pa.types.is_binary(kind) or is_large(kind)):
        msg = f"a column of type {kind}"
        raise TransformError(msg, expected="strings or bytes")
    width = np.int64 if is_large(kind) else np.int32
    _, offsets, data = values.buffers()
    if len(values) == 0 or offsets is None:
        edges: NDArray[np.signedinteger] = np.zeros(len(values) + 1, np.int64).astype(width)
    else:
        every: NDArray[np.signedinteger] = np.frombuffer(offsets, width)
        edges = every[values.offset : values.offset + len(values) + 1]
    memory = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    return Column(memory, edges, valid_of(values), kind)


def valid_of(values: pa.Array) -> Mask | None:
    """Which rows are not null, shape (n,), or None if none is null."""
    if values.null_count == 0:
        return None
    mask: Mask = values.is_valid().to_numpy(zero_copy_only=False)
    return mask


def allocate(lengths: Index, valid: Mask | None, kind: pa.DataType) -> Column:
    """A column to be written, with rows of the given lengths in bytes.

    Args:
        lengths: Shape (n,), int64; null rows have 0.
        valid: As in `Column`.
        kind: A string or binary type.

    Raises:
        TransformError: The rows need more than 2 GiB and the type has 32-bit offsets.
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    edges = fitted(offsets, kind)
    # Arrow's allocator keeps freed pages, so that batch after batch need not be mapped and cleared anew.
    data = np.frombuffer(pa.allocate_buffer(int(offsets[-1])), np.uint8)
    return Column(data, edges, valid, kind)


def fitted(offsets: Index, kind: pa.DataType) -> NDArray[np.signedinteger]:
    """Offsets in the width that a string or binary type has.

    Args:
        offsets: Shape (n + 1,), int64.
        kind: A string or binary type.

    Raises:
        TransformError: The rows need more than 2 GiB and the type has 32-bit offsets.
    """
    if is_large(kind):
        return offsets
    if offsets[-1] > _INT32_MAX:
        msg = f"a batch of {len(offsets) - 1} values makes {offsets[-1]} bytes, too many for the type {kind}"
        raise TransformError(
            msg,
            expected="at most 2 GiB a batch",
            fix="read smaller batches",
        )
    return offsets.astype(np.int32)


def by_chunk(
    values: pa.Array | pa.ChunkedArray,
    kind: Callable[[pa.DataType], pa.DataType],
    kernel: Callable[[pa.Array], pa.Array],
) -> pa.Array | pa.ChunkedArray:
    """Apply a kernel to an array, or to each chunk of a chunked array, keeping the chunking.

    Args:
        values: The column.
        kind: The type of the result for a type of the column; a chunked array may have no chunk to ask.
        kernel: Takes and returns an array of the same number of rows.
    """
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([kernel(chunk) for chunk in values.chunks], type=kind(values.type))
    return kernel(values)
