"""Legal holds: which rows must stay although their time is over, why, and who said so.

Of a held subject the ledger has a keyed hash, never the value. A hold is never removed: it is lifted, with a reason.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from airflow_veil.privacy.errors import RetentionError
from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.database import reading, writing
from airflow_veil.privacy.ledger.erasure_requeue import requeue
from airflow_veil.privacy.ledger.reason import check_reason
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import hold_subjects, holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold.

    Attributes:
        hold_id: Its name.
        policy: Name of the policy.
        dataset: Name of the data set.
        domain: Whose population the subjects are of; None where all rows of the data set are held.
        key_version: The version of the key ring that they are hashed under.
        reason: Why.
        subjects: How many subjects; none where all rows are held.
        placed_by: Who placed it.
        placed_at: When, UTC.
        lifted_by: Who lifted it; None as long as it holds.
        lifted_at: When, UTC.
        lift_reason: Why.
    """

    hold_id: str
    policy: str
    dataset: str
    domain: str | None
    key_version: int | None
    reason: str
    subjects: int
    placed_by: str
    placed_at: datetime
    lifted_by: str | None
    lifted_at: datetime | None
    lift_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What of a data set is held at a moment; two that are equal keep the same rows.

    Attributes:
        everything: Whether all rows are.
        subjects: Domain, key version and hash of those who are.
    """

    everything: bool = False
    subjects: frozenset[tuple[str, int, str]] = frozenset()


class Holds:
    """The holds of a ledger; `Ledger.holds` gives it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def place(
        self,
        policy: str,
        dataset: str,
        *,
        reason: str,
        actor: str,
        hashes: Iterable[str] | None = None,
        domain: str | None = None,
        key_version: int | None = None,
    ) -> Hold:
        """Place a hold, with evidence: on some subjects by their keyed hashes, or on the whole data set.

        Raises:
            RetentionError: The reason is too short or too long, or there is no subject among those given.
        """
        subjects = None if hashes is None else sorted(set(hashes))
        check_reason(reason, where=f"{policy}.{dataset}", failure=RetentionError)
        if subjects is not None and not subjects:
            raise RetentionError("no subject is named", where=f"{policy}.{dataset}")
        row = {
            "hold_id": f"hold-{secrets.token_hex(8)}",
            "policy": policy,
            "dataset": dataset,
            "domain": None if subjects is None else domain,
            "key_version": None if subjects is None else key_version,
            "reason": reason,
            "placed_by": actor,
            "placed_at": utc_now(),
        }
        with writing(self._engine) as connection:
            connection.execute(insert(holds), row)
            if subjects is not None:
                rows = [{"hold_id": row["hold_id"], "subject": subject} for subject in subjects]
                connection.execute(insert(hold_subjects), rows)
            told = {"reason": reason, "subjects": None if subjects is None else len(subjects)}
            placed = _found(connection, str(row["hold_id"]))
            _note(connection, "hold.placed", placed, told, actor)
        return placed

    def lift(self, hold_id: str, *, reason: str, actor: str) -> Hold:
        """Lift a hold, with evidence; the next run of retention deletes what it kept. One lifted before stays so.

        Requests for erasure that holds of the policy kept wait again: one that another hold still keeps is held anew.

        Raises:
            RetentionError: There is no such hold, or the reason is too short or too long.
        """
        check_reason(reason, where=f"hold {hold_id}", failure=RetentionError)
        with writing(self._engine) as connection:
            found = _found(connection, hold_id)
            if found.lifted_at is not None:
                return found
            change = {"lifted_by": actor, "lifted_at": utc_now(), "lift_reason": reason}
            connection.execute(update(holds).where(holds.c.hold_id == hold_id).values(change))
            _note(connection, "hold.lifted", found, {"reason": reason}, actor)
            requeue(connection, found.policy, why=f"{hold_id} was lifted", actor=actor)
            return _found(connection, hold_id)

    def listed(self, policy: str | None = None, dataset: str | None = None) -> tuple[Hold, ...]:
        """Holds of a policy, of a data set or of all, the newest first; lifted ones, too."""
        wanted = {holds.c.policy: policy, holds.c.dataset: dataset}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with reading(self._engine) as connection:
            return tuple(_select(connection, *conditions))

    def held(self, policy: str, dataset: str) -> Held:
        """What is held now."""
        with reading(self._engine) as connection:
            return _held(connection, policy, dataset)

    @contextmanager
    def frozen(self, policy: str, dataset: str) -> Iterator[Held]:
        """What is held, and stays so within the block: nobody can place a hold as long as it runs, so it is short."""
        with writing(self._engine) as connection:
            yield _held(connection, policy, dataset)


def _held(connection: Connection, policy: str, dataset: str) -> Held:
    row = holds.c
    live = (row.policy == policy, row.dataset == dataset, row.lifted_at.is_(None))
    everything = connection.scalar(select(func.count()).where(*live, row.domain.is_(None)))
    found = connection.execute(
        select(row.domain, row.key_version, hold_subjects.c.subject)
        .join(hold_subjects, hold_subjects.c.hold_id == row.hold_id)
        .where(*live)
    )
    subjects = frozenset((str(domain), int(version), str(subject)) for domain, version, subject in found)
    return Held(everything=bool(everything), subjects=subjects)


def _found(connection: Connection, hold_id: str) -> Hold:
    found = _select(connection, holds.c.hold_id == hold_id)
    if not found:
        raise RetentionError(
            "there is no such hold", where=f"hold {hold_id}", fix="look at `veil holds list`"
        )
    return found[0]


def _select(connection: Connection, *conditions: Any) -> list[Hold]:
    count = (select(func.count()).where(hold_subjects.c.hold_id == holds.c.hold_id).scalar_subquery()).label(
        "subjects"
    )
    found = connection.execute(
        select(holds, count).where(*conditions).order_by(holds.c.placed_at.desc(), holds.c.hold_id)
    )
    return [Hold(**row) for row in found.mappings()]


def _note(connection: Connection, kind: str, hold: Hold, payload: Mapping[str, Any], actor: str) -> None:
    subject = f"{hold.policy}/{hold.dataset}/{hold.hold_id}"
    evidence.append(connection, kind=kind, subject=subject, payload=payload, actor=actor)
