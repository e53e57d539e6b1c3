"""The rows of a source that may be counted or learned from: those that a nightly release of it would let leave.

What the data set says of rows, `where` and `sample`, holds for whatever is made of them: who is not to leave is in no
answer, is not learned of, and is no hold-out either. Whether a row counts depends on that row and the policy alone, so
that what a unit changes stays bounded, and private answers and models may count what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_veil.privacy.errors import InternalError, SchemaError
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.batches import plain, plain_array
from airflow_veil.privacy.storage.narrowed import Narrowed
from airflow_veil.privacy.transforms.base import Binding, RowFilter, RowKernel

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.synthetic.specification import Specification


def rows_told(workspace: Workspace, specification: Specification) -> dict[str, Any]:
    """What decides which rows are learned from, as plain data: another decision is another model.

    Returns:
        By table; a keyed one with the version of the key. Nothing where all rows are.

    Raises:
        KeyRingError: The key ring cannot be opened.
    """
    if specification.word == "faker":
        return {}
    filters = {name: workspace.loaded.policy.datasets[name].row_filters for name in specification.tables}
    return {
        name: [{**row.told, "key": workspace.keys.current if row.keyed else None} for row in rows]
        for name, rows in filters.items()
        if rows
    }


def leaving(workspace: Workspace, dataset: str, source: Source) -> Source:
    """A data set's source with the rows that may leave; the source itself where all may."""
    filters = workspace.loaded.policy.datasets[dataset].row_filters
    return Leaving(source, workspace, dataset, filters) if filters else source


@dataclass(frozen=True)
class Leaving(Narrowed):
    """A source whose rows are filtered as they are read, as those of a nightly release are.

    Attributes:
        source: The data set's source.
        workspace: The policy and its systems.
        dataset: The data set.
        filters: What decides which rows stay.
    """

    workspace: Workspace
    dataset: str
    filters: Sequence[RowFilter]

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`; a batch may have fewer rows, or none.

        Raises:
            SchemaError: A column that decides is not in the source.
            TransformError: A filter does not fit the columns.
            KeyRingError: A key is needed and cannot be had.
        """
        kernels = [(row.inputs(self._subject), self._kernel(row)) for row in self.filters]
        read = list(dict.fromkeys([*columns, *(name for names, _ in kernels for name in names)]))
        return self._kept(list(columns), read, kernels, batch_rows)

    def _kept(
        self,
        columns: list[str],
        read: list[str],
        kernels: Sequence[tuple[Sequence[str], RowKernel]],
        batch_rows: int,
    ) -> Iterator[pa.RecordBatch]:
        for batch in self.source.batches(read, batch_rows=batch_rows):
            kept = batch
            for names, kernel in kernels:
                stays = kernel({name: plain_array(kept.column(name)) for name in names})
                if stays.null_count or len(stays) != kept.num_rows:
                    raise InternalError("a row filter left rows undecided", where=f"data set {self.dataset}")
                kept = kept.filter(stays)
            yield kept.select(columns)

    @property
    def _subject(self) -> str | None:
        subject = self.workspace.loaded.policy.datasets[self.dataset].subject
        return subject.column if subject else None

    def _kernel(self, row: RowFilter) -> RowKernel:
        types = self._types(row.inputs(self._subject))
        loaded, subject = self.workspace.loaded, self._subject
        binding = Binding(
            dataset=self.dataset,
            column=subject or "",
            type=types.get(subject or "", pa.null()),
            subject=subject,
            domain=subject_root(loaded.policy, self.dataset) or None,
            keys=self.workspace.keys if row.keyed else None,
            root=Path(loaded.path).resolve().parent,
        )
        return row.prepare(binding, types)

    def _types(self, names: Sequence[str]) -> Mapping[str, pa.DataType]:
        schema = self.source.schema()
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise SchemaError(
                f"there is no column {', '.join(missing)}, by which it is decided which rows leave",
                where=f"data set {self.dataset}",
                fix="bring `where` and `sample` of the data set and the source in line",
            )
        return {name: plain(schema.field(name).type) for name in names}
