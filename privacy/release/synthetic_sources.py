"""The data sets that a model learns from: where they are, and which version of them it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from airflow_veil.privacy.erasure.suppressing import suppressing
from airflow_veil.privacy.erasure.suppression import suppression_of
from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.release.leaving import leaving
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.synthetic.specification import BATCH_ROWS, Specification
from airflow_veil.privacy.synthetic.training import Training, columns_of, held_out, read_training, subjects_of


def sources_of(workspace: Workspace, specification: Specification) -> dict[str, Source]:
    """The sources of a synthesis, by data set; none where its method reads no row.

    Raises:
        SyntheticError: Another source stands for one data set, and there are several.
        StorageError: One cannot be opened.
    """
    if specification.word == "faker":
        return {}
    if workspace.source_uri is not None and len(specification.tables) > 1:
        raise SyntheticError(
            "the synthesis reads several data sets, and another source can stand for one only",
            where=specification.name,
            fix="put the other tables under another VEIL_DATA_ROOT",
        )
    return {name: workspace.source(name) for name in specification.tables}


def learned_from(workspace: Workspace, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The sources with the rows that a model may learn from, as a nightly release would let them leave.

    People who were erased are not among them, though upstream sends them again, nor are rows that `where` and `sample`
    of the data set hold back.
    """
    suppression = suppression_of(workspace)
    return {
        name: leaving(workspace, name, suppressing(workspace, name, source, suppression))
        for name, source in sources.items()
    }


def version_of(sources: Mapping[str, Source]) -> str:
    """One digest of what identifies the rows. It stays in the ledger: who knows it could test guesses."""
    facts: dict[str, Any] = {name: dict(source.fingerprint()) for name, source in sources.items()}
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def learned_batches(
    workspace: Workspace, specification: Specification, sources: Mapping[str, Source], unit: str | None
) -> Iterator[pa.RecordBatch]:
    """All rows of a single table that a private model may count, but for those of people who are kept from it.

    Whether a row counts depends on that row alone. How many there are is told nowhere.
    """
    table = specification.only
    person = subjects_of(workspace.loaded.policy, specification)[table.name]
    wanted = [column.name for column in table.learned]
    names = list(dict.fromkeys([*wanted, *filter(None, (unit, person))]))
    source = learned_from(workspace, sources)[table.name]
    for batch in source.batches(names, batch_rows=BATCH_ROWS):
        if specification.holdout and person is not None:
            where = f"{table.name}.{person}"
            kept = held_out(
                batch.column(person), seed=specification.seed, share=specification.holdout, where=where
            )
            yield batch.filter(pa.array(~kept))
        else:
            yield batch


def training_of(
    workspace: Workspace, specification: Specification, sources: Mapping[str, Source]
) -> Training:
    """The rows that a model learns from and those that it never sees, the same ones whenever it is asked.

    Raises:
        SyntheticError: The rows do not fit the specification, or there is nothing to learn from.
        StorageError: A source cannot be read.
        ErasureError: People were erased, and the policy no longer says in which columns they are.
    """
    subjects = subjects_of(workspace.loaded.policy, specification)
    clean = learned_from(workspace, sources)
    batches = {
        name: clean[name].batches(columns_of(table, subjects[name]), batch_rows=BATCH_ROWS)
        for name, table in specification.tables.items()
    }
    return read_training(specification, batches, subjects, seed=specification.seed)
