"""What the ledger has of an erasure: the request, the batch that it is done in, and the batch's steps.

    WAITING ──batch──► ERASING ──► COMPLETE
       ▲                  ├──────► INCOMPLETE ──a later batch──► ERASING
       ├──abandoned───────┤
       └─a hold is lifted─┴─ HELD

A request may be CANCELLED before anything is erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

VERIFY = "verify"
"""The step that only looks: all others have to be done before the result of it is taken."""
REST = timedelta(days=1)
"""How long a request that ended incomplete is left alone, so that what waits for requests does not spin."""


class RequestState(StrEnum):
    """Where a request is."""

    WAITING = "waiting"
    """For the next batch."""
    ERASING = "erasing"
    """In the batch that is open."""
    HELD = "held"
    """Erased but for rows that a hold keeps; it waits again once a hold of the policy is lifted."""
    INCOMPLETE = "incomplete"
    """Not shown to be gone everywhere; a later batch tries again."""
    COMPLETE = "complete"
    """Erased, and shown to be gone."""
    CANCELLED = "cancelled"
    """Taken back before anything was erased."""


ENDED = (RequestState.COMPLETE, RequestState.CANCELLED)
"""The states that a request stays in; in all others it is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """That one person asks to be erased.

    Attributes:
        request_id: Its name.
        policy: Name of the policy.
        state: Where it is.
        identifiers: By what it names the person: names of `data_set.column`, never their values.
        subject: A keyed hash of the names and values, 64 hex digits; repeated requests for one person have the same.
        key_version: The version of the key ring that `subject` and `sealed` were made with.
        sealed: The names and values, and what else was known of the person when a batch left something, sealed under
            the request's name; None once they are destroyed.
        requested_by: Who took it down.
        requested_at: When it was received, UTC: what the deadline is counted from.
        time_zone: Whose days its deadline is counted in.
        first_due_at: Until when it has to be done without extensions, UTC; pauses move it.
        due_at: Until when it has to be done, UTC; of a paused one as if the pause ended at once.
        paused_at: Since when its clock stands; None while it runs.
        paused_reason: Why.
        batch_id: The last batch that it was in; None where it is to come into one.
        outcome: What the last batch told of it, in counts; None before.
        finished_at: When it ended, UTC; None while it waits or is done.
    """

    request_id: str
    policy: str
    state: RequestState
    identifiers: tuple[str, ...]
    subject: str
    key_version: int
    sealed: bytes | None = field(repr=False)
    requested_by: str
    requested_at: datetime
    time_zone: str = "UTC"
    first_due_at: datetime
    due_at: datetime
    paused_at: datetime | None = None
    paused_reason: str | None = None
    batch_id: str | None = None
    outcome: Mapping[str, Any] | None = None
    finished_at: datetime | None = None

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"request {self.request_id} of {self.policy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Requests that are done together: one search, one rewrite.

    Attributes:
        batch_id: Its name.
        policy: Name of the policy.
        requests: The names of its requests; the place of each is its owner's number in the closure.
        sealed: All values that its people are known by, sealed under the batch's name; None before it is frozen and
            once it is concluded.
        key_version: The version of the key ring that they were sealed with.
        plan: What is to be done, in counts; None before it is frozen.
        begun_by: Who began it.
        begun_at: When, UTC.
        frozen_at: When closure, plan and steps were settled; None before. Nothing is erased before.
        verified: What was found when it was looked for what is left; None before.
        concluded_at: When it ended, UTC; None before.
        abandoned_at: When it was given up before it was frozen; None else.
    """

    batch_id: str
    policy: str
    requests: tuple[str, ...]
    sealed: bytes | None = field(repr=False)
    key_version: int | None
    plan: Mapping[str, Any] | None
    begun_by: str
    begun_at: datetime
    frozen_at: datetime | None
    verified: Mapping[str, Any] | None
    concluded_at: datetime | None
    abandoned_at: datetime | None

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"{self.batch_id} of {self.policy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a batch.

    Attributes:
        batch_id: The batch.
        ordinal: Its place, from 0.
        stage: Its stage, from 0; steps of one may be done side by side, once all of the stages before are done.
        name: Its name, such as `source orders`.
        begun_at: When it was first begun, UTC; None before.
        done_at: When it was done, UTC; None before.
        done: What was done, in counts; None before.
        actor: Who planned it, began it or did it last.
    """

    batch_id: str
    ordinal: int
    stage: int
    name: str
    begun_at: datetime | None = None
    done_at: datetime | None = None
    done: Mapping[str, Any] | None = None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a batch ended for one request.

    Attributes:
        state: COMPLETE, HELD or INCOMPLETE.
        facts: What became of the person's rows, in counts; it stands on the certificate.
        sealed: All that is known of a person of whom something is left, to take the place of the request's own
            `sealed`: once the root's row is gone, the rest could not be found again by what the request names. None
            to leave it as it is, and of COMPLETE ones.
    """

    state: RequestState
    facts: Mapping[str, Any]
    sealed: bytes | None = field(default=None, repr=False)
