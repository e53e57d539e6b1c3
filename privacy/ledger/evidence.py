"""Evidence: what was done, when, by whom and to what; each entry's digest covers all entries before it.

An entry's digest covers its payload only by the payload's salted digest, so entries can be shown and checked
without their payloads, a payload cannot be guessed from its digest, and it can be erased together with its salt:
every digest and every proof stays valid. An entry is also a leaf of the Merkle tree that `tree.py` keeps.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from airflow_veil.privacy.audit.merkle import leaf_hash
from airflow_veil.privacy.ledger import tree
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical
from airflow_veil.privacy.ledger.fault import permanent
from airflow_veil.privacy.ledger.tables import evidence

LONGEST_TEXT = 1024
"""Characters of a text in a payload: enough for a name, a digest or a reason, not for a document."""
LARGEST_PAYLOAD = 64 * 1024
"""Characters of a payload. What is larger is kept elsewhere, and its digest here."""
ERASED = "evidence.erased"
"""The kind of the entries that say whose payload was erased."""
_LONGEST_NAME = 512
_KIND = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)*")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: kept elsewhere, it proves later that nothing up to it was changed or cut off.

    Attributes:
        seq: The number of the last entry; 0 of an empty chain.
        digest: Its digest, 64 hex digits; zeros of an empty chain.
    """

    seq: int = 0
    digest: str = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the evidence.

    Attributes:
        seq: Its number, from 1, without gaps.
        recorded_at: When it was written, UTC, by the clock of the machine that wrote it.
        kind: What was done: `release.published`, `detokenize`, `keys.rotated` …
        actor: Who did it.
        subject: What it was done to, such as policy/data set/release.
        payload: Canonical JSON of an object: names, types, counts and digests, never a value of the data; None
            once it is erased.
        salt: 32 random bytes in hex; None once the payload is erased.
        payload_digest: SHA-256 of the salt, as written, followed by the payload, in hex.
        prev_digest: The digest of the entry before; zeros at the first.
        digest: SHA-256 of the canonical JSON of seq, recorded_at, kind, actor, subject, payload_digest and
            prev_digest, in hex.
    """

    seq: int
    recorded_at: datetime
    kind: str
    actor: str
    subject: str
    payload: str | None
    salt: str | None
    payload_digest: str
    prev_digest: str
    digest: str

    @property
    def content(self) -> dict[str, Any]:
        """The payload, parsed.

        Raises:
            LedgerError: It was erased.
        """
        if self.payload is None:
            raise permanent(f"the payload of entry {self.seq} of the evidence was erased")
        content: dict[str, Any] = read_canonical(self.payload)
        return content

    @property
    def head(self) -> Head:
        """The chain's end when this entry was the last."""
        return Head(self.seq, self.digest)

    @property
    def leaf(self) -> bytes:
        """The bytes that its digest covers: canonical JSON; its leaf in the Merkle tree."""
        covered = {
            "seq": self.seq,
            "recorded_at": self.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "kind": self.kind,
            "actor": self.actor,
            "subject": self.subject,
            "payload_digest": self.payload_digest,
            "prev_digest": self.prev_digest,
        }
        return canonical_json(covered).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is to be told of a change, as an entry in the change's own transaction: both are there, or neither.

    Attributes:
        kind: What is done.
        payload: What is told: names, types, counts and digests.
        actor: Who does it.
    """

    kind: str
    payload: Mapping[str, Any]
    actor: str


def append(
    connection: Connection, *, kind: str, subject: str, payload: Mapping[str, Any], actor: str
) -> Entry:
    """Add an entry, in a transaction that holds the writer's lock; it is there only if that commits.

    Raises:
        LedgerError: The kind, a name or the payload is not what an entry may hold.
    """
    _check_kind(kind)
    _check_name("actor", actor)
    _check_name("subject", subject)
    text = _checked(payload)
    last = head(connection)
    salt = secrets.token_hex(32)
    draft = Entry(
        seq=last.seq + 1,
        recorded_at=datetime.now(UTC),
        kind=kind,
        actor=actor,
        subject=subject,
        payload=text,
        salt=salt,
        payload_digest=_payload_digest(salt, text),
        prev_digest=last.digest,
        digest="",
    )
    leaf = draft.leaf
    entry = replace(draft, digest=hashlib.sha256(leaf).hexdigest())
    connection.execute(insert(evidence), asdict(entry))
    tree.append(connection, entry.seq, leaf_hash(leaf))
    return entry


def erase(connection: Connection, seq: int, *, reason: str, actor: str) -> Entry:
    """Erase an entry's payload and salt, in a transaction that holds the writer's lock.

    Returns:
        The entry that says so; where it was erased before, the one that said so then.

    Raises:
        LedgerError: There is no such entry, or the reason is not what an entry may hold.
    """
    row = evidence.c
    found = connection.execute(select(row.payload, row.payload_digest).where(row.seq == seq)).one_or_none()
    if found is None:
        raise permanent(f"the evidence has no entry {seq}", fix="list the entries with `veil audit export`")
    subject = f"evidence/{seq}"
    if found.payload is None:
        return of(connection, subject, ERASED)[-1]
    told = {"reason": reason, "payload_digest": found.payload_digest}
    entry = append(connection, kind=ERASED, subject=subject, payload=told, actor=actor)
    connection.execute(update(evidence).where(row.seq == seq).values(payload=None, salt=None))
    return entry


def append_once(
    connection: Connection, *, kind: str, subject: str, payload: Mapping[str, Any], actor: str
) -> Entry:
    """Add an entry, unless the last of its kind and subject says the same: then it is that one."""
    last = of(connection, subject, kind)[-1:]
    if last and last[0].payload == canonical_json(payload):
        return last[0]
    return append(connection, kind=kind, subject=subject, payload=payload, actor=actor)


def of(connection: Connection, subject: str, *kinds: str) -> tuple[Entry, ...]:
    """The entries of a subject, in order: of some kinds, or of all where none is named."""
    row = evidence.c
    wanted = select(evidence).where(row.subject == subject, *([row.kind.in_(kinds)] if kinds else []))
    return tuple(Entry(**found) for found in connection.execute(wanted.order_by(row.seq)).mappings())


def head(connection: Connection) -> Head:
    """The end of the chain."""
    last = connection.execute(
        select(evidence.c.seq, evidence.c.digest).order_by(evidence.c.seq.desc()).limit(1)
    ).one_or_none()
    return Head(*last) if last else Head()


def read(connection: Connection, *, after: int, limit: int | None) -> tuple[Entry, ...]:
    """At most `limit` entries after number `after`, in order."""
    found = connection.execute(
        select(evidence).where(evidence.c.seq > after).order_by(evidence.c.seq).limit(limit)
    )
    return tuple(Entry(**row) for row in found.mappings())


def follow(entries: Iterable[Entry], start: Head, anchor: Head | None = None) -> Head:
    """Check that entries continue the chain.

    Args:
        entries: The entries after `start`, in order.
        start: The head that they continue.
        anchor: A head kept elsewhere; if it is among the entries, it must be the same.

    Returns:
        The head after them.

    Raises:
        LedgerError: An entry was changed, left out, put in or moved; the message has its number.
    """
    for entry in entries:
        if entry.seq != start.seq + 1 or entry.prev_digest != start.digest:
            raise _broken(start.seq + 1, "does not follow the entry before it")
        if not _has_its_payload(entry):
            raise _broken(entry.seq, "has another payload than was recorded")
        if entry.digest != hashlib.sha256(entry.leaf).hexdigest():
            raise _broken(entry.seq, "is not as it was recorded")
        start = entry.head
        if anchor and anchor.seq == start.seq and anchor != start:
            raise _broken(entry.seq, "is not the one that was noted down elsewhere")
    return start


class ErasedPayloads:
    """Payloads that are missing, and the entries that say that they were erased."""

    def __init__(self) -> None:
        self._missing: set[int] = set()
        self._said: set[str] = set()

    def note(self, entries: Iterable[Entry]) -> None:
        """Take note of some entries."""
        for entry in entries:
            if entry.payload is None:
                self._missing.add(entry.seq)
            if entry.kind == ERASED:
                self._said.add(entry.subject)

    def check(self) -> None:
        """Once all entries are noted: a payload is missing only if an entry says so.

        Raises:
            LedgerError: One is missing that no entry tells of.
        """
        for seq in sorted(self._missing):
            if f"evidence/{seq}" not in self._said:
                raise _broken(seq, "has no payload, and no entry says that it was erased")


def _has_its_payload(entry: Entry) -> bool:
    """Whether the payload is the one that was recorded, or erased together with its salt."""
    if entry.payload is None or entry.salt is None:
        return entry.payload is None and entry.salt is None
    return entry.payload_digest == _payload_digest(entry.salt, entry.payload)


def _payload_digest(salt: str, payload: str) -> str:
    return hashlib.sha256(salt.encode() + payload.encode()).hexdigest()


def _check_kind(kind: str) -> None:
    if len(kind) > 64 or not _KIND.fullmatch(kind):
        raise permanent(
            "the kind of evidence is no name", expected="at most 64 lower-case letters, `_` and `.`"
        )


def _check_name(field: str, name: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise permanent(
            f"the {field} of evidence is no name", expected=f"1 to {_LONGEST_NAME} printable characters"
        )


def _checked(payload: Mapping[str, Any]) -> str:
    """The payload's text; the limits keep data from being put where it can never be deleted."""
    text = canonical_json(payload)
    if not isinstance(payload, Mapping):
        raise permanent("the payload of evidence is no JSON object", expected="names with what they hold")
    if len(text) > LARGEST_PAYLOAD or _longest(payload) > LONGEST_TEXT:
        raise permanent(
            "the payload of evidence is too large",
            expected=f"at most {LARGEST_PAYLOAD} characters, and texts of at most {LONGEST_TEXT}",
            fix="keep it elsewhere and record its digest",
        )
    return text


def _longest(content: Any) -> int:
    """The length of the longest text in a payload, keys included."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, Mapping):
        return max((max(len(key), _longest(item)) for key, item in content.items()), default=0)
    if isinstance(content, list | tuple):
        return max(map(_longest, content), default=0)
    return 0


def _broken(seq: int, problem: str) -> Exception:
    return permanent(
        f"entry {seq} of the evidence {problem}",
        expected="the chain of digests as it was written",
        fix="compare with a backup; the entries before this one are as they were",
    )
