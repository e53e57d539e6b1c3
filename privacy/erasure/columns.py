"""Columns of some rows that are read when they are asked for: those that lead on only where somebody is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa


class Columns(Mapping[str, pa.Array]):
    """Columns of n rows.

    Args:
        rows: n.
        read: Reads a column.
        partition: Columns that have one value in all rows; they are given as dictionaries.
    """

    def __init__(
        self, rows: int, read: Callable[[str], pa.Array], partition: Mapping[str, pa.Scalar] | None = None
    ) -> None:
        self.rows = rows
        self._read = read
        self._partition = partition or {}
        self._known: dict[str, pa.Array] = {}

    def __getitem__(self, name: str) -> pa.Array:
        if name not in self._known:
            self._known[name] = self._repeated(name) if name in self._partition else self._read(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Columns({self.rows} rows)"

    def _repeated(self, name: str) -> pa.Array:
        value = self._partition[name]
        codes = pa.array(np.zeros(self.rows, np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array([value], value.type))
