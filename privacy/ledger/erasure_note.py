"""How erasures are told in the evidence: in names and counts, and by a digest where those are too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.ledger.evidence import Entry

_LARGEST = evidence.LARGEST_PAYLOAD // 2


def note(
    connection: Connection, kind: str, policy: str, thing: str, payload: Mapping[str, Any], actor: str
) -> Entry:
    """Add an entry of a request or a batch."""
    return evidence.append(
        connection, kind=f"erasure.{kind}", subject=f"{policy}/{thing}", payload=payload, actor=actor
    )


def short(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as evidence may hold them: as they are, or by the SHA-256 of their canonical JSON, which the ledger has.

    Raises:
        LedgerError: They are no plain JSON.
    """
    text = canonical_json(facts)
    return dict(facts) if len(text) <= _LARGEST else {"digest": sha256_of(text)}
