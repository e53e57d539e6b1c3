"""The requests of the ledger, in a transaction of the caller's: taken down and looked up."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical
from airflow_veil.privacy.ledger.erasure_note import note
from airflow_veil.privacy.ledger.erasure_record import ENDED, REST, Request, RequestState
from airflow_veil.privacy.ledger.tables import erasure_requests

_ROW = erasure_requests.c


def add(connection: Connection, request: Request) -> Request:
    """Take a request down; where the same person's is open, or the name was taken down before, that one is returned."""
    for moment in (request.requested_at, request.due_at):
        check_aware(moment, where=request.where)
    before = of_subject(connection, request.policy, [request.subject])
    if before is not None:
        return before
    if same := select_all(connection, _ROW.request_id == request.request_id):
        return same[0]
    row = {
        column.name: getattr(request, column.name)
        for column in erasure_requests.columns
        if column.name not in ("identifiers", "outcome")
    }
    connection.execute(
        insert(erasure_requests), row | {"identifiers": canonical_json(list(request.identifiers))}
    )
    told = {
        "identifiers": list(request.identifiers),
        "requested_at": iso(request.requested_at),
        "due_at": iso(request.due_at),
    }
    note(connection, "requested", request.policy, request.request_id, told, request.requested_by)
    return find(connection, request.request_id)


def find(connection: Connection, request_id: str) -> Request:
    """One request.

    Raises:
        ErasureError: There is none of that name.
    """
    found = select_all(connection, _ROW.request_id == request_id)
    if not found:
        raise ErasureError("there is no such request", fix="look at `veil erase list`")
    return found[0]


def of_subject(connection: Connection, policy: str, subjects: Collection[str]) -> Request | None:
    """The open request of a person, by any of some keyed hashes."""
    same = (_ROW.policy == policy, _ROW.subject.in_(list(subjects)), _ROW.state.not_in(ENDED))
    return next(iter(select_all(connection, *same)), None)


def listed(
    connection: Connection, policy: str | None, states: Collection[RequestState] | None
) -> tuple[Request, ...]:
    """Requests of a policy or all, in some states or any; what is due first comes first."""
    conditions = [] if policy is None else [_ROW.policy == policy]
    if states is not None:
        conditions.append(_ROW.state.in_(list(states)))
    return select_all(connection, *conditions)


def waiting(
    connection: Connection, policy: str, now: datetime, limit: int | None = None
) -> tuple[Request, ...]:
    """What the next batch takes: see `Erasures.waiting`."""
    rested = and_(_ROW.state == RequestState.INCOMPLETE, _ROW.finished_at < now - REST)
    ready = or_(_ROW.state == RequestState.WAITING, rested)
    return select_all(connection, _ROW.policy == policy, _ROW.paused_at.is_(None), ready, limit=limit)


def check_aware(moment: datetime, *, where: str) -> None:
    """Refuse a time that says no zone.

    Raises:
        ErasureError: It has none.
    """
    if moment.utcoffset() is None:
        raise ErasureError("a time without a time zone", where=where, fix="give an aware time")


def select_all(connection: Connection, *conditions: Any, limit: int | None = None) -> tuple[Request, ...]:
    """Requests that conditions hold of; what is due first comes first."""
    order = (_ROW.due_at, _ROW.requested_at, _ROW.request_id)
    found = connection.execute(select(erasure_requests).where(*conditions).order_by(*order).limit(limit))
    return tuple(_from_row(dict(row)) for row in found.mappings())


def iso(moment: datetime) -> str:
    """A time as evidence has it."""
    return moment.isoformat(timespec="seconds")


def _from_row(row: dict[str, Any]) -> Request:
    names: Sequence[str] = json.loads(row["identifiers"])
    outcome = None if row["outcome"] is None else read_canonical(row["outcome"])
    state = RequestState(row["state"])
    return Request(**row | {"identifiers": tuple(names), "outcome": outcome, "state": state})
