"""The levels of a quasi-identifier: each value of a hierarchy, as coarse as each level makes it, as codes.

A null is a value of its own, and stays one at each level; where a level has one label for all, it gets that, too.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.hierarchy import rows_of
from airflow_veil.privacy.transforms.text import as_text, decoded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """A hierarchy over the values of a column.

    Attributes:
        column: The column.
        labels: For each level its labels, by code; level 0 has the values themselves. Null stands last.
        codes: For each level the code of each value, in the order of level 0; null is the last value.
        shares: For each level and code the share of the values that stand behind it.
        digest: SHA-256 over the values and their labels, in hex.
    """

    column: str
    labels: tuple[pa.Array, ...] = field(repr=False)
    codes: tuple[np.ndarray[Any, Any], ...] = field(repr=False)
    shares: tuple[np.ndarray[Any, Any], ...] = field(repr=False)
    digest: str

    @property
    def height(self) -> int:
        """The highest level; 0 leaves values as they are."""
        return len(self.codes) - 1

    @property
    def size(self) -> int:
        """How many values the hierarchy has; null is not among them."""
        return len(self.codes[0]) - 1

    def encode(self, column: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, Any]:
        """The values of a column as codes of level 0.

        Args:
            column: n rows of text, numbers or truth values.

        Returns:
            n codes; `size` stands for null.

        Raises:
            TransformError: Values are not in the hierarchy; how many is said, never which.
        """
        if isinstance(column, pa.ChunkedArray):
            chunks = [self.encode(chunk) for chunk in column.chunks]
            return np.concatenate([np.empty(0, np.int32), *chunks])
        texts = as_text(decoded(column)).cast(pa.string())
        places = pc.index_in(texts, value_set=self.labels[0].slice(0, self.size))
        unknown = pc.and_(pc.is_valid(texts), pc.is_null(places))
        count = pc.sum(unknown).as_py() or 0
        if count:
            raise TransformError(
                f"the hierarchy does not cover {count} values",
                where=f"column {self.column}",
                expected="values that the hierarchy has",
                fix="give these values a line in the hierarchy's file, or mend them upstream",
            )
        codes: np.ndarray[Any, Any] = places.fill_null(self.size).to_numpy(zero_copy_only=False)
        return codes.astype(np.int32, copy=False)

    def decode(self, codes: np.ndarray[Any, Any], level: int) -> pa.Array:
        """Codes of level 0 as the labels of a level, as text."""
        return self.labels[level].take(pa.array(self.codes[level][codes]))


def read_levels(column: str, path: Path, *, delimiter: str = ";") -> Levels:
    """The hierarchy of a file: `value;level 1;level 2;…`, and no header.

    Raises:
        TransformError: The file cannot be read, is empty, has a value twice, or is no hierarchy.
    """
    rows = [row for _, row in rows_of(path, delimiter, f"column {column}")]
    return levels_of(column, rows)


def levels_of(column: str, rows: list[list[str]]) -> Levels:
    """The hierarchy of rows, one a value, from the value itself to its coarsest label.

    Raises:
        TransformError: There is no row, a value stands twice, rows differ in length, or values that share a label on
            one level do not on a coarser one.
    """
    where = f"hierarchy of column {column}"
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise TransformError(
            "the hierarchy is empty, or has rows of different lengths",
            where=where,
            expected="a line for each value, with all levels",
        )
    rows = [list(row) for row in dict.fromkeys(map(tuple, rows))]
    if len({row[0] for row in rows}) != len(rows):
        raise TransformError(
            "a value of the hierarchy stands twice, with different levels",
            where=where,
            fix="keep one of the lines",
        )
    labels, codes, shares = [], [], []
    for level in range(len(rows[0])):
        made = pa.array([row[level] for row in rows], pa.string()).dictionary_encode()
        of, count = made.indices.to_numpy(), len(made.dictionary)
        shared = level > 0 and count == 1
        share = np.bincount(of, minlength=count) / len(rows)
        codes.append(np.append(of, 0 if shared else count).astype(np.int32))
        shares.append(share if shared else np.append(share, 1 / len(rows)))
        nothing = pa.nulls(0 if shared else 1, pa.string())
        labels.append(pa.concat_arrays([made.dictionary.cast(pa.string()), nothing]))
    for level, (fine, coarse) in enumerate(itertools.pairwise(codes)):
        if len(np.unique(np.stack([fine, coarse]), axis=1).T) != len(np.unique(fine)):
            raise TransformError(
                f"values that share a label on level {level} have different ones on level {level + 1}",
                where=where,
                expected="levels that become coarser",
            )
    text = json.dumps(sorted(rows), ensure_ascii=False)
    return Levels(
        column=column,
        labels=tuple(labels),
        codes=tuple(codes),
        shares=tuple(shares),
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )
