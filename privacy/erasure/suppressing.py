"""A source without the rows of people who were erased: they stay erased though upstream sends them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.erasure.graph import Edge
from airflow_veil.privacy.erasure.suppression import Mask, Suppression, looked_up, suppression_of
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.erasure import Mask as MaskCells
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.narrowed import Narrowed

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_veil.privacy.release.workspace import Workspace


@dataclass
class LeftOut:
    """What of erased people was left out.

    Attributes:
        rows: Rows that were dropped.
        cells: Cells that became null in rows that are also somebody else's.
    """

    rows: int = 0
    cells: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.cells)

    def __str__(self) -> str:
        said = f"{self.rows} row{'' if self.rows == 1 else 's'} of erased people left out"
        return f"{said}, {self.cells} cells emptied" if self.cells else said


@dataclass(frozen=True)
class Suppressing(Narrowed):
    """A source whose rows are looked up in the suppression list as they are read.

    What becomes of a row depends on that row and the list alone. A column that is needed for it is read, and not
    handed on where nobody asked for it.

    Attributes:
        source: The source.
        suppression: The list.
        edges: The columns that are looked up, and what becomes of rows that name somebody in the list.
        left_out: What was left out of the rows that were read last.
    """

    suppression: Suppression
    edges: Sequence[Edge]
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`; a batch may have fewer rows, or none.

        Raises:
            SchemaError: A column that has to be looked up is not in the source.
            KeyRingError: The list cannot be checked: see `Suppression.ready`.
        """
        self.left_out.rows = self.left_out.cells = 0
        edges = [edge for edge in self.edges if _matters(edge, columns)]
        self._check(edges)
        return self._kept(list(columns), edges, batch_rows)

    def _check(self, edges: Sequence[Edge]) -> None:
        there = self.source.schema().names
        for edge in edges:
            if edge.column not in there:
                raise SchemaError(
                    f"there is no column {edge.column}, by which erased people are left out",
                    where=f"data set {edge.dataset}",
                    fix="bring the policy or the source in line",
                )
            self.suppression.ready(edge.domain)

    def _kept(self, columns: list[str], edges: list[Edge], batch_rows: int) -> Iterator[pa.RecordBatch]:
        read = list(dict.fromkeys([*columns, *(edge.column for edge in edges)]))
        batches = self.source.batches(read, batch_rows=batch_rows)
        with closing(cast("Generator[pa.RecordBatch]", _closable(batches))) as reader:
            for batch in reader:
                kept = self._treated(batch, edges)
                yield kept if read == columns else kept.select(columns)

    def _treated(self, batch: pa.RecordBatch, edges: list[Edge]) -> pa.RecordBatch:
        gone = np.zeros(batch.num_rows, bool)
        emptied: dict[str, Mask] = {}
        for edge in edges:
            hit = self.suppression.mask(batch.column(edge.column), edge.domain)
            if not hit.any():
                continue
            if isinstance(edge.action, MaskCells):
                for name in edge.action.mask:
                    emptied[name] = emptied[name] | hit if name in emptied else hit
            else:
                gone |= hit
        batch = self._emptied(batch, {name: mask & ~gone for name, mask in emptied.items()})
        if not gone.any():
            return batch
        self.left_out.rows += int(gone.sum())
        return batch.filter(pa.array(~gone))

    def _emptied(self, batch: pa.RecordBatch, cells: Mapping[str, Mask]) -> pa.RecordBatch:
        for place, name in enumerate(batch.schema.names):
            mask = cells.get(name)
            if mask is None or not mask.any():
                continue
            column = batch.column(place)
            self.left_out.cells += int((mask & np.asarray(column.is_valid())).sum())
            empty = pc.if_else(pa.array(mask), pa.scalar(None, column.type), column)
            batch = batch.set_column(place, batch.schema.field(place), empty)
        return batch


def _matters(edge: Edge, columns: Sequence[str]) -> bool:
    """Whether a column has to be looked up for what is asked: cells that nobody reads need not be emptied."""
    return not isinstance(edge.action, MaskCells) or any(name in columns for name in edge.action.mask)


def _closable(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """An iterator that can be closed, as generators are and others need not be."""
    return batches if hasattr(batches, "close") else (batch for batch in batches)


def suppressing(
    workspace: Workspace, dataset: str, source: Source, suppression: Suppression | None = None
) -> Source:
    """A data set's source without erased people; the source itself where there are none to look for.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        source: Its source.
        suppression: The list, where it is loaded already.

    Raises:
        ErasureError: People are on the list, and the policy no longer says in which columns they are.
        LedgerError: The ledger cannot be used.
    """
    suppression = suppression or suppression_of(workspace)
    edges = looked_up(suppression, workspace.loaded.policy, dataset)
    return Suppressing(source, suppression, edges) if edges else source


def left_out(source: Source) -> LeftOut:
    """What was left out of the rows that were last read from a source; nothing of one that leaves nothing out."""
    return source.left_out if isinstance(source, Suppressing) else LeftOut()
