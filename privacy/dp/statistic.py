"""The statistics that answers are made of: each a table of whole numbers, with the most that one unit changes it by.

A measure is made of one statistic or several (a mean is a sum and a number of rows), and several measures may share
one: it is measured once, and paid for once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal


class Form(StrEnum):
    """What of a row a sum is taken of."""

    VALUE = "value"
    """The value itself."""
    CENTRED = "centred"
    """Its distance from the middle of the bounds."""
    SQUARED = "squared"
    """The square of that distance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A column as it is read: what becomes of numbers that are none.

    Attributes:
        column: Its name.
        null: What a null counts as; None where the row does not count.
        nan: What NaN counts as; None where the row does not count.
        clamp_infinite: Whether infinities count as the nearest bound; False where the row does not count.
    """

    column: str
    null: float | None = None
    nan: float | None = None
    clamp_infinite: bool = True

    @property
    def counts_all(self) -> bool:
        """Whether every row counts, whatever is in the column."""
        return self.null is not None and self.nan is not None and self.clamp_infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The number of units in each group."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        return "units"

    @property
    def width(self) -> int:
        """Cells a group."""
        return 1

    def per_group(self, rows: int) -> int:  # noqa: ARG002 - a unit is one, for however many rows it counts
        """The most that one unit, counting for so many rows, changes one group by: in the sum over its cells."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The number of rows in each group; with a reading, of those that it counts.

    Attributes:
        of: What must be there; None for all rows.
    """

    of: Reading | None = None

    @property
    def name(self) -> str:
        """Its name in the record."""
        return f"rows({self.of.column})" if self.of else "rows"

    @property
    def width(self) -> int:
        """Cells a group."""
        return 1

    def per_group(self, rows: int) -> int:
        """The most that one unit, counting for so many rows, changes one group by."""
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sum of a clamped column in each group, in whole steps.

    Attributes:
        of: The column.
        low: The lower bound.
        high: The upper bound.
        form: What is summed.
        step: The size of a step: what is summed is rounded to it, row by row, before anything is added.
    """

    of: Reading
    low: Fraction
    high: Fraction
    form: Form
    step: Fraction

    @property
    def name(self) -> str:
        """Its name in the record."""
        return f"sum({self.of.column})" if self.form is Form.VALUE else f"sum({self.form} {self.of.column})"

    @property
    def width(self) -> int:
        """Cells a group."""
        return 1

    @property
    def middle(self) -> Fraction:
        """The middle of the bounds."""
        return (self.low + self.high) / 2

    @property
    def steps(self) -> tuple[int, int]:
        """The least and the most steps of one row."""
        half = (self.high - self.low) / 2
        ends = {
            Form.VALUE: (self.low, self.high),
            Form.CENTRED: (-half, half),
            Form.SQUARED: (Fraction(0), half * half),
        }[self.form]
        return round(ends[0] / self.step), round(ends[1] / self.step)

    def per_group(self, rows: int) -> int:
        """The most that one unit, counting for so many rows, changes one group by."""
        return rows * max(abs(end) for end in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The number of rows in each bin of each group.

    Attributes:
        of: The column.
        edges: Edges of the bins of numbers: a bin holds its left edge, the last one both; empty for values.
        values: One bin a value; empty for numbers.
    """

    of: Reading
    edges: tuple[float, ...] = ()
    values: tuple[str | int | bool, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the record."""
        return f"bins({self.of.column})"

    @property
    def width(self) -> int:
        """Cells a group."""
        return len(self.values) or len(self.edges) - 1

    def per_group(self, rows: int) -> int:
        """The most that one unit, counting for so many rows, changes one group by: in the sum over its bins."""
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """How many rows lie below, at and between the candidates of a quantile, in each group.

    The cells of a group are: below the first candidate, at it, between it and the second, at the second, and so on to
    above the last: twice the candidates and one.

    Attributes:
        of: The column.
        candidates: What the answer can be, rising.
        quantiles: Which quantiles are asked, between 0 and 1.
    """

    of: Reading
    candidates: tuple[float, ...]
    quantiles: tuple[Fraction, ...]

    @property
    def name(self) -> str:
        """Its name in the record."""
        return f"ranks({self.of.column})"

    @property
    def width(self) -> int:
        """Cells a group."""
        return 2 * len(self.candidates) + 1

    def per_group(self, rows: int) -> int:
        """The most that one unit, counting for so many rows, changes the counts of one group by."""
        return rows


Statistic = Units | Rows | Total | Bins | Ranks

Noise = Literal["laplace", "gaussian"]


def as_dict(statistic: Statistic) -> dict[str, Any]:
    """A statistic as plain data, for digests and records."""
    from dataclasses import asdict

    return {"is": type(statistic).__name__.lower(), **{k: _plain(v) for k, v in asdict(statistic).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
