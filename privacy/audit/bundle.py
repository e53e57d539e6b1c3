"""Proof bundles: one entry, its inclusion proof and a signed checkpoint, checked by themselves without a ledger."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_veil.privacy.audit.checkpoint import SignedCheckpoint, read
from airflow_veil.privacy.audit.merkle import leaf_hash, verify_inclusion
from airflow_veil.privacy.audit.note import VerifierKey
from airflow_veil.privacy.audit.record import Record, of_ledger
from airflow_veil.privacy.errors import AuditError

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger

FORMAT: Final = "airflow-veil/proof/v1"


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry that is proven to be in a log.

    Attributes:
        record: The entry. Without its payload, that there was one is proven, and not what it was.
        checkpoint: The log that it is in.
    """

    record: Record
    checkpoint: SignedCheckpoint


def prove(ledger: Ledger, seq: int, checkpoint: SignedCheckpoint, *, payload: bool = True) -> dict[str, Any]:
    """The bundle of an entry, checked before it is handed out.

    Args:
        ledger: The ledger.
        seq: The number of the entry.
        checkpoint: An anchored checkpoint that covers it.
        payload: Whether the entry's payload is part of it, if it is there.

    Raises:
        AuditError: The entry is not the one that was anchored.
        LedgerError: The database refuses.
    """
    record, _ = next(of_ledger(ledger, seq - 1), (None, None))
    if record is None or record.seq != seq:
        raise AuditError(f"there is no entry {seq}", fix="run `veil audit verify`")
    proof = ledger.tree.inclusion_proof(seq - 1, checkpoint.size)
    _check(record, proof, checkpoint)
    return {
        "format": FORMAT,
        "entry": record.public(payload=payload),
        "leaf_index": seq - 1,
        "proof": [base64.b64encode(each).decode() for each in proof],
        "checkpoint": checkpoint.note,
    }


def check(bundle: Any, keys: Iterable[VerifierKey], *, where: str = "") -> Proven:
    """Check a bundle.

    Args:
        bundle: What its JSON holds.
        keys: Who may have signed the checkpoint.
        where: Its file, to name in an error.

    Raises:
        AuditError: It does not prove what it says.
    """
    if not isinstance(bundle, Mapping) or bundle.get("format") != FORMAT:
        raise _no_bundle(where)
    entry, note, encoded = bundle.get("entry"), bundle.get("checkpoint"), bundle.get("proof")
    if not isinstance(entry, dict) or not isinstance(note, str) or not isinstance(encoded, list):
        raise _no_bundle(where)
    checkpoint = read(note, keys, where=where)
    record = Record.of(entry, where=where)
    if bundle.get("leaf_index") != record.seq - 1:
        raise _no_bundle(where)
    _check(record, [_hash(each, where) for each in encoded], checkpoint)
    return Proven(record, checkpoint)


def _check(record: Record, proof: Iterable[bytes], checkpoint: SignedCheckpoint) -> None:
    problem = record.problem()
    if problem:
        raise AuditError(
            f"entry {record.seq} of the evidence {problem}", expected="the entry as it was written"
        )
    verify_inclusion(record.seq - 1, checkpoint.size, leaf_hash(record.leaf), tuple(proof), checkpoint.root)


def _hash(encoded: Any, where: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError):
        raise _no_bundle(where) from None


def _no_bundle(where: str) -> AuditError:
    return AuditError("this is no proof bundle", where=where, expected="JSON as `veil audit prove` writes it")
