"""`release.gate` in a policy: when a release goes out by itself, when somebody must approve it, and when it may not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Period

Share = Annotated[float, Field(ge=0, le=1)]
"""A share or a probability, from 0 to 1."""


class Bounds(Described):
    """What figures of a release must keep to. No expressions: a word is a figure, its number the bound."""

    k: Annotated[int, Field(ge=1)] | None = None
    """The least number of people, or rows, who look alike by their quasi-identifiers (k-anonymity)."""
    distinct_l: Annotated[int, Field(ge=1)] | None = None
    """The least number of different values that a sensitive column has among those who look alike (l-diversity)."""
    prosecutor_max: Share | None = None
    """The highest risk of being found again by somebody who knows that the person is in the data."""
    average_max: Share | None = None
    """The average of that risk over all rows: the share that is found by who tries it with everybody."""
    unique_max: Share | None = None
    """The share of those who are alone with their quasi-identifiers."""
    t_max: Share | None = None
    """How far a sensitive column among those who look alike may be from the whole (t-closeness)."""
    kept_rows: Share | None = None
    """Utility: the least share of the source's rows that is still there."""
    budget_max: Share | None = None
    """The share that is spent of the policy's privacy budgets, of the one that is spent most."""

    def of(self) -> dict[str, float]:
        """The bounds that are set, by the word of the figure."""
        return {word: value for word in Bounds.model_fields if (value := getattr(self, word)) is not None}


class Jump(Described):
    """How much worse a figure may be than in the release before."""

    k: Annotated[int, Field(ge=0)] | None = None
    """By how many people classes may be smaller."""
    distinct_l: Annotated[int, Field(ge=0)] | None = None
    """By how many values a sensitive column may have fewer."""
    prosecutor_max: Share | None = None
    """By how much the highest risk may rise."""
    average_max: Share | None = None
    """By how much the average risk may rise."""
    unique_max: Share | None = None
    """By how much the share of unique people may rise."""
    t_max: Share | None = None
    """By how much t may rise."""
    kept_rows: Share | None = None
    """By how much the share of rows that are kept may fall."""
    budget_max: Share | None = None
    """By how much the share may rise that is spent of a budget."""

    def of(self) -> dict[str, float]:
        """The bounds that are set, by the word of the figure."""
        return {word: value for word in Jump.model_fields if (value := getattr(self, word)) is not None}


class Gate(Described):
    """What is looked at before a release is published. What cannot be looked at is denied."""

    deny: Bounds = Bounds()
    """Beyond these no release goes out, whoever says so."""
    approve: Bounds = Bounds()
    """Beyond these somebody has to approve the release."""
    jump: Jump = Jump()
    """Where a figure is worse by more than this than in the release before, somebody has to approve it, too."""
    people: Literal[1, 2] = 1
    """How many different people have to approve."""
    valid: Period = "P7D"
    """How long an approval holds: the release has to be published by then."""
    wait: Period = "P1D"
    """How long each person is waited for. No answer is no approval."""
