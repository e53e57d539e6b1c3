"""Anonymizing: rows whose time is over stay, and cells that tell whose they are become null or what a treatment makes.

A treatment that is applied once more must change nothing (`Transform.settles`): so what is done already is known by the
cells themselves, a second run finds nothing to do, and files that are done keep their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.errors import SchemaError, TransformError
from airflow_veil.privacy.retention.counts import Counts
from airflow_veil.privacy.rewriting.loss import Loss, Mask, Treat
from airflow_veil.privacy.storage.batches import plain
from airflow_veil.privacy.storage.there import check_there
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import family_of

if TYPE_CHECKING:
    from airflow_veil.privacy.transforms.base import Transform


@dataclass(frozen=True)
class Cells:
    """The cells that rows lose when their time is over.

    Attributes:
        emptied: The columns whose cells become null.
        becomes: Column to what becomes of its cells.
    """

    emptied: tuple[str, ...]
    becomes: Mapping[str, Treat]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that have to be looked at."""
        return (*self.emptied, *self.becomes)

    def lost(self, over: Mask, counts: Counts, column: Callable[[str], pa.Array]) -> tuple[Loss, Counts]:
        """What rows lose.

        Args:
            over: Whether the time of each of n rows is over, and nothing keeps it.
            counts: What would become of them if they were deleted.
            column: Gives the n cells of a column; of one that becomes null only the nulls are looked at.

        Returns:
            Which cells of which rows are not yet what they are to be, and the counts.
        """
        masks: dict[str, Mask] = {}
        for name in self.columns:
            mask = self._differing(name, column(name), over)
            if mask.any():
                masks[name] = mask
        changed: Mask = np.logical_or.reduce(list(masks.values())) if masks else np.zeros(len(over), bool)
        rows = int(changed.sum())
        told = replace(counts, delete=0, anonymize=rows, anonymized=counts.delete - rows)
        return Loss(np.zeros(len(over), bool), masks, self.becomes), told

    def _differing(self, name: str, column: pa.Array, over: Mask) -> Mask:
        """Where cells of rows that are over are not what they are to be."""
        treat = self.becomes.get(name)
        differing: Mask = over.copy()
        if treat is None:
            differing &= column.is_valid().to_numpy(zero_copy_only=False)
        elif over.any():
            before = column.filter(pa.array(over))
            differing[over] = differs(before, treat(before))
        return differing


def differs(before: pa.Array, after: pa.Array) -> Mask:
    """Where two arrays of n values differ; two nulls do not."""
    unequal = pc.fill_null(pc.not_equal(before, after), fill_value=False)
    either = pc.or_(unequal, pc.xor(before.is_null(), after.is_null()))
    mask: Mask = either.to_numpy(zero_copy_only=False)
    return mask


def cells_of(
    treatments: Mapping[str, Transform], schema: pa.Schema, *, dataset: str, root: Path, where: str
) -> Cells:
    """The cells that rows of a source lose.

    Args:
        treatments: Column to what becomes of its cells.
        schema: The columns of the source.
        dataset: The data set.
        root: The folder that file names in the policy start from.
        where: How to name the source in an error.

    Raises:
        SchemaError: A column is missing, or would not keep its type.
    """
    check_there(treatments, schema.names, where)
    emptied = tuple(name for name, each in treatments.items() if each.word == "null")
    others = {name: each for name, each in treatments.items() if name not in emptied}
    becomes: dict[str, Treat] = {}
    for name, each in others.items():
        kind = plain(schema.field(name).type)
        becomes[name] = _kernel(each, Binding(dataset=dataset, column=name, type=kind, root=root), where)
    return Cells(emptied, becomes)


def _kernel(treatment: Transform, binding: Binding, where: str) -> Treat:
    """A treatment as something that keeps the type of what it is given."""
    kind = binding.type
    # Whole numbers of fewer bits have room for what comes out, or the run fails before anything is changed.
    settles = family_of(kind) in treatment.settles and treatment.accepts(kind)
    if not settles or not (pa.types.is_integer(kind) or treatment.output_type(kind) == kind):
        raise SchemaError(
            f"column {binding.column} of type {kind} would not keep its type under `{treatment.word}`",
            where=where,
            expected="a treatment whose result has the type of the column, and stays when it is treated again",
            fix="let the cells become `null`",
        )
    kernel = treatment.prepare(binding)

    def treat(column: pa.Array) -> pa.Array:
        try:
            return kernel(column, {}).cast(column.type)
        except pa.ArrowException:
            # Its text quotes the value.
            message = f"some of {len(column)} results of `{treatment.word}` do not fit into {column.type}"
        raise TransformError(message, where=binding.where, fix="let the cells become `null`")

    return treat
