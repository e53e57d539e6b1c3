"""Key derivation: one secret gives many independent keys by HKDF-SHA-256 (RFC 5869)."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LONGEST = 255 * 32
"""The most bytes that one derivation can give (RFC 5869 section 2.3)."""


def hkdf(secret: bytes, *, info: bytes, length: int, salt: bytes | None = None) -> bytes:
    """Extract and expand (RFC 5869 section 2).

    Args:
        secret: The input keying material.
        info: What the output is for; different infos give independent outputs.
        length: How many bytes to derive, 1 to `LONGEST`.
        salt: Left out where the secret is uniformly random, as ours is (section 3.1).

    Returns:
        `length` bytes.
    """
    return HKDF(SHA256(), length, salt, info).derive(secret)


def info_of(*parts: bytes) -> bytes:
    """Join parts so that no two different lists give the same bytes: each part follows its length.

    Args:
        parts: Byte strings of less than 4 GiB.

    Returns:
        For each part, its length as four big-endian bytes, then the part.
    """
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
