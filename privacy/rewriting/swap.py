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
                    "another run is at these files", where=where, fix="run again later"
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


def step(path: Path, draft: Path | None) -> None:
    """The one step that changes a file; before it the file is as it was, after it its rows are gone.

    Args:
        path: The file.
        draft: What takes its place; None where it goes whole.
    """
    real = path.resolve()
    if draft is None:
        real.unlink()
    else:
        _like(draft, real)
        draft.replace(real)
    sync_folder(real.parent)


def move_step(path: Path, draft: Path, home: Path) -> None:
    """The step for a file that must not stay where it lies: the draft, which has no rows, goes to its new place first.

    Killed in between, both are there, and the old one can go whole.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    _like(draft, path)
    draft.replace(home)
    sync_folder(home.parent)
    path.unlink()
    sync_folder(path.parent)


def _like(draft: Path, old: Path) -> None:
    """Give a file the owner and the rights of another one."""
    state = old.stat()
    with suppress(PermissionError):
        os.chown(draft, state.st_uid, state.st_gid)
    draft.chmod(state.st_mode & 0o7777)
