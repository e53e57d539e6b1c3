"""The erasures of a ledger: what was asked, until when it has to be done, what was done and how it ended.

A batch is a journal: a step is durable before it is done, so whatever is killed, retried or run twice goes on from
where the last one was. What names people is sealed before it comes here, and destroyed once they are erased.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from airflow_veil.privacy.ledger import erasure_batches, erasure_changes, erasure_requests, erasure_steps
from airflow_veil.privacy.ledger.database import reading, writing
from airflow_veil.privacy.ledger.erasure_record import (
    ENDED,
    REST,
    VERIFY,
    Batch,
    Outcome,
    Request,
    RequestState,
    Step,
)
from airflow_veil.privacy.ledger.record import utc_now

__all__ = ["ENDED", "REST", "VERIFY", "Batch", "Erasures", "Outcome", "Request", "RequestState", "Step"]

LARGEST_BATCH = 10_000


class Erasures:
    """The erasures of a ledger; `Ledger.erasures` gives it.

    Each method that changes something is one transaction with its evidence, and may be called again, by a retry or
    by two processes at once, with the same result. All raise `ErasureError` where there is no request or batch of
    the name that is given.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def request(
        self,
        policy: str,
        *,
        identifiers: Sequence[str],
        subject: str,
        key_version: int,
        sealed: bytes,
        request_id: str,
        due_at: datetime,
        actor: str,
        requested_at: datetime | None = None,
        time_zone: str = "UTC",
    ) -> Request:
        """Take a request down; use `privacy.erasure.requests.place`.

        Args:
            policy: Name of the policy.
            identifiers: Names of `data_set.column`, no values.
            subject: Keyed hash of names and values, 64 hex digits.
            key_version: What it and `sealed` were made with.
            sealed: Names and values, sealed.
            request_id: The name that they were sealed under.
            due_at: Until when it has to be done, aware.
            actor: Who takes it down.
            requested_at: When it was received, aware; now where not said.
            time_zone: Whose days deadlines are counted in.

        Returns:
            The request; the one that is open for the same person, where there is one.

        Raises:
            ErasureError: A time has no time zone.
        """
        request = Request(
            request_id=request_id,
            policy=policy,
            state=RequestState.WAITING,
            identifiers=tuple(identifiers),
            subject=subject,
            key_version=key_version,
            sealed=sealed,
            requested_by=actor,
            requested_at=requested_at or utc_now(),
            time_zone=time_zone,
            first_due_at=due_at,
            due_at=due_at,
        )
        return self.request_all([request])[0]

    def request_all(self, requests: Sequence[Request]) -> tuple[Request, ...]:
        """Take several requests down in one transaction, each as `request` does.

        Args:
            requests: What is asked: WAITING, with all that `request` is given.

        Raises:
            ErasureError: A time has no time zone; none is taken down.
        """
        with writing(self._engine) as connection:
            return tuple(erasure_requests.add(connection, request) for request in requests)

    def find(self, request_id: str) -> Request:
        """One request."""
        with reading(self._engine) as connection:
            return erasure_requests.find(connection, request_id)

    def of_subject(self, policy: str, subjects: Collection[str]) -> Request | None:
        """The open request of a person, by any of the keyed hashes that the versions of a key ring give."""
        with reading(self._engine) as connection:
            return erasure_requests.of_subject(connection, policy, subjects)

    def listed(
        self, policy: str | None = None, *, states: Collection[RequestState] | None = None
    ) -> tuple[Request, ...]:
        """Requests of a policy or all, in some states or any; what is due first comes first."""
        with reading(self._engine) as connection:
            return erasure_requests.listed(connection, policy, states)

    def waiting(self, policy: str, *, now: datetime | None = None) -> tuple[Request, ...]:
        """What the next batch takes: requests that wait, and those that ended incomplete more than a day ago.

        Paused ones are left out. What is due first comes first.
        """
        with reading(self._engine) as connection:
            return erasure_requests.waiting(connection, policy, now or utc_now())

    def extend(self, request_id: str, *, due_at: datetime, reason: str, actor: str) -> Request:
        """Set a later deadline.

        Raises:
            ErasureError: The request is through, the time is earlier or has no zone, or the reason is none.
        """
        with writing(self._engine) as connection:
            return erasure_changes.extend(connection, request_id, due_at, reason, actor)

    def pause(self, request_id: str, *, reason: str, actor: str) -> Request:
        """Stop the clock of a request, and leave it out of batches; one that is not frozen is abandoned for it.

        Raises:
            ErasureError: The request is through, its batch is frozen, or the reason is none.
        """
        with writing(self._engine) as connection:
            return erasure_changes.pause(connection, request_id, reason, actor)

    def resume(self, request_id: str, *, reason: str, actor: str) -> Request:
        """Let the clock run again; the deadline moves by as long as it stood.

        Raises:
            ErasureError: The request is through, or the reason is none.
        """
        with writing(self._engine) as connection:
            return erasure_changes.resume(connection, request_id, reason, actor)

    def cancel(self, request_id: str, *, reason: str, actor: str) -> Request:
        """Take a request back and destroy what names the person; a batch that is not frozen is abandoned for it.

        Raises:
            ErasureError: It was in a batch that was frozen, or the reason is none.
        """
        with writing(self._engine) as connection:
            return erasure_changes.cancel(connection, request_id, reason, actor)

    def begin(
        self, policy: str, *, actor: str, only: str | None = None, limit: int = LARGEST_BATCH
    ) -> Batch | None:
        """The policy's open batch, which a retry goes on with, or a new one over what waits.

        Args:
            policy: Name of the policy.
            actor: Who begins it.
            only: One request, also one that ended incomplete, however short ago; it does not choose among batches:
                look whether the one that is open has it.
            limit: The most requests of a new batch.

        Returns:
            The batch; its requests are being erased. None where nothing waits, or `only` is through.

        Raises:
            ErasureError: `only` is another policy's, cancelled, paused or kept by a hold.
        """
        with writing(self._engine) as connection:
            return erasure_batches.begin(connection, policy, actor=actor, only=only, limit=limit)

    def batch(self, batch_id: str) -> Batch:
        """One batch."""
        with reading(self._engine) as connection:
            return erasure_batches.find(connection, batch_id)

    def open(self, policy: str) -> Batch | None:
        """The policy's batch that is neither concluded nor abandoned; there is one at most."""
        with reading(self._engine) as connection:
            return erasure_batches.open_of(connection, policy)

    def freeze(
        self,
        batch_id: str,
        *,
        sealed: bytes,
        key_version: int,
        plan: Mapping[str, Any],
        stages: Sequence[Sequence[str]],
        actor: str,
    ) -> Batch:
        """Settle the closure, the plan and the steps of a batch, once; nothing is erased before.

        Args:
            batch_id: The batch.
            sealed: The closure, sealed under the batch's name.
            key_version: What it was sealed with.
            plan: What is to be done, in counts.
            stages: The names of the steps, each once: those of one stage may be done side by side, and wait for
                those of the stages before. None where nothing can be done, and the batch is only to be concluded.
            actor: Who does it.

        Returns:
            The batch as it is frozen: by this call, or by the one that came first.

        Raises:
            ErasureError: The batch was abandoned, as for a request that was taken back; or the steps are none.
            LedgerError: The plan is no plain JSON.
        """
        with writing(self._engine) as connection:
            return erasure_batches.freeze(
                connection,
                batch_id,
                sealed=sealed,
                key_version=key_version,
                plan=plan,
                stages=stages,
                actor=actor,
            )

    def steps(self, batch_id: str) -> tuple[Step, ...]:
        """The steps of a batch, in order; none before it is frozen."""
        with reading(self._engine) as connection:
            return erasure_steps.listed(connection, batch_id)

    def begin_step(self, batch_id: str, name: str, *, actor: str) -> Step:
        """Note that a step is begun, before it is.

        Returns:
            The step; if it was begun before, as it is: where `done_at` says so, there is nothing left to do.

        Raises:
            ErasureError: The batch has no such step, one of a stage before is not done, or the batch has ended.
        """
        with writing(self._engine) as connection:
            batch = erasure_batches.find(connection, batch_id)
            step = erasure_steps.find(connection, batch, name)
            if step.done_at is None:
                erasure_batches.refuse_ended(batch)
            return erasure_steps.begin(connection, batch, name, actor)

    def finish_step(self, batch_id: str, name: str, done: Mapping[str, Any], *, actor: str) -> Step:
        """Note that a step is done, and what was done, in counts.

        Returns:
            The step; if it was done before, with what was done then.

        Raises:
            ErasureError: The batch has no such step, it was not begun, or the batch has ended.
        """
        with writing(self._engine) as connection:
            batch = erasure_batches.find(connection, batch_id)
            step = erasure_steps.find(connection, batch, name)
            if step.done_at is None:
                erasure_batches.refuse_ended(batch)
            return erasure_steps.finish(connection, batch, name, done, actor)

    def verified(self, batch_id: str, result: Mapping[str, Any], *, actor: str) -> None:
        """Note what was found when it was looked for what is left; a later look takes its place.

        Raises:
            ErasureError: A step other than `verify` is not done, or the batch has ended otherwise.
        """
        with writing(self._engine) as connection:
            erasure_batches.verified(connection, batch_id, result, actor)

    def conclude(self, batch_id: str, outcomes: Mapping[str, Outcome], *, actor: str) -> None:
        """End a batch: its closure is destroyed, and what names people who are through.

        What is held, and would have been let go by a hold that was lifted since the batch began, waits again at
        once. The evidence has the states in counts, and the root of a Merkle tree over all outcomes.

        Args:
            batch_id: The batch; one that was concluded stays as it is.
            outcomes: For each of its requests how it ended.
            actor: Who does it.

        Raises:
            ErasureError: A request has no outcome, one is other than INCOMPLETE, and not every step is done or
                nobody has looked for what is left; or the batch was abandoned.
        """
        with writing(self._engine) as connection:
            erasure_batches.conclude(connection, batch_id, outcomes, actor)

    def abandon(self, batch_id: str, *, reason: str, actor: str) -> None:
        """Give up a batch that is not frozen; its requests wait again. One that was given up stays so.

        Raises:
            ErasureError: The batch is frozen or concluded, or the reason is none.
        """
        with writing(self._engine) as connection:
            erasure_batches.abandon(connection, batch_id, reason, actor)
