"""What a synthesis is made of, compiled from the policy: tables, columns with their types, constraints, the method.

Everything a synthesizer knows before it sees a row is here, and nothing that was looked up in the data. Its digest says
which models belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.policy.differential_privacy import Spend
from airflow_veil.privacy.policy.models import Column, Policy
from airflow_veil.privacy.policy.synthetic import (
    Constraint,
    Inequality,
    Method,
    SyntheticColumn,
    SyntheticTable,
)
from airflow_veil.privacy.policy.types import TYPES

BATCH_ROWS = 50_000
"""How many rows are drawn at a time: what memory is needed does not grow with how many there are in all."""

_TYPES = {"key": "int64", "reference": "int64", "invented": "string", "categories": "string"}
"""Types by the word of a column; of categories, where the policy declares none."""


@dataclass(frozen=True, slots=True)
class ColumnSpecification:
    """One synthetic column.

    Attributes:
        name: Its name, in the source and in what is made.
        declared: What the policy says of it.
        type_name: Its type in what is made, as policies name it.
        values: The values of categories, in order; the declared other one is among them. Empty for other words.
    """

    name: str
    declared: SyntheticColumn
    type_name: str
    values: tuple[str | int | bool, ...] = ()

    @property
    def word(self) -> str:
        """The word of the policy."""
        return self.declared.word

    @property
    def learned(self) -> bool:
        """Whether a model learns it."""
        return self.declared.learned

    @property
    def nulls(self) -> bool:
        """Whether it can be empty."""
        return self.declared.nulls

    @property
    def type(self) -> pa.DataType:
        """Its Arrow type."""
        return TYPES[self.type_name].arrow

    @property
    def target(self) -> tuple[str, str]:
        """The table and the column that a reference is to.

        Raises:
            SyntheticError: It is no reference.
        """
        if self.declared.reference is None:
            raise SyntheticError(f"column {self.name} is no reference")
        table, _, column = self.declared.reference.to.partition(".")
        return table, column

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        said = self.declared.model_dump(mode="json", exclude_none=True)
        return {"name": self.name, "type": self.type_name, "values": list(self.values), "declared": said}


@dataclass(frozen=True, slots=True)
class TableSpecification:
    """One synthetic table.

    Attributes:
        name: Its name, which is that of the data set it stands for.
        columns: Its columns, in the order of the policy.
        constraints: What holds in every row.
        rows: How many rows the policy wants of it.
        whose: The table whose rows say whose these are, where they refer to a row of a person and not to the person.
    """

    name: str
    columns: tuple[ColumnSpecification, ...]
    constraints: tuple[Constraint, ...]
    rows: int | None
    whose: str | None = None

    def __getitem__(self, name: str) -> ColumnSpecification:
        """A column by its name."""
        return next(column for column in self.columns if column.name == name)

    def of(self, *words: str) -> tuple[ColumnSpecification, ...]:
        """The columns of some words."""
        return tuple(column for column in self.columns if column.word in words)

    @property
    def learned(self) -> tuple[ColumnSpecification, ...]:
        """The columns that a model learns."""
        return tuple(column for column in self.columns if column.learned)

    @property
    def key(self) -> str | None:
        """The name of its key."""
        return next((column.name for column in self.of("key")), None)

    @property
    def references(self) -> tuple[ColumnSpecification, ...]:
        """The columns by which it refers to other tables."""
        return self.of("reference")

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read of the source; all others are not looked at."""
        return tuple(column.name for column in self.columns if column.word != "invented")

    @property
    def schema(self) -> pa.Schema:
        """The schema of what is made."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])

    @property
    def training_schema(self) -> pa.Schema:
        """The schema of the rows that a model is fitted to."""
        return pa.schema([pa.field(name, self[name].type) for name in self.read])

    def as_dict(self) -> dict[str, Any]:
        """What a model depends on, as plain data: not how many rows are drawn from it."""
        return {
            "name": self.name,
            "columns": [column.as_dict() for column in self.columns],
            "constraints": [one.model_dump(mode="json", exclude_none=True) for one in self.constraints],
        }


@dataclass(frozen=True)
class Specification:
    """A synthesis.

    Attributes:
        name: The name that it is released under.
        method: How tables are made.
        tables: The tables by name, each after those that it refers to.
        fit_rows: How many rows of a table are read into memory at most.
        holdout: The share of people who are kept from the model.
        seed: Makes a run repeatable.
        spend: What a model costs, where the method is differentially private.
    """

    name: str
    method: Method
    tables: Mapping[str, TableSpecification]
    fit_rows: int
    holdout: float
    seed: int
    spend: Spend | None = None

    @property
    def word(self) -> str:
        """The word of the method."""
        return self.method.word

    @property
    def roots(self) -> tuple[TableSpecification, ...]:
        """The tables that refer to no other."""
        return tuple(table for table in self.tables.values() if not table.references)

    @property
    def only(self) -> TableSpecification:
        """The table, where there is one.

        Raises:
            SyntheticError: There are several.
        """
        if len(self.tables) != 1:
            raise SyntheticError(
                f"`{self.word}` makes one table", where=self.name, expected="one table", fix="use `hma`"
            )
        return next(iter(self.tables.values()))

    def children(self, table: str) -> Iterator[tuple[TableSpecification, ColumnSpecification]]:
        """The tables that refer to a table, and by which column."""
        for child in self.tables.values():
            for column in child.references:
                if column.target[0] == table:
                    yield child, column

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that a model of it depends on, in hex."""
        from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of

        return sha256_of(
            canonical_json({
                "method": self.method.model_dump(mode="json", exclude_none=True),
                "tables": [table.as_dict() for table in self.tables.values()],
                "fit_rows": self.fit_rows,
                "holdout": self.holdout,
                "seed": self.seed,
            })
        )  # fmt: skip


def compiled(policy: Policy, name: str) -> Specification:
    """The specification of a synthesis.

    Args:
        policy: A policy that checks.
        name: The name of the synthesis in it.

    Raises:
        SyntheticError: The policy has no such synthesis, or it does not check.
    """
    releases = policy.synthetic.releases if policy.synthetic else {}
    if name not in releases:
        raise SyntheticError(
            f"the policy makes up nothing of the name {name}",
            where=policy.name,
            expected=f"one of {', '.join(releases)}" if releases else "a section `synthetic`",
        )
    synthesis = releases[name]
    tables = {}
    for table in parents_first(synthesis.tables, where=name):
        if table not in policy.datasets:
            raise SyntheticError(f"there is no data set {table}", where=name)
        declared = policy.datasets[table].columns
        tables[table] = TableSpecification(
            name=table,
            columns=tuple(
                _column(table, column, said, declared.get(column))
                for column, said in synthesis.tables[table].columns.items()
            ),
            constraints=synthesis.tables[table].constraints,
            rows=synthesis.tables[table].rows,
            whose=owner_of(policy, table),
        )
    return Specification(
        name=name,
        method=synthesis.method,
        tables=tables,
        fit_rows=synthesis.fit_rows,
        holdout=synthesis.evaluate.holdout if synthesis.evaluate else 0.0,
        seed=synthesis.seed,
        spend=synthesis.spend,
    )


def owner_of(policy: Policy, table: str) -> str | None:
    """The data set that says whose the rows of another are: not by what these refer to, but by its own subject.

    Lines refer to orders, which say whose they are. Visits that refer to patients, the people, do so themselves.
    """
    subject = policy.datasets[table].subject
    if subject is None or subject.references is None:
        return None
    owner, _, column = subject.references.partition(".")
    further = policy.datasets[owner].subject if owner in policy.datasets else None
    return None if further is None or further.column in (None, column) else owner


def values_of(said: SyntheticColumn, declared: Column | None) -> tuple[str | int | bool, ...]:
    """The values of a column of categories; none where the policy does not list any."""
    if said.categories is None:
        return ()
    values = said.categories.values
    if values is None:
        values = declared.values if declared is not None else None
    listed = list(values or ())
    other = said.categories.other
    return tuple(dict.fromkeys(listed if other is None or not listed else [*listed, other]))


def type_name_of(said: SyntheticColumn, declared: Column | None) -> str | None:
    """The name of the type of a column in what is made; None where the policy does not say."""
    if not said.learned:
        return _TYPES[said.word]
    if declared is not None and declared.type is not None:
        return declared.type
    return _TYPES.get(said.word)


def _column(table: str, name: str, said: SyntheticColumn, declared: Column | None) -> ColumnSpecification:
    type_name = type_name_of(said, declared)
    if declared is None or type_name is None:
        raise SyntheticError(
            "the policy does not name the column with its type",
            where=f"{table}.{name}",
            fix="run `veil check`",
        )
    return ColumnSpecification(name, said, type_name, values_of(said, declared))


def parents_first(tables: Mapping[str, SyntheticTable], *, where: str) -> list[str]:
    """The names of tables, each after those that it refers to.

    Raises:
        SyntheticError: References run in a circle, or out of the synthesis.
    """
    waiting = {name: parents_of(table) for name, table in tables.items()}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, parents in waiting.items() if parents <= set(ordered)]
        if not ready:
            raise SyntheticError(
                "the references run in a circle, or to tables that are not made up with these", where=where
            )
        ordered += ready
        waiting = {name: parents for name, parents in waiting.items() if name not in ready}
    return ordered


def parents_of(table: SyntheticTable) -> set[str]:
    """The tables that a table refers to."""
    return {
        column.reference.to.partition(".")[0]
        for column in table.columns.values()
        if column.reference is not None
    }


def inequalities_of(constraints: Iterable[Constraint], *, where: str) -> list[Inequality]:
    """The inequalities among constraints, each after those that say how great its smaller column can be.

    Raises:
        SyntheticError: They run in a circle.
    """
    waiting = [one.inequality for one in constraints if one.inequality is not None]
    ordered: list[Inequality] = []
    while waiting:
        raised = {one.high for one in waiting}
        ready = [one for one in waiting if one.low not in raised]
        if not ready:
            raise SyntheticError("the inequalities run in a circle", where=where)
        ordered += ready
        waiting = [one for one in waiting if one not in ready]
    return ordered
