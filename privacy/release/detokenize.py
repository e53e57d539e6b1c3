"""Gives tokens back their values, from file to file, for a reason that is evidence before the first value is read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from airflow_veil.privacy.erasure.suppression import looked_up, suppression_of
from airflow_veil.privacy.erasure.withheld import Withheld
from airflow_veil.privacy.errors import ReleaseError, TransformError
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.plan.stage import fused
from airflow_veil.privacy.release.planning import plan_for
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity
from airflow_veil.privacy.storage.files import MANIFEST
from airflow_veil.privacy.storage.open import local_path
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter

BATCH_ROWS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Detokenized:
    """What was turned back.

    Attributes:
        rows: Rows of the file.
        values: Values that are not null, over all columns.
        withheld: Values that did not come back, for they are erased people's.
        lineage: Which columns became what they stand for.
    """

    rows: int
    values: int
    withheld: int = 0
    lineage: LineageRecord


def detokenize(
    workspace: Workspace,
    dataset: str,
    *,
    input: str,  # noqa: A002 - the word of the command line and the operator
    output: str,
    columns: tuple[str, ...],
    reason: str,
    actor: str,
) -> Detokenized:
    """Turn reversible columns of a file back, into a new file that only its owner can read.

    Args:
        workspace: The policy and its systems.
        dataset: The data set whose treatments made the tokens.
        input: Parquet file or folder.
        output: Folder to write; it must not be there yet.
        columns: The columns to turn back; the others are copied. What is an erased person's becomes null.
        reason: Why, in at least ten characters.
        actor: Who.

    Returns:
        What was turned back, in counts.

    Raises:
        ReleaseError: There is no reason, or the output exists.
        TransformError: A column is not reversible, or does not hold tokens of this policy.
        KeyRingError: A key version was destroyed: its tokens are unreadable for good; or the suppression list cannot
            be checked without it.
        ErasureError: People were erased, and the policy no longer says in which columns they are.
    """
    if len(reason.strip()) < 10:
        raise ReleaseError(
            "Turning tokens back needs a reason", expected="a sentence of at least ten characters"
        )
    plan = plan_for(workspace, dataset)
    tokens = local_path(input, root=workspace.root)
    turned = {name: _as_made(_reversible(plan, name), tokens / MANIFEST) for name in columns}
    withheld = _withheld(workspace, dataset)
    looked = _looked_at(plan, withheld, turned, tokens)
    source = ParquetSource(tokens)
    target = local_path(output, root=workspace.root)
    if target.exists():
        raise ReleaseError("The output is there already", where=str(target), fix="name a new one")
    workspace.ledger.append_evidence(
        "detokenize.begun",
        f"{plan.policy}/{dataset}",
        {"columns": list(columns), "reason": reason, "plan_digest": plan.digest},
        actor=actor,
    )
    done = _turn(workspace, plan, source, target, turned, withheld, looked)
    workspace.ledger.append_evidence(
        "detokenize.done",
        f"{plan.policy}/{dataset}",
        {"columns": list(columns), "rows": done.rows, "values": done.values, "withheld": done.withheld},
        actor=actor,
    )
    return done


def _reversible(plan: Plan, name: str) -> PlannedColumn:
    column = next((c for c in plan.released if c.name == name), None)
    if column is None or not column.properties.reversible or column.key_domain is None:
        raise TransformError(
            "The column's treatment cannot be turned back",
            where=f"{plan.dataset}.{name}",
            expected="a column that leaves with `token: {reversible: true}` or `fpe`",
            fix="name another column; what was one-way stays one-way",
        )
    return column


def _withheld(workspace: Workspace, dataset: str) -> Withheld:
    """What must not come back, by the suppression list as it is now."""
    suppression = suppression_of(workspace)
    withheld = Withheld(
        suppression, looked_up(suppression, workspace.loaded.policy, dataset, identifiers=True)
    )
    for edge in withheld.edges:
        suppression.ready(edge.domain)
    return withheld


def _looked_at(
    plan: Plan, withheld: Withheld, turned: Mapping[str, PlannedColumn], tokens: Path
) -> dict[str, PlannedColumn | None]:
    """The columns that tell whose a row is, though nobody asked for them; None where they left as they were."""
    names = ParquetSource(tokens).schema().names if withheld.columns else []
    others: dict[str, PlannedColumn | None] = {}
    for name in withheld.columns:
        column = next((c for c in plan.released if c.name == name), None)
        if column is None or name in turned or name not in names:
            continue
        if column.properties.reversible and column.key_domain is not None:
            others[name] = _as_made(column, tokens / MANIFEST)
        elif column.transform.word == "keep":
            others[name] = None
    return others


def _turn(
    workspace: Workspace,
    plan: Plan,
    source: ParquetSource,
    target: Path,
    turned: dict[str, PlannedColumn],
    withheld: Withheld,
    looked: Mapping[str, PlannedColumn | None],
) -> Detokenized:
    rows = values = kept_back = 0
    names = source.schema().names
    there = {name: column for name, column in turned.items() if name in names}
    with _owner_only(), ParquetWriter(target, source.schema()) as writer:
        for batch in source.batches(names, batch_rows=BATCH_ROWS):
            arrays = {name: batch.column(name) for name in names}
            back = {name: _back(workspace, plan, column, arrays[name]) for name, column in there.items()}
            raw = {name: _back(workspace, plan, column, arrays[name]) for name, column in looked.items()}
            back, count = withheld(back, {**raw, **back}, batch.num_rows)
            arrays |= {name: array.cast(arrays[name].type) for name, array in back.items()}
            writer.write(pa.RecordBatch.from_arrays(list(arrays.values()), schema=source.schema()))
            rows += batch.num_rows
            kept_back += count
            values += sum(len(array) - array.null_count for array in back.values())
        written = writer.close()
    # The tokens were made by this plan, so the columns that are turned back are the source's again.
    made = lineage.of_stage(fused(plan), workspace.source(plan.dataset).identity, source.identity)
    identity = DatasetIdentity("file", str(target.absolute()))
    told = lineage.of_detokenizing(made, identity, columns=turned, written=written)
    return Detokenized(rows=rows, values=values, withheld=kept_back, lineage=told)


def _as_made(column: PlannedColumn, manifest: Path) -> PlannedColumn:
    """The column with the key version that a release was made with; the ring may have been rotated since.

    Tokens tell their version themselves, format-preserving encryption cannot.
    """
    if not manifest.is_file():
        return column
    made = json.loads(manifest.read_text(encoding="utf-8"))["plan"]["columns"]
    versions = {entry["name"]: entry["key_version"] for entry in made}
    return replace(column, key_version=versions.get(column.name) or column.key_version)


def _back(workspace: Workspace, plan: Plan, column: PlannedColumn | None, array: pa.Array) -> pa.Array:
    """What a column stands for; as it is, where it left so."""
    if column is None:
        return array
    return column.transform.reverse(array, plan.binding(column, workspace.keys))


@contextmanager
def _owner_only() -> Iterator[None]:
    """Files made meanwhile can be read by their owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
