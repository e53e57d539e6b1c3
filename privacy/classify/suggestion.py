"""What is suggested for a column, and how what speaks for a kind is weighed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_veil.privacy.classify.evidence import Evidence
from airflow_veil.privacy.classify.fit import fit
from airflow_veil.privacy.classify.kind import FOUND, KINDS, NOTHING, Kind
from airflow_veil.privacy.classify.name_evidence import WEAKLY, name_evidence
from airflow_veil.privacy.classify.tally import Tally
from airflow_veil.privacy.classify.value_evidence import value_evidence
from airflow_veil.privacy.policy.models import ColumnClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a column seems to be: names, classes and shares, never a value.

    Attributes:
        column: The column.
        kind: The kind of personal data; `none` where no kind is likely.
        column_class: The class that a policy should give it.
        category: The data category, by the Fides taxonomy; None for none.
        confidence: How sure that is, 0 to 1. For `none`: one less that of the likeliest kind.
        evidence: What speaks for it, or, for `none`, for the likeliest kind.
        values: How many values were looked at, nulls not counted; 0 means that only the name is known.
        different: How many of them differ, as a share, in tenths.
    """

    column: str
    kind: str
    column_class: ColumnClass
    category: str | None
    confidence: float
    evidence: tuple[Evidence, ...]
    values: int
    different: float

    @property
    def is_personal(self) -> bool:
        """Whether it is personal data of some kind."""
        return self.kind != NOTHING

    def as_dict(self) -> dict[str, Any]:
        """The suggestion as plain data."""
        return {
            "column": self.column,
            "kind": self.kind,
            "class": self.column_class.value,
            "category": self.category,
            "confidence": self.confidence,
            "evidence": [item.as_dict() for item in self.evidence],
            "values": self.values,
            "different": self.different,
        }


@dataclass(frozen=True, slots=True)
class _Weighed:
    kind: Kind
    confidence: float
    evidence: tuple[Evidence, ...]


_OF_PEOPLE = frozenset(
    {"first_name", "last_name", "birth_date", "gender", "age", "us_ssn", "national_id", "marital_status"}
)
"""Kinds that only tables of people have."""
_SURE = 0.9
_WEAK_AMONG_PEOPLE = 1.5
"""How much more a weak word in a name says in such a table: `name` is then hardly a product's."""


def suggest(tallies: Mapping[str, Tally]) -> tuple[Suggestion, ...]:
    """Weigh the names and the values of the columns of a table.

    For each kind the two are taken for independent witnesses: the name errs in 1 - n of all cases, the values in 1 - v,
    and the column is not of the kind only if both err. So

        confidence = 1 - (1 - n) (1 - v)
        n = reliability of names of the kind x how much the name says so x how well the values go with it
        v = reliability of the look of the kind x how much of the way its share of values is from `low` to `high`

    The likeliest kind is suggested if its confidence is at least one half. What values say against a name lowers n
    to 0: a column `email` without an e-mail address in it is none. In a table that surely holds people, words that say
    little in a name (`name`, `title`, `id`) say half as much again.
    """
    first = [_suggested(name, tally, _weigh(name, tally, people=False)) for name, tally in tallies.items()]
    if not any(item.kind in _OF_PEOPLE and item.confidence >= _SURE for item in first):
        return tuple(first)
    return tuple(_suggested(name, tally, _weigh(name, tally, people=True)) for name, tally in tallies.items())


def _suggested(column: str, tally: Tally, weighed: list[_Weighed]) -> Suggestion:
    best = max(weighed, key=lambda item: item.confidence, default=None)
    found = best is not None and best.confidence >= FOUND
    confidence = best.confidence if best is not None else 0.0
    return Suggestion(
        column=column,
        kind=best.kind.name if best is not None and found else NOTHING,
        column_class=best.kind.column_class if best is not None and found else ColumnClass.NONE,
        category=best.kind.category if best is not None and found else None,
        confidence=round(min(confidence, 0.99) if found else 1 - confidence, 2),
        evidence=best.evidence if best is not None else (),
        values=tally.valid,
        different=round(tally.uniqueness, 1),
    )


def _weigh(column: str, tally: Tally, *, people: bool) -> list[_Weighed]:
    names, values = name_evidence(column), value_evidence(tally)
    if people:
        names = {kind: said * _WEAK_AMONG_PEOPLE if said <= WEAKLY else said for kind, said in names.items()}
    return [
        _weigh_one(KINDS[kind], names.get(kind, 0.0) * fit(kind, tally, values), values.get(kind))
        for kind in KINDS
        if kind in names or kind in values
    ]


def _weigh_one(kind: Kind, name: float, value: Evidence | None) -> _Weighed:
    steps = 0.0 if value is None else min(1.0, max(0.0, (value.share - kind.low) / (kind.high - kind.low)))
    confidence = 1 - (1 - kind.by_name * name) * (1 - kind.by_value * steps)
    evidence = []
    if name > 0:
        evidence.append(Evidence("name", kind.name, round(name, 2)))
    if value is not None and steps > 0:
        evidence.append(replace(value, share=round(value.share, 2)))
    return _Weighed(kind, confidence, tuple(evidence))
