"""Answers: drawn once, kept for ever, given to whoever asks the same again."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from airflow_veil.privacy.ledger.budget import Claim, StoredAnswer
from airflow_veil.privacy.ledger.fault import permanent
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import dp_answers


def add(connection: Connection, claim: Claim, answer: bytes) -> StoredAnswer:
    """Keep an answer that is not there yet."""
    request = claim.request
    kept = StoredAnswer(
        answer_id=claim.answer_id,
        charge_id=claim.charge_id,
        query_digest=request.query_digest,
        data_version=request.data_version,
        interval_key=request.interval_key,
        again=request.again,
        answer=answer,
        answer_digest=_digest(answer),
        stored_at=utc_now(),
    )
    connection.execute(insert(dp_answers), asdict(kept))
    return kept


def find(connection: Connection, answer_id: str) -> StoredAnswer | None:
    """The answer of that id, if it is stored.

    Raises:
        LedgerError: It is not what was stored.
    """
    found = connection.execute(select(dp_answers).where(dp_answers.c.answer_id == answer_id))
    row = found.mappings().one_or_none()
    if row is None:
        return None
    kept = StoredAnswer(**{**row, "answer": bytes(row["answer"])})
    if kept.answer_digest != _digest(kept.answer):
        raise permanent(
            "the answer is not what was stored", where=f"answer {answer_id}", fix="compare with a backup"
        )
    return kept


def _digest(answer: bytes) -> str:
    return hashlib.sha256(answer).hexdigest()
