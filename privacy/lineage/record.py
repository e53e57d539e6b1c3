"""Records, read off what there is: of a stage, of a copy, of a reading, of turning tokens back.

Nothing about a column is written down here a second time: its edges come from the stage's sources, whether
they mask from the treatment's declared properties, its class from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from airflow_veil.privacy.engine.counts import Counts
from airflow_veil.privacy.lineage.filters import filter_edges
from airflow_veil.privacy.lineage.model import (
    Assertion,
    Dropped,
    Edge,
    Field,
    Kind,
    LineageRecord,
    Reason,
    Subtype,
    Table,
)
from airflow_veil.privacy.lineage.technique import technique
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.plan.stage import CARRIED, FUSED, Stage, StageColumn
from airflow_veil.privacy.storage.base import DatasetIdentity, Written
from airflow_veil.privacy.transforms.base import Step

__all__ = [
    "Assertion",
    "LineageRecord",
    "of_anonymizing",
    "of_copy",
    "of_detokenizing",
    "of_reading",
    "of_stage",
]


_ANONYMIZED = "generalized until its classes are large enough"


def of_stage(
    stage: Stage,
    source: DatasetIdentity,
    target: DatasetIdentity,
    counts: Counts | None = None,
    written: Written | None = None,
) -> LineageRecord:
    """What a stage does, or has done.

    Args:
        stage: The pass over the rows.
        source: What it reads.
        target: What it writes.
        counts: What was counted; None before the run.
        written: What was written; None before the run.

    Returns:
        The record: each output column has an edge from each column that it is made of.
    """
    plan = stage.plan
    output = Table(
        identity=target,
        fields=tuple(
            _field(plan, column.name, str(column.type), _steps_after(stage)) for column in stage.columns
        ),
        rows=counts.rows_out if counts else None,
        bytes=written.bytes if written else None,
        files=(len(written.files) or None) if written else None,
    )
    return LineageRecord(
        policy=plan.policy,
        policy_digest=plan.policy_digest,
        plan_digest=plan.digest,
        dataset=plan.dataset,
        stage=stage.name,
        input=Table(identity=source, fields=_input_fields(stage), rows=counts.rows_in if counts else None),
        output=output,
        edges=(*_column_edges(stage), *_row_edges(stage)),
        dropped=tuple(Dropped(name=name, reason=_reason(plan, name)) for name in stage.dropped),
    )


def of_copy(
    made: LineageRecord,
    target: DatasetIdentity,
    *,
    stage: str,
    source: DatasetIdentity | None = None,
    version: str | None = None,
    published: bool = True,
    counts: Counts | None = None,
    written: Written | None = None,
) -> LineageRecord:
    """What a task does that hands an output on unchanged: publishing it, rolling back to it.

    Args:
        made: The record of the task that made the data; its output is what is copied.
        target: What is written.
        stage: `publish` or `rollback`.
        source: What is read, where it is not the output of `made` (a roll-back reads an older version).
        version: The version that is written.
        published: Whether consumers read the target.
        counts: What was counted; None before the run.
        written: What was written; None before the run.

    Returns:
        The record: each column is the same as its input.
    """
    read = made.about
    read = replace(read, identity=source or read.identity, rows=counts.rows_in if counts else read.rows)
    output = Table(
        identity=target,
        fields=read.fields,
        rows=counts.rows_out if counts else read.rows,
        bytes=written.bytes if written else read.bytes,
        files=(len(written.files) or None) if written else read.files,
        version=version,
        published=published,
    )
    edges = tuple(_identity(field.name, field.name) for field in read.fields)
    return replace(made, stage=stage, input=read, output=output, edges=edges, dropped=(), assertions=())


def of_detokenizing(
    made: LineageRecord,
    target: DatasetIdentity,
    *,
    columns: Iterable[str],
    source: DatasetIdentity | None = None,
    counts: Counts | None = None,
    written: Written | None = None,
) -> LineageRecord:
    """What a task does that turns tokens back: the columns are raw again, and begin new paths of the proof.

    Args:
        made: The record of the task that made the data.
        target: What is written.
        columns: The columns that are turned back; the others pass as they are.
        source: What is read, where it is not the output of `made`.
        counts: What was counted; None before the run.
        written: What was written; None before the run.
    """
    copy = of_copy(
        made,
        target,
        stage="detokenize",
        source=source,
        published=False,
        counts=counts,
        written=written,
    )
    back = frozenset(columns)
    table = copy.about
    fields = tuple(_raw_again(field) if field.name in back else field for field in table.fields)
    edges = tuple(_turned_back(edge) if edge.target in back else edge for edge in copy.edges)
    return replace(copy, output=replace(table, fields=fields), edges=edges)


def of_anonymizing(
    made: LineageRecord,
    target: DatasetIdentity,
    *,
    generalized: Mapping[str, bool],
    deciding: Iterable[str] = (),
    counts: Counts | None = None,
    written: Written | None = None,
) -> LineageRecord:
    """What a task does that generalizes quasi-identifiers, and leaves rows out by their classes.

    Args:
        made: The record of the task that treated the data.
        target: What is written.
        generalized: The quasi-identifiers, and whether they became coarser.
        deciding: Other columns that classes are judged by: sensitive ones, and whose a row is.
        counts: What was counted; None before the run.
        written: What was written; None before the run.

    Returns:
        The record: each column is of its input, and what classes are made and judged by decides over which rows leave.
    """
    copy = of_copy(made, target, stage="anonymize", published=False, counts=counts, written=written)
    table = copy.about
    fields = tuple(
        replace(field, type="string", treatment="anonymize", technique=_ANONYMIZED, masked=True)
        if generalized.get(field.name)
        else replace(field, type="string")
        if field.name in generalized
        else field
        for field in table.fields
    )
    edges = tuple(
        replace(edge, subtype=Subtype.TRANSFORMATION, masking=True, description=_ANONYMIZED)
        if generalized.get(edge.source)
        else edge
        for edge in copy.edges
    )
    decide = tuple(
        Edge(
            source=name,
            target=None,
            kind=Kind.INDIRECT,
            subtype=Subtype.FILTER,
            masking=False,
            description="rows in classes that are too small are left out",
        )
        for name in (*generalized, *deciding)
    )
    return replace(copy, output=replace(table, fields=fields), edges=(*edges, *decide))


def of_reading(
    made: LineageRecord,
    *,
    stage: str = "validate",
    source: DatasetIdentity | None = None,
    assertions: Iterable[Assertion] = (),
) -> LineageRecord:
    """What a task does that only reads an output: validating it.

    Args:
        made: The record of the task that made the data.
        stage: `validate`.
        source: What is read, where it is not the output of `made`.
        assertions: What was checked; none before the run.
    """
    read = made.about
    read = replace(read, identity=source or read.identity)
    return replace(
        made, stage=stage, input=read, output=None, edges=(), dropped=(), assertions=tuple(assertions)
    )


def _raw_again(field: Field) -> Field:
    return replace(field, treatment=None, technique=None, key_version=None, masked=False)


def _turned_back(edge: Edge) -> Edge:
    return replace(edge, subtype=Subtype.TRANSFORMATION, description="token turned back into its value")


def _steps_before(stage: Stage) -> frozenset[Step]:
    """The steps that the stage's input has been through."""
    return frozenset() if stage.name == FUSED else _steps_up_to(Step(stage.name)) - {Step(stage.name)}


def _steps_after(stage: Stage) -> frozenset[Step]:
    """The steps that the stage's output has been through."""
    return frozenset(Step) if stage.name == FUSED else _steps_up_to(Step(stage.name))


def _steps_up_to(step: Step) -> frozenset[Step]:
    order = tuple(Step)
    return frozenset(order[: order.index(step) + 1])


def _input_fields(stage: Stage) -> tuple[Field, ...]:
    """The columns of the input: all that the source has, or what the step before left of them to read."""
    plan, done = stage.plan, _steps_before(stage)
    if done:
        return tuple(_field(plan, field.name, str(field.type), done) for field in stage.input_schema)
    named = (_field(plan, column.name, str(column.source_type), done) for column in plan.columns)
    return (*named, *(Field(name=name) for name in plan.unnamed))


def _field(plan: Plan, name: str, type_name: str, done: frozenset[Step]) -> Field:
    """A column after some steps: raw under its name or its carried name, or treated."""
    planned = plan.column(name.removeprefix(CARRIED))
    raw = Field(name=name, type=type_name, column_class=planned.column_class, category=planned.category)
    if name.startswith(CARRIED) or planned.transform.step not in done:
        return raw
    return replace(
        raw,
        treatment=planned.transform.word,
        technique=technique(planned),
        key_version=planned.key_version,
        masked=planned.properties.masks,
    )


def _column_edges(stage: Stage) -> Iterator[Edge]:
    for column in stage.columns:
        if column.planned is None:
            yield _identity(column.source, column.name)
        else:
            yield from _treated_edges(stage.plan, column, column.planned)


def _treated_edges(plan: Plan, column: StageColumn, planned: PlannedColumn) -> Iterator[Edge]:
    """The column's own content first, then the other columns that its treatment reads."""
    words = technique(planned)
    for raw, source in column.sources.items():
        if raw == planned.name:
            yield _own_edge(source, planned, words)
        else:
            yield Edge(
                source=source,
                target=column.name,
                kind=Kind.INDIRECT,
                subtype=Subtype.CONDITIONAL,
                masking=_hides(plan, planned, raw),
                description=words,
            )


def _own_edge(source: str, planned: PlannedColumn, words: str) -> Edge:
    kept = planned.transform.word == "keep"
    return Edge(
        source=source,
        target=planned.name,
        kind=Kind.DIRECT,
        subtype=Subtype.IDENTITY if kept else Subtype.TRANSFORMATION,
        masking=planned.properties.masks,
        description=words,
    )


def _hides(plan: Plan, planned: PlannedColumn, raw: str) -> bool:
    """Whether a treatment hides another column that it reads.

    A keyed treatment reads the subject through a pseudo-random function only, even where the column's own
    value still shows (noise); of any other column as much shows as the treatment says of its own.
    """
    keyed_subject = planned.key_domain is not None and raw == plan.subject
    return keyed_subject or planned.properties.masks


def _row_edges(stage: Stage) -> Iterator[Edge]:
    for row in stage.row_filters:
        yield from filter_edges(row, stage.plan.subject)


def _identity(source: str, target: str) -> Edge:
    return Edge(
        source=source,
        target=target,
        kind=Kind.DIRECT,
        subtype=Subtype.IDENTITY,
        masking=False,
        description="passed on as it is",
    )


def _reason(plan: Plan, name: str) -> Reason:
    return Reason.UNNAMED if name in plan.unnamed else Reason.POLICY
