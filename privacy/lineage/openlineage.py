"""The record in OpenLineage's words: data sets with their facets (core 2-0-2).

Both column lineage facets are rendered from the same edges: `columnLineage` 1-2-0, which consumers know,
and `lineage` 1-0-0, which is to replace it. The OpenLineage client is imported inside functions: it takes
most of a second, and only the process that emits an event needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.lineage.model import Edge, Field, Kind, LineageRecord, Subtype, Table

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import DatasetFacet, InputDatasetFacet, OutputDatasetFacet

FACET = "veil_privacy"
"""The name of our own facet."""

CLASS_TAG = "veil.class"
"""The tag of a raw column: what it is. A path of the proof begins at such a column."""

ORIGIN_TAG = "veil.origin"
"""The tag of a masked column: what the raw column was."""

CATEGORY_TAG = "veil.category"
"""The tag of a column's data category by the Fides taxonomy."""

TREATMENT_TAG = "veil.treatment"
"""The tag of a treated column: the treatment's word."""


@cache
def producer() -> str:
    """The URI that names this software and its version as the producer of facets."""
    try:
        return f"urn:airflow-veil:producer:{version('airflow-veil')}"
    except PackageNotFoundError:
        return "urn:airflow-veil:producer:0"


def inputs(record: LineageRecord) -> list[InputDataset]:
    """The data sets that a task read, with their facets."""
    from openlineage.client.event_v2 import InputDataset

    table = record.input
    facets = _common_facets(table)
    if record.output is None:
        facets[FACET] = _privacy_facet(record)
    return [
        InputDataset(
            namespace=table.identity.namespace,
            name=table.identity.name,
            facets=facets,
            inputFacets=_input_facets(record),
        ),
        *(
            InputDataset(
                namespace=other.identity.namespace, name=other.identity.name, facets=_common_facets(other)
            )
            for other in record.others
        ),
    ]


def outputs(record: LineageRecord) -> list[OutputDataset]:
    """The data set that a task wrote, with its facets; none for a task that only reads."""
    from openlineage.client.event_v2 import OutputDataset

    table = record.output
    if table is None:
        return []
    facets = _common_facets(table)
    facets["columnLineage"] = _column_lineage_facet(record, table)
    facets["lineage"] = _lineage_facet(record, table)
    facets[FACET] = _privacy_facet(record)
    if table.overwritten:
        facets["lifecycleStateChange"] = _overwrite_facet()
    return [
        OutputDataset(
            namespace=table.identity.namespace,
            name=table.identity.name,
            facets=facets,
            outputFacets=_output_facets(table),
        )
    ]


def _common_facets(table: Table) -> dict[str, DatasetFacet]:
    facets = {"schema": _schema_facet(table), "tags": _tags_facet(table)}
    if table.version is not None:
        facets["version"] = _version_facet(table.version)
    return facets


def _schema_facet(table: Table) -> DatasetFacet:
    from openlineage.client.facet_v2 import schema_dataset

    fields = [
        schema_dataset.SchemaDatasetFacetFields(
            name=field.name, type=field.type, ordinal_position=position, fields=None
        )
        for position, field in enumerate(table.fields, start=1)
    ]
    return schema_dataset.SchemaDatasetFacet(fields=fields, producer=producer())


def _tags_facet(table: Table) -> DatasetFacet:
    from openlineage.client.facet_v2 import tags_dataset

    tags = [
        tags_dataset.TagsDatasetFacetFields(key=key, value=value, source="AIRFLOW_VEIL", field=field.name)
        for field in table.fields
        for key, value in _tags(field).items()
    ]
    return tags_dataset.TagsDatasetFacet(tags=tags, producer=producer())


def _tags(field: Field) -> dict[str, str]:
    tags = {
        ORIGIN_TAG if field.masked else CLASS_TAG: field.column_class,
        CATEGORY_TAG: field.category,
        TREATMENT_TAG: field.treatment,
    }
    return {key: value for key, value in tags.items() if value is not None}


def _version_facet(release: str) -> DatasetFacet:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=release, producer=producer())


def _overwrite_facet() -> DatasetFacet:
    from openlineage.client.facet_v2 import lifecycle_state_change_dataset as facet

    return facet.LifecycleStateChangeDatasetFacet(
        lifecycleStateChange=facet.LifecycleStateChange.OVERWRITE, producer=producer()
    )


def _column_lineage_facet(record: LineageRecord, table: Table) -> DatasetFacet:
    """`columnLineage`; an entry a column, and the edges that concern all rows under `dataset`."""
    from openlineage.client.facet_v2 import column_lineage_dataset as facet

    def entry(edges: Iterable[Edge]) -> facet.Fields:
        own = next((edge for edge in edges if edge.kind is Kind.DIRECT), None)
        return facet.Fields(
            inputFields=[_input_field(record, edge) for edge in edges],
            transformationDescription=own.description if own else None,
            transformationType=_deprecated_type(own) if own else None,
        )

    return facet.ColumnLineageDatasetFacet(
        fields={name: entry(edges) for name, edges in _by_column(record, table).items()},
        dataset=[_input_field(record, edge) for edge in record.edges if edge.target is None],
        producer=producer(),
    )


def _deprecated_type(edge: Edge) -> str | None:
    """`transformationType`, which is all that older consumers (Marquez) read."""
    if edge.masking:
        return "MASKED"
    return "IDENTITY" if edge.subtype is Subtype.IDENTITY else None


def _input_field(record: LineageRecord, edge: Edge) -> Any:
    from openlineage.client.facet_v2 import column_lineage_dataset as facet

    identity = edge.table or record.input.identity
    return facet.InputField(
        namespace=identity.namespace,
        name=identity.name,
        field=edge.source,
        transformations=[facet.Transformation(**_transformation(edge))],
    )


def _lineage_facet(record: LineageRecord, table: Table) -> DatasetFacet:
    """`lineage`; an entry a column, and the edges that concern all rows under `inputs`."""
    from openlineage.client.facet_v2 import lineage as facet

    def source(edge: Edge) -> facet.LineageDatasetInput:
        identity = edge.table or record.input.identity
        return facet.LineageDatasetInput(
            namespace=identity.namespace,
            name=identity.name,
            type="DATASET",
            field=edge.source,
            transformations=[facet.LineageTransformation(**_transformation(edge))],
        )

    whole = [
        facet.LineageDatasetInput(
            namespace=table.identity.namespace, name=table.identity.name, type="DATASET"
        )
        for table in (record.input, *record.others)
    ]
    return facet.LineageDatasetFacet(
        inputs=[*whole, *(source(edge) for edge in record.edges if edge.target is None)],
        fields={
            name: facet.LineageFieldEntry(inputs=[source(edge) for edge in edges])
            for name, edges in _by_column(record, table).items()
        },
        producer=producer(),
    )


def _by_column(record: LineageRecord, table: Table) -> Mapping[str, list[Edge]]:
    """The edges of each output column, in the output's order."""
    return {
        field.name: [edge for edge in record.edges if edge.target == field.name] for field in table.fields
    }


def _transformation(edge: Edge) -> dict[str, Any]:
    return {
        "type": edge.kind.value,
        "subtype": edge.subtype.value,
        "description": edge.description,
        "masking": edge.masking,
    }


def _privacy_facet(record: LineageRecord) -> DatasetFacet:
    from airflow_veil.privacy.lineage.veil_privacy_facet import VeilPrivacyDatasetFacet

    return VeilPrivacyDatasetFacet(
        policy=record.policy,
        policyDigest=record.policy_digest,
        planDigest=record.plan_digest,
        dataset=record.dataset,
        stage=record.stage,
        published=record.about.published,
        rowsIn=record.input.rows,
        rowsOut=record.output.rows if record.output else None,
        keyVersions=list(record.key_versions),
        columns=[_privacy_column(field) for field in record.about.fields],
        dropped=[{"name": column.name, "reason": column.reason.value} for column in record.dropped],
        producer=producer(),
    )


def _privacy_column(field: Field) -> dict[str, Any]:
    column = {
        "name": field.name,
        "class": field.column_class,
        "category": field.category,
        "treatment": field.treatment,
        "technique": field.technique,
        "keyVersion": field.key_version,
        "masked": field.masked,
    }
    return {key: value for key, value in column.items() if value is not None}


def _input_facets(record: LineageRecord) -> dict[str, InputDatasetFacet]:
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    facets: dict[str, InputDatasetFacet] = {}
    if record.input.rows is not None:
        facets["inputStatistics"] = statistics.InputStatisticsInputDatasetFacet(
            rowCount=record.input.rows, producer=producer()
        )
    if record.assertions:
        facets["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(
            assertions=[
                quality.Assertion(assertion=item.name, success=item.success, column=item.column)
                for item in record.assertions
            ],
            producer=producer(),
        )
    return facets


def _output_facets(table: Table) -> dict[str, OutputDatasetFacet]:
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    if table.rows is None:
        return {}
    return {
        "outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(
            rowCount=table.rows, size=table.bytes, fileCount=table.files, producer=producer()
        )
    }
