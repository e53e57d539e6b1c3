"""The signing key in a file that only its owner can read; a team keeps it in an Airflow connection instead."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.owned import open_owned, write_owned

_LARGEST = 4096


def load(path: Path) -> SigningKey:
    """Read a signing key.

    Raises:
        KeyRingError: The file is missing, a symbolic link, no regular file, another user's, or open to group or
            others.
        AuditError: It holds no signing key.
    """
    with _told(path):
        handle = open_owned(
            path,
            os.O_RDONLY,
            what="signing key",
            not_ours="run as its owner",
            not_private=f"`chmod 600 {path}`, and make a new key if somebody may have read it",
        )
    try:
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
        write_owned(path, f"{key.secret_text()}\n".encode())


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
