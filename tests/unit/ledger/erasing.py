"""Requests and batches for tests: what a run of erasure writes down, without the rows."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_veil.privacy.ledger.erasures import Batch, Erasures, Outcome, Request, RequestState

POLICY = "shop"
DUE = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
STAGES = (("suppress",), ("source orders",), ("source customers",), ("verify",))
STEPS = tuple(name for stage in STAGES for name in stage)
WHY = "ticket 4711 says so"
COMPLETE = Outcome(state=RequestState.COMPLETE, facts={"deleted": 3})
INCOMPLETE = Outcome(state=RequestState.INCOMPLETE, facts={"left": 1})
HELD = Outcome(state=RequestState.HELD, facts={"held": 1})


def asked(erasures: Erasures, person: str = "one", **facts: Any) -> Request:
    """A request for a person."""
    given = {
        "identifiers": ("customers.email",),
        "subject": hashlib.sha256(person.encode()).hexdigest(),
        "key_version": 1,
        "sealed": b"sealed-" + person.encode(),
        "request_id": f"erasure-{secrets.token_hex(8)}",
        "due_at": DUE,
        "actor": "test",
    }
    return erasures.request(facts.pop("policy", POLICY), **given | facts)


def frozen(erasures: Erasures, batch: Batch | None, stages: Sequence[Sequence[str]] = STAGES) -> Batch:
    """The batch, with its steps written down."""
    assert batch is not None
    return erasures.freeze(
        batch.batch_id, sealed=b"sealed-closure", key_version=1, plan={"rows": 3}, stages=stages, actor="test"
    )


def through(erasures: Erasures, batch: Batch) -> None:
    """Do all steps of a batch that is frozen, and look for what is left."""
    for step in erasures.steps(batch.batch_id):
        erasures.begin_step(batch.batch_id, step.name, actor="test")
        erasures.finish_step(batch.batch_id, step.name, {"rows": 1}, actor="test")
    erasures.verified(batch.batch_id, {"left": 0}, actor="test")


def ended(erasures: Erasures, outcome: Outcome, person: str = "one") -> Request:
    """A request that a batch of its own ended so."""
    request = asked(erasures, person)
    batch = frozen(erasures, erasures.begin(POLICY, actor="test", only=request.request_id))
    through(erasures, batch)
    erasures.conclude(batch.batch_id, {request.request_id: outcome}, actor="test")
    return erasures.find(request.request_id)


def in_days(days: int) -> datetime:
    """From now."""
    return datetime.now(UTC) + timedelta(days=days)
