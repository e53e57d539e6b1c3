"""The lineage of a differentially private answer: which columns it is computed from, and that noise hides them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from airflow_veil.privacy.dp.answer import IN_BOUNDS
from airflow_veil.privacy.dp.query import Axis, Query
from airflow_veil.privacy.dp.statistic import Units
from airflow_veil.privacy.lineage.model import Edge, Field, Kind, LineageRecord, Subtype, Table
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Dataset
from airflow_veil.privacy.storage.base import DatasetIdentity, Written
from airflow_veil.privacy.transforms.expression import columns, parse

STAGE = "dp_release"
"""The task that draws an answer."""


def of_answer(
    loaded: LoadedPolicy,
    query: Query,
    sources: Mapping[str, DatasetIdentity],
    target: DatasetIdentity,
    schema: pa.Schema,
    *,
    rows: int | None = None,
    written: Written | None = None,
) -> LineageRecord:
    """What an answer is made of.

    Args:
        loaded: The policy.
        query: The query.
        sources: Data set to where its rows come from: the one that is asked, and those that references lead through.
        target: What is written.
        schema: The answer's columns.
        rows: Rows of the answer; None before the run. How many were read is never told.
        written: What was written; None before the run.

    Returns:
        The record: noise masks whatever the numbers of the answer are computed from.
    """
    technique = f"differential privacy, {query.noise} noise"
    output = Table(
        identity=target,
        fields=tuple(_output_field(query, field, technique) for field in schema),
        rows=rows,
        bytes=written.bytes if written else None,
        files=(len(written.files) or None) if written else None,
    )
    datasets = loaded.policy.datasets
    # Where rows are counted and no column is read, any column stands for their being there.
    read = _read(query, datasets) or tuple(datasets[query.dataset].columns)[:1]
    return LineageRecord(
        policy=query.policy,
        policy_digest=loaded.digest,
        plan_digest=query.digest,
        dataset=query.name,
        stage=STAGE,
        input=Table(
            identity=sources[query.dataset],
            fields=tuple(_input_fields(datasets[query.dataset], read)),
        ),
        output=output,
        edges=tuple(_edges(query, read, datasets, sources, technique)),
        others=tuple(
            Table(
                identity=sources[join.dataset],
                fields=tuple(
                    _input_fields(
                        datasets[join.dataset], (join.key, join.column, *_of_filters(datasets[join.dataset]))
                    )
                ),
            )
            for join in query.joins
        ),
    )


def _numbers(query: Query) -> tuple[str, ...]:
    """The columns of the answer that noise is in."""
    return ("value", "low", "high", *([IN_BOUNDS] if query.consistency else []))


def _read(query: Query, datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    """All columns of the data set that the answer depends on."""
    return tuple(dict.fromkeys([*query.columns, *_of_where(query), *_of_filters(datasets[query.dataset])]))


def _of_filters(data: Dataset) -> tuple[str, ...]:
    """The columns that decide which rows may leave, and so count."""
    subject = data.subject.column if data.subject else None
    return tuple(dict.fromkeys(name for row in data.row_filters for name in row.inputs(subject)))


def _of_where(query: Query) -> tuple[str, ...]:
    return tuple(columns(parse(query.where))) if query.where else ()


def _input_fields(data: Dataset, names: tuple[str, ...]) -> Iterator[Field]:
    for name in dict.fromkeys(names):
        column = data.columns[name]
        yield Field(name=name, type=column.type, column_class=column.column_class, category=column.category)


def _output_field(query: Query, field: pa.Field, technique: str) -> Field:
    axis = next((axis for axis in query.axes if axis.name == field.name), None)
    if axis is None and field.name not in _numbers(query):
        # The measure's name, the bin, the kind and scale of the noise: they stand in the policy.
        return Field(
            name=field.name,
            type=str(field.type),
            treatment="constant",
            technique="made of no column",
            masked=True,
        )
    how = _of_key(axis) if axis else technique
    return Field(name=field.name, type=str(field.type), treatment="dp", technique=how, masked=True)


def _of_key(axis: Axis) -> str:
    """How a key gets into the answer."""
    return "a noisy threshold on units" if axis.labels is None else "a public list"


def _edges(
    query: Query,
    read: tuple[str, ...],
    datasets: Mapping[str, Dataset],
    sources: Mapping[str, DatasetIdentity],
    technique: str,
) -> Iterator[Edge]:
    measured = [s.of.column for s in query.statistics if not isinstance(s, Units) and s.of is not None]
    # Where only units or rows are counted, what is counted is the subject, or any column that is read.
    counted = dict.fromkeys(measured) or ([query.subject] if query.subject else read[:1])
    for number in _numbers(query):
        for column in counted:
            yield _edge(column, number, Subtype.AGGREGATION, technique, kind=Kind.DIRECT)
    for axis in query.axes:
        yield _edge(axis.column, axis.name, Subtype.GROUP_BY, _of_key(axis))
        yield _edge(axis.column, None, Subtype.GROUP_BY, technique)
    if query.subject:
        yield _edge(query.subject, None, Subtype.GROUP_BY, f"contributions bounded per unit; {technique}")
    for column in dict.fromkeys((*_of_where(query), *_of_filters(datasets[query.dataset]))):
        yield _edge(column, None, Subtype.FILTER, technique)
    for join in query.joins:
        for column in _of_filters(datasets[join.dataset]):
            yield _edge(column, None, Subtype.FILTER, technique, table=sources[join.dataset])
        for column in dict.fromkeys((join.key, join.column)):
            yield _edge(column, None, Subtype.JOIN, technique, table=sources[join.dataset])


def _edge(
    source: str,
    target: str | None,
    subtype: Subtype,
    description: str,
    *,
    kind: Kind = Kind.INDIRECT,
    table: DatasetIdentity | None = None,
) -> Edge:
    return Edge(
        source=source,
        target=target,
        kind=kind,
        subtype=subtype,
        masking=True,
        description=description,
        table=table,
    )
