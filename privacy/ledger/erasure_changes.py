"""What becomes of an open request while it waits: extended, paused, resumed, taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger import erasure_batches as batches
from airflow_veil.privacy.ledger import erasure_requests as requests
from airflow_veil.privacy.ledger.erasure_note import note
from airflow_veil.privacy.ledger.erasure_record import ENDED, Request, RequestState
from airflow_veil.privacy.ledger.reason import check_reason
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import erasure_batch_requests, erasure_batches, erasure_requests


def extend(connection: Connection, request_id: str, due_at: datetime, reason: str, actor: str) -> Request:
    """Set a later deadline; the same one again changes nothing."""
    found = _open(connection, request_id)
    check_reason(reason, where=found.where, failure=ErasureError)
    requests.check_aware(due_at, where=found.where)
    if due_at == found.due_at:
        return found
    if due_at < found.due_at:
        raise ErasureError(
            "a deadline is not brought forward",
            where=found.where,
            expected=f"after {requests.iso(found.due_at)}",
        )
    _change(connection, request_id, due_at=due_at)
    told = {"reason": reason, "from": requests.iso(found.due_at), "due_at": requests.iso(due_at)}
    note(connection, "extended", found.policy, request_id, told, actor)
    return requests.find(connection, request_id)


def pause(connection: Connection, request_id: str, reason: str, actor: str) -> Request:
    """Stop the clock; one that stands already stays so, for the reason that it stopped for."""
    found = _open(connection, request_id)
    check_reason(reason, where=found.where, failure=ErasureError)
    if found.paused_at is not None:
        return found
    _take_out(connection, found, "paused", reason, actor)
    _change(connection, request_id, paused_at=utc_now(), paused_reason=reason)
    note(connection, "paused", found.policy, request_id, {"reason": reason}, actor)
    return requests.find(connection, request_id)


def resume(connection: Connection, request_id: str, reason: str, actor: str) -> Request:
    """Let the clock run again; the deadline moves by as long as it stood."""
    found = _open(connection, request_id)
    check_reason(reason, where=found.where, failure=ErasureError)
    if found.paused_at is None:
        return found
    # A clock that was put back meanwhile makes no deadline earlier.
    stood = max(utc_now(), found.paused_at) - found.paused_at
    due, first = found.due_at + stood, found.first_due_at + stood
    _change(connection, request_id, paused_at=None, paused_reason=None, due_at=due, first_due_at=first)
    note(
        connection,
        "resumed",
        found.policy,
        request_id,
        {"reason": reason, "due_at": requests.iso(due)},
        actor,
    )
    return requests.find(connection, request_id)


def cancel(connection: Connection, request_id: str, reason: str, actor: str) -> Request:
    """Take a request back, and destroy what names the person; only before anything was erased."""
    found = requests.find(connection, request_id)
    check_reason(reason, where=found.where, failure=ErasureError)
    if found.state is RequestState.CANCELLED:
        return found
    if found.state in ENDED or _was_frozen(connection, request_id):
        raise ErasureError(
            "the request can no longer be taken back: its batch was frozen, so something may be erased",
            where=found.where,
            fix="let it end",
        )
    _take_out(connection, found, "cancelled", reason, actor)
    _change(
        connection,
        request_id,
        state=RequestState.CANCELLED,
        finished_at=utc_now(),
        sealed=None,
        paused_at=None,
        paused_reason=None,
    )
    note(connection, "cancelled", found.policy, request_id, {"reason": reason}, actor)
    return requests.find(connection, request_id)


def _open(connection: Connection, request_id: str) -> Request:
    found = requests.find(connection, request_id)
    if found.state in ENDED:
        raise ErasureError(
            f"the request is {found.state}", where=found.where, expected="one that is not through"
        )
    return found


def _take_out(connection: Connection, request: Request, word: str, reason: str, actor: str) -> None:
    """Take a request out of its batch, which is given up for it: whoever resolves it must not freeze it any more."""
    if request.state is not RequestState.ERASING or request.batch_id is None:
        return
    if batches.find(connection, request.batch_id).frozen_at is not None:
        raise ErasureError(
            f"the request cannot be {word}: its batch is frozen, so something may be erased",
            where=request.where,
            fix="let the batch end",
        )
    batches.abandon(connection, request.batch_id, reason, actor)


def _was_frozen(connection: Connection, request_id: str) -> bool:
    """Whether a request was ever in a batch that was frozen."""
    of_batch = erasure_batch_requests.c.batch_id == erasure_batches.c.batch_id
    frozen = (
        select(func.count())
        .select_from(erasure_batches)
        .join(erasure_batch_requests, of_batch)
        .where(erasure_batch_requests.c.request_id == request_id, erasure_batches.c.frozen_at.is_not(None))
    )
    return bool(connection.scalar(frozen))


def _change(connection: Connection, request_id: str, **values: Any) -> None:
    connection.execute(
        update(erasure_requests).where(erasure_requests.c.request_id == request_id).values(values)
    )
