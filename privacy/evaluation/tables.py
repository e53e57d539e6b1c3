"""Three tables, and their columns made comparable.

- **train**: the rows that the model learned from.
- **holdout**: rows of the same kind of people that it never saw. Whatever an attack does against these, it does
  without any help of the model: they are the control of every figure here.
- **synthetic**: what is to be released.

Every column has codes, whole numbers that are equal where values are, over all three and in the order of the values.
Numbers, dates and times are scaled besides: 0 and 1 are the least and the greatest of the training rows. A null is a
value like others among codes, and is flagged among numbers; `NaN` is a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.risk.codes import Codes, shared

FEWEST_ROWS = 20
"""Of each table; nothing is told by fewer."""
REACH = 2.0
"""How many training ranges below or above it a scaled number may lie; what is further off is set there."""


@dataclass(frozen=True, slots=True, eq=False)
class Trio:
    """The three tables of an evaluation, with the same columns.

    Attributes:
        train: The rows that the model learned from.
        holdout: Rows that it never saw.
        synthetic: The rows that it made.

    Raises:
        SchemaError: The columns are not the same, or a table has too few rows.
    """

    train: pa.Table = field(repr=False)
    holdout: pa.Table = field(repr=False)
    synthetic: pa.Table = field(repr=False)

    def __post_init__(self) -> None:
        for part in ("train", "holdout", "synthetic"):
            table = getattr(self, part)
            _same_columns(self.train, table, part)
            if table.num_rows < FEWEST_ROWS:
                raise SchemaError(
                    f"there are {table.num_rows:,} rows, which tell nothing",
                    where=f"evaluation, {part}",
                    expected=f"{FEWEST_ROWS} rows or more",
                )

    @property
    def columns(self) -> tuple[str, ...]:
        """Their columns, in the order of the training rows."""
        return tuple(self.train.column_names)

    def drawn(self, rows: int | None, seed: int) -> Trio:
        """The same tables with at most so many rows each, drawn by a seed; all of them if None."""
        parts = (self.train, self.holdout, self.synthetic)
        if rows is None or max(table.num_rows for table in parts) <= rows:
            return self
        rng = np.random.default_rng(seed)
        return Trio(*(_drawn(table, rows, rng) for table in parts))

    def encoded(self) -> Encoded:
        """The three with their columns made comparable.

        Raises:
            SchemaError: Values of a column cannot be compared.
        """
        real = stacked(self.train, self.holdout)
        both, synthetic = encode(real, self.synthetic, scale=self.train)
        split = self.train.num_rows
        return Encoded(both.take(slice(split)), both.take(slice(split, None)), synthetic)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a table by columns.

    Attributes:
        codes: A code a row, by column, in the order of the values; nulls last.
        scaled: Numbers, dates and times over the training range, float32 with NaN for null; by column.
        zero: How far a number's own zero lies below the scale's, in training ranges; of dates and times it is the same.
        length: How many rows.
    """

    codes: Mapping[str, Codes] = field(repr=False)
    scaled: Mapping[str, np.ndarray[Any, Any]] = field(repr=False)
    zero: Mapping[str, float] = field(repr=False)
    length: int

    def take(self, rows: np.ndarray[Any, Any] | slice) -> Rows:
        """Some of the rows, by number, mask or slice."""
        codes = {name: column.take(rows) for name, column in self.codes.items()}
        scaled = {name: column[rows] for name, column in self.scaled.items()}
        return Rows(codes=codes, scaled=scaled, zero=self.zero, length=len(next(iter(codes.values()))))


class Encoded(NamedTuple):
    """The three tables with comparable columns."""

    train: Rows
    holdout: Rows
    synthetic: Rows


def encode(one: pa.Table, other: pa.Table, *, scale: pa.Table) -> tuple[Rows, Rows]:
    """Two tables of the same columns with comparable values.

    Args:
        one: A table.
        other: Another.
        scale: The rows whose least and greatest numbers are 0 and 1.

    Raises:
        SchemaError: Values of a column cannot be compared.
    """
    one, other = known(one), known(other)
    names = {name: name for name in one.column_names}
    mine, theirs = shared(one, other, names, ordered=True)
    first: dict[str, np.ndarray[Any, Any]] = {}
    second: dict[str, np.ndarray[Any, Any]] = {}
    zero: dict[str, float] = {}
    for name in names:
        columns = (one.column(name), other.column(name), scale.column(name))
        if all(is_number(column.type) for column in columns):
            low, span = _range(numbers(columns[2]))
            first[name], second[name] = (_scaled(numbers(column), low, span) for column in columns[:2])
            zero[name] = 0.0 if pa.types.is_temporal(columns[2].type) else low / span
    return (
        Rows(codes=mine, scaled=first, zero=zero, length=one.num_rows),
        Rows(codes=theirs, scaled=second, zero=zero, length=other.num_rows),
    )


def stacked(one: pa.Table, other: pa.Table) -> pa.Table:
    """The rows of both tables.

    Raises:
        SchemaError: A column's types cannot be made one.
    """
    try:
        return pa.concat_tables([one, other.select(one.column_names)], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise SchemaError(
            "a column has other types in the hold-out than in the training rows", where="evaluation"
        ) from None


def known(table: pa.Table) -> pa.Table:
    """The table with NaN made null, and codes of categories made their values."""
    columns = []
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)  # noqa: PLW2901
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)  # noqa: PLW2901
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def is_number(kind: pa.DataType) -> bool:
    """Whether distances between values mean something: numbers, dates and times."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_temporal(kind)
    )


def numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """A column of numbers, dates or times as float64, NaN for null; dates and times in seconds."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    elif pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    found: np.ndarray[Any, Any] = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64)
    return found


def _scaled(values: np.ndarray[Any, Any], low: float, span: float) -> np.ndarray[Any, Any]:
    """Over a range; a null stays NaN."""
    scaled: np.ndarray[Any, Any] = np.clip((values - low) / span, -REACH, 1 + REACH).astype(np.float32)
    return scaled


def _range(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    return float(finite.min()), float(np.ptp(finite)) or 1.0


def _drawn(table: pa.Table, rows: int, rng: np.random.Generator) -> pa.Table:
    if table.num_rows <= rows:
        return table
    return table.take(np.sort(rng.choice(table.num_rows, rows, replace=False)))


def _same_columns(train: pa.Table, table: pa.Table, part: str) -> None:
    if len(set(train.column_names)) != len(train.column_names):
        raise SchemaError("two columns have the same name", where=f"evaluation, {part}")
    missing = sorted(set(train.column_names) ^ set(table.column_names))
    if missing or not train.column_names:
        raise SchemaError(
            f"columns differ from those of the training rows: {', '.join(missing) or 'there is none'}",
            where=f"evaluation, {part}",
            expected="the same columns in all three tables",
        )
