"""The batches of the ledger, in a transaction of the caller's: begun, frozen, verified, concluded.

One batch of a policy is open at a time, so that retries and workers that come at once do the same one.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from airflow_veil.privacy.audit.merkle import Tree, leaf_hash
from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger import erasure_requests as requests
from airflow_veil.privacy.ledger import erasure_steps as steps
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical, sha256_of
from airflow_veil.privacy.ledger.erasure_note import note, short
from airflow_veil.privacy.ledger.erasure_record import Batch, Outcome, Request, RequestState
from airflow_veil.privacy.ledger.erasure_requeue import is_held, requeue
from airflow_veil.privacy.ledger.reason import check_reason
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import (
    erasure_batch_requests,
    erasure_batches,
    erasure_requests,
    evidence,
)

_ROW = erasure_batches.c
_RESULTS = (RequestState.COMPLETE, RequestState.HELD, RequestState.INCOMPLETE)


def begin(connection: Connection, policy: str, *, actor: str, only: str | None, limit: int) -> Batch | None:
    """The open batch, or a new one: see `Erasures.begin`."""
    if (found := open_of(connection, policy)) is not None:
        return found
    if only is None:
        wanted = requests.waiting(connection, policy, utc_now(), limit)
    else:
        wanted = _asked_for(connection, policy, only)
    return _make(connection, policy, wanted, actor) if wanted else None


def _asked_for(connection: Connection, policy: str, request_id: str) -> tuple[Request, ...]:
    """One request by its name; none where it is through."""
    found = requests.find(connection, request_id)
    if found.policy != policy:
        raise ErasureError("the request is another policy's", where=found.where, expected=policy)
    if found.state is RequestState.COMPLETE:
        return ()
    if found.state is RequestState.CANCELLED or found.paused_at is not None:
        word = "cancelled" if found.state is RequestState.CANCELLED else "paused"
        raise ErasureError(f"the request is {word}", where=found.where, expected="one that waits")
    if found.state is RequestState.HELD and is_held(connection, policy):
        raise ErasureError(
            "a hold keeps what is left", where=found.where, fix="it waits again once the hold is lifted"
        )
    return (found,)


def _make(connection: Connection, policy: str, wanted: Sequence[Request], actor: str) -> Batch:
    batch_id, names = f"batch-{secrets.token_hex(8)}", [request.request_id for request in wanted]
    told = {"requests": len(names), "digest": sha256_of(canonical_json(names))}
    entry = note(connection, "begun", policy, batch_id, told, actor)
    row = {"batch_id": batch_id, "policy": policy, "begun_by": actor, "begun_at": utc_now()}
    connection.execute(insert(erasure_batches), row | {"begun_seq": entry.seq})
    members = [{"batch_id": batch_id, "number": number, "request_id": n} for number, n in enumerate(names)]
    connection.execute(insert(erasure_batch_requests), members)
    erasing = {"state": RequestState.ERASING, "batch_id": batch_id, "finished_at": None}
    _change_requests(connection, batch_id, erasing)
    return find(connection, batch_id)


def find(connection: Connection, batch_id: str) -> Batch:
    """One batch.

    Raises:
        ErasureError: There is none of that name.
    """
    found = connection.execute(select(erasure_batches).where(_ROW.batch_id == batch_id)).mappings().first()
    if found is None:
        raise ErasureError("there is no such batch", fix="look at `veil erase list`")
    members = erasure_batch_requests.c
    names = connection.scalars(
        select(members.request_id).where(members.batch_id == batch_id).order_by(members.number)
    )
    row = {name: value for name, value in found.items() if name != "begun_seq"}
    for word in ("plan", "verified"):
        row[word] = None if row[word] is None else read_canonical(row[word])
    return Batch(**row | {"requests": tuple(names)})


def open_of(connection: Connection, policy: str) -> Batch | None:
    """The batch of a policy that is neither concluded nor abandoned."""
    still_open = (_ROW.policy == policy, _ROW.concluded_at.is_(None), _ROW.abandoned_at.is_(None))
    batch_id = connection.scalar(select(_ROW.batch_id).where(*still_open))
    return None if batch_id is None else find(connection, batch_id)


def freeze(
    connection: Connection,
    batch_id: str,
    *,
    sealed: bytes,
    key_version: int,
    plan: Mapping[str, Any],
    stages: Sequence[Sequence[str]],
    actor: str,
) -> Batch:
    """Settle closure, plan and steps, once: see `Erasures.freeze`."""
    found = find(connection, batch_id)
    if found.frozen_at is not None:
        return found
    refuse_ended(found)
    steps.add(connection, found, stages, actor)
    told = {"requests": len(found.requests), "steps": sum(map(len, stages)), "plan": short(plan)}
    note(connection, "planned", found.policy, batch_id, told, actor)
    settled = {"sealed": sealed, "key_version": key_version, "plan": canonical_json(plan)}
    _change(connection, batch_id, **settled, frozen_at=utc_now())
    return find(connection, batch_id)


def verified(connection: Connection, batch_id: str, result: Mapping[str, Any], actor: str) -> None:
    """Note what is left: see `Erasures.verified`."""
    found = find(connection, batch_id)
    if found.concluded_at is not None and found.verified == result:
        return
    refuse_ended(found)
    _refuse_unfinished(connection, found)
    text = canonical_json(result)
    if found.verified is not None and canonical_json(found.verified) == text:
        return
    _change(connection, batch_id, verified=text)
    note(connection, "verified", found.policy, batch_id, short(result), actor)


def conclude(connection: Connection, batch_id: str, outcomes: Mapping[str, Outcome], actor: str) -> None:
    """End a batch: see `Erasures.conclude`."""
    found = find(connection, batch_id)
    if found.concluded_at is not None:
        return
    refuse_ended(found)
    _check_outcomes(connection, found, outcomes)
    now = utc_now()
    _end_requests(connection, outcomes, now)
    told = {**Counter(str(outcome.state) for outcome in outcomes.values()), "requests": len(outcomes)}
    root = outcomes_tree(found, outcomes).root().hex()
    note(connection, "concluded", found.policy, batch_id, told | {"outcomes": root}, actor)
    _change(connection, batch_id, sealed=None, concluded_at=now)
    _requeue_what_was_let_go(connection, found, actor)


def outcome_leaf(request_id: str, state: str, facts: Mapping[str, Any]) -> bytes:
    """What of a request's outcome is covered by its batch's evidence: canonical JSON."""
    return canonical_json({"request": request_id, "outcome": state, "facts": facts}).encode()


def outcomes_tree(batch: Batch, outcomes: Mapping[str, Outcome]) -> Tree:
    """The Merkle tree over a batch's outcomes, in the order of its requests; its root stands in the evidence."""
    told = ((name, outcomes[name]) for name in batch.requests)
    return Tree(leaf_hash(outcome_leaf(name, each.state, each.facts)) for name, each in told)


def abandon(connection: Connection, batch_id: str, reason: str, actor: str) -> Batch:
    """Give a batch up before it is frozen; its requests wait again."""
    found = find(connection, batch_id)
    check_reason(reason, where=found.where, failure=ErasureError)
    if found.abandoned_at is not None:
        return found
    if found.frozen_at is not None or found.concluded_at is not None:
        raise ErasureError(
            "the batch is frozen, so something may be erased",
            where=found.where,
            fix="let it end: run it again",
        )
    again = {"state": RequestState.WAITING, "batch_id": None, "finished_at": None}
    _change_requests(connection, batch_id, again)
    _change(connection, batch_id, abandoned_at=utc_now())
    told = {"reason": reason, "requests": len(found.requests)}
    note(connection, "abandoned", found.policy, batch_id, told, actor)
    return find(connection, batch_id)


def refuse_ended(batch: Batch) -> None:
    """Refuse to go on with a batch that ended.

    Raises:
        ErasureError: It was concluded or abandoned.
    """
    if batch.concluded_at is not None or batch.abandoned_at is not None:
        word = "concluded" if batch.concluded_at is not None else "abandoned"
        raise ErasureError(f"the batch was {word}", where=batch.where, fix="begin anew")


def _refuse_unfinished(connection: Connection, batch: Batch) -> None:
    left = steps.unfinished(connection, batch.batch_id)
    if batch.frozen_at is None or left:
        raise ErasureError(
            f"{len(left)} steps are not done" if batch.frozen_at else "the batch is not frozen",
            where=batch.where,
            expected="every step that erases to be done before",
        )


def _check_outcomes(connection: Connection, batch: Batch, outcomes: Mapping[str, Outcome]) -> None:
    """Refuse outcomes that are not those of the batch, or better than what was done."""
    if set(outcomes) != set(batch.requests):
        message = f"{len(outcomes)} outcomes, and the batch has {len(batch.requests)} requests"
        raise ErasureError(message, where=batch.where, expected="one for each of its requests")
    states = {outcome.state for outcome in outcomes.values()}
    if not states <= set(_RESULTS):
        raise ErasureError("an outcome is none", where=batch.where, expected=", ".join(_RESULTS))
    if any(each.sealed is not None and each.state is RequestState.COMPLETE for each in outcomes.values()):
        raise ErasureError("what is known of a person who is through is kept", where=batch.where)
    if states <= {RequestState.INCOMPLETE}:
        return
    _refuse_unfinished(connection, batch)
    if batch.verified is None:
        raise ErasureError(
            "nobody has looked for what is left", where=batch.where, expected="`verified` before"
        )


def _end_requests(connection: Connection, outcomes: Mapping[str, Outcome], now: datetime) -> None:
    """Set the states of requests; what names people who are through is destroyed."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for name, outcome in outcomes.items():
        row: dict[str, Any] = {"state": outcome.state, "outcome": canonical_json(outcome.facts)}
        row["finished_at"] = now
        if outcome.state is RequestState.COMPLETE:
            row["sealed"] = None
        elif outcome.sealed is not None:
            row["sealed"] = outcome.sealed
        groups.setdefault(tuple(row), []).append(row | {"the_request": name})
    for columns, rows in groups.items():
        change = update(erasure_requests).where(erasure_requests.c.request_id == bindparam("the_request"))
        connection.execute(change.values({name: bindparam(name) for name in columns}), rows)


def _requeue_what_was_let_go(connection: Connection, batch: Batch, actor: str) -> None:
    """A hold that was lifted while the batch ran found nothing held yet: what it kept waits again."""
    row = evidence.c
    begun = select(_ROW.begun_seq).where(_ROW.batch_id == batch.batch_id).scalar_subquery()
    of_policy = row.subject.startswith(f"{batch.policy}/", autoescape=True)
    lifted = select(func.count()).where(row.seq > begun, row.kind == "hold.lifted", of_policy)
    if connection.scalar(lifted):
        requeue(connection, batch.policy, why="a hold was lifted meanwhile", actor=actor)


def _change_requests(connection: Connection, batch: str, values: Mapping[str, Any]) -> None:
    members = erasure_batch_requests.c
    those = select(members.request_id).where(members.batch_id == batch)
    connection.execute(
        update(erasure_requests).where(erasure_requests.c.request_id.in_(those)).values(dict(values))
    )


def _change(connection: Connection, batch_id: str, **values: Any) -> None:
    connection.execute(update(erasure_batches).where(_ROW.batch_id == batch_id).values(values))
