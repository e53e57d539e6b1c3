"""What people are named by, or a model that learned of them: sealed with the key ring, by AES-256-GCM, under a name.

The key is of a purpose of its own; the name is authenticated with it, so that what is sealed cannot be moved from one
request to another. Destroying the key version makes all that was sealed with it unreadable, backups of the ledger
included.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_veil.privacy.errors import TamperedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from airflow_veil.privacy.keys.ring import KeyRing

PURPOSE = "erasure"
"""What the subkey is for, where what is sealed names people."""
_DOMAIN = "sealed"
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Sealed:
    """Something that only the key ring opens.

    Attributes:
        key_version: The version that it was sealed with.
        content: 12 random bytes, what was sealed as AES-256-GCM, 16 bytes that authenticate it.
    """

    key_version: int
    content: bytes = field(repr=False)


def seal(
    content: bytes, ring: KeyRing, *, about: str, key_version: int | None = None, purpose: str = PURPOSE
) -> Sealed:
    """Seal something.

    Args:
        content: What is sealed.
        ring: The key ring.
        about: The name of the request or batch that it belongs to.
        key_version: The version to seal it with; the active one if None.
        purpose: What the key is for.

    Raises:
        KeyRingError: The version is unknown or destroyed.
    """
    version = ring.current if key_version is None else key_version
    nonce = os.urandom(_NONCE)
    return Sealed(version, nonce + _cipher(ring, version, purpose).encrypt(nonce, content, about.encode()))


def unseal(sealed: Sealed, ring: KeyRing, *, about: str, purpose: str = PURPOSE) -> bytes:
    """What was sealed.

    Args:
        sealed: What `seal` gave.
        ring: The key ring.
        about: The name that it was sealed under.
        purpose: What the key is for.

    Raises:
        TamperedError: It was changed, or sealed under another name or with another key.
        KeyRingError: The version is unknown or destroyed.
    """
    from cryptography.exceptions import InvalidTag

    nonce, content = sealed.content[:_NONCE], sealed.content[_NONCE:]
    cipher = _cipher(ring, sealed.key_version, purpose)
    if len(nonce) == _NONCE:
        try:
            return cipher.decrypt(nonce, content, about.encode())
        except InvalidTag:
            pass
    raise TamperedError(
        "what is sealed does not authenticate",
        where=about,
        expected=f"what was sealed under this name with version {sealed.key_version} of this key ring",
        fix="use the key ring that it was sealed with, or restore it from its backup",
    )


def _cipher(ring: KeyRing, version: int, purpose: str) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(ring.subkey(purpose, _DOMAIN, version=version))
