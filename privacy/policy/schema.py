"""The JSON Schema of policies, made of the models: what editors complete and underline with.

It says what pydantic's own generation cannot know: the short spellings that validators accept, and the pairs
of words of which exactly one is written. What no schema can say, `check` finds.
"""

from __future__ import annotations

from typing import Any, Final

from airflow_veil.privacy.policy.load import SCHEMA_ID
from airflow_veil.privacy.policy.models import Policy
from airflow_veil.privacy.policy.types import TYPES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The dialect; a name, nothing is fetched from it."""

_SHORT: Final = {
    ("Dataset", "source"): "A file: the same as `{uri: …}`.",
    ("Dataset", "subject"): "The column that names the data subject: the same as `{column: …}`.",
    ("Dataset", "where"): "An expression: the same as `{expression: …}`.",
    ("Query", "where"): "An expression: the same as `{expression: …}`.",
    ("TrainedOn", "train"): "A Parquet file: the same as `{uri: …}`.",
    ("TrainedOn", "holdout"): "A Parquet file: the same as `{uri: …}`.",
    ("Release", "destination"): "A folder of releases: the same as `{uri: …}`.",
}
"""Places where a bare text stands for the mapping with its first word."""

_ONE_OF: Final = {
    "Subject": ("column", "none"),
    "KeySource": ("connection", "file"),
    "ModelRows": ("dataset", "uri"),
    "Budget": ("epsilon", "rho"),
    "Spend": ("epsilon", "rho"),
    "ValueKeys": ("values", "file"),
    "Histogram": ("edges", "values"),
}
"""Mappings in which exactly one of two words is written."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema (Draft 2020-12) of version 1 policies.

    Returns:
        A new dict, the same one for the same registry: plain JSON data.
    """
    schema = Policy.model_json_schema(by_alias=True, mode="validation")
    models = schema["$defs"]
    for (model, word), description in _SHORT.items():
        models[model]["properties"][word] = _or_text(models[model]["properties"][word], description)
    # A bare action stands for the mapping whose `rows` it is.
    action = models["DatasetErasure"]["properties"]["rows"]["anyOf"]
    erasure = models["Dataset"]["properties"]["erasure"]
    models["Dataset"]["properties"]["erasure"] = {**erasure, "anyOf": [*action, *erasure["anyOf"]]}
    for model, words in _ONE_OF.items():
        models[model]["oneOf"] = [{"required": [word]} for word in words]
    for word in ("first", "last"):
        models["CalendarKeys"]["properties"][word] = _or_year(models["CalendarKeys"]["properties"][word])
    for name, kinds in models["Query"]["properties"]["keys"]["patternProperties"].items():
        bare = {"const": "unknown", "description": "The same as `{unknown: true}`."}
        models["Query"]["properties"]["keys"]["patternProperties"][name] = {"anyOf": [*kinds["oneOf"], bare]}
    models["Column"]["properties"]["type"] = _known_type(models["Column"]["properties"]["type"])
    about = {"title": "A policy of airflow-veil", "description": schema.pop("description")}
    body = {key: schema[key] for key in ("type", "properties", "required", "additionalProperties")}
    return {"$schema": DIALECT, "$id": SCHEMA_ID, **about, **body, "$defs": models}


def _or_text(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """What a place takes, or a bare text."""
    text = {"type": "string", "minLength": 1, "description": description}
    about = {key: value for key, value in schema.items() if key in ("description", "default", "title")}
    options = schema.get("anyOf") or [{key: value for key, value in schema.items() if key not in about}]
    return {"anyOf": [*options, text], **about}


def _or_year(schema: dict[str, Any]) -> dict[str, Any]:
    """A day, a month or a year as text, or a year as YAML reads it."""
    about = {key: value for key, value in schema.items() if key in ("description", "title")}
    text = {key: value for key, value in schema.items() if key not in about}
    return {"anyOf": [text, {"type": "integer", "minimum": 1000, "maximum": 9999}], **about}


def _known_type(schema: dict[str, Any]) -> dict[str, Any]:
    """The names of column types, for completion."""
    return {**schema, "anyOf": [{"enum": list(TYPES)}, {"type": "null"}]}
