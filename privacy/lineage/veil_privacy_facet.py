"""The class of our own facet; its JSON Schema lies beside it as `veil_privacy_facet.json`.

Importing this module imports the OpenLineage client, which takes most of a second: import it inside
functions.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.facet_v2 import DatasetFacet

SCHEMA_URL = "urn:airflow-veil:facet:privacy:1"
"""The `$id` of the schema; a name, nothing is fetched from it."""


@attr.define
class VeilPrivacyDatasetFacet(DatasetFacet):
    """What a task did to a data set, where the standard facets have no word for it; see the schema.

    Columns are lists with names, not mappings: Airflow's redaction hides whatever stands under a key that
    sounds like a secret, and a column may well be named `token`.
    """

    policy: str
    policyDigest: str  # noqa: N815 - OpenLineage's spelling
    planDigest: str  # noqa: N815 - OpenLineage's spelling
    dataset: str
    stage: str
    published: bool
    keyVersions: list[int]  # noqa: N815 - OpenLineage's spelling
    columns: list[dict[str, Any]]
    dropped: list[dict[str, Any]]
    rowsIn: int | None = None  # noqa: N815 - OpenLineage's spelling
    rowsOut: int | None = None  # noqa: N815 - OpenLineage's spelling

    _additional_skip_redact: ClassVar[list[str]] = ["policyDigest", "planDigest", "columns", "dropped"]

    @staticmethod
    def _get_schema() -> str:
        return SCHEMA_URL
