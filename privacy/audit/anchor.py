"""Anchors the log: signs how it stands and keeps that elsewhere, if it is the log that was anchored before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_veil.privacy.audit.checkpoint import SignedCheckpoint, read, sign
from airflow_veil.privacy.audit.note import SigningKey, VerifierKey
from airflow_veil.privacy.audit.places import Place
from airflow_veil.privacy.audit.record import of_ledger
from airflow_veil.privacy.audit.verify import Walk, check_length, expected_roots, forked
from airflow_veil.privacy.errors import AuditError

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger


ANCHORING = "evidence.anchoring"
"""The kind of the entries that come last before a checkpoint."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """How a log is anchored.

    Attributes:
        checkpoint: The last checkpoint.
        before: How many entries were anchored before.
        added: Whether the checkpoint is new; it is not if there was no new entry.
    """

    checkpoint: SignedCheckpoint
    before: int
    added: bool


def anchor(
    ledger: Ledger, key: SigningKey, place: Place, *, actor: str = "", trusted: Iterable[VerifierKey] = ()
) -> Anchored:
    """Sign a checkpoint of the log and keep it in a place outside the database.

    The entries since the last checkpoint are checked first, one by one; those before it by the tree's root. That it is
    going to be anchored is the last entry that the checkpoint covers, so that the log is anchored whole; where nothing
    is new since the last checkpoint, nothing is written.

    Args:
        ledger: The ledger.
        key: What to sign with; its name is the log's.
        place: Where to keep it.
        actor: Who anchors it; without, no entry says so.
        trusted: Keys of the same log that signed there earlier.

    Raises:
        AuditError: The log is not the one that was anchored there, or something is wrong with it.
        StorageError: The place cannot be used.
        LedgerError: The database refuses.
    """
    keys = (key.verifier, *trusted)
    with place.locked():
        last = latest(checkpoints(place, keys))
        walk = _from(ledger, last)
        before = walk.frontier.size
        if actor:
            _tell(ledger, key.name, before, actor)
        for record, nodes in of_ledger(ledger, before or None):
            walk.step(record, nodes)
        walk.erased()
        if last and walk.frontier.size == last.size:
            return Anchored(last, before, added=False)
        signed = sign(key, walk.frontier.size, walk.frontier.root)
        place.add(signed.note, signed.size)
    return Anchored(signed, before, added=True)


def checkpoints(place: Place, keys: Sequence[VerifierKey]) -> tuple[SignedCheckpoint, ...]:
    """All checkpoints of a place.

    Raises:
        AuditError: One is not signed by one of the keys, or they contradict each other.
        StorageError: The place cannot be read.
    """
    notes = place.read()
    where = (f"{place.where}, checkpoint {number}" for number in range(1, len(notes) + 1))
    found = tuple(read(note, keys, where=told) for note, told in zip(notes, where, strict=True))
    expected_roots(found)
    return found


def latest(found: Iterable[SignedCheckpoint]) -> SignedCheckpoint | None:
    """The one of the most entries, if there is one."""
    return max(found, key=lambda each: each.size, default=None)


def covering(found: Iterable[SignedCheckpoint], seq: int) -> SignedCheckpoint:
    """The latest checkpoint, if it covers an entry.

    Raises:
        AuditError: It does not.
    """
    last = latest(found)
    if last is None or not 0 < seq <= last.size:
        raise AuditError(
            f"entry {seq} is not anchored",
            expected=f"an entry up to {last.size}" if last else "a checkpoint",
            fix="anchor the log with `veil audit anchor`, or correct the number",
        )
    return last


def _tell(ledger: Ledger, origin: str, before: int, actor: str) -> None:
    """Say in the log that it is going to be anchored, once for each checkpoint."""
    size = ledger.tree.size()
    last = ledger.evidence(size - 1, limit=1) if size > before else ()
    # The last one says so already where a kill came between it and the checkpoint.
    if last and last[0].kind != ANCHORING:
        ledger.append_evidence(ANCHORING, origin, {"anchored_before": before}, actor=actor)


def _from(ledger: Ledger, last: SignedCheckpoint | None) -> Walk:
    """Where to go on: after the entries of the last checkpoint, if they are those."""
    if last is None or last.size == 0:
        return Walk()
    check_length(ledger.tree.size(), last.size)
    frontier = ledger.tree.frontier(last.size)
    if frontier.root != last.root:
        raise forked(0, last.size)
    record, nodes = next(of_ledger(ledger, last.size - 1))
    if record.seq != last.size or nodes is None:
        raise forked(0, last.size)
    return Walk(frontier, record.digest)
