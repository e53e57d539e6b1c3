"""Checks what a policy means: every mistake that can be known before a row moves.

Each rule is one function that yields findings; `_RULES` runs them all, so that one run shows every mistake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from airflow_veil.privacy.errors import SchemaError, TransformError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.plan.bind import NOTHING_LEAVES, mismatches, subject_root
from airflow_veil.privacy.policy import (
    check_anonymize,
    check_classify,
    check_dp,
    check_erasure,
    check_gate,
    check_model_release,
    check_retention,
    check_retention_anonymize,
    check_synthetic,
)
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, ColumnClass, Dataset
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.transforms.where import Where

LOW_CARDINALITY = 1000
"""Below this many values a deterministic token falls to frequency analysis (Naveed, Kamara, Wright, CCS 2015)."""

_JOINING_WORDS = frozenset({"token", "fpe"})
"""Treatments whose output is meant to be joined on: one domain must be one treatment."""


@dataclass(frozen=True, slots=True)
class _Named:
    """One column of one data set, with its place in the file."""

    dataset: str
    data: Dataset
    name: str
    column: Column
    root: str

    @property
    def path(self) -> Path:
        return ("datasets", self.dataset, "columns", self.name)

    @property
    def qualified(self) -> str:
        return f"{self.dataset}.{self.name}"

    @property
    def key_domain(self) -> str | None:
        return self.column.transform.key_domain(column=self.qualified, subject=self.root)


def check(loaded: LoadedPolicy, schemas: Mapping[str, pa.Schema] | None = None) -> tuple[Finding, ...]:
    """Find every mistake in what a policy says.

    Args:
        loaded: A policy of the right form.
        schemas: Schemas of the sources by data set name, where they were read (`--against-source`).

    Returns:
        The findings in the order of the file; none if the policy is good.
    """
    findings = [*_in_itself(loaded), *check_dp.files(loaded)]
    for dataset, schema in (schemas or {}).items():
        findings += _against_source(loaded, dataset, schema)
    return tuple(sorted(findings, key=lambda finding: (finding.line, finding.column)))


@lru_cache(maxsize=64)
def _in_itself(loaded: LoadedPolicy) -> tuple[Finding, ...]:
    """What every rule finds, once for each loaded policy."""
    return tuple(finding for rule in _RULES for finding in rule(loaded))


def _columns(loaded: LoadedPolicy) -> Iterator[_Named]:
    for dataset, data in loaded.policy.datasets.items():
        root = _root(loaded, dataset)
        for name, column in data.columns.items():
            yield _Named(dataset, data, name, column, root)


def _root(loaded: LoadedPolicy, dataset: str) -> str:
    """The population of a data set; empty where `_subjects` reports why there is none."""
    try:
        return subject_root(loaded.policy, dataset)
    except SchemaError:
        return ""


def _kept_in_clear(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A direct identifier or free text must not leave with its values in it."""
    advice = {
        ColumnClass.DIRECT_IDENTIFIER: "treat it with `token`, `fpe`, `fake` or `drop`",
        ColumnClass.FREE_TEXT: "treat it with `redact` or `drop`",
    }
    for named in _columns(loaded):
        column = named.column
        if (
            column.column_class in advice
            and not column.transform.properties.masks
            and not column.unsafe_reason
        ):
            yield loaded.finding(
                (*named.path, "treat"),
                "kept-in-clear",
                f"a {column.column_class.value} leaves in clear under `{column.transform.word}`",
                f"{advice[column.column_class]}, or say why not in `unsafe_reason`",
            )


def _unneeded_reason(loaded: LoadedPolicy) -> Iterator[Finding]:
    """An excuse without a failing check hides the next mistake."""
    for named in _columns(loaded):
        clear = named.column.column_class in (ColumnClass.DIRECT_IDENTIFIER, ColumnClass.FREE_TEXT)
        # What a release will find in a column that it classifies is not known before.
        looked_at = check_classify.looks(loaded)
        needed = looked_at or (clear and not named.column.transform.properties.masks) or _is_guessable(named)
        if named.column.unsafe_reason and not needed:
            yield loaded.finding(
                (*named.path, "unsafe_reason"),
                "unneeded-unsafe-reason",
                "no check of this column needs to be passed over",
                "remove `unsafe_reason`",
            )


def _subjects(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Every table says whose its rows are, and references end at one population."""
    for name, data in loaded.policy.datasets.items():
        yield from _subject(loaded, name, data)


def _subject(loaded: LoadedPolicy, name: str, data: Dataset) -> Iterator[Finding]:
    place: Path = ("datasets", name)
    if data.subject is None:
        fix = "add `subject: <column>`, or `subject: {none: <why the rows are nobody's>}`"
        yield loaded.finding(
            place, "missing-subject", f"data set {name} does not say whose data a row is", fix
        )
        return
    place = (*place, "subject")
    if data.subject.column is not None and data.subject.column not in data.columns:
        message = f"the subject {data.subject.column} is not a column that the policy names"
        yield loaded.finding(place, "subject-column", message, "name it under `columns:` (it may be dropped)")
    if data.subject.references is not None:
        yield from _reference(loaded, name, data.subject.references, place)


def _reference(loaded: LoadedPolicy, name: str, reference: str, place: Path) -> Iterator[Finding]:
    dataset, _, column = reference.partition(".")
    target = loaded.policy.datasets.get(dataset)
    if target is None or column not in target.columns:
        message = f"the subject refers to {reference}, which the policy does not name"
        yield loaded.finding(place, "subject-reference", message, "refer to `data_set.column` of this policy")
        return
    try:
        subject_root(loaded.policy, name)
    except SchemaError:
        message = "the subject's references run in a circle"
        yield loaded.finding(place, "subject-circle", message, "let one data set be the root")


def _subject_joins(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A reference that leaves must be treated as what it refers to, or the tables no longer join."""
    for name, data in loaded.policy.datasets.items():
        if data.subject is None or data.subject.references is None or data.subject.column not in data.columns:
            continue
        dataset, _, column = data.subject.references.partition(".")
        target = loaded.policy.datasets.get(dataset)
        if target is None or column not in target.columns:
            continue
        here, there = data.columns[data.subject.column].transform, target.columns[column].transform
        leaves = "drop" not in (here.word, there.word)
        if leaves and here != there:
            yield loaded.finding(
                ("datasets", name, "columns", data.subject.column, "treat"),
                "joined-two-ways",
                f"{name}.{data.subject.column} is treated otherwise than {data.subject.references}: they do not join",
                "give both the same treatment and the same domain",
            )


def _domains(loaded: LoadedPolicy) -> Iterator[Finding]:
    """One key domain is one treatment: the same value must give the same token wherever the domain is named."""
    by_domain: dict[str, list[_Named]] = defaultdict(list)
    for named in _columns(loaded):
        if named.column.transform.word in _JOINING_WORDS and named.key_domain is not None:
            by_domain[named.key_domain].append(named)
    for domain, members in by_domain.items():
        first = members[0]
        for named in members[1:]:
            if named.column.transform != first.column.transform:
                yield loaded.finding(
                    (*named.path, "treat"),
                    "domain-joined-two-ways",
                    f"key domain {domain} is treated otherwise here than at {first.qualified}",
                    "use the same treatment and parameters, or another domain",
                )


def _is_guessable(named: _Named) -> bool:
    """Whether a deterministic keyed treatment stands on a column with few values."""
    column = named.column
    if column.transform.word not in _JOINING_WORDS or not column.transform.properties.deterministic:
        return False
    few = column.values is not None and len(column.values) < LOW_CARDINALITY
    return (
        few or column.column_class is ColumnClass.QUASI_IDENTIFIER or column.type in ("bool", "int8", "uint8")
    )


def _low_cardinality(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Deterministic tokens of few values are read off their frequencies."""
    for named in _columns(loaded):
        if _is_guessable(named) and not named.column.unsafe_reason:
            yield loaded.finding(
                (*named.path, "treat"),
                "low-cardinality",
                f"`{named.column.transform.word}` is deterministic, and a column with few values falls to"
                " frequency analysis",
                "use `generalize`, `mask`, `fake` or `drop`, or say why not in `unsafe_reason`",
            )


def _types(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A treatment must be able to take the declared type."""
    for named in _columns(loaded):
        declared = named.column.family
        if declared is not None and declared not in named.column.transform.takes:
            yield loaded.finding(
                (*named.path, "treat"),
                "type",
                f"`{named.column.transform.word}` cannot take a column of type {named.column.type}",
                "choose a treatment that takes it (`docs/transforms.md` lists them), or correct the type",
            )


def _needs_subject(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Treatments per person need to know the person."""
    for named in _columns(loaded):
        has_subject = named.data.subject is not None and named.data.subject.column is not None
        if named.column.transform.needs_subject and not has_subject:
            yield loaded.finding(
                (*named.path, "treat"),
                "needs-subject",
                f"`{named.column.transform.word}` works per person, and data set {named.dataset} names no subject",
                "name the subject column, or choose another treatment",
            )
    for name, data in loaded.policy.datasets.items():
        if data.sample is not None and (data.subject is None or data.subject.column is None):
            message = "`sample` draws subjects, and the data set names none"
            yield loaded.finding(
                ("datasets", name, "sample"), "needs-subject", message, "name the subject column"
            )


def _inputs(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Whatever a treatment reads must be named, so that someone decided what it is."""
    for named in _columns(loaded):
        subject = named.data.subject.column if named.data.subject else None
        for read in named.column.transform.inputs(subject):
            if read not in named.data.columns and read != subject:
                message = f"`{named.column.transform.word}` reads {read}, which the policy does not name"
                yield loaded.finding(
                    (*named.path, "treat"), "input", message, f"name {read} under `columns:`"
                )
    for name, data in loaded.policy.datasets.items():
        if data.where is not None:
            yield from _where(loaded, ("datasets", name, "where"), data, data.where)


def _where(loaded: LoadedPolicy, place: Path, data: Dataset, where: Where) -> Iterator[Finding]:
    """A comparison reads named columns, and compares them with values of their type where that is declared."""
    read = where.inputs(None)
    unnamed = [column for column in read if column not in data.columns]
    for column in unnamed:
        message = f"`where` reads {column}, which the policy does not name"
        yield loaded.finding(place, "input", message, f"name {column} under `columns:`")
    declared = {column: data.columns[column].arrow_type for column in read if column not in unnamed}
    types = {column: arrow_type for column, arrow_type in declared.items() if arrow_type is not None}
    if unnamed or len(types) < len(declared):
        return
    try:
        where.check_types(types)
    except TransformError as error:
        yield loaded.finding(
            place, "type", error.what, error.fix or "compare columns with values of their type"
        )


def _against_source(loaded: LoadedPolicy, dataset: str, schema: pa.Schema) -> Iterator[Finding]:
    """What the source has today against what the policy says of it."""
    data = loaded.policy.datasets[dataset]
    # Queries ask tables of which no row is released, and synthesizers learn from them.
    policy = loaded.policy
    idle = not data.releases_rows and policy.differential_privacy is None and policy.synthetic is None
    for mismatch in [*mismatches(data, schema), *([NOTHING_LEAVES] if idle else [])]:
        place: Path = ("datasets", dataset, "columns")
        yield loaded.finding(
            place if mismatch.column is None else (*place, mismatch.column),
            "source",
            mismatch.message,
            "bring the policy or the source in line",
        )


_RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _kept_in_clear,
    _unneeded_reason,
    _subjects,
    _subject_joins,
    _domains,
    _low_cardinality,
    _types,
    _needs_subject,
    _inputs,
    *check_dp.RULES,
    *check_retention.RULES,
    *check_retention_anonymize.RULES,
    *check_erasure.RULES,
    *check_gate.RULES,
    *check_anonymize.RULES,
    *check_classify.RULES,
    *check_synthetic.RULES,
    *check_model_release.RULES,
)
