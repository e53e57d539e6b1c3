"""Binds a policy to a source's schema: whatever does not fit is found here, before a row is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.plan.stage import RESERVED
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, Dataset, Policy
from airflow_veil.privacy.policy.types import same_type


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between a source and the policy; `column` is None where it concerns the whole table."""

    column: str | None
    message: str


NOTHING_LEAVES = Mismatch(None, "every column is dropped, so there is nothing to release")
"""What keeps a data set from being released, though not from being asked."""


def bind(
    loaded: LoadedPolicy,
    dataset: str,
    schema: pa.Schema,
    *,
    key_version: int | None = None,
    previous: dict[str, str] | None = None,
) -> Plan:
    """Bind one data set of a policy to the schema that its source has today.

    Args:
        loaded: The policy.
        dataset: Which data set.
        schema: The source's schema.
        key_version: The key ring's current version; None where keys are not at hand (the plan then shows none).
        previous: Column name to type name at the last release; a type that changed since is an error.

    Returns:
        The plan: the policy's columns in the source's order.

    Raises:
        SchemaError: A named column is missing, a type differs from what is declared or was released before, a
            treatment cannot take its column's type, a column is new and the policy says `on_new_column: fail`,
            something unnamed is read, or nothing would leave.
    """
    data = _dataset(loaded.policy, dataset)
    problems = [*mismatches(data, schema, previous=previous), *_unnamed_reads(data)]
    if not data.releases_rows:
        problems.append(NOTHING_LEAVES)
    if problems:
        raise SchemaError(
            "; ".join(problem.message for problem in problems),
            where=f"{loaded.path.name}, data set {dataset}",
            expected="the columns and types that the policy names",
            fix="bring the policy or the source in line, and look at the change before releasing it",
        )
    return plan_of(loaded, dataset, schema, key_version=key_version)


def plan_of(loaded: LoadedPolicy, dataset: str, schema: pa.Schema, *, key_version: int | None = None) -> Plan:
    """The plan of a data set for a schema that nobody compares with the policy: to look at, not to release by.

    Raises:
        SchemaError: There is no such data set, or its subject's references run in a circle.
    """
    data = _dataset(loaded.policy, dataset)
    subject = data.subject.column if data.subject else None
    root = subject_root(loaded.policy, dataset)
    columns = tuple(
        _planned(data.columns[field.name], field, dataset, subject, root)
        for field in schema
        if field.name in data.columns
    )
    if key_version is not None:
        columns = tuple(_with_version(column, key_version) for column in columns)
    return Plan(
        policy=loaded.policy.name,
        policy_digest=loaded.digest,
        dataset=dataset,
        subject=subject,
        subject_root=root,
        columns=columns,
        unnamed=tuple(name for name in schema.names if name not in data.columns),
        row_filters=data.row_filters,
        row_key_version=key_version if any(row.keyed for row in data.row_filters) else None,
        root=Path(loaded.path).resolve().parent,
    )


def subject_root(policy: Policy, dataset: str) -> str:
    """The `data_set.column` at the end of a subject's references: one name for one population.

    Returns:
        An empty string where the rows are nobody's.

    Raises:
        SchemaError: The references run in a circle or to a data set that is not there.
    """
    seen: list[str] = []
    while True:
        subject = policy.datasets[dataset].subject if dataset in policy.datasets else None
        if subject is None or subject.column is None:
            return seen[-1] if seen else ""
        if subject.references is None:
            return f"{dataset}.{subject.column}"
        if subject.references in seen:
            raise SchemaError(
                "subject references run in a circle", where=dataset, fix="let one data set be the root"
            )
        seen.append(subject.references)
        here = dataset
        dataset, _, column = subject.references.partition(".")
        if dataset not in policy.datasets:
            raise SchemaError(
                f"the subject refers to {subject.references}, and the policy has no data set {dataset}",
                where=f"data set {here}",
                expected=f"one of {', '.join(policy.datasets)}",
            )
        target = policy.datasets[dataset].subject
        if target is None or target.column != column:
            return subject.references


def _dataset(policy: Policy, name: str) -> Dataset:
    if name not in policy.datasets:
        known = ", ".join(policy.datasets)
        raise SchemaError(f"the policy {policy.name} has no data set {name}", expected=f"one of {known}")
    return policy.datasets[name]


def mismatches(data: Dataset, schema: pa.Schema, *, previous: dict[str, str] | None = None) -> list[Mismatch]:
    """Everything in which a source's schema differs from what the policy says of it, in the policy's order."""
    doubled = sorted({name for name in schema.names if schema.names.count(name) > 1})
    problems = [Mismatch(None, f"the source has more than one column named {name}") for name in doubled]
    problems += [
        Mismatch(
            None, f"the source's column {name} begins with `{RESERVED}`, which is kept for staged tables"
        )
        for name in schema.names
        if name.startswith(RESERVED)
    ]
    for name, column in data.columns.items():
        if name not in schema.names:
            problems.append(Mismatch(name, f"column {name} is not in the source"))
        elif name not in doubled:
            message = _type_problem(name, column, schema.field(name).type, (previous or {}).get(name))
            problems += [Mismatch(name, message)] if message else []
    unnamed = [name for name in schema.names if name not in data.columns]
    if unnamed and data.on_new_column == "fail":
        problems.append(
            Mismatch(None, f"the source has columns that the policy does not name: {', '.join(unnamed)}")
        )
    return problems


def _unnamed_reads(data: Dataset) -> list[Mismatch]:
    """What is read must be named, so that someone decided what it is; `check` tells line and column."""
    subject = data.subject.column if data.subject else None
    readers = [(column.transform.word, column.transform.inputs(subject)) for column in data.columns.values()]
    readers += [(row.word, row.inputs(subject)) for row in (data.where, data.sample) if row is not None]
    readers += [("subject", (subject,))] if subject else []
    return [
        Mismatch(None, f"`{word}` reads {name}, which the policy does not name")
        for word, names in readers
        for name in names
        if name not in data.columns
    ]


def _type_problem(name: str, column: Column, delivered: pa.DataType, previous: str | None) -> str:
    declared = column.arrow_type
    if declared is not None and not same_type(declared, delivered):
        return f"column {name} is {delivered}, the policy declares {column.type}"
    if previous is not None and declared is None and previous != str(delivered):
        return f"column {name} is {delivered}, at the last release it was {previous}"
    if not column.transform.accepts(delivered):
        return f"column {name} is {delivered}, which `{column.transform.word}` cannot take"
    return ""


def _planned(column: Column, field: pa.Field, dataset: str, subject: str | None, root: str) -> PlannedColumn:
    transform = column.transform
    return PlannedColumn(
        name=field.name,
        column_class=column.column_class.value,
        category=column.category,
        transform=transform,
        source_type=field.type,
        output_type=transform.output_type(field.type),
        inputs=transform.inputs(subject),
        key_domain=transform.key_domain(column=f"{dataset}.{field.name}", subject=root),
        unsafe_reason=column.unsafe_reason,
    )


def _with_version(column: PlannedColumn, version: int) -> PlannedColumn:
    return column if column.key_domain is None else replace(column, key_version=version)
