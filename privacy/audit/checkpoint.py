"""Checkpoints: how long the log is and what its root is, signed (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_veil.privacy.audit.merkle import HASH_BYTES
from airflow_veil.privacy.audit.note import SigningKey, VerifierKey, opened
from airflow_veil.privacy.errors import AuditError

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log.

    Attributes:
        origin: Which log: the name of its key.
        size: How many entries it has.
        root: The root of the Merkle tree over them.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed: a line for each."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it was signed, and read again by a key that is trusted.

    Attributes:
        checkpoint: What it says.
        note: The signed note, as it is kept.
        where: Where it was found, to name in an error.
    """

    checkpoint: Checkpoint
    note: str
    where: str = ""

    @property
    def size(self) -> int:
        """How many entries the log had."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """What its root was."""
        return self.checkpoint.root


def sign(key: SigningKey, size: int, root: bytes) -> SignedCheckpoint:
    """A checkpoint of the log that is named as the key."""
    checkpoint = Checkpoint(key.name, size, root)
    return SignedCheckpoint(checkpoint, key.sign(checkpoint.text))


def read(note: str, keys: Iterable[VerifierKey], *, where: str = "") -> SignedCheckpoint:
    """Read a signed checkpoint.

    Args:
        note: The signed note.
        keys: Who may have signed it; the log is one that is named as one of them.
        where: Where it was found, to name in an error.

    Raises:
        AuditError: It is none, or is signed by nobody of these.
    """
    trusted = tuple(keys)
    # Lines after the third are extensions, which are signed, and for others.
    origin, size, encoded, *_ = [*opened(note, trusted, where=where).split("\n"), "", ""]
    root = _root(encoded)
    if not _SIZE.fullmatch(size) or root is None:
        raise AuditError(
            "this is no checkpoint", where=where, expected="lines of origin, size and root in base64"
        )
    if origin not in {key.name for key in trusted}:
        raise AuditError(
            "this is the checkpoint of another log", where=where, expected="the key's name in its first line"
        )
    return SignedCheckpoint(Checkpoint(origin, int(size), root), note, where)


def _root(encoded: str) -> bytes | None:
    try:
        root = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    return root if len(root) == HASH_BYTES and base64.b64encode(root).decode() == encoded else None
