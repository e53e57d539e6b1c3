"""What a run counted: the figures that manifests and lineage show; names and numbers, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Nulls:
    """The nulls of one column, over the rows that left.

    Attributes:
        before: Rows that were null as the column was read.
        after: Rows that are null as it left.
    """

    before: int = 0
    after: int = 0

    def __add__(self, other: Nulls) -> Nulls:
        return Nulls(self.before + other.before, self.after + other.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The figures of one run, or of a part of it; parts add up.

    Attributes:
        rows_in: Rows read.
        rows_out: Rows that left.
        dropped_rows: Rows held back, by the word of the filter that did; a row counts for the first one.
        nulls: Nulls of each output column.
    """

    rows_in: int = 0
    rows_out: int = 0
    dropped_rows: Mapping[str, int] = field(default_factory=dict)
    nulls: Mapping[str, Nulls] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            dropped_rows={
                word: self.dropped_rows.get(word, 0) + other.dropped_rows.get(word, 0)
                for word in {**self.dropped_rows, **other.dropped_rows}
            },
            nulls={
                name: self.nulls.get(name, Nulls()) + other.nulls.get(name, Nulls())
                for name in {**self.nulls, **other.nulls}
            },
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)
