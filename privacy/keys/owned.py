"""Files that hold secrets: a regular file that its owner alone can use, checked as it was opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from airflow_veil.privacy.errors import KeyRingError

OWNER_ONLY = 0o600
SAFE = os.O_NOFOLLOW | os.O_CLOEXEC
"""What every secret is opened with: no symbolic link is followed, and no child process inherits it."""


def open_owned(path: Path, flags: int, *, what: str, not_ours: str, not_private: str) -> int:
    """Open a file and check what was opened, so that nobody can swap it between check and use.

    Args:
        path: The file.
        flags: How to open it, as `os.open` takes it.
        what: What it is, to name in an error.
        not_ours: What to do where it is another user's.
        not_private: What to do where group or others can use it.

    Returns:
        The handle.

    Raises:
        KeyRingError: It is anything but a regular file that is ours alone.
        OSError: It cannot be opened.
    """
    # Without O_NONBLOCK a named pipe would hang here.
    handle = os.open(path, flags | os.O_NONBLOCK | SAFE)
    try:
        _check(os.fstat(handle), path, what=what, not_ours=not_ours, not_private=not_private)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check(found: os.stat_result, path: Path, *, what: str, not_ours: str, not_private: str) -> None:
    """Refuse anything but a regular file that is ours alone."""
    if not stat.S_ISREG(found.st_mode):
        raise KeyRingError(f"the {what} is no regular file", where=str(path), fix="name the file itself")
    if found.st_uid != os.geteuid():
        raise KeyRingError(
            f"the {what} belongs to user {found.st_uid}, and this is user {os.geteuid()}",
            where=str(path),
            fix=not_ours,
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyRingError(
            f"others can use the {what}: its mode is {stat.S_IMODE(found.st_mode):04o}",
            where=str(path),
            expected="mode 0600",
            fix=not_private,
        )


def write_owned(path: Path, content: bytes) -> None:
    """Write a new file of mode 0600, whatever the umask, and flush it to disk.

    Raises:
        OSError: It is there, or cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, OWNER_ONLY)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, OWNER_ONLY)
        file.write(content)
        file.flush()
        os.fsync(handle)
