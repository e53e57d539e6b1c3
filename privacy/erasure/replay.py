"""After a restore: who was erased and is in the sources again.

A backup from before an erasure brings back what was erased. The suppression list knows the values again, so the same
requests can be planned and done once more; that is the first thing to do after a restore.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.erasure.graph import Edge, graph_of
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.erasure.suppression import Suppression, as_subjects, looked_up, suppression_of
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.erasure import Mask as MaskCells
from airflow_veil.privacy.release.workspace import Workspace

BATCH_ROWS = 1 << 16


def found_again(workspace: Workspace) -> tuple[Subjects, tuple[str, ...]]:
    """Find erased people in the sources, by all columns that name them; nothing is changed.

    All data sets with `erasure` are read, batch by batch. Rows that stay by the policy do not count, nor do rows that
    lost all cells that they had to lose: what was erased and not brought back is not found.

    Returns:
        The people, by the values that were found of them, and the requests that they were erased by; a value's owner
        is the number of its request. The values that were not found lead nowhere; those that were lead to all rows.

    Raises:
        ErasureError: The policy says nothing of erasure, or no longer says in which columns people on the list are.
        KeyRingError: The key ring cannot be opened, or lacks a version that the list needs.
        SchemaError: A column is missing.
        StorageError: A source cannot be read: it is not known who is in it.
        LedgerError: The ledger cannot be used.
    """
    suppression, policy = suppression_of(workspace), workspace.loaded.policy
    graph_of(policy)
    edges = {
        dataset: looked_up(suppression, policy, dataset, stored=True, identifiers=True)
        for dataset, data in policy.datasets.items()
        if data.erasure is not None
    }
    for edge in (edge for some in edges.values() for edge in some):
        suppression.ready(edge.domain)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for dataset, some in edges.items():
        if some:
            _find(workspace, dataset, some, suppression, found)
    return as_subjects(found)


def _find(
    workspace: Workspace,
    dataset: str,
    edges: Sequence[Edge],
    suppression: Suppression,
    found: dict[str, dict[str, str]],
) -> None:
    """Add the values that a data set has of erased people."""
    source = workspace.source(dataset)
    masked = [name for edge in edges if isinstance(edge.action, MaskCells) for name in edge.action.mask]
    columns = list(dict.fromkeys([*(edge.column for edge in edges), *masked]))
    missing = [name for name in columns if name not in source.schema().names]
    if missing:
        raise SchemaError(
            f"there is no column {', '.join(missing)}, by which erased people are found",
            where=f"data set {dataset}",
            fix="bring the policy or the source in line",
        )
    for batch in source.batches(columns, batch_rows=BATCH_ROWS):
        for edge in edges:
            for text, request in suppression.known(_living(batch, edge), edge.domain).items():
                found[edge.domain].setdefault(text, request)


def _living(batch: pa.RecordBatch, edge: Edge) -> pa.Array:
    """The values of a column in rows that still have what an erasure takes from them."""
    column = batch.column(edge.column)
    if not isinstance(edge.action, MaskCells):
        return column
    full = pa.array(np.zeros(batch.num_rows, bool))
    for name in edge.action.mask:
        full = pc.or_(full, batch.column(name).is_valid())
    return column.filter(full)
