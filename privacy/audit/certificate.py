"""Certificates: what was deleted, where, what stayed and why, with a proof that somebody outside can check.

    facts ──digest──► entry of the evidence ──checkpoint──► proof of that entry, in the certificate

The entry holds the digest of the facts, so no certificate can be swapped for another one once its entry is anchored;
the proof comes last, since nothing can be proven before. Until then the certificate says that it is not anchored yet.
It holds names, counts, times and digests, never a value of the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airflow_veil.privacy.audit import bundle
from airflow_veil.privacy.audit.bundle import Proven
from airflow_veil.privacy.audit.checkpoint import SignedCheckpoint
from airflow_veil.privacy.audit.facts import STRICT, Asked, Backups, Check, Evidence, Kept, Store
from airflow_veil.privacy.audit.note import VerifierKey
from airflow_veil.privacy.audit.record import of_ledger, parse
from airflow_veil.privacy.errors import AuditError

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger

FORMAT: Final = "airflow-veil/certificate/v1"
ISSUED: Final = "certificate.issued"
"""The kind of the entries that hold the digests of certificates."""
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Where the certificate's own entry is in the log.

    Attributes:
        entry: The entry, as it is public.
        proof: Its proof, as `bundle.prove` makes it; None as long as no checkpoint covers it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    entry: Mapping[str, Any]
    proof: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate. All but `log` are its facts.

    Attributes:
        kind: What it certifies.
        title: Its title.
        name: Its name, by which it is filed: letters, digits, `-`, `_` and `.`.
        asked: What was asked for.
        done: What was done, a row for each place.
        kept: What stays, and why.
        verification: What was looked at afterwards.
        backups: When backups are gone.
        evidence: The entries that the facts are from.
        log: Its own entry; None before it was issued.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Literal["retention", "erasure"]
    title: str
    name: str
    asked: Asked
    done: tuple[Store, ...]
    kept: tuple[Kept, ...] = ()
    verification: tuple[Check, ...] = ()
    backups: Backups
    evidence: tuple[Evidence, ...] = ()
    log: Log | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What is certified, as JSON has it."""
        told: dict[str, Any] = _adapter().dump_python(self, mode="json", exclude={"log"})
        return told

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the facts, in hex."""
        return _digest(self.facts)

    @property
    def passed(self) -> bool:
        """Whether something was looked at afterwards, and all of it holds."""
        return bool(self.verification) and all(check.passed for check in self.verification)

    @property
    def anchored(self) -> bool:
        """Whether it has its proof."""
        return self.log is not None and self.log.proof is not None

    def document(self) -> dict[str, Any]:
        """The certificate as its file has it.

        Raises:
            AuditError: It was not issued.
        """
        if self.log is None:
            raise AuditError("the certificate was not issued", where=self.name, fix="issue it first")
        proof = self.log.proof
        log = {"entry": dict(self.log.entry)} if proof is None else {"proof": dict(proof)}
        return {"format": FORMAT, "facts": self.facts, "log": {"said": self.log_said, **log}}

    @property
    def log_said(self) -> str:
        """How it stands with the log, in a sentence."""
        if self.log is None:
            return "Not issued: no entry of the log holds its digest."
        seq = self.log.entry["seq"]
        if self.log.proof is None:
            return (
                f"Not anchored yet: the digest of these facts is entry {seq} of the log, and no signed checkpoint"
                " covers it. Ask for this certificate again after the next one."
            )
        return f"Anchored: the digest of these facts is entry {seq} of the log, which a signed checkpoint covers."

    @classmethod
    def of(cls, document: Any, *, where: str = "") -> Certificate:
        """The certificate of a document; nothing of it is proven by that.

        Raises:
            AuditError: It is none.
        """
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise _no_certificate(where)
        facts, log = document.get("facts"), document.get("log")
        if not isinstance(facts, dict) or not isinstance(log, dict) or "log" in facts:
            raise _no_certificate(where)
        proof = log.get("proof")
        entry = proof.get("entry") if isinstance(proof, dict) else log.get("entry")
        if not isinstance(entry, dict) or type(entry.get("seq")) is not int:
            raise _no_certificate(where)
        try:
            found = _adapter().validate_json(json.dumps({**facts, "log": {"entry": entry, "proof": proof}}))
        except (ValidationError, UnicodeError):
            raise _no_certificate(where) from None
        if found.facts != facts:
            raise _no_certificate(where)
        return found


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that is proven.

    Attributes:
        certificate: The certificate.
        proven: Its entry, and the log that it is in.
    """

    certificate: Certificate
    proven: Proven


def issue(ledger: Ledger, certificate: Certificate, *, actor: str) -> Certificate:
    """Put the digest of a certificate's facts into the evidence; the same facts are issued once.

    Returns:
        The certificate with its entry. `proven` adds the proof, once a checkpoint covers it.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    entry = ledger.append_evidence(ISSUED, _subject(certificate), _told(certificate), actor=actor, once=True)
    record, _ = next(of_ledger(ledger, entry.seq - 1))
    return replace(certificate, log=Log(entry=record.public()))


def proven(ledger: Ledger, certificate: Certificate, checkpoints: Iterable[SignedCheckpoint]) -> Certificate:
    """The same certificate with the proof of its entry; as it is where no checkpoint covers that yet.

    Args:
        ledger: The ledger.
        certificate: One that was issued.
        checkpoints: The log's, read by keys that are trusted.

    Raises:
        AuditError: Its entry is not in this ledger as the certificate has it, or another one is there.
    """
    if certificate.log is None:
        raise AuditError("the certificate was not issued", where=certificate.name, fix="issue it first")
    seq = certificate.log.entry["seq"]
    covering = [each for each in checkpoints if each.size >= seq]
    if not covering:
        return certificate
    proof = bundle.prove(ledger, seq, max(covering, key=lambda each: each.size))
    if proof["entry"] != certificate.log.entry:
        raise AuditError(
            f"entry {seq} of this ledger is not the certificate's",
            where=certificate.name,
            fix="name the ledger that the certificate was issued from",
        )
    return replace(certificate, log=Log(entry=proof["entry"], proof=proof))


def check(document: Any, keys: Iterable[VerifierKey], *, where: str = "") -> Checked:
    """Check a certificate by itself: neither ledger nor network is needed.

    Args:
        document: What its JSON holds.
        keys: Who may have signed the checkpoint.
        where: Its file, to name in an error.

    Raises:
        AuditError: It does not prove what it says, or is not anchored yet.
    """
    certificate = Certificate.of(document, where=where)
    if certificate.log is None or certificate.log.proof is None:
        raise AuditError(
            "the certificate is not anchored yet, so nothing of it is proven",
            where=where,
            expected="a proof of its entry",
            fix="ask for it again after the next checkpoint",
        )
    found = bundle.check(certificate.log.proof, keys, where=where)
    record = found.record
    if (record.kind, record.subject) != (ISSUED, _subject(certificate)) or record.payload != _canonical(
        _told(certificate)
    ):
        raise AuditError(
            "the proof is of another certificate",
            where=where,
            expected="the digest of these facts in the entry that is proven",
            fix="ask for it anew: the facts are not the ones that were issued",
        )
    return Checked(certificate, found)


def write(certificate: Certificate, folder: Path) -> Path:
    """Write a certificate for machines and for people, `<name>.json` and `<name>.html`, each whole or not at all.

    Returns:
        The JSON file. Both can be read by their owner alone.

    Raises:
        StorageError: They cannot be written.
    """
    from airflow_veil.privacy.audit.page import page
    from airflow_veil.privacy.storage.durable import write_whole
    from airflow_veil.privacy.storage.failure import storing
    from airflow_veil.privacy.storage.names import segment

    told = json.dumps(certificate.document(), indent=2, sort_keys=True, ensure_ascii=False)
    path = folder / f"{segment(certificate.name, 'certificate')}.json"
    with storing("writing the certificate", str(folder)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The page first: whoever finds the JSON finds the page beside it.
        for target, text in ((path.with_suffix(".html"), page(certificate)), (path, f"{told}\n")):
            write_whole(target, text.encode(), drafts=folder, mode=_PRIVATE)
    return path


def prove_all(ledger: Ledger, folder: Path, checkpoints: Iterable[SignedCheckpoint]) -> tuple[int, int]:
    """Give the certificates of a folder that are not anchored yet their proofs.

    Returns:
        How many got one, and how many still wait.

    Raises:
        AuditError: One of them is not as it was issued.
        StorageError: One cannot be read or written.
    """
    known, got, waiting = tuple(checkpoints), 0, 0
    for path, certificate in _certificates(folder):
        if certificate.anchored:
            continue
        now = proven(ledger, certificate, known)
        if now.anchored:
            write(now, path.parent)
        got, waiting = got + now.anchored, waiting + (not now.anchored)
    return got, waiting


def _certificates(folder: Path) -> Iterator[tuple[Path, Certificate]]:
    from airflow_veil.privacy.storage.failure import storing

    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with storing("reading certificates", str(folder)):
            text = path.read_text("utf-8", "replace")
        yield path, Certificate.of(parse(text, where=str(path)), where=str(path))


def _subject(certificate: Certificate) -> str:
    return f"certificate/{certificate.name}"


def _told(certificate: Certificate) -> dict[str, Any]:
    return {"kind": certificate.kind, "name": certificate.name, "facts_digest": certificate.digest}


def _canonical(content: Any) -> str:
    from airflow_veil.privacy.ledger.canonical import canonical_json

    return canonical_json(content)


def _digest(content: Any) -> str:
    from airflow_veil.privacy.ledger.canonical import sha256_of

    return sha256_of(_canonical(content))


@cache
def _adapter() -> TypeAdapter[Certificate]:
    return TypeAdapter(Certificate)


def _no_certificate(where: str) -> AuditError:
    return AuditError("this is no certificate", where=where, expected="JSON as it was issued, unchanged")
