"""The lock that one run holds over its files, and the one step by which a file changes."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.storage.durable import sync_folder

PATIENCE = 120.0
"""Seconds to wait for another run over the same files."""


def wait_for(handle: int, where: str) -> None:
    """Wait for a lock.

    Raises:
        StorageError: It does not come free in time.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise StorageError(
                    "another run of retention is at these files", where=where, fix="run again later"
                ) from None
            time.sleep(0.05)
        else:
            return


def state(path: Path) -> tuple[int, ...]:
    """What changes with a file: which one it is, its size, and when it was written."""
    found = path.stat()
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def check_unchanged(path: Path, seen: tuple[int, ...], where: str) -> None:
    """Check that a file is the one that was read.

    Raises:
        StorageError: It is not.
    """
    if not path.exists() or state(path) != seen:
        raise StorageError(
            "the file changed while its rows were looked at; it is as the other writer left it",
            where=where,
            fix="run again when nobody writes it",
        )


def step(path: Path, draft: Path | None, *, whole: bool) -> None:
    """The one step that changes a file; before it the file is as it was, after it its rows are gone."""
    real = path.resolve()
    if whole:
        real.unlink()
    elif draft is not None:
        old = real.stat()
        with suppress(PermissionError):
            os.chown(draft, old.st_uid, old.st_gid)
        draft.chmod(old.st_mode & 0o7777)
        draft.replace(real)
    sync_folder(real.parent)
