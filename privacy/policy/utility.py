"""`release.utility` in a policy: how what a release is still good for is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Name

SAME_VALUES = frozenset({"keep", "null", "constant", "noise", "date_shift"})
"""Treatments whose values are to be read as the source's are."""
NOT_MEASURED = frozenset({"direct_identifier", "free_text"})
"""Classes of columns that tell nothing by their distribution."""
DEFAULT_ROWS = 100_000
"""Rows of either side that utility is measured on where the policy does not say."""


class UtilityMeasure(Described):
    """How utility is measured where a release is assessed: on rows drawn of the source and of what is staged."""

    rows: Annotated[int, Field(ge=100, le=10_000_000)] = DEFAULT_ROWS
    """How many rows of either side at most; memory grows with it."""
    pairs: bool = True
    """Whether associations of pairs of columns are measured, of which there are many."""
    targets: dict[Name, str] = Field(default_factory=dict)
    """By data set the column that a model is to tell by the others; without one there is no score."""
