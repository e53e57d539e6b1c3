"""`retention` in a policy: how long rows of a data set are kept, and what is done when their time is over."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, SerializeAsAny, StringConstraints, Tag

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Name, Period
from airflow_veil.privacy.policy.treatment import Treatment
from airflow_veil.privacy.transforms.base import Transform


class AnonymizedColumns(Described):
    """Which cells of a row are treated, and how."""

    columns: Annotated[dict[str, SerializeAsAny[Treatment]], Field(min_length=1)]  # type: ignore[valid-type]
    """What becomes of the cells of each column: `null`, or another treatment that keeps the column's type."""

    @property
    def treatments(self) -> dict[str, Transform]:
        """Column to what becomes of its cells."""
        columns: dict[str, Any] = self.columns
        return {name: treatment.transform for name, treatment in columns.items()}


class Anonymize(Described):
    """The row stays, without the cells that tell whose it is."""

    anonymize: AnonymizedColumns
    """Which cells become what."""


class ArchivePlace(Described):
    """Where rows are kept when they have left their source."""

    to: Annotated[str, StringConstraints(min_length=1)]
    """A folder: file:///… or a path; a relative one starts at the data root, as those of sources do."""
    expires_after: Period | None = None
    """How long it keeps them, from the day that they were archived; for good where not said."""


class Archive(Described):
    """The row goes, when a copy of it lies in the archive."""

    archive: ArchivePlace
    """Where to, and for how long."""


def _word(value: Any) -> str | None:
    """Which of the actions a value is, so that only mistakes in that one are told."""
    if isinstance(value, dict):
        return next((word for word in ("anonymize", "archive") if word in value), None)
    words: dict[Any, str] = {Anonymize: "anonymize", Archive: "archive"}
    return words.get(type(value), "delete" if value == "delete" else None)


Action: TypeAlias = Annotated[
    Annotated[Literal["delete"], Tag("delete")]
    | Annotated[Anonymize, Tag("anonymize")]
    | Annotated[Archive, Tag("archive")],
    Discriminator(
        _word,
        custom_error_type="retention_action",
        custom_error_message="the action is `delete`, `{anonymize: {columns: …}}` or `{archive: {to: …}}`",
    ),
]
"""What becomes of a row whose time is over."""


class Retention(Described):
    """How long rows are kept, counted from a time that stands in the row."""

    after: Period
    """How long, from the day of the row's time: P30D, P1M, P3Y. Calendar periods: P1M is not 30 days."""
    from_: Annotated[str, StringConstraints(min_length=1)] = Field(alias="from")
    """The column with the row's time: a date or a timestamp, or the hive partition of a day, a month or a year."""
    action: Action = "delete"
    """What becomes of rows whose time is over: `delete`, `{anonymize: {columns: …}}` or `{archive: {to: …}}`."""
    time_zone: Annotated[str, StringConstraints(min_length=1)] = "UTC"
    """Where days begin, and what times without a zone are in: a name of the IANA data base, such as Europe/Vienna."""
    grace: Period = "P0D"
    """How much longer rows stay, as a margin."""
    at_most: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The largest share of the rows that one run may change unless somebody approves it."""
    after_releases: tuple[Name, ...] = ()
    """Data sets and queries that must have been released with the rows before these go."""
    backups_expire_after: Period | None = None
    """How long backups of the source are kept: certificates tell by it when rows are gone from these, too."""
    at_the_latest: Period | None = None
    """When rows go although a release is missing: a hard limit, counted as `after` is."""

    @property
    def treatments(self) -> dict[str, Transform]:
        """Column to what becomes of its cells; none where rows go."""
        return self.action.anonymize.treatments if isinstance(self.action, Anonymize) else {}

    @property
    def archive(self) -> ArchivePlace | None:
        """Where rows are copied before they go; None where they are not."""
        return self.action.archive if isinstance(self.action, Archive) else None
