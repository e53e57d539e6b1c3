"""`anonymize` in a policy: what must hold of the classes of rows that leave, and how far values may be generalized."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from airflow_veil.privacy.anonymize.quality import Quality
from airflow_veil.privacy.described import Described


class Hierarchy(Described):
    """A generalization hierarchy as ARX writes it: `value;level 1;level 2;…` and no header."""

    file: Annotated[str, StringConstraints(min_length=1)]
    """The file; a relative name starts at the policy's folder. It has the values as they are after the treatment."""
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ";"
    """What stands between the levels."""


class Diversity(Described):
    """How many values of a sensitive column each class must have."""

    at_least: Annotated[float, Field(ge=1)]
    """How many."""
    by: Literal["distinct", "entropy"] = "distinct"
    """`distinct` values, or the exponential of their entropy, which sees that one is frequent."""


class Closeness(Described):
    """How far a class's distribution of a sensitive column may be from the whole table's."""

    at_most: Annotated[float, Field(ge=0, le=1)]
    """The distance, from 0 to 1."""
    ordered: bool = False
    """Whether distances go along the order of the values; else any two values are equally far."""


def _file(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


def _at_least(value: Any) -> Any:
    return {"at_least": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def _at_most(value: Any) -> Any:
    return {"at_most": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Anonymize(Described):
    """What every class of rows that leave must hold; the recoding that costs least is found, stored and used again."""

    k: Annotated[int, Field(ge=2)]
    """How many people each class must have; rows, where no column that leaves says whose they are."""
    quasi_identifiers: Annotated[dict[str, Annotated[Hierarchy, BeforeValidator(_file)]], Field(min_length=1)]
    """The columns that an attacker may know, and the file of each one's hierarchy. They leave as text."""
    l: dict[str, Annotated[Diversity, BeforeValidator(_at_least)]] = Field(default_factory=dict)  # noqa: E741 - the field's word
    """How many values each class must have of a sensitive column; a number alone counts distinct ones."""
    t: dict[str, Annotated[Closeness, BeforeValidator(_at_most)]] = Field(default_factory=dict)
    """How far each class may be from the whole table in a sensitive column; a number alone is of equal distance."""
    suppress_at_most: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of rows that may be left out because their class does not hold."""
    quality: Quality = "loss"
    """What a recoding costs; the one that costs least is taken."""
    local_suppression: bool = False
    """Whether single cells become `*` in place of whole rows, where that is enough."""
    refit: Literal["on_change", "always"] = "on_change"
    """When the levels are found anew: `on_change` of these words or of a hierarchy, or `always`, for each release."""
