"""`release.gate` in a policy: when a release goes out by itself, when somebody must approve it, and when it may not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Period

Share = Annotated[float, Field(ge=0, le=1)]
"""A share or a probability, from 0 to 1."""


class Figures(Described):
    """The figures of a release that a gate looks at. No expressions: a word is a figure, its number a limit."""

    k: Annotated[int, Field(ge=0)] | None = None
    """People, or rows, who look alike by their quasi-identifiers, in the smallest class (k-anonymity)."""
    distinct_l: Annotated[int, Field(ge=0)] | None = None
    """The fewest different values that a sensitive column has among those who look alike (l-diversity)."""
    prosecutor_max: Share | None = None
    """The highest risk of being found again by somebody who knows that the person is in the data."""
    average_max: Share | None = None
    """The average of that risk over all rows: the share that is found by who tries it with everybody."""
    unique_max: Share | None = None
    """The share of those who are alone with their quasi-identifiers."""
    t_max: Share | None = None
    """How far a sensitive column among those who look alike may be from the whole (t-closeness)."""
    kept_rows: Share | None = None
    """Utility: the share of the source's rows that is still there."""
    distance_max: Share | None = None
    """Utility: how far a column's distribution is from the source's, of the column that is farthest."""
    association_max: Share | None = None
    """Utility: how much the association of two columns changed, of the pair where it changed most."""
    loss_max: Share | None = None
    """Utility: the share of the source's values that a released one may be, of the column that lost most."""
    score_drop_max: Share | None = None
    """Utility: how much fewer rows a model gets right that learned from the release than one of the source."""
    budget_max: Share | None = None
    """The share that is spent of the policy's privacy budgets, of the one that is spent most."""

    def of(self) -> dict[str, float]:
        """The limits that are set, by the word of the figure."""
        return {word: value for word in Figures.model_fields if (value := getattr(self, word)) is not None}


class Bounds(Figures):
    """What figures of a release must keep to."""

    k: Annotated[int, Field(ge=1)] | None = None
    distinct_l: Annotated[int, Field(ge=1)] | None = None


class Jump(Figures):
    """How much worse a figure may be than in the release before: risk risen, people or rows fallen by so much."""


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
