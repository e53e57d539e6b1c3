"""A classification against the policy, and against the one before: what a release must not go on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_veil.privacy.classify.suggestion import Suggestion
from airflow_veil.privacy.policy.models import Column, ColumnClass, Dataset

SURE = 0.7
"""The confidence from which on a release is stopped."""

Problem = Literal["declared none", "declared less", "drifted"]

_UNSPECIFIC = frozenset({"record_id", "event_date"})
"""Kinds of which a column alone says nothing of a person; what they are worth is told by the columns beside them."""
_OF_ANYBODY = frozenset(
    {
        "phone",
        "street",
        "city",
        "region",
        "country",
        "postal_code",
        "coordinates",
        "url",
        "organization",
        "income",
    }
) | {"bank_account", "health"}
"""Kinds that shops, hospitals and offices have as well as people."""
_UNREADABLE = frozenset({"drop", "null", "constant", "token", "fpe", "fake", "mask", "redact"})
"""Treatments that leave nothing to read, whatever the column is."""
_RANK = {
    ColumnClass.NONE: 0,
    ColumnClass.QUASI_IDENTIFIER: 1,
    ColumnClass.SENSITIVE: 1,
    ColumnClass.FREE_TEXT: 2,
    ColumnClass.DIRECT_IDENTIFIER: 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """A column that holds something else than it should.

    Attributes:
        dataset: The data set.
        problem: Whether the policy declares none, or less than was found, or the last release found something else.
        declared: The class that the policy gives the column.
        before: The kind that the last release found; None where that is not the problem.
        suggestion: What was found now.
    """

    dataset: str
    problem: Problem
    declared: ColumnClass
    suggestion: Suggestion
    before: str | None = None

    def __str__(self) -> str:
        found = self.suggestion
        what = f"{found.column} looks like {found.kind} ({found.confidence:.0%})"
        if self.problem == "drifted":
            return f"{what}, and was {self.before} at the last release"
        return f"{what}, a {found.column_class.value}, and is declared {self.declared.value}"

    def as_dict(self) -> dict[str, Any]:
        """The discrepancy as plain data: names, classes, whole percents."""
        return {
            "dataset": self.dataset,
            "column": self.suggestion.column,
            "problem": self.problem,
            "declared": self.declared.value,
            "before": self.before,
            "kind": self.suggestion.kind,
            "class": self.suggestion.column_class.value,
            "percent": round(100 * self.suggestion.confidence),
        }


Record = dict[str, dict[str, Any]]
"""A classification as a manifest keeps it: column to kind and whole percent."""


def recorded(suggestions: Sequence[Suggestion]) -> Record:
    """What a manifest keeps of a classification, to compare the next one with."""
    return {item.column: {"kind": item.kind, "percent": round(100 * item.confidence)} for item in suggestions}


def compare(
    dataset: str, data: Dataset, suggestions: Sequence[Suggestion], *, before: Mapping[str, Any] | None = None
) -> tuple[Discrepancy, ...]:
    """What is found in columns that the policy lets out, and should not be there.

    A column is passed over where its treatment leaves nothing to read, where it says in `unsafe_reason` why it may
    leave, and, in a table that the policy calls nobody's, where organizations have the same.

    Args:
        dataset: The data set's name.
        data: What the policy says of it.
        suggestions: What was found.
        before: The classification of the last release under this very policy, if there was one.
    """
    nobodys = data.subject is not None and data.subject.none is not None
    found: list[Discrepancy] = []
    for suggestion in suggestions:
        column = data.columns.get(suggestion.column)
        if column is not None and _counts(column, suggestion, nobodys=nobodys):
            found += _of_column(dataset, column, suggestion, before or {})
    return tuple(found)


def _counts(column: Column, suggestion: Suggestion, *, nobodys: bool) -> bool:
    """Whether what was found is sure, is a person's, and can be read in the release."""
    if suggestion.confidence < SURE or not suggestion.is_personal or suggestion.kind in _UNSPECIFIC:
        return False
    if column.unsafe_reason is not None or column.transform.word in _UNREADABLE:
        return False
    return not (nobodys and suggestion.kind in _OF_ANYBODY)


def _of_column(
    dataset: str, column: Column, suggestion: Suggestion, before: Mapping[str, Any]
) -> Iterator[Discrepancy]:
    declared, found = column.column_class, suggestion.column_class
    if declared is ColumnClass.NONE:
        yield Discrepancy(dataset=dataset, problem="declared none", declared=declared, suggestion=suggestion)
    elif _RANK[found] > _RANK[declared]:
        yield Discrepancy(dataset=dataset, problem="declared less", declared=declared, suggestion=suggestion)
    elif suggestion.column in before and (was := str(before[suggestion.column]["kind"])) != suggestion.kind:
        yield Discrepancy(
            dataset=dataset, problem="drifted", declared=declared, suggestion=suggestion, before=was
        )
