"""Between Arrow tables of a specification and the pandas frames of coordinates that SDV takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.synthetic.constraints import held
from airflow_veil.privacy.synthetic.coordinates import Coordinates, decoded, encoded
from airflow_veil.privacy.synthetic.invented import Inventor
from airflow_veil.privacy.synthetic.specification import ColumnSpecification, TableSpecification

if TYPE_CHECKING:
    import pandas as pd

EMPTY = -1
"""The code of an empty category: to a model it is one like the others."""


def frame_of(table: TableSpecification, rows: pa.Table, *, keys: bool) -> pd.DataFrame:
    """Training rows as SDV takes them: floats, NaN where empty; categories as their codes, which are whole numbers.

    Args:
        table: The table.
        rows: Its training rows, of `training_schema`.
        keys: Whether keys and references are in it.
    """
    import pandas as pd

    columns: dict[str, object] = {}
    for name in table.read:
        column, array = table[name], rows.column(name).combine_chunks()
        if column.learned:
            coordinates, _ = encoded(array, column)
            columns[name] = _codes(coordinates) if column.word == "categories" else coordinates
        elif keys:
            columns[name] = array.to_pandas()
    return pd.DataFrame(columns)


def code_of(coordinate: float) -> int:
    """A category's code."""
    return int(coordinate)


def learned_of(table: TableSpecification, frame: pd.DataFrame) -> dict[str, pa.Array]:
    """What SDV drew as declared values, within bounds and constraints: Arrow columns by name, in the frame's order."""
    return held(
        table, {column.name: decoded(_coordinates(frame, column), column) for column in table.learned}
    )


def _codes(coordinates: Coordinates) -> object:
    return np.where(np.isnan(coordinates), EMPTY, coordinates).astype(np.int64)


def _coordinates(frame: pd.DataFrame, column: ColumnSpecification) -> Coordinates:
    import pandas as pd

    numbers: Coordinates = pd.to_numeric(frame[column.name], errors="coerce").to_numpy(
        np.float64, na_value=np.nan
    )
    if column.word == "categories":
        numbers = np.where(numbers < 0, np.nan, numbers)
    return numbers


class Finisher:
    """Adds to what was learned the columns that never are: keys and inventions, one batch after the other.

    Args:
        table: The table.
        seed: Seeds inventions.
    """

    def __init__(self, table: TableSpecification, *, seed: int) -> None:
        self._table = table
        self._inventors = {
            column.name: Inventor(column.declared.invented, seed=seed, where=f"{table.name}.{column.name}")
            for column in table.columns
            if column.declared.invented is not None
        }
        self.rows = 0

    def batch(self, columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
        """A batch of the table's schema.

        Args:
            columns: The columns that are learned, references, and keys where they are not simply the next numbers.
            rows: How many rows it has.
        """
        arrays = {**columns}
        if self._table.key is not None and self._table.key not in arrays:
            arrays[self._table.key] = pa.array(np.arange(self.rows + 1, self.rows + rows + 1))
        arrays |= {name: inventor.take(rows) for name, inventor in self._inventors.items()}
        self.rows += rows
        return pa.record_batch([arrays[name] for name in self._table.schema.names], schema=self._table.schema)
