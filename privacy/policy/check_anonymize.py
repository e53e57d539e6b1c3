"""Checks what `anonymize` means: columns that leave and are one thing, hierarchies that are there.

Each rule is a function, as in `check`; nothing here reads data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_veil.privacy.policy.anonymize import Anonymize
from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import ColumnClass, Dataset
from airflow_veil.privacy.policy.source_map import Path


@dataclass(frozen=True, slots=True)
class _Asked:
    """The anonymization of one data set, with its place in the file."""

    loaded: LoadedPolicy
    dataset: str
    data: Dataset
    words: Anonymize

    @property
    def leaving(self) -> dict[str, ColumnClass]:
        """The columns that leave, and what they are."""
        columns = self.data.columns.items()
        return {name: column.column_class for name, column in columns if column.transform.word != "drop"}

    @property
    def sensitive(self) -> Iterator[tuple[str, str]]:
        """The word and the column of each demand on a sensitive column."""
        yield from (("l", name) for name in self.words.l)
        yield from (("t", name) for name in self.words.t)

    def finding(self, place: Path, name: str, message: str, fix: str) -> Finding:
        return self.loaded.finding(
            ("datasets", self.dataset, "anonymize", *place), f"anonymize-{name}", message, fix
        )


def _asked(loaded: LoadedPolicy) -> Iterator[_Asked]:
    for dataset, data in loaded.policy.datasets.items():
        if data.anonymize is not None:
            yield _Asked(loaded, dataset, data, data.anonymize)


def _columns(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What is generalized, and what is told within classes, are columns that leave."""
    for each in _asked(loaded):
        named = [("quasi_identifiers", name) for name in each.words.quasi_identifiers]
        for word, name in [*named, *each.sensitive]:
            if name not in each.leaving:
                message = f"no column {name} of data set {each.dataset} leaves"
                yield each.finding((word, name), "column", message, nearest(name, each.leaving))


def _one_thing(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A column is not known to an attacker and secret at once, and whose a row is cannot be generalized."""
    for each in _asked(loaded):
        subject = each.data.subject.column if each.data.subject else None
        for word, name in each.sensitive:
            if name in each.words.quasi_identifiers:
                message = f"{name} is a quasi-identifier as well"
                yield each.finding((word, name), "both", message, "name it in one of the two places")
        if subject in each.words.quasi_identifiers:
            message = f"{subject} says whose a row is"
            yield each.finding(
                ("quasi_identifiers", str(subject)),
                "subject",
                message,
                "remove it here, and treat it with `token`",
            )


def _left_out(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Every quasi-identifier that leaves is in the classes: an attacker knows them all."""
    for each in _asked(loaded):
        subject = each.data.subject.column if each.data.subject else None
        for name, kind in each.leaving.items():
            known = kind is ColumnClass.QUASI_IDENTIFIER and name != subject
            if known and name not in each.words.quasi_identifiers:
                message = f"the quasi-identifier {name} leaves and is in no class"
                fix = f"add `{name}: <hierarchy file>`, or drop the column"
                yield each.finding(("quasi_identifiers",), "left-out", message, fix)


def _files(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The files of hierarchies are there."""
    folder = loaded.path.resolve().parent
    for each in _asked(loaded):
        for name, hierarchy in each.words.quasi_identifiers.items():
            if not (folder / hierarchy.file).is_file():
                message = f"there is no hierarchy {hierarchy.file}"
                fix = "name a file; a relative name starts at the policy's folder"
                yield each.finding(("quasi_identifiers", name), "hierarchy", message, fix)


def _released(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Without a column that leaves there is nothing to anonymize."""
    for each in _asked(loaded):
        if not each.data.releases_rows:
            message = f"no row of data set {each.dataset} is released"
            yield each.finding((), "nothing", message, "remove `anonymize`")


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _columns,
    _one_thing,
    _left_out,
    _files,
    _released,
)
