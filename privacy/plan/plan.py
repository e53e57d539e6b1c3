"""The plan of one data set: for each column, what it is, what becomes of it and what of it still shows.

Column lineage, `veil plan`, manifests and the engine all read this one object.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding, Keys, Properties, RowFilter, Step, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedColumn:
    """One column that the policy names.

    Attributes:
        name: Its name, in the source and in the release.
        column_class: What it is: direct_identifier, quasi_identifier, sensitive, free_text, none.
        category: Its data category by the Fides taxonomy, if the policy says.
        transform: What becomes of it.
        source_type: The type that the source delivers.
        output_type: The type that is released; None when the column is dropped.
        inputs: Other raw columns that the treatment reads.
        key_domain: The domain of its key; None without a key.
        key_version: The key version that new values are made with; None without a key.
        unsafe_reason: Why a check was passed over, if one was.
    """

    name: str
    column_class: str
    category: str | None
    transform: Transform
    source_type: pa.DataType
    output_type: pa.DataType | None
    inputs: tuple[str, ...] = ()
    key_domain: str | None = None
    key_version: int | None = None
    unsafe_reason: str | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The raw columns that its output is made of, its own first."""
        return (self.name, *(name for name in self.inputs if name != self.name))

    @property
    def properties(self) -> Properties:
        """What the treatment promises."""
        return self.transform.properties

    @property
    def treatment(self) -> dict[str, Any]:
        """The treatment as the policy could have written it: `{word: parameters}`, defaults left out."""
        return {
            self.transform.word: self.transform.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of one data set.

    Attributes:
        policy: Name of the policy.
        policy_digest: SHA-256 of the policy file, in hex.
        dataset: Name of the data set.
        subject: The column that says whose data a row is; None if the rows are nobody's.
        subject_root: `data_set.column` that the subject refers to: the key domain of per-subject treatments.
        columns: The named columns, in the source's order.
        unnamed: Source columns that the policy does not name; they are dropped.
        row_filters: What decides which rows leave.
        row_key_version: The key version that keyed row filters draw with; None without one.
        root: The folder that relative file names in treatments start from.
    """

    policy: str
    policy_digest: str
    dataset: str
    subject: str | None
    subject_root: str
    columns: tuple[PlannedColumn, ...]
    unnamed: tuple[str, ...] = ()
    row_filters: tuple[RowFilter, ...] = ()
    row_key_version: int | None = None
    root: Path = Path()

    @property
    def released(self) -> tuple[PlannedColumn, ...]:
        """The columns that leave."""
        return tuple(column for column in self.columns if column.output_type is not None)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The columns that do not leave, named ones first."""
        return (*(column.name for column in self.columns if column.output_type is None), *self.unnamed)

    @property
    def output_schema(self) -> pa.Schema:
        """The schema of the release."""
        return pa.schema([pa.field(column.name, column.output_type) for column in self.released])

    @property
    def source_schema(self) -> pa.Schema:
        """The part of the source's schema that the plan reads."""
        return pa.schema([pa.field(column.name, column.source_type) for column in self.columns])

    @property
    def needs_keys(self) -> bool:
        """Whether a treatment or a row filter needs the key ring."""
        return any(c.key_domain is not None for c in self.columns) or any(
            row.keyed for row in self.row_filters
        )

    @property
    def key_versions(self) -> tuple[int, ...]:
        """The key versions that new values are made with and rows are drawn with."""
        versions = {self.row_key_version, *(column.key_version for column in self.columns)}
        return tuple(sorted(version for version in versions if version is not None))

    def column(self, name: str) -> PlannedColumn:
        """The named column.

        Raises:
            KeyError: The policy does not name it.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def binding(self, column: PlannedColumn, keys: Keys | None) -> Binding:
        """Where a column's treatment stands, for `Transform.prepare`."""
        return Binding(
            dataset=self.dataset,
            column=column.name,
            type=column.source_type,
            subject=self.subject,
            domain=column.key_domain,
            key_version=column.key_version or 0,
            keys=keys,
            root=self.root,
        )

    def row_binding(self, keys: Keys | None) -> Binding:
        """Where the row filters stand: keyed by the subject, so that all tables keep the same people."""
        return Binding(
            dataset=self.dataset,
            column=self.subject or "",
            type=self.column(self.subject).source_type if self.subject else pa.null(),
            subject=self.subject,
            domain=self.subject_root or None,
            key_version=self.row_key_version or 0,
            keys=keys,
            root=self.root,
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan for a machine to read; names, types and parameters only."""
        return {
            "policy": self.policy,
            "policy_digest": self.policy_digest,
            "dataset": self.dataset,
            "subject": self.subject,
            "subject_root": self.subject_root,
            "row_filters": [row.told for row in self.row_filters],
            "row_key_version": self.row_key_version,
            "columns": [_column_dict(column) for column in self.columns],
            "unnamed": list(self.unnamed),
            "files": self._file_digests(),
        }

    def _file_digests(self) -> dict[str, str | None]:
        """SHA-256 of the files that treatments are made by: other content is another plan.

        None for one that cannot be read, which is told when the treatment is prepared.
        """
        names = dict.fromkeys(name for column in self.columns for name in column.transform.files())
        return {name: digest_of_file(self.root / name) for name in names}

    @property
    def digest(self) -> str:
        """SHA-256 over the plan's canonical JSON, in hex."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def digest_of_file(path: Path) -> str | None:
    """SHA-256 of a file's content, in hex; None for one that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _column_dict(column: PlannedColumn) -> dict[str, Any]:
    return {
        "name": column.name,
        "class": column.column_class,
        "category": column.category,
        "treat": column.treatment,
        "step": Step(column.transform.step).value,
        "source_type": str(column.source_type),
        "output_type": None if column.output_type is None else str(column.output_type),
        "inputs": list(column.inputs),
        "key_domain": column.key_domain,
        "key_version": column.key_version,
        "unsafe_reason": column.unsafe_reason,
        "properties": asdict(column.properties),
    }
