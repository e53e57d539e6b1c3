"""Signed notes, as C2SP describes them (c2sp.org/signed-note), with Ed25519: a text, and who stands for it.

A note is its text, an empty line and a line for each signature: `— <name> <base64 of key hash and signature>`. Keys
are exchanged as lines, too: `<name>+<key hash>+<base64>` the public one, `PRIVATE+KEY+…` the private one, as Go's
`sumdb/note` writes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from airflow_veil.privacy.errors import AuditError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519: Final = b"\x01"
_PRIVATE: Final = "PRIVATE+KEY+"
_NAME: Final = re.compile(r"[^\s+]{1,128}")
_SIGNATURE: Final = re.compile(r"\u2014 ([^\s+]+) (\S+)")
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key.

    Attributes:
        name: Whose it is: of a log, its origin, such as `example.com/veil`.
        public: Its 32 bytes.
    """

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """A key as `veil audit keygen` prints it.

        Raises:
            AuditError: It is none.
        """
        name, _, rest = text.strip().partition("+")
        given, _, encoded = rest.partition("+")
        key = cls(name, _decoded_key(encoded))
        if not _NAME.fullmatch(name) or given != key.hash.hex():
            raise _no_key("verifier key", "<name>+<key hash>+<base64>")
        return key

    def __str__(self) -> str:
        encoded = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.hash.hex()}+{encoded}"

    @property
    def hash(self) -> bytes:
        """Four bytes by which signatures name their key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether a signature is this key's, of that text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; never shown by accident.

    Attributes:
        name: Whose it is.
        seed: Its 32 secret bytes.
    """

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key.

        Raises:
            AuditError: The name has a space or a plus sign in it, or none or too many characters.
        """
        if not _NAME.fullmatch(name) or not name.isprintable():
            raise AuditError(
                "a key cannot have that name",
                expected="1 to 128 characters without spaces and plus signs, such as example.com/veil",
            )
        import secrets

        return cls(name, secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str, *, where: str = "") -> Self:
        """A key as its file holds it.

        Raises:
            AuditError: It is none; the message shows nothing of it.
        """
        head, private, rest = text.strip().partition(_PRIVATE)
        name, _, encoded = rest.partition("+")
        given, _, encoded = encoded.partition("+")
        if head or not private or not _NAME.fullmatch(name):
            raise _no_key("signing key", f"a line `{_PRIVATE}…`", where)
        key = cls(name, _decoded_key(encoded, where))
        if given != key.verifier.hash.hex():
            raise _no_key("signing key", f"a line `{_PRIVATE}…`", where)
        return key

    def secret_text(self) -> str:
        """The key as its file holds it: a secret."""
        encoded = base64.b64encode(_ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.hash.hex()}+{encoded}"

    @property
    def verifier(self) -> VerifierKey:
        """Its public key."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._private.public_key()
        return VerifierKey(self.name, public.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, text: str) -> str:
        """The note that says the text and is signed by this key.

        Args:
            text: Lines, each with its end.
        """
        signature = self.verifier.hash + self._private.sign(text.encode())
        return f"{text}\n\u2014 {self.name} {base64.b64encode(signature).decode()}\n"

    @property
    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


def opened(note: str, keys: Iterable[VerifierKey], *, where: str = "") -> str:
    """The text of a note that one of some keys has signed.

    Signatures by other keys are passed over; one that names a key of these and is not of it is not.

    Raises:
        AuditError: It is no note, or nobody of these has signed it.
    """
    # The text may have empty lines in it, signatures have none: the last empty line parts them.
    text, empty, signatures = note.rpartition("\n\n")
    found = [_SIGNATURE.fullmatch(line) for line in signatures.removesuffix("\n").split("\n")]
    controls = any(character < " " and character != "\n" for character in note)
    if not empty or len(note) > _LARGEST or controls or not note.endswith("\n") or not all(found):
        raise AuditError("this is no signed note", where=where, expected="a text, an empty line, signatures")
    known = {(key.name, key.hash): key for key in keys}
    signed = False
    for name, encoded in (line.groups() for line in found if line):
        raw = _decoded(encoded)
        key = known.get((name, raw[:4]))
        if key is None:
            continue
        if not key.signed(f"{text}\n".encode(), raw[4:]):
            raise AuditError(
                f"the signature of {name} is not of this text",
                where=where,
                expected="the text as it was signed",
                fix="get the note anew; if it stays so, it was changed",
            )
        signed = True
    if not signed:
        raise AuditError(
            "none of the given keys has signed this",
            where=where,
            expected=f"a signature of {' or '.join(sorted({name for name, _ in known})) or 'some key'}",
            fix="give the verifier key that `veil audit keygen` printed when its signing key was made",
        )
    return f"{text}\n"


def _decoded_key(encoded: str, where: str = "") -> bytes:
    raw = _decoded(encoded)
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise _no_key("key", "32 bytes of Ed25519", where)
    return raw[1:]


def _decoded(encoded: str) -> bytes:
    """Base64, nothing where it is none, or not the one text for its bytes."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.b64encode(raw).decode() == encoded else b""


def _no_key(kind: str, expected: str, where: str = "") -> AuditError:
    return AuditError(
        f"this is no {kind}", where=where, expected=expected, fix="copy it anew, as a whole line"
    )
