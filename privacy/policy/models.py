"""The policy: what each column is, what becomes of it, and where the release goes.

Unknown words are errors. There is no code, no template and no secret in a policy: keys and connections are named,
never held.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.policy.anonymize import Anonymize
from airflow_veil.privacy.policy.differential_privacy import DifferentialPrivacy
from airflow_veil.privacy.policy.erasure import Erasure, RowsErasure
from airflow_veil.privacy.policy.gate import Gate
from airflow_veil.privacy.policy.model_release import ModelRelease
from airflow_veil.privacy.policy.names import Name, Period
from airflow_veil.privacy.policy.retention import Retention
from airflow_veil.privacy.policy.synthetic import Synthetic
from airflow_veil.privacy.policy.treatment import Treatment
from airflow_veil.privacy.policy.types import TYPES
from airflow_veil.privacy.policy.utility import UtilityMeasure
from airflow_veil.privacy.transforms.base import RowFilter, Transform
from airflow_veil.privacy.transforms.family import Family
from airflow_veil.privacy.transforms.sample import Sample
from airflow_veil.privacy.transforms.where import Where


class ColumnClass(StrEnum):
    """What a column is to the people in it."""

    DIRECT_IDENTIFIER = "direct_identifier"
    QUASI_IDENTIFIER = "quasi_identifier"
    SENSITIVE = "sensitive"
    FREE_TEXT = "free_text"
    NONE = "none"


def _known_type(name: str) -> str:
    if name not in TYPES:
        raise PydanticCustomError(
            "unknown_type",
            "unknown column type {name}, known are {known}",
            {"name": name, "known": ", ".join(TYPES)},
        )
    return name


class Column(Described):
    """One column that the policy names: what it is and what becomes of it."""

    column_class: ColumnClass = Field(alias="class")
    """What the column is: direct_identifier, quasi_identifier, sensitive, free_text or none."""
    treat: SerializeAsAny[Treatment]  # type: ignore[valid-type]
    """What becomes of it: exactly one treatment."""
    type: Annotated[str, AfterValidator(_known_type)] | None = None
    """The type that the source must deliver; CSV columns are read as it. Text where a CSV column names none."""
    category: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+)*$")] | None = None
    """The data category by the Fides taxonomy, such as user.contact.email."""
    values: tuple[str, ...] | None = None
    """All the values that can occur, where they are few and public."""
    unsafe_reason: Annotated[str, StringConstraints(min_length=10)] | None = None
    """Why a check that this column does not pass may be passed over; recorded in the manifest of each release."""

    @property
    def transform(self) -> Transform:
        """The one treatment."""
        transform: Transform = self.treat.transform  # type: ignore[attr-defined]
        return transform

    @property
    def family(self) -> Family | None:
        """What the declared type is to a treatment, or None."""
        return None if self.type is None else TYPES[self.type].family

    @property
    def arrow_type(self) -> pa.DataType | None:
        """The declared type, or None."""
        return None if self.type is None else TYPES[self.type].arrow


class CsvFormat(Described):
    """How a CSV source is written (RFC 4180 unless said otherwise)."""

    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    encoding: str = "utf8"
    header: tuple[str, ...] | None = None
    """The column names, where the file has no header line."""
    null_values: tuple[str, ...] = ("",)
    """Spellings of null."""


class FileSource(Described):
    """A file or a folder of files; hive partitions are columns."""

    uri: Annotated[str, StringConstraints(min_length=1)]
    """file:///… or a path; a relative one starts at the data root (`VEIL_DATA_ROOT`, or the policy's folder)."""
    format: Literal["parquet", "csv"] | None = None
    """Told from the name where not said."""
    csv: CsvFormat = CsvFormat()


class TableSource(Described):
    """A table behind an Airflow connection."""

    connection: Annotated[str, StringConstraints(min_length=1)]
    """The id of the Airflow connection (SQLite or PostgreSQL)."""
    table: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$")]
    """The table, or schema.table."""


class Subject(Described):
    """Whose data a row is."""

    column: str | None = None
    """The column that names the data subject."""
    references: Annotated[str, StringConstraints(pattern=r"^[^.]+\.[^.]+$")] | None = None
    """data_set.column that it points to, so that people are the same in all tables."""
    none: Annotated[str, StringConstraints(min_length=10)] | None = None
    """Why the rows are nobody's."""

    @model_validator(mode="before")
    @classmethod
    def _bare_column(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _column_or_none(self) -> Subject:
        if (self.column is None) == (self.none is None):
            raise PydanticCustomError(
                "subject",
                "a subject is either a column, or `none:` with the reason why the rows are nobody's",
            )
        return self


def _source(value: Any) -> Any:
    """A bare string is a file."""
    return {"uri": value} if isinstance(value, str) else value


class Dataset(Described):
    """One table: where it comes from, whose it is, and what becomes of each column."""

    source: Annotated[FileSource | TableSource, Field(union_mode="left_to_right"), BeforeValidator(_source)]
    """Where the rows come from."""
    subject: Subject | None = None
    """Whose data a row is."""
    columns: dict[str, Column]
    """Every column that may leave; a column that is not named here does not."""
    where: Where | None = None
    """Which rows leave, by a comparison on columns; others are not counted or learned from either."""
    sample: Sample | None = None
    """Which share of the subjects leaves, the same ones in every table; others are not counted or learned from."""
    on_new_column: Literal["drop", "fail"] = "drop"
    """What becomes of a source column that the policy does not name: dropped and reported, or the run fails."""
    expectations: str | None = None
    """The name of a Great Expectations suite that the output must meet before it is published."""
    anonymize: Anonymize | None = None
    """What must hold of the classes of rows that leave; the quasi-identifiers are generalized until it does."""
    retention: Retention | None = None
    """How long rows of the source are kept; they are deleted from the source itself when their time is over."""
    erasure: RowsErasure | None = None
    """What becomes of rows when somebody in them is erased; needed where the policy has `erasure`."""

    @property
    def row_filters(self) -> tuple[RowFilter, ...]:
        """What decides which rows leave, are counted or learned from."""
        return tuple(row for row in (self.where, self.sample) if row is not None)

    @property
    def releases_rows(self) -> bool:
        """Whether a column leaves; where all are dropped, the data set is there for queries to ask."""
        return any(column.transform.word != "drop" for column in self.columns.values())


class FileDestination(Described):
    """A folder of releases."""

    uri: Annotated[str, StringConstraints(min_length=1)]
    format: Literal["parquet", "csv"] = "parquet"


class TableDestination(Described):
    """Tables behind an Airflow connection; the current release is a view under the data set's name."""

    connection: Annotated[str, StringConstraints(min_length=1)]
    db_schema: Name | None = Field(default=None, alias="schema")


def _destination(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


class Release(Described):
    """Where releases go, and what must hold before one is published."""

    destination: Annotated[FileDestination | TableDestination, BeforeValidator(_destination)]
    """Where releases go."""
    schedule: str | None = "@daily"
    """When the nightly DAG runs (cron or an Airflow preset); null for runs by hand only."""
    run: Literal["fused", "stepwise"] = "fused"
    """`fused` treats a table in one pass with no personal data staged between; `stepwise` is a task a step."""
    expires_after: Period | None = None
    """How long a release may be used, from its publication."""
    staging_expires_after: Period = "P1D"
    """How long what killed runs have staged may lie, untouched, before it is removed. It is personal data."""
    gate: Gate | None = None
    """What is looked at before a release is published: it goes out, is denied, or waits for approval."""
    utility: UtilityMeasure | None = None
    """How utility is measured where releases are assessed; where it is left out, it is only if the gate bounds it."""
    classify: bool = False
    """Whether each release first looks at its columns, and stops where one declared `none` holds personal data."""


class KeySource(Described):
    """Where the key ring is kept: named, never held in the policy."""

    connection: str | None = None
    """The id of an Airflow connection of type `veil_keys`."""
    file: str | None = None
    """A key file that only its owner can read."""

    @model_validator(mode="after")
    def _one(self) -> KeySource:
        if (self.connection is None) == (self.file is None):
            raise PydanticCustomError("key_source", "name either a `connection` or a `file` for the key ring")
        return self


class Policy(Described):
    """One data product: its tables, their treatment and their release."""

    version: Literal[1]
    """The version of this format."""
    name: Name
    """The data product's name; it is part of DAG ids and release folders."""
    owner: Annotated[str, StringConstraints(min_length=1)]
    """Who answers for the policy."""
    description: str = ""
    """What the product is for, in plain words."""
    keys: KeySource | None = None
    """Where the key ring is kept; needed by keyed treatments."""
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    """The tables, by name."""
    release: Release | None = None
    """Where releases go; needed to publish."""
    differential_privacy: DifferentialPrivacy | None = None
    """Statistics that may be released with noise, and the budgets that pay for them."""
    erasure: Erasure | None = None
    """How people are erased when they ask for it."""
    synthetic: Synthetic | None = None
    """Tables that are made up, and how."""
    models: dict[Name, ModelRelease] = Field(default_factory=dict)
    """Trained models that are shared, if attacks on them stay within bounds."""

    def measured(self, dataset: str) -> bool:
        """Whether each release of a data set is measured: a quasi-identifier leaves, or figures are asked for."""
        release, columns = self.release, self.datasets[dataset].columns.values()
        asked = release is not None and (release.gate is not None or release.utility is not None)
        leaving = (column.column_class for column in columns if column.transform.word != "drop")
        return asked or ColumnClass.QUASI_IDENTIFIER in leaving

    def leaving(self, *datasets: str) -> dict[str, list[dict[str, Any]]]:
        """By data set what decides which of its rows leave, as plain data; none where all do."""
        filters = {name: self.datasets[name].row_filters for name in datasets}
        return {name: [row.told for row in rows] for name, rows in filters.items() if rows}
