"""The plan of a policy as a file beside it, to be committed and reviewed: what leaves, and how.

    retail.yaml  ──plan──►  retail.plan.json  ──compared with what the policy gives today──►  drift

It holds names, types, treatments and bounds as the policy writes them, and digests of the files that treatments are
made by; no value of the data, no key version and no place of a machine. The same policy gives the same bytes anywhere.
Types are the declared ones, or those of the sources where these were looked at; what is not known is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.plan.bind import plan_of
from airflow_veil.privacy.plan.plan import digest_of_file
from airflow_veil.privacy.policy.anonymize import Anonymize
from airflow_veil.privacy.policy.differential_privacy import ValueKeys
from airflow_veil.privacy.policy.gate import Gate
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, Dataset, FileSource
from airflow_veil.privacy.policy.names import Period
from airflow_veil.privacy.policy.types import TYPES
from airflow_veil.privacy.transforms.base import Properties

SUFFIX = ".plan.json"
"""What the name of a plan file ends with; it begins as the policy's does."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WrittenColumn(_Written):
    """What becomes of a column; see `PlannedColumn`. Types are None where they are not known.

    `promises` are the properties of the treatment that hold, by their names, and what becomes of nulls.
    """

    column_class: str
    category: str | None = None
    treat: Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)]
    leaves: bool
    source_type: str | None = None
    output_type: str | None = None
    inputs: tuple[str, ...] = ()
    key_domain: str | None = None
    unsafe_reason: str | None = None
    promises: tuple[str, ...]

    @property
    def word(self) -> str:
        """The word of its treatment."""
        return next(iter(self.treat))


class WrittenDataset(_Written):
    """What becomes of a data set; `unnamed` is None where the source was not looked at."""

    source: dict[str, Any]
    subject: str | None = None
    subject_root: str = ""
    where: str | None = None
    sample: float | None = None
    on_new_column: str
    expectations: str | None = None
    anonymize: Anonymize | None = None
    retention: dict[str, Any] | None = None
    erasure: dict[str, Any] | None = None
    columns: dict[str, WrittenColumn]
    unnamed: tuple[str, ...] | None = None


class WrittenRelease(_Written):
    """Where releases go and what must hold before."""

    destination: dict[str, Any]
    run: str
    expires_after: Period | None = None
    staging_expires_after: Period
    classify: bool
    gate: Gate | None = None
    utility: dict[str, Any] | None = None


class WrittenPlan(_Written):
    """The plan of a policy: all its data sets, queries, synthetic tables, models and bounds.

    Attributes:
        files: SHA-256 of the files that the plan is made by, by the names that the policy gives them; None for one that
            cannot be read.
    """

    format: Literal[1]
    policy: str
    types_of: Literal["policy", "source"]
    datasets: dict[str, WrittenDataset]
    release: WrittenRelease | None = None
    keys: dict[str, Any] | None = None
    budgets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    queries: dict[str, dict[str, Any]] = Field(default_factory=dict)
    synthetic: dict[str, dict[str, Any]] = Field(default_factory=dict)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    erasure: dict[str, Any] | None = None
    files: dict[str, str | None] = Field(default_factory=dict)

    def to_text(self) -> str:
        """The plan as a file: JSON with sorted words and a line a column, the same bytes for the same plan."""
        return _laid_out(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), ()) + "\n"


def plan_file(policy: Path) -> Path:
    """The file beside a policy that its plan stands in."""
    return policy.with_name(policy.stem + SUFFIX)


def read_plan(text: str) -> WrittenPlan:
    """The plan of a file.

    Raises:
        SchemaError: It is none, or of another version.
    """
    try:
        return WrittenPlan.model_validate_json(text)
    except ValidationError as error:
        raise SchemaError(
            "it is no plan, or one of another version", expected=f"what `to_text` writes ({_places(error)})"
        ) from None


def written(loaded: LoadedPolicy, schemas: Mapping[str, pa.Schema] | None = None) -> WrittenPlan:
    """The plan that a policy gives today.

    Args:
        loaded: A policy that checks.
        schemas: The schemas of all sources, where they were looked at; by the declared types if not said.

    Raises:
        SchemaError: A subject's references run in a circle.
    """
    policy = loaded.policy
    private = policy.differential_privacy
    return WrittenPlan(
        format=1,
        policy=policy.name,
        types_of="policy" if schemas is None else "source",
        datasets={
            name: _dataset(loaded, name, None if schemas is None else schemas[name])
            for name in policy.datasets
        },
        release=_release(loaded),
        keys=_said(policy.keys),
        budgets={name: _said(each) or {} for name, each in (private.budgets if private else {}).items()},
        queries={name: _asked(each) for name, each in (private.queries if private else {}).items()},
        synthetic={
            name: _asked(each)
            for name, each in (policy.synthetic.releases if policy.synthetic else {}).items()
        },
        models={name: _asked(each) for name, each in policy.models.items()},
        erasure=_said(policy.erasure),
        files=_files(loaded),
    )


def _dataset(loaded: LoadedPolicy, name: str, schema: pa.Schema | None) -> WrittenDataset:
    data = loaded.policy.datasets[name]
    unknown: frozenset[str] = frozenset()
    known = schema
    if known is None:
        known, unknown = _declared(data)
    plan = plan_of(loaded, name, known)
    columns = {
        column.name: WrittenColumn(
            column_class=column.column_class,
            category=column.category,
            treat=column.treatment,
            leaves=column.output_type is not None,
            source_type=None if column.name in unknown else str(column.source_type),
            output_type=None
            if column.name in unknown or column.output_type is None
            else str(column.output_type),
            inputs=column.inputs,
            key_domain=column.key_domain,
            unsafe_reason=column.unsafe_reason,
            promises=_promises(column.properties),
        )
        for column in plan.columns
    }
    return WrittenDataset(
        source=_said(data.source) or {},
        subject=plan.subject,
        subject_root=plan.subject_root,
        where=data.where.expression if data.where else None,
        sample=data.sample.fraction if data.sample else None,
        on_new_column=data.on_new_column,
        expectations=data.expectations,
        anonymize=data.anonymize,
        retention=_said(data.retention),
        erasure=_said(data.erasure),
        columns=columns,
        unnamed=None if schema is None else tuple(sorted(plan.unnamed)),
    )


def _declared(data: Dataset) -> tuple[pa.Schema, frozenset[str]]:
    """The schema by the declared types, and the columns that declare none; these get some type that can be treated."""
    text = isinstance(data.source, FileSource) and _is_csv(data.source)
    fields, unknown = [], set()
    for name, column in data.columns.items():
        declared = column.arrow_type or (pa.string() if text else None)
        if declared is None or not column.transform.accepts(declared):
            unknown.add(name)
            declared = _treatable(column)
        fields.append(pa.field(name, declared))
    return pa.schema(fields), frozenset(unknown)


def _is_csv(source: FileSource) -> bool:
    from airflow_veil.privacy.storage.csv import SUFFIXES

    return source.format == "csv" or (source.format is None and source.uri.endswith(SUFFIXES))


def _treatable(column: Column) -> pa.DataType:
    return next(kind.arrow for kind in TYPES.values() if kind.family in column.transform.takes)


def _release(loaded: LoadedPolicy) -> WrittenRelease | None:
    release = loaded.policy.release
    if release is None:
        return None
    return WrittenRelease(
        destination=_said(release.destination) or {},
        run=release.run,
        expires_after=release.expires_after,
        staging_expires_after=release.staging_expires_after,
        classify=release.classify,
        gate=release.gate,
        utility=_said(release.utility),
    )


def _files(loaded: LoadedPolicy) -> dict[str, str | None]:
    """Digests of hierarchies and of public lists of keys: other content is another plan."""
    policy, folder = loaded.policy, loaded.path.resolve().parent
    names: list[str] = []
    for data in policy.datasets.values():
        names += [name for column in data.columns.values() for name in column.transform.files()]
        names += [each.file for each in data.anonymize.quasi_identifiers.values()] if data.anonymize else []
    for query in policy.differential_privacy.queries.values() if policy.differential_privacy else ():
        names += [keys.file for keys in query.keys.values() if isinstance(keys, ValueKeys) and keys.file]
    return {name: digest_of_file(folder / name) for name in dict.fromkeys(names)}


def _asked(words: BaseModel) -> dict[str, Any]:
    """A query, a synthesis or a model, without what is told of it to people."""
    return {word: value for word, value in (_said(words) or {}).items() if word != "description"}


def _said(words: BaseModel | None) -> dict[str, Any] | None:
    """Words as the policy could have written them, defaults left out."""
    return None if words is None else words.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _promises(properties: Properties) -> tuple[str, ...]:
    told = asdict(properties)
    nulls = told.pop("nulls")
    return (*(word for word, holds in told.items() if holds), f"nulls {nulls}")


def _laid_out(value: Any, place: tuple[str, ...]) -> str:
    """JSON with a line for each thing that a reviewer looks at: a column, a query, a bound."""
    if not isinstance(value, dict) or not value or not _is_opened(place):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    margin = "  " * len(place)
    lines = [
        f"{margin}  {json.dumps(name, ensure_ascii=False)}: {_laid_out(each, (*place, name))}"
        for name, each in sorted(value.items())
    ]
    return "{\n" + ",\n".join(lines) + f"\n{margin}}}"


def _is_opened(place: tuple[str, ...]) -> bool:
    if place[:1] == ("datasets",):
        return len(place) < 3 or place[2:] == ("columns",)
    opened = {"release", "queries", "synthetic", "models", "budgets", "files"}
    return not place or place in {*((word,) for word in opened), ("release", "gate")}


def _places(error: ValidationError) -> str:
    """Where it does not fit; no input is repeated."""
    places = [".".join(map(str, each["loc"])) or "the file" for each in error.errors(include_input=False)]
    return ", ".join(places[:3])
