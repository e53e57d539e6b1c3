"""The models that synthetic tables are drawn from: what each learned from, how it is sealed, what becomes of it.

```
begin ──► fitting ──keep──► fitted ──end──► stale      somebody was erased whose rows it may have learned
             │                 ├──────────► expired    its time is over, or that of the rows it learned from
             └──────end────────┴──────────► destroyed  by somebody, or another was faster
```

The bytes are kept elsewhere, sealed; here is their digest. A model is noted before a row is read for it, so that
whoever erases a person or deletes rows ends also those that are being fitted: what was ended is never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.ledger import charges, evidence
from airflow_veil.privacy.ledger.budget import Claim
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical
from airflow_veil.privacy.ledger.database import reading, writing
from airflow_veil.privacy.ledger.model_tables import synthetic_models
from airflow_veil.privacy.ledger.record import utc_now


class ModelState(StrEnum):
    """Where a model is in its life."""

    FITTING = "fitting"
    """Somebody fits it, or was killed while they did."""
    FITTED = "fitted"
    """Rows can be drawn from it."""
    STALE = "stale"
    """It may have learned of somebody who is erased: it is to be fitted anew."""
    EXPIRED = "expired"
    """Its time is over, or that of rows it learned from."""
    DESTROYED = "destroyed"
    """Given up."""


LIVE = (ModelState.FITTING, ModelState.FITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One model.

    Attributes:
        model_id: Its name; random, so that it tells nothing of what was learned.
        policy: Name of the policy.
        synthesis: Name of the tables that are made up together.
        specification: Digest of what they are made of and how, in hex.
        data_version: Digest of the fingerprints of the sources, in hex. Who knows it could test guesses: it stays here.
        interval_key: The interval that it was fitted for.
        method: The word of its method.
        learned_from: Data set to its name in lineage, `namespace` and `name`; none where no row was read.
        state: Where it is in its life.
        charge_id: What was charged for it, where it is differentially private.
        digest: SHA-256 of the sealed bytes, in hex; None before it is fitted.
        bytes: How many sealed bytes there are.
        key_version: The version of the key ring that they are sealed with.
        actor: Who fitted it.
        begun_at: When it was noted, UTC.
        fitted_at: When it was fitted, UTC.
        expires_at: When it may no longer be used, UTC.
        ended_at: When it ended, UTC.
        reason: Why it ended.
    """

    model_id: str
    policy: str
    synthesis: str
    specification: str
    data_version: str
    interval_key: str
    method: str
    learned_from: Mapping[str, Mapping[str, str]]
    state: ModelState = ModelState.FITTING
    charge_id: str | None = None
    digest: str | None = None
    bytes: int | None = None
    key_version: int | None = None
    actor: str
    begun_at: datetime
    fitted_at: datetime | None = None
    expires_at: datetime
    ended_at: datetime | None = None
    reason: str | None = None

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"model {self.model_id} of {self.policy}.{self.synthesis}"

    @property
    def subject(self) -> str:
        """Its name in the evidence."""
        return f"{self.policy}/{self.synthesis}/{self.model_id}"

    @property
    def private(self) -> bool:
        """Whether it is differentially private, and was paid for."""
        return self.charge_id is not None


class Models:
    """The models of a ledger; `Ledger.models` gives it. Each method is one transaction, with its evidence."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, record: ModelRecord) -> ModelRecord:
        """Note a model before a row is read for it.

        Returns:
            The one that is fitted for the same specification, data and interval, if there is one; else the record.
        """
        with writing(self._engine) as connection:
            there = _same(connection, record)
            if there:
                return there
            connection.execute(insert(synthetic_models), _row(record))
            told = {
                "method": record.method,
                "specification": record.specification,
                "interval_key": record.interval_key,
                "learned_from": sorted(record.learned_from),
            }
            _note(connection, "model.begun", record, told, record.actor)
            return record

    def keep(
        self, model_id: str, *, digest: str, size: int, key_version: int, claim: Claim | None = None
    ) -> ModelRecord:
        """Make a model that is fitted the one of its specification, data and interval.

        Args:
            model_id: The model.
            digest: SHA-256 of its sealed bytes, in hex; they are where they are kept already.
            size: How many there are.
            key_version: The version that they are sealed with.
            claim: What was drawn for it, where it is differentially private: the charge is then closed with it.

        Returns:
            The model; another's, if another was faster: use that one and remove the bytes of this.

        Raises:
            SyntheticError: It was ended meanwhile, by an erasure or by retention: it must not be used.
            BudgetError: Nothing was drawn for the claim.
        """
        with writing(self._engine) as connection:
            record = _find(connection, model_id)
            there = _same(connection, record)
            if there:
                if there.model_id != model_id and record.state is ModelState.FITTING:
                    _end(connection, record, ModelState.DESTROYED, "another was faster", record.actor)
                return there
            if record.state is not ModelState.FITTING:
                raise SyntheticError(
                    f"the model is {record.state}: it was ended while it was being fitted",
                    where=record.where,
                    fix="run again: it is then fitted to what the data set is now",
                )
            if claim is not None:
                told = {"model": model_id, "digest": digest}
                charges.store(connection, claim, canonical_json(told).encode())
            kept = replace(
                record,
                state=ModelState.FITTED,
                charge_id=claim.charge_id if claim else None,
                digest=digest,
                bytes=size,
                key_version=key_version,
                fitted_at=utc_now(),
            )
            _store(connection, kept)
            facts = {"digest": digest, "key_version": key_version, "charge": kept.charge_id}
            _note(connection, "model.fitted", kept, facts | {"method": kept.method}, kept.actor)
            return kept

    def end(self, model_id: str, state: ModelState, reason: str, *, actor: str) -> ModelRecord:
        """End a model: nothing can be drawn from it any more. Remove its bytes afterwards.

        Args:
            model_id: The model; one that has ended before stays as it is.
            state: Stale, expired or destroyed.
            reason: Why, for the evidence; no personal data.
            actor: Who ends it.

        Raises:
            SyntheticError: There is no such model.
        """
        with writing(self._engine) as connection:
            record = _find(connection, model_id)
            return record if record.state not in LIVE else _end(connection, record, state, reason, actor)

    def find(self, model_id: str) -> ModelRecord:
        """The model of that name.

        Raises:
            SyntheticError: There is none.
        """
        with reading(self._engine) as connection:
            return _find(connection, model_id)

    def same(self, record: ModelRecord) -> ModelRecord | None:
        """The model that is fitted for the same specification, data and interval, if there is one."""
        with reading(self._engine) as connection:
            return _same(connection, record)

    def listed(self, policy: str | None = None, synthesis: str | None = None) -> tuple[ModelRecord, ...]:
        """Models of a policy, of some tables or of all, the newest first."""
        row = synthetic_models.c
        wanted = {row.policy: policy, row.synthesis: synthesis}
        with reading(self._engine) as connection:
            return tuple(
                _select(connection, *(each == value for each, value in wanted.items() if value is not None))
            )

    def due(self, policy: str, now: datetime) -> tuple[ModelRecord, ...]:
        """Models of a policy that are past their time, and have not ended, be they fitted or not."""
        row = synthetic_models.c
        live = row.state.in_([state.value for state in LIVE])
        with reading(self._engine) as connection:
            return tuple(_select(connection, row.policy == policy, live, row.expires_at <= now))


def _same(connection: Connection, record: ModelRecord) -> ModelRecord | None:
    row = synthetic_models.c
    words = ("policy", "synthesis", "specification", "data_version", "interval_key")
    same = (row[word] == getattr(record, word) for word in words)
    found = _select(connection, row.state == ModelState.FITTED.value, *same)
    return found[0] if found else None


def _find(connection: Connection, model_id: str) -> ModelRecord:
    found = _select(connection, synthetic_models.c.model_id == model_id)
    if not found:
        raise SyntheticError(
            "there is no such model", where=f"model {model_id}", fix="look at `veil synthesizers list`"
        )
    return found[0]


def _end(
    connection: Connection, record: ModelRecord, state: ModelState, reason: str, actor: str
) -> ModelRecord:
    ended = replace(record, state=state, reason=reason, ended_at=utc_now())
    _store(connection, ended)
    told = {"was": record.state.value, "reason": reason, "digest": record.digest}
    _note(connection, f"model.{state.value}", ended, told, actor)
    return ended


def _note(
    connection: Connection, kind: str, record: ModelRecord, payload: Mapping[str, Any], actor: str
) -> None:
    evidence.append(connection, kind=kind, subject=record.subject, payload=payload, actor=actor)


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[ModelRecord]:
    newest_first = (synthetic_models.c.begun_at.desc(), synthetic_models.c.model_id)
    found = connection.execute(select(synthetic_models).where(*conditions).order_by(*newest_first))
    return [_from_row(dict(row)) for row in found.mappings()]


def _store(connection: Connection, record: ModelRecord) -> None:
    mine = synthetic_models.c.model_id == record.model_id
    connection.execute(update(synthetic_models).where(mine).values(_row(record)))


def _row(record: ModelRecord) -> dict[str, Any]:
    row = {item.name: getattr(record, item.name) for item in fields(record)}
    return row | {"state": record.state.value, "learned_from": canonical_json(record.learned_from)}


def _from_row(row: dict[str, Any]) -> ModelRecord:
    told = {"state": ModelState(row["state"]), "learned_from": read_canonical(row["learned_from"])}
    return ModelRecord(**row | told)
