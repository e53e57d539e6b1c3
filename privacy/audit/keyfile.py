"""The signing key in a file that only its owner can read; a team keeps it in an Airflow connection instead."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.errors import KeyRingError

_OWNER_ONLY = 0o600
_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST = 4096


def load(path: Path) -> SigningKey:
    """Read a signing key.

    Raises:
        KeyRingError: The file is missing, a symbolic link, no regular file, another user's, or open to group or
            others.
        AuditError: It holds no signing key.
    """
    with _told(path):
        # Without O_NONBLOCK a named pipe would hang here. What is checked is what was opened, and not its name.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _SAFE)
    try:
        _check(os.fstat(handle), path)
        content = os.read(handle, _LARGEST)
    finally:
        os.close(handle)
    return SigningKey.parse(content.decode("utf-8", "replace"), where=str(path))


def create(path: Path, key: SigningKey) -> None:
    """Write a signing key to a file that is not there yet, mode 0600.

    Raises:
        KeyRingError: The file exists, or cannot be written.
    """
    with _told(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, _OWNER_ONLY)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, _OWNER_ONLY)
            file.write(f"{key.secret_text()}\n".encode())
            file.flush()
            os.fsync(handle)


def _check(found: os.stat_result, path: Path) -> None:
    """Refuse anything but a regular file that is ours alone."""
    if not stat.S_ISREG(found.st_mode):
        raise KeyRingError("the signing key is no regular file", where=str(path), fix="name the file itself")
    if found.st_uid != os.geteuid():
        raise KeyRingError(
            f"the signing key belongs to user {found.st_uid}, and this is user {os.geteuid()}",
            where=str(path),
            fix="run as its owner",
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyRingError(
            f"others can use the signing key: its mode is {stat.S_IMODE(found.st_mode):04o}",
            where=str(path),
            expected="mode 0600",
            fix=f"`chmod 600 {path}`, and make a new key if somebody may have read it",
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what the operating system refused, in the project's words."""
    try:
        yield
    except FileExistsError:
        raise KeyRingError(
            "the file of the signing key exists already",
            where=str(path),
            fix="use it, or name another file; a lost key cannot be made again",
        ) from None
    except FileNotFoundError:
        raise KeyRingError(
            "there is no such signing key",
            where=str(path),
            fix="make it with `veil audit keygen`, or correct the path",
        ) from None
    except OSError as error:
        link = error.errno == errno.ELOOP
        raise KeyRingError(
            "the signing key is a symbolic link, which somebody else could point elsewhere"
            if link
            else f"the signing key cannot be used: {os.strerror(error.errno or 0)}",
            where=str(path),
            fix="name the file that it points to" if link else "check the permissions of its folder",
        ) from None
