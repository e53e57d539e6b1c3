"""The record of one release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_veil.privacy.errors import ReleaseError


class ReleaseState(StrEnum):
    """Where a release is in its life."""

    STAGED = "staged"
    """Begun, and not published yet."""
    CURRENT = "current"
    """The one to use."""
    SUPERSEDED = "superseded"
    """Replaced by a newer one; it can be made current again."""
    ROLLED_BACK = "rolled_back"
    """Found bad and replaced by an older one."""
    EXPIRED = "expired"
    """Past its time; its data is to be deleted."""
    DISCARDED = "discarded"
    """Never published."""


def utc_now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """One release of one data set.

    Attributes:
        release_id: Its name, unique in the ledger.
        policy: Name of the policy.
        dataset: Name of the data set.
        destination: Where it goes, as the policy names it; never with a password in it.
        run_key: What it is made for: one run or interval. One release exists for each.
        policy_digest: SHA-256 of the policy file, in hex.
        plan_digest: SHA-256 of the plan, in hex.
        interval_start: Start of the data interval, aware; None where there is none.
        interval_end: End of the data interval, aware; None where there is none.
        state: Where it is in its life.
        manifest: What was published, as JSON: names, types, counts and digests; None before.
        manifest_digest: SHA-256 of the manifest's canonical JSON, in hex.
        rows_out: How many rows were published.
        created_at: When it was begun, UTC.
        published_at: When it was published, UTC.
        published_seq: The evidence entry of its publication; releases are ordered by it, not by clocks.
        expires_at: When it may no longer be used, aware; None for never.
    """

    release_id: str
    policy: str
    dataset: str
    destination: str
    run_key: str
    policy_digest: str
    plan_digest: str
    interval_start: datetime | None = None
    interval_end: datetime | None = None
    state: ReleaseState = ReleaseState.STAGED
    manifest: Mapping[str, Any] | None = None
    manifest_digest: str | None = None
    rows_out: int | None = None
    created_at: datetime = field(default_factory=utc_now)
    published_at: datetime | None = None
    published_seq: int | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        for name, limit in (("release_id", 128), ("policy", 128), ("dataset", 128), ("run_key", 512)):
            if not 0 < len(getattr(self, name)) <= limit:
                raise ReleaseError(f"the {name} of a release has 1 to {limit} characters", where=self.where)
        for name in ("interval_start", "interval_end", "created_at", "published_at", "expires_at"):
            time = getattr(self, name)
            if time is not None and time.utcoffset() is None:
                raise ReleaseError(f"{name} has no time zone", where=self.where, fix="give an aware time")

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"release {self.release_id} of {self.policy}.{self.dataset}"

    @property
    def subject(self) -> str:
        """Its name in the evidence."""
        return f"{self.policy}/{self.dataset}/{self.release_id}"
