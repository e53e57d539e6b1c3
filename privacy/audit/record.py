"""An entry of the evidence as an auditor reads it: as it lies there, checked field by field, nothing taken on trust.

What is computed here is computed apart from the code that wrote the entry, from what docs/audit.md says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_veil.privacy.errors import AuditError, StorageError

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger

_PAGE: Final = 2_000
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
_SQLITE_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{6})", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TEXTS: Final = ("recorded_at", "kind", "actor", "subject", "payload_digest", "prev_digest", "digest")
_FIELDS: Final = frozenset(("seq", "payload", "salt", *_TEXTS))
_LARGEST_LINE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry; see `privacy.ledger.evidence.Entry` for what its fields are.

    Attributes:
        recorded_at: As it is covered: ISO 8601 with microseconds and `+00:00`.
    """

    seq: int
    recorded_at: str
    kind: str
    actor: str
    subject: str
    payload: str | None
    salt: str | None
    payload_digest: str
    prev_digest: str
    digest: str

    @classmethod
    def of(cls, fields: Mapping[str, Any], *, where: str) -> Self:
        """An entry of its fields, if each is what it can be.

        Raises:
            AuditError: One is not; it is named, and not shown.
        """
        wrong = sorted(_FIELDS ^ fields.keys()) or [name for name in _TEXTS if not _is_text(fields[name])]
        wrong += [name for name in ("payload", "salt") if not _is_text(fields.get(name, ""), optional=True)]
        if wrong:
            raise _unreadable(where, wrong[0])
        if type(fields["seq"]) is not int:
            raise _unreadable(where, "seq")
        if not _TIME.fullmatch(fields["recorded_at"]):
            raise _unreadable(where, "recorded_at")
        for name in ("payload_digest", "prev_digest", "digest"):
            if not _DIGEST.fullmatch(fields[name]):
                raise _unreadable(where, name)
        return cls(**fields)

    @property
    def leaf(self) -> bytes:
        """The bytes that its digest covers, and that are hashed into the tree."""
        covered = {name: getattr(self, name) for name in ("seq", *_TEXTS) if name != "digest"}
        return _compact(covered).encode()

    @property
    def erased(self) -> bool:
        """Whether it has neither payload nor salt."""
        return self.payload is None and self.salt is None

    def problem(self) -> str:
        """What is wrong with it by itself; empty if nothing is."""
        if hashlib.sha256(self.leaf).hexdigest() != self.digest:
            return "is not as it was recorded"
        if self.erased:
            return ""
        if self.payload is None or self.salt is None:
            return "has only one of payload and salt"
        salted = hashlib.sha256((self.salt + self.payload).encode()).hexdigest()
        return "" if salted == self.payload_digest else "has another payload than was recorded"

    @property
    def line(self) -> str:
        """Its line in an export."""
        return _compact(asdict(self))

    def public(self, *, payload: bool = True) -> dict[str, Any]:
        """Its fields, with payload and salt or without."""
        return asdict(self) | ({} if payload else {"payload": None, "salt": None})


def of_ledger(ledger: Ledger, after: int | None = None) -> Iterator[tuple[Record, bytes | None]]:
    """The entries of a ledger with their nodes of its tree, in order, page by page.

    Raises:
        AuditError: A field of an entry is not what it can be.
        LedgerError: The database refuses.
    """
    while page := ledger.tree.rows(after, limit=_PAGE):
        for row in page:
            fields = dict(row)
            nodes = fields.pop("hashes")
            where = f"entry {fields['seq'] if type(fields['seq']) is int else '?'}"
            fields["recorded_at"] = _time(fields["recorded_at"])
            record = Record.of(fields, where=where)
            yield record, nodes if isinstance(nodes, bytes) else b""
            after = record.seq


def of_export(path: Path) -> Iterator[tuple[Record, None]]:
    """The entries of a file that `veil audit export` wrote, in order; it has no nodes of the tree.

    Raises:
        AuditError: A line is not as it was written.
        StorageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LARGEST_LINE), b""), 1):
                yield _of_line(line, f"{path}, line {number}"), None
    except OSError as error:
        raise StorageError(f"the export cannot be read ({type(error).__name__})", where=str(path)) from None


def parse(text: str, *, where: str) -> Any:
    """JSON of a file that is not trusted.

    Raises:
        AuditError: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise AuditError("this is no JSON", where=where, fix="fetch the file anew") from None


def _of_line(raw: bytes, where: str) -> Record:
    fields = parse(raw.decode("utf-8", "replace"), where=where)
    record = Record.of(fields if isinstance(fields, dict) else {}, where=where)
    if f"{record.line}\n".encode() != raw:
        raise AuditError(
            "the line is not as it was exported", where=where, fix="export anew, with `veil audit export`"
        )
    return record


def _time(raw: Any) -> Any:
    """A time of the database as it is covered; what is no such time stays as it is, and is refused."""
    if isinstance(raw, datetime) and raw.tzinfo:
        return raw.astimezone(UTC).isoformat(timespec="microseconds")
    found = _SQLITE_TIME.fullmatch(raw) if isinstance(raw, str) else None
    return f"{found[1]}T{found[2]}+00:00" if found else "no time"


def _is_text(value: Any, *, optional: bool = False) -> bool:
    """Whether a value is text that UTF-8 can hold."""
    if not isinstance(value, str):
        return optional and value is None
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _compact(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _unreadable(where: str, name: str) -> AuditError:
    return AuditError(
        f"`{name}` is not what it can be in evidence", where=where, fix="compare with a backup or an export"
    )
