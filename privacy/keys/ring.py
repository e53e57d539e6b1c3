"""The key ring: versioned secrets, and the subkeys that transforms get instead of them.

Each purpose and domain has a key of its own, so that what one column's key gives away says nothing of
another's. Rotation makes a new version for new values and keeps the old ones for reading; destroying a
version makes what it made unreadable for good.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.derive import LONGEST, hkdf, info_of
from airflow_veil.privacy.keys.version import (
    SECRET_BYTES,
    KeyState,
    KeyVersion,
    fingerprint_of,
    new_version,
    now,
    read_version,
    write_version,
)

FORMAT = 1
"""The format that `to_json` writes and `from_json` reads."""


class KeyRing:
    """Versioned secrets; a value, so `rotate` and `destroy` give a new one.

    It is deliberately no dataclass and has no `__dict__`: Airflow writes dataclasses to XCom field by field.
    It refuses to be pickled or copied, and its text shows versions and states; the secrets leave by `to_json`
    alone.

    Python cannot wipe memory: a secret that a process has read stays in it until it ends, even if destroyed.

    Args:
        versions: From 1, in order; exactly one active.
        secrets: 32 bytes for each version that is not destroyed.

    Raises:
        KeyRingError: Versions and secrets do not fit.
    """

    __slots__ = ("_secrets", "_subkeys", "_versions")

    def __init__(self, versions: Iterable[KeyVersion], secrets: Mapping[int, bytes]) -> None:
        self._versions = tuple(versions)
        self._secrets = dict(secrets)
        self._subkeys: dict[tuple[str, str, int, int], bytes] = {}
        _check_versions(self._versions)
        _check_secrets(self._versions, self._secrets)

    @classmethod
    def generate(cls) -> KeyRing:
        """A ring with one new version, active."""
        version, secret = new_version(1)
        return cls([version], {1: secret})

    @property
    def versions(self) -> tuple[KeyVersion, ...]:
        """All versions, oldest first, destroyed ones too; nothing secret."""
        return self._versions

    @property
    def current(self) -> int:
        """The active version: the one that new values are made with."""
        return next(version.number for version in self._versions if version.state is KeyState.ACTIVE)

    def version(self, number: int) -> KeyVersion:
        """What may be known of one version.

        Raises:
            KeyRingError: There is none of that number.
        """
        for version in self._versions:
            if version.number == number:
                return version
        raise KeyRingError(
            f"the key ring has no version {number:d}",
            expected=f"1 to {len(self._versions)}",
            fix="use the key ring that the values were made with",
        )

    def fingerprint(self, version: int) -> str:
        """16 hex digits that identify a version, destroyed or not, and may be shown.

        Raises:
            KeyRingError: There is no such version.
        """
        return self.version(version).fingerprint

    def subkey(self, purpose: str, domain: str, *, version: int | None = None, length: int = 32) -> bytes:
        """The key of one purpose and domain.

        Args:
            purpose: What the key does, such as `token`; not empty.
            domain: What it does it to, such as `customer`; not empty.
            version: The version to derive it from; the active one if left out.
            length: How many bytes, 1 to 8160. Keys of different lengths share no bytes.

        Returns:
            HKDF-SHA-256 (RFC 5869) of the version's secret, without salt; the info is `airflow-veil`,
            purpose, domain, version and length, each preceded by its own length.

        Raises:
            KeyRingError: The version is unknown or destroyed, the length out of range, or a name empty.
        """
        number = self.current if version is None else version
        asked = (purpose, domain, number, length)
        if asked not in self._subkeys:
            self._subkeys[asked] = self._derive(*asked)
        return self._subkeys[asked]

    def _derive(self, purpose: str, domain: str, number: int, length: int) -> bytes:
        if not purpose or not domain:
            raise KeyRingError("a subkey needs a purpose and a domain", expected="neither of them empty")
        if not 1 <= length <= LONGEST:
            raise KeyRingError(f"a subkey of {length} bytes", expected=f"1 to {LONGEST} bytes")
        secret = self._secret(number)
        names = (b"airflow-veil", purpose.encode(), domain.encode())
        info = info_of(*names, number.to_bytes(4, "big"), length.to_bytes(4, "big"))
        return hkdf(secret, info=info, length=length)

    def _secret(self, number: int) -> bytes:
        if self.version(number).state is KeyState.DESTROYED:
            raise KeyRingError(
                f"version {number} of the key ring is destroyed",
                fix="nothing brings it back: what it made cannot be read again; make it anew from the source",
            )
        return self._secrets[number]

    def rotate(self) -> KeyRing:
        """A ring with a new active version; the one that was active is retired and still reads."""
        retired = [
            replace(version, state=KeyState.RETIRED) if version.state is KeyState.ACTIVE else version
            for version in self._versions
        ]
        version, secret = new_version(len(retired) + 1)
        return KeyRing([*retired, version], {**self._secrets, version.number: secret})

    def destroy(self, version: int) -> KeyRing:
        """A ring without the secret of a retired version; the version stays listed, as destroyed.

        Destroying what is destroyed already changes nothing.

        Raises:
            KeyRingError: There is no such version, or it is the active one.
        """
        gone = self.version(version)
        if gone.state is KeyState.DESTROYED:
            return self
        if gone.state is KeyState.ACTIVE:
            raise KeyRingError(
                f"version {version} of the key ring is active, so it cannot be destroyed",
                fix="rotate first, then destroy it",
            )
        destroyed = replace(gone, state=KeyState.DESTROYED, destroyed=now())
        secrets = {number: secret for number, secret in self._secrets.items() if number != version}
        return KeyRing([destroyed if item is gone else item for item in self._versions], secrets)

    def to_json(self) -> str:
        """The whole ring with its secrets: for a key file or a secrets backend, never for a log."""
        versions = [write_version(version, self._secrets.get(version.number)) for version in self._versions]
        return json.dumps({"format": FORMAT, "versions": versions}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = "the key ring") -> KeyRing:
        """The ring that `to_json` wrote.

        Args:
            text: The JSON.
            where: Where it came from, to name in an error.

        Raises:
            KeyRingError: It is no key ring of this format, or not whole; the message holds nothing of the
                text.
        """
        try:
            read = [read_version(entry, where=f"entry {i}") for i, entry in enumerate(_read_entries(text), 1)]
            return cls(
                [version for version, _ in read],
                {version.number: secret for version, secret in read if secret is not None},
            )
        except KeyRingError as error:
            place = ", ".join(part for part in (where, error.where) if part)
            raise KeyRingError(error.what, where=place, expected=error.expected, fix=error.fix) from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(f'{item.number} {item.state}' for item in self._versions)})"

    def __eq__(self, other: object) -> bool:
        # Fingerprints stand for the secrets.
        return self._versions == other._versions if isinstance(other, KeyRing) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._versions)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise KeyRingError(
            "a key ring is not pickled or copied: its secrets would travel with it",
            fix="hand on the connection or the file that holds it",
        )


def _check_versions(versions: tuple[KeyVersion, ...]) -> None:
    if [version.number for version in versions] != list(range(1, len(versions) + 1)):
        raise KeyRingError(
            "the versions of the key ring are not 1, 2, 3 … in order",
            fix="restore the key ring from its backup: a version is missing or stands twice",
        )
    active = sum(version.state is KeyState.ACTIVE for version in versions)
    if active != 1:
        raise KeyRingError(f"{active} versions of the key ring are active", expected="exactly one")


def _check_secrets(versions: tuple[KeyVersion, ...], secrets: dict[int, bytes]) -> None:
    readable = {version.number for version in versions if version.state is not KeyState.DESTROYED}
    if readable != set(secrets):
        raise KeyRingError(
            "versions and secrets do not fit",
            expected="a secret for each version that is not destroyed, and none for those that are",
        )
    for version in versions:
        if version.number in secrets:
            _check_secret(version, secrets[version.number])


def _check_secret(version: KeyVersion, secret: bytes) -> None:
    if len(secret) != SECRET_BYTES or not hmac.compare_digest(fingerprint_of(secret), version.fingerprint):
        raise KeyRingError(
            f"the secret of version {version.number} is not the one that its fingerprint belongs to",
            fix="restore the key ring from its backup: with another secret all tokens would change",
        )


def _read_entries(text: str | bytes) -> list[Any]:
    try:
        content = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or set(content) != {"format", "versions"}:
        raise KeyRingError(
            "not a key ring",
            expected="a JSON object with the fields `format` and `versions`",
            fix="make one with `veil keys init`",
        )
    if type(content["format"]) is not int or content["format"] != FORMAT:
        raise KeyRingError(
            "a key ring of another format",
            expected=f"format {FORMAT}",
            fix="use the version of airflow-veil that wrote it, or a newer one",
        )
    if not isinstance(content["versions"], list):
        raise KeyRingError("the field `versions` is wrong", expected="a list")
    return content["versions"]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields
