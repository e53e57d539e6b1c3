"""`retention` in a policy: how long rows of a data set are kept, and what is done when their time is over."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Name, Period


class Retention(Described):
    """How long rows are kept, counted from a time that stands in the row."""

    after: Period
    """How long, from the day of the row's time: P30D, P1M, P3Y. Calendar periods: P1M is not 30 days."""
    from_: Annotated[str, StringConstraints(min_length=1)] = Field(alias="from")
    """The column with the row's time: a date or a timestamp, or the hive partition of a day, a month or a year."""
    action: Literal["delete"] = "delete"
    """What becomes of rows whose time is over: they are deleted."""
    time_zone: Annotated[str, StringConstraints(min_length=1)] = "UTC"
    """Where days begin, and what times without a zone are in: a name of the IANA data base, such as Europe/Vienna."""
    grace: Period = "P0D"
    """How much longer rows stay, as a margin."""
    at_most: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The largest share of the rows that one run may delete unless somebody approves it."""
    after_releases: tuple[Name, ...] = ()
    """Data sets and queries that must have been released with the rows before these go."""
    backups_expire_after: Period | None = None
    """How long backups of the source are kept: certificates tell by it when rows are gone from these, too."""
    at_the_latest: Period | None = None
    """When rows go although a release is missing: a hard limit, counted as `after` is."""
