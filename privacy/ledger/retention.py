"""What the ledger knows of retention: the runs, by which clock they deleted, and what they deleted, in counts.

A run is noted before its first row goes and once more when it is through; one that was killed in between stays
unfinished, and the next one does the rest under a number of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical
from airflow_veil.privacy.ledger.database import reading, writing
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import retention_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRun:
    """One run over one data set.

    Attributes:
        run_id: Its name.
        policy: Name of the policy.
        dataset: Name of the data set.
        cut_off: Rows from before were to go.
        at: What its clock said.
        planned: The plan in counts.
        done: What was deleted, in counts; None as long as it is not through.
        actor: Who ran it.
        approved_by: Who approved it, where that was needed.
        approval: Why.
        started_at: When it was noted, UTC.
        finished_at: When it was through, UTC.
    """

    run_id: str
    policy: str
    dataset: str
    cut_off: datetime
    at: datetime
    planned: Mapping[str, Any]
    done: Mapping[str, Any] | None = None
    actor: str
    approved_by: str | None = None
    approval: str | None = None
    started_at: datetime
    finished_at: datetime | None = None


class RetentionRuns:
    """The runs of a ledger; `Ledger.retention` gives it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(
        self,
        policy: str,
        dataset: str,
        *,
        cut_off: datetime,
        at: datetime,
        planned: Mapping[str, Any],
        actor: str,
        approved_by: str | None = None,
        approval: str | None = None,
    ) -> str:
        """Note a run before its first row goes, with evidence; returns its name."""
        row = {
            "run_id": secrets.token_hex(16),
            "policy": policy,
            "dataset": dataset,
            "cut_off": cut_off,
            "at": at,
            "planned": canonical_json(planned),
            "actor": actor,
            "approved_by": approved_by,
            "approval": approval,
            "started_at": utc_now(),
        }
        told = {"run": row["run_id"], "approved_by": approved_by, "approval": approval, **planned}
        with writing(self._engine) as connection:
            connection.execute(insert(retention_runs), row)
            _note(connection, "retention.planned", policy, dataset, told, actor)
            if planned.get("held"):
                held = {"run": row["run_id"], "held": planned["held"]}
                _note(connection, "retention.held", policy, dataset, held, actor)
        return str(row["run_id"])

    def finish(self, run_id: str, done: Mapping[str, Any]) -> None:
        """Note that a run is through, and what it deleted, with evidence."""
        row = retention_runs.c
        with writing(self._engine) as connection:
            found = connection.execute(select(retention_runs).where(row.run_id == run_id)).mappings().one()
            connection.execute(
                update(retention_runs)
                .where(row.run_id == run_id)
                .values(done=canonical_json(done), finished_at=utc_now())
            )
            told = {"run": run_id, **done}
            _note(connection, "retention.enforced", found["policy"], found["dataset"], told, found["actor"])

    def find(self, run_id: str) -> RetentionRun | None:
        """The run of that name, if there is one."""
        with reading(self._engine) as connection:
            wanted = select(retention_runs).where(retention_runs.c.run_id == run_id)
            found = connection.execute(wanted).mappings().one_or_none()
            return None if found is None else _from_row(dict(found))

    def last(self, policy: str, dataset: str) -> RetentionRun | None:
        """The run with the latest clock, be it through or not."""
        return next(iter(self.listed(policy, dataset)), None)

    def listed(self, policy: str | None = None, dataset: str | None = None) -> tuple[RetentionRun, ...]:
        """Runs of a policy, of a data set or of all, those with the latest clock first."""
        row = retention_runs.c
        wanted = {row.policy: policy, row.dataset: dataset}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with reading(self._engine) as connection:
            found = connection.execute(
                select(retention_runs).where(*conditions).order_by(row.at.desc(), row.started_at.desc())
            )
            return tuple(_from_row(dict(each)) for each in found.mappings())


def _note(
    connection: Connection, kind: str, policy: str, dataset: str, payload: Mapping[str, Any], actor: str
) -> None:
    evidence.append(connection, kind=kind, subject=f"{policy}/{dataset}", payload=payload, actor=actor)


def _from_row(row: dict[str, Any]) -> RetentionRun:
    done = None if row["done"] is None else read_canonical(row["done"])
    return RetentionRun(**row | {"planned": read_canonical(row["planned"]), "done": done})
