"""What holds do to requests for erasure: they keep what is left of them, and let it go."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.erasure_record import RequestState
from airflow_veil.privacy.ledger.tables import erasure_requests, holds


def requeue(connection: Connection, policy: str, *, why: str, actor: str) -> int:
    """Let what is held wait again, with evidence; returns how many requests."""
    row = erasure_requests.c
    held = (row.policy == policy, row.state == RequestState.HELD)
    count = connection.scalar(select(func.count()).select_from(erasure_requests).where(*held)) or 0
    if count:
        again = {"state": RequestState.WAITING, "finished_at": None, "batch_id": None}
        connection.execute(update(erasure_requests).where(*held).values(again))
        told = {"requests": count, "because": why}
        evidence.append(
            connection, kind="erasure.requeued", subject=f"{policy}/requests", payload=told, actor=actor
        )
    return count


def is_held(connection: Connection, policy: str) -> bool:
    """Whether any hold of a policy holds."""
    live = select(func.count()).where(holds.c.policy == policy, holds.c.lifted_at.is_(None))
    return bool(connection.scalar(live))
