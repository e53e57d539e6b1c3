"""The model of lineage: what a task did to which columns, before it is rendered in anybody's words.

One frozen record stands behind both OpenLineage facets, our own facet and the manifest's lineage, so that
they cannot disagree. It holds names, types, counts and digests; there is no field that a value of the data,
a literal of a `where` or a parameter of a treatment could be put into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from airflow_veil.privacy.storage.base import DatasetIdentity


class Kind(StrEnum):
    """How an input column reaches an output: as its content, or by deciding over it."""

    DIRECT = "DIRECT"
    INDIRECT = "INDIRECT"


class Subtype(StrEnum):
    """What happens on the way, in the words of OpenLineage."""

    IDENTITY = "IDENTITY"
    TRANSFORMATION = "TRANSFORMATION"
    AGGREGATION = "AGGREGATION"
    GROUP_BY = "GROUP_BY"
    JOIN = "JOIN"
    FILTER = "FILTER"
    CONDITIONAL = "CONDITIONAL"


class Reason(StrEnum):
    """Why a source column does not leave."""

    POLICY = "policy"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of a data set as the policy sees it.

    Attributes:
        name: Its name.
        type: Its Arrow type; None where only the name is known.
        column_class: What the raw column is; None where the policy does not name it.
        category: The raw column's data category, if the policy says.
        treatment: The word of the treatment it has been through; None while it is raw.
        technique: That treatment in words.
        key_version: The version of the key it was treated with, if it was keyed.
        masked: Whether that treatment hides the raw value; False while it is raw.
    """

    name: str
    type: str | None = None
    column_class: str | None = None
    category: str | None = None
    treatment: str | None = None
    technique: str | None = None
    key_version: int | None = None
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A data set that a task read or wrote.

    Attributes:
        identity: Its OpenLineage name.
        fields: Its columns.
        rows: Rows read or written; None until it is known.
        bytes: Bytes written, where it is known.
        files: Files written, where it is known and they are files.
        version: The version, for a release.
        published: Whether it has left: consumers read it.
        overwritten: Whether rows were taken out of what was there before.
    """

    identity: DatasetIdentity
    fields: tuple[Field, ...]
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None
    version: str | None = None
    published: bool = False
    overwritten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One dependency of the output on a column of the input.

    Attributes:
        source: The input column.
        target: The output column; None for all of the output (which rows leave).
        kind: Whether the column's content arrives, or decides.
        subtype: What happens on the way.
        masking: Whether the input's value is hidden from whoever sees the output.
        description: The technique in words.
        table: Which of the data sets read the input column is of; None for the record's `input`.
    """

    source: str
    target: str | None
    kind: Kind
    subtype: Subtype
    masking: bool
    description: str
    table: DatasetIdentity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A source column that ends here."""

    name: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One expectation and whether it was met; no observed figure, which may be a value."""

    name: str
    success: bool
    column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageRecord:
    """What one task did.

    Attributes:
        policy: Name of the policy.
        policy_digest: SHA-256 of the policy file, in hex.
        plan_digest: SHA-256 of the plan, in hex; stands for all parameters.
        dataset: The data set's name in the policy.
        stage: `fused`, a step's word, `publish`, `rollback`, `validate`, `detokenize`, `dp_release` or
            `retention`.
        input: What was read.
        output: What was written; None for a task that only reads.
        edges: What the output is made of.
        dropped: Source columns that end here.
        assertions: What was checked.
        others: Further data sets that were read, to find the people behind references.
    """

    policy: str
    policy_digest: str
    plan_digest: str
    dataset: str
    stage: str
    input: Table
    output: Table | None = None
    edges: tuple[Edge, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    others: tuple[Table, ...] = ()

    @property
    def about(self) -> Table:
        """The data set that the task is about: its output, or its input if it only reads."""
        return self.output if self.output is not None else self.input

    @property
    def key_versions(self) -> tuple[int, ...]:
        """The key versions that the values of that data set were made with."""
        versions = {field.key_version for field in self.about.fields}
        return tuple(sorted(version for version in versions if version is not None))

    def as_dict(self) -> dict[str, Any]:
        """The record for a manifest; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a record back, whether from `as_dict` or from the JSON of it.

        Raises:
            pydantic.ValidationError: It is not a record of this version.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(data)
