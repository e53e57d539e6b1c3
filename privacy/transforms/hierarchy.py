"""Generalization hierarchies in files, as ARX writes them: a line for each value, a column for each level."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import TEXT, Family
from airflow_veil.privacy.transforms.form import Coarsen
from airflow_veil.privacy.transforms.text import as_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """Values replaced by what a file says they are at one level.

    The file has a line `value;level 1;level 2;…` for each value and no header. It is read once, when the
    treatment is prepared.

    Attributes:
        file: The file, relative to the policy's folder.
        level: 1 for the first column after the value.
        delimiter: What stands between the columns.
    """

    file: str
    level: int
    delimiter: str = ";"

    masks = True
    hides_length = False
    covers = "values that the hierarchy has"
    takes = TEXT | {Family.INTEGER}
    settles: frozenset[Family] = frozenset()

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def prepare(self, binding: Binding) -> Coarsen:
        values, labels = self._table(binding.root / self.file, binding.where)

        def coarsen(column: pa.Array) -> pa.Array:
            texts = as_text(column).cast(pa.string())
            return labels.take(pc.index_in(texts, value_set=values))

        return coarsen

    def _table(self, path: Path, where: str) -> tuple[pa.Array, pa.Array]:
        """The values of the file, each once, and their labels at the level.

        Raises:
            TransformError: The file cannot be read, is empty, has rows of different lengths, lacks the level,
                or has a value twice with different levels.
        """
        rows: dict[str, list[str]] = {}
        for line, row in rows_of(path, self.delimiter, where):
            if len(row) <= self.level:
                msg = f"line {line} of {self.file} has {len(row) - 1} levels"
                raise TransformError(
                    msg,
                    where=where,
                    expected=f"at least {self.level}, the `level` that the policy asks for",
                    fix="name a lower level, or look whether the delimiter is right",
                )
            if rows.setdefault(row[0], row) != row:
                msg = f"line {line} of {self.file} has a value that stands further up with other levels"
                raise TransformError(
                    msg,
                    where=where,
                    fix="keep one of the lines",
                )
        if not rows:
            msg = f"{self.file} has no rows"
            raise TransformError(msg, where=where, expected="a line for each value")
        return pa.array(rows, pa.string()), pa.array((row[self.level] for row in rows.values()), pa.string())


def rows_of(path: Path, delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of the file that are not empty, with their line numbers.

    Raises:
        TransformError: The file cannot be read, or a row is not as long as the first one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(line, row) for line, row in enumerate(csv.reader(file, delimiter=delimiter), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no CSV file in UTF-8"
        msg = f"the hierarchy {path.name} cannot be read ({reason})"
        raise TransformError(
            msg,
            where=where,
            fix="name a file in `generalize: {hierarchy: {file: …}}` that starts at the policy's folder",
        ) from None
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            msg = f"line {line} of {path.name} has {len(row)} columns, the first line {len(rows[0][1])}"
            raise TransformError(
                msg,
                where=where,
                fix="give every value all levels",
            )
        yield line, row
