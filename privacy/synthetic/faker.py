"""`faker`: columns by their specification alone, for test environments. No row is read, and no model library used.

Numbers, dates and categories are uniform between the bounds or over the values of the policy, and independent but for
constraints. Nothing is learned, so nothing can be told: what is made follows from the policy, which is public.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.synthetic.constraints import held
from airflow_veil.privacy.synthetic.coordinates import Coordinates, decoded, is_whole, limits
from airflow_veil.privacy.synthetic.envelope import unwrapped, wrapped
from airflow_veil.privacy.synthetic.frames import Finisher
from airflow_veil.privacy.synthetic.given import Conditions, Given, conditions_of, meeting
from airflow_veil.privacy.synthetic.seeds import seed_of
from airflow_veil.privacy.synthetic.specification import (
    BATCH_ROWS,
    ColumnSpecification,
    Specification,
    TableSpecification,
)
from airflow_veil.privacy.synthetic.synthesizer import Progress, Tables

Columns = dict[str, pa.Array]
"""Arrow columns by name."""

CHILDREN = 3
"""How many rows of a table refer to each row of the first table that it refers to."""
EMPTY = 0.05
"""How often a column is empty that can be."""


@dataclass(frozen=True)
class FakerModel:
    """What `faker` draws from: the specification.

    Attributes:
        specification: What is made.
    """

    specification: Specification

    @property
    def method(self) -> str:
        """The word of its method."""
        return self.specification.word

    def sample(
        self, *, seed: int, rows: int | None = None, given: Given | None = None
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Draw rows; see `Model.sample`.

        One table follows another. Where several refer to none, `rows` is for the first of them, and the others are as
        large beside it as the policy says. A table that refers to others has `CHILDREN` rows for each row of the first
        of them, and refers to rows of the rest at random.
        """
        conditions = conditions_of(self.specification, given)
        sizes = self._sizes(rows)
        for name, table in self.specification.tables.items():
            finisher = Finisher(table, seed=seed)
            while finisher.rows < sizes[name]:
                count = min(BATCH_ROWS, sizes[name] - finisher.rows)
                place = str(finisher.rows)

                def draw(
                    rows: int, round_: int, table: TableSpecification = table, place: str = place
                ) -> Columns:
                    return _learned(table, rows, conditions, seed_of(seed, table.name, place, str(round_)))

                columns = meeting(table, conditions, count, draw, directed=True) if table.learned else {}
                columns |= _references(table, finisher.rows, count, sizes, seed_of(seed, table.name, place))
                yield name, finisher.batch(columns, count)

    def to_bytes(self) -> bytes:
        """The model: JSON that says what it is for."""
        return wrapped(self.specification)

    def _sizes(self, rows: int | None) -> dict[str, int]:
        """How many rows each table gets."""
        sizes: dict[str, int] = {}
        first = self.specification.roots[0].rows or 1
        for name, table in self.specification.tables.items():
            if table.references:
                sizes[name] = CHILDREN * sizes[table.references[0].target[0]]
            else:
                sizes[name] = max(round((table.rows or first) * (rows or first) / first), 1)
        return sizes


def _learned(table: TableSpecification, count: int, conditions: Conditions, seed: int) -> Columns:
    """Columns that a model would learn; those that are given have their value, where no inequality forbids it."""
    columns = {}
    for column in table.learned:
        if column.name in conditions:
            coordinates = np.full(count, conditions[column.name])
        else:
            coordinates = _coordinates(column, count, np.random.default_rng(seed_of(seed, column.name)))
        columns[column.name] = decoded(coordinates, column)
    return held(table, columns)


def _references(
    table: TableSpecification, before: int, count: int, sizes: dict[str, int], seed: int
) -> Columns:
    columns = {}
    for index, column in enumerate(table.references):
        draws = np.random.default_rng(seed_of(seed, column.name))
        if index == 0:
            keys = np.arange(before, before + count) // CHILDREN + 1
        else:
            keys = draws.integers(1, sizes[column.target[0]] + 1, count)
        empty = draws.random(count) < EMPTY if column.nulls else None
        columns[column.name] = pa.array(keys, pa.int64(), mask=empty)
    return columns


def _coordinates(column: ColumnSpecification, count: int, draws: np.random.Generator) -> Coordinates:
    low, high = limits(column)
    if is_whole(column):
        numbers = draws.integers(int(low), int(high) + 1, count).astype(np.float64)
    else:
        numbers = draws.uniform(low, high, count)
    if column.nulls:
        numbers[draws.random(count) < EMPTY] = np.nan
    return numbers


@dataclass(frozen=True)
class FakerSynthesizer:
    """Makes `faker`'s models, which know nothing.

    Attributes:
        specification: What is made.
    """

    specification: Specification

    def fit(self, tables: Tables, *, seed: int, progress: Progress) -> FakerModel:  # noqa: ARG002 - the protocol's
        """The model; no row is looked at. See `Synthesizer.fit`."""
        progress("nothing is learned: columns are made by their specification")
        return FakerModel(self.specification)

    def from_bytes(self, content: bytes) -> FakerModel:
        """A model that `to_bytes` gave; see `Synthesizer.from_bytes`."""
        unwrapped(self.specification, content)
        return FakerModel(self.specification)
