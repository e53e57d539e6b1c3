"""One version of the key ring: what may be known of it, and how a key file writes it down."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.derive import hkdf, info_of

SECRET_BYTES = 32
_FIELDS = frozenset({"version", "state", "created", "destroyed", "fingerprint", "secret"})


class KeyState(StrEnum):
    """What a version may still do."""

    ACTIVE = "active"
    """New values are made with it; exactly one version is."""
    RETIRED = "retired"
    """It reads what it made, and makes nothing new."""
    DESTROYED = "destroyed"
    """Its secret is gone, and with it the way back from its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    """What may be known of a version: everything but its secret, which only `KeyRing` holds.

    Attributes:
        number: From 1, without gaps.
        state: What it may still do.
        created: When it was made, UTC.
        destroyed: When its secret was destroyed, UTC; None as long as it is there.
        fingerprint: 16 hex digits that identify the secret and say nothing about it.
    """

    number: int
    state: KeyState
    created: datetime
    destroyed: datetime | None = None
    fingerprint: str

    def __post_init__(self) -> None:
        times = [self.created] if self.destroyed is None else [self.created, self.destroyed]
        if any(time.utcoffset() != timedelta(0) for time in times):
            raise KeyRingError("a time is not in UTC", where=f"key version {self.number}")
        if (self.state is KeyState.DESTROYED) != (self.destroyed is not None):
            raise KeyRingError(
                "the state and the time of destruction do not agree", where=f"key version {self.number}"
            )


def new_version(number: int) -> tuple[KeyVersion, bytes]:
    """A new active version and its secret, from the operating system's random source."""
    secret = secrets.token_bytes(SECRET_BYTES)
    version = KeyVersion(
        number=number, state=KeyState.ACTIVE, created=now(), fingerprint=fingerprint_of(secret)
    )
    return version, secret


def fingerprint_of(secret: bytes) -> str:
    """16 hex digits derived from the secret under a label of their own, so that no subkey shows in them."""
    return hkdf(secret, info=info_of(b"airflow-veil fingerprint"), length=8).hex()


def now() -> datetime:
    """The time, UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def write_version(version: KeyVersion, secret: bytes | None) -> dict[str, Any]:
    """The version as JSON writes it, secret included: for the key file alone."""
    return {
        "version": version.number,
        "state": version.state.value,
        "created": _write_time(version.created),
        "destroyed": version.destroyed and _write_time(version.destroyed),
        "fingerprint": version.fingerprint,
        "secret": secret and base64.b64encode(secret).decode(),
    }


def read_version(entry: Any, *, where: str) -> tuple[KeyVersion, bytes | None]:
    """The version and its secret from what `write_version` gave.

    Args:
        entry: One item of the key ring's list, as JSON gave it.
        where: The place to name in an error.

    Raises:
        KeyRingError: It is not exactly that; the message names fields, never what they hold.
    """
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise KeyRingError("a version's fields are wrong", where=where, expected=", ".join(sorted(_FIELDS)))
    number = entry["version"]
    if type(number) is not int:
        raise _wrong("version", where, "a whole number")
    version = KeyVersion(
        number=number,
        state=_read_state(entry["state"], where),
        created=_read_time(entry, "created", where),
        destroyed=None if entry["destroyed"] is None else _read_time(entry, "destroyed", where),
        fingerprint=_read_fingerprint(entry["fingerprint"], where),
    )
    return version, None if entry["secret"] is None else _read_secret(entry["secret"], where)


def _read_state(value: Any, where: str) -> KeyState:
    if value not in list(KeyState):
        raise _wrong("state", where, "active, retired or destroyed")
    return KeyState(value)


def _read_fingerprint(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) != 16 or not set(value) <= set("0123456789abcdef"):
        raise _wrong("fingerprint", where, "16 hex digits")
    return value


def _read_time(entry: Mapping[str, Any], field: str, where: str) -> datetime:
    try:
        return datetime.strptime(entry[field], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise _wrong(field, where, "a time such as 2026-01-31T23:59:59Z") from None


def _read_secret(value: Any, where: str) -> bytes:
    try:
        secret = base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise _wrong("secret", where, f"{SECRET_BYTES} bytes in base64")
    return secret


def _write_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _wrong(field: str, where: str, expected: str) -> KeyRingError:
    return KeyRingError(
        f"the field `{field}` is wrong",
        where=where,
        expected=expected,
        fix="restore the key ring from its backup; do not edit it by hand",
    )
