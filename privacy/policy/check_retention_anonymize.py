"""Checks what `action: {anonymize: …}` means: rows stay, and are nobody's any more.

Each rule is a function, as in `check`; nothing here reads data. That a treatment keeps the very type of its column
shows when the source is met; here its family is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import ColumnClass, Dataset
from airflow_veil.privacy.policy.retention import Retention
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.transforms.base import Transform

_NAMING = (ColumnClass.DIRECT_IDENTIFIER, ColumnClass.FREE_TEXT)
"""Columns by whose cells a row may still name somebody."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """The anonymizing of one data set, with its place in the file."""

    loaded: LoadedPolicy
    dataset: str
    data: Dataset
    rule: Retention

    def finding(self, column: str | None, name: str, message: str, fix: str) -> Finding:
        place: Path = ("datasets", self.dataset, "retention", "action", "anonymize", "columns")
        return self.loaded.finding(
            place if column is None else (*place, column), f"anonymize-{name}", message, fix
        )

    @property
    def subject(self) -> str | None:
        """The column that names whose the rows are."""
        return self.data.subject.column if self.data.subject else None


def _rules(loaded: LoadedPolicy) -> Iterator[_Rule]:
    for dataset, data in loaded.policy.datasets.items():
        if data.retention is not None and data.retention.treatments:
            yield _Rule(loaded, dataset, data, data.retention)


def _columns(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What is treated is a column that the policy names, and not the one that tells the time of rows."""
    for each in _rules(loaded):
        for name in each.rule.treatments:
            if name not in each.data.columns:
                message = f"there is no column {name} among those that data set {each.dataset} names"
                yield each.finding(name, "column", message, nearest(name, set(each.data.columns)))
            elif name == each.rule.from_:
                message = f"by column {name} it is known which rows are over"
                yield each.finding(name, "from", message, "leave its cells as they are")


def _nobodys(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What names somebody is among the columns, and does so no more."""
    for each in _rules(loaded):
        treatments = each.rule.treatments
        naming = [name for name, column in each.data.columns.items() if column.column_class in _NAMING]
        for name in dict.fromkeys([each.subject, *naming]):
            if name is not None and name != each.rule.from_ and name not in treatments:
                message = f"the row would still name the person, by column {name}"
                yield each.finding(None, "named", message, f"add `{name}: null`, or delete the rows")
            elif name in treatments and _shows(treatments[name]):
                message = f"`{treatments[name].word}` leaves values of column {name} as they are"
                yield each.finding(name, "named", message, f"write `{name}: null`")


def _treatments(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What becomes of a cell needs no key and no other cell, keeps the type, and stays when it is treated again."""
    for each in _rules(loaded):
        for name, treatment in each.rule.treatments.items():
            if found := _unfit(each, name, treatment):
                yield found


def _unfit(each: _Rule, name: str, treatment: Transform) -> Finding | None:
    word, column = treatment.word, each.data.columns.get(name)
    if _is_pseudonym(treatment):
        message = f"`{word}` makes a pseudonym: whoever has the key can still tell whose the row is"
        return each.finding(name, "pseudonym", message, f"write `{name}: null`, or a treatment without a key")
    if treatment.inputs(each.subject):
        message = f"`{word}` needs other columns of the row, which are treated themselves"
        return each.finding(name, "inputs", message, f"write `{name}: null`")
    family = None if column is None else column.family
    if not treatment.settles or (family is not None and family not in treatment.settles & treatment.takes):
        kind = "its column" if column is None or column.type is None else f"a {column.type}"
        message = (
            f"`{word}`, as it is written, does not keep the type of {kind}, or changes it again when repeated"
        )
        return each.finding(name, "settles", message, _fix(word, name))
    return None


def _shows(treatment: Transform) -> bool:
    """Whether values stay that are not told of by another rule."""
    return bool(treatment.settles) and not treatment.properties.masks


def _is_pseudonym(treatment: Transform) -> bool:
    """Whether a key makes it; `keep` can be turned back, too, and hides nothing to begin with."""
    keyed = treatment.key_domain(column="data_set.column", subject="data_set.subject") is not None
    return keyed or (treatment.properties.reversible and treatment.word != "keep")


def _fix(word: str, name: str) -> str:
    """What to write instead."""
    advice = {
        "mask": "give the mask a `length` and let it keep nothing",
        "generalize": "dates and widths keep their type with `label: lower`, prefixes their end with `pad_with`",
        "constant": "write a value of the column's type",
    }
    return f"{advice[word]}, or write `{name}: null`" if word in advice else f"write `{name}: null`"


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (_columns, _nobodys, _treatments)
"""What `check` runs of this action."""
