"""`erasure` in a policy: what a person may be named by, and what becomes of each table that one is erased from."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, StringConstraints

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Period

Reason = Annotated[str, StringConstraints(min_length=10, max_length=1024)]
"""A reason that somebody else can follow; it stands on certificates, so it holds no personal data."""
Qualified = Annotated[str, StringConstraints(pattern=r"^[^.]+\.[^.]+$")]
"""data_set.column"""


class Mask(Described):
    """The row stays, for it is also somebody else's; some of its cells become null."""

    mask: Annotated[tuple[str, ...], Field(min_length=1)]
    """The columns whose cells become null."""


class Recompute(Described):
    """The rows cannot be told apart by person: the table is made anew from tables that are clean."""

    recompute: Reason
    """Who makes it anew, and how: the name of a DAG, a procedure."""


class Exempt(Described):
    """The rows stay, by law or because they tell of nobody."""

    exempt: Reason
    """Why they stay."""


Action: TypeAlias = Literal["delete"] | Mask | Recompute | Exempt
"""What becomes of a row that names an erased person."""


class Link(Described):
    """Another column that names a person, besides the subject."""

    to: Qualified
    """The data_set.column that it points to."""
    then: Annotated[Action, Field(union_mode="left_to_right")]
    """What becomes of the row: `delete`, `{mask: [columns]}`, `{recompute: how}` or `{exempt: reason}`."""


class DatasetErasure(Described):
    """What becomes of a data set when somebody in it is erased."""

    rows: Annotated[Action, Field(union_mode="left_to_right")]
    """What becomes of the subject's rows: `delete`, `{mask: [columns]}`, `{recompute: how}` or `{exempt: reason}`."""
    links: dict[str, Link] = Field(default_factory=dict)
    """Other columns that name people, and what becomes of rows that name an erased one."""


def of_dataset(value: Any) -> Any:
    """A bare action is what becomes of the subject's rows."""
    return value if isinstance(value, dict) and "rows" in value else {"rows": value}


RowsErasure = Annotated[DatasetErasure, BeforeValidator(of_dataset)]


class Erasure(Described):
    """How people in this product's tables are erased when they ask for it."""

    identifiers: Annotated[tuple[Qualified, ...], Field(min_length=1)]
    """What a request may name a person by: data_set.column."""
    within: Period = "P1M"
    """The time that a request may take, by the calendar: P1M from 31 January is 28 or 29 February."""
    warn: Period = "P7D"
    """How long before the deadline a warning is given."""
    time_zone: Annotated[str, StringConstraints(min_length=1)] = "UTC"
    """Whose days count for the deadline."""
    backups: Period | None = None
    """How long backups of the sources live; the certificate tells when the last one that holds the person ends."""
    answers: Exempt | None = None
    """Why answers to queries may stay; needed where the policy asks any."""
    approval: bool = False
    """Whether a person approves each plan in Airflow before anything is erased."""
