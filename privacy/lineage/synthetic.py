"""The lineage of synthetic tables: which columns a model learned of, and which columns are made after which.

A column that is learned depends on its own column of the source and, through the model, on all that are learned with
it. A column that is invented, a key and a reference are made of no column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_veil.privacy.lineage.filters import filter_edges
from airflow_veil.privacy.lineage.model import Edge, Field, Kind, LineageRecord, Subtype, Table
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.storage.base import DatasetIdentity, Written

if TYPE_CHECKING:
    from airflow_veil.privacy.synthetic.specification import (
        ColumnSpecification,
        Specification,
        TableSpecification,
    )

FIT = "fit"
"""The task that fits a model."""
SYNTHESIZE = "synthesize"
"""The task that draws rows from it."""
EVALUATE = "evaluate"
"""The task that compares what was drawn with what the model learned of, and with what it never saw."""

_NO_COLUMN = "made of no column"


def model_identity(loaded: LoadedPolicy, synthesis: str) -> DatasetIdentity:
    """The name in lineage of the models of a synthesis."""
    return DatasetIdentity("veil", f"models/{loaded.policy.name}.{synthesis}")


def technique_of(specification: Specification) -> str:
    """How columns are made, in words."""
    if specification.method.private:
        return f"drawn from a differentially private model, {specification.word}"
    return f"drawn from a model without a guarantee, {specification.word}"


def of_fit(
    loaded: LoadedPolicy,
    specification: Specification,
    sources: Mapping[str, DatasetIdentity],
    *,
    version: str | None = None,
) -> LineageRecord:
    """What a model is made of.

    Args:
        loaded: The policy.
        specification: The synthesis.
        sources: Data set to where its rows come from; none where the method reads no row.
        version: The model's name; None before the run.

    Returns:
        The record: the model has a column for each that it learned, named by table and column where there are several
        tables. How many rows were read is not told.
    """
    tables = [table for name, table in specification.tables.items() if name in sources]
    private, technique = specification.method.private, technique_of(specification)
    read = [(table, column) for table in tables for column in table.learned]
    fields = tuple(
        Field(
            name=_qualified(specification, table, column),
            type=column.type_name,
            treatment="synthetic",
            technique=technique,
            masked=private,
        )
        for table, column in read
    )
    edges = tuple(
        Edge(
            source=column.name,
            target=_qualified(specification, table, column),
            kind=Kind.DIRECT,
            subtype=Subtype.AGGREGATION,
            masking=private,
            description=technique,
            table=sources[table.name],
        )
        for table, column in read
    )
    filters = tuple(
        replace(edge, table=sources[table.name], masking=private or edge.masking)
        for table in tables
        for row in loaded.policy.datasets[table.name].row_filters
        for edge in filter_edges(row, _subject(loaded, table.name))
    )
    return LineageRecord(
        policy=loaded.policy.name,
        policy_digest=loaded.digest,
        plan_digest=specification.digest,
        dataset=specification.name,
        stage=FIT,
        input=_input(loaded, specification, tables[0] if tables else None, sources),
        output=Table(identity=model_identity(loaded, specification.name), fields=fields, version=version),
        edges=(*edges, *filters),
        others=tuple(_input(loaded, specification, table, sources) for table in tables[1:]),
    )


def of_table(
    loaded: LoadedPolicy,
    specification: Specification,
    table: str,
    release: str,
    sources: Mapping[str, DatasetIdentity],
    target: DatasetIdentity,
    *,
    rows: int | None = None,
    written: Written | None = None,
) -> LineageRecord:
    """What a synthetic table is made of: by the model, of columns of the sources.

    Args:
        loaded: The policy.
        specification: The synthesis.
        table: The table.
        release: The name that it is released under.
        sources: Data set to where its rows come from; none where the method reads no row.
        target: What is written.
        rows: Rows that were drawn; None before the run.
        written: What was written; None before the run.
    """
    made = specification.tables[table]
    learned = made.learned if table in sources else ()
    output = Table(
        identity=target,
        fields=tuple(_field(specification, column, learned=column in learned) for column in made.columns),
        rows=rows,
        bytes=written.bytes if written else None,
        files=(len(written.files) or None) if written else None,
    )
    others = [other for name, other in specification.tables.items() if name in sources and name != table]
    return LineageRecord(
        policy=loaded.policy.name,
        policy_digest=loaded.digest,
        plan_digest=specification.digest,
        dataset=release,
        stage=SYNTHESIZE,
        input=_input(loaded, specification, made if table in sources else None, sources),
        output=output,
        edges=tuple(_edges(specification, made if table in sources else None, others, sources)),
        others=tuple(_input(loaded, specification, other, sources) for other in others),
    )


def _edges(
    specification: Specification,
    table: TableSpecification | None,
    others: list[TableSpecification],
    sources: Mapping[str, DatasetIdentity],
) -> Iterator[Edge]:
    """Each learned column is made after its own; which rows there are depends on all that are learned together."""
    for column in table.learned if table else ():
        yield _edge(specification, column.name, column.name, None)
    for each in (*([table] if table else []), *others):
        for column in each.learned:
            at = None if each is table else sources[each.name]
            yield _edge(specification, column.name, None, at)


def _edge(
    specification: Specification, source: str, target: str | None, table: DatasetIdentity | None
) -> Edge:
    """Without a guarantee a value of the source may come again, so nothing is masked then."""
    return Edge(
        source=source,
        target=target,
        kind=Kind.DIRECT if target else Kind.INDIRECT,
        subtype=Subtype.AGGREGATION if target else Subtype.GROUP_BY,
        masking=specification.method.private,
        description=technique_of(specification),
        table=table,
    )


def _field(specification: Specification, column: ColumnSpecification, *, learned: bool) -> Field:
    return Field(
        name=column.name,
        type=column.type_name,
        treatment="synthetic" if learned else "constant",
        technique=technique_of(specification) if learned else _NO_COLUMN,
        masked=specification.method.private or not learned,
    )


def _input(
    loaded: LoadedPolicy,
    specification: Specification,
    table: TableSpecification | None,
    sources: Mapping[str, DatasetIdentity],
) -> Table:
    """What is read of a source; of nothing, the policy itself."""
    if table is None:
        return Table(identity=_policy(loaded, specification), fields=())
    data = loaded.policy.datasets[table.name]
    deciding = [name for row in data.row_filters for name in row.inputs(_subject(loaded, table.name))]
    fields = []
    for name in dict.fromkeys([*(column.name for column in table.learned), *deciding]):
        declared = data.columns[name]
        fields.append(
            Field(
                name=name,
                type=declared.type,
                column_class=declared.column_class,
                category=declared.category,
            )
        )
    return Table(identity=sources[table.name], fields=tuple(fields))


def _subject(loaded: LoadedPolicy, dataset: str) -> str | None:
    told = loaded.policy.datasets[dataset].subject
    return told.column if told else None


def _policy(loaded: LoadedPolicy, specification: Specification) -> DatasetIdentity:
    return DatasetIdentity("veil", f"policies/{loaded.policy.name}.{specification.name}")


def _qualified(specification: Specification, table: TableSpecification, column: ColumnSpecification) -> str:
    return column.name if len(specification.tables) == 1 else f"{table.name}.{column.name}"
