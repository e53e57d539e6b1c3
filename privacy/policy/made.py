"""The syntheses of a policy with their places and what they name, as the rules of `synthetic` look at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, Dataset
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.policy.synthetic import Synthesis, SyntheticColumn, SyntheticTable

SECTION = "synthetic"


@dataclass(frozen=True, slots=True)
class Made:
    """One synthesis.

    Attributes:
        loaded: The policy.
        name: The name that it is released under.
        synthesis: What the policy says of it.
    """

    loaded: LoadedPolicy
    name: str
    synthesis: Synthesis

    @property
    def method(self) -> str:
        """The word of its method."""
        return self.synthesis.method.word

    @property
    def learns(self) -> bool:
        """Whether rows are read."""
        return self.method != "faker"

    def finding(self, path: Path, rule: str, message: str, fix: str) -> Finding:
        """A finding at a place within the synthesis."""
        return self.loaded.finding((SECTION, "releases", self.name, *path), rule, message, fix)

    def tables(self) -> Iterator[MadeTable]:
        """Its tables."""
        for name, table in self.synthesis.tables.items():
            yield MadeTable(self, name, table, self.loaded.policy.datasets.get(name))

    @property
    def root(self) -> SyntheticTable:
        """The table that refers to no other; the first where references are mistaken."""
        tables = self.synthesis.tables.values()
        return next((table for table in tables if not refers(table)), next(iter(tables)))


@dataclass(frozen=True, slots=True)
class MadeTable:
    """One table of a synthesis.

    Attributes:
        made: The synthesis.
        name: Its name.
        table: What the policy says of it.
        data: The data set that it stands for; None where the policy has none of that name.
    """

    made: Made
    name: str
    table: SyntheticTable
    data: Dataset | None

    def finding(self, path: Path, rule: str, message: str, fix: str) -> Finding:
        """A finding at a place within the table."""
        return self.made.finding(("tables", self.name, *path), rule, message, fix)

    def columns(self) -> Iterator[tuple[str, SyntheticColumn, Column | None]]:
        """Its columns, each with what the data set says of it."""
        for name, column in self.table.columns.items():
            yield name, column, None if self.data is None else self.data.columns.get(name)

    def of(self, *words: str) -> tuple[str, ...]:
        """The names of its columns of some words."""
        return tuple(name for name, column in self.table.columns.items() if column.word in words)


def syntheses(loaded: LoadedPolicy) -> Iterator[Made]:
    """The syntheses of a policy; none where it has no such section."""
    synthetic = loaded.policy.synthetic
    for name, synthesis in (synthetic.releases if synthetic else {}).items():
        yield Made(loaded, name, synthesis)


def tables(loaded: LoadedPolicy) -> Iterator[MadeTable]:
    """The tables of all syntheses."""
    for made in syntheses(loaded):
        yield from made.tables()


def refers(table: SyntheticTable) -> bool:
    """Whether a table refers to another."""
    return any(column.reference is not None for column in table.columns.values())
