"""What makes a file, a name or a removal survive a kill at any moment."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_veil.privacy.storage.base import WrittenFile

DRAFT = ".draft-"
"""What names begin with that are about to be renamed; a kill may leave them."""

TRASH = ".trash-"
"""What names begin with that are being removed; a kill may leave them."""


class HashingFile:
    """A new file that is hashed while it is written, so that its digest costs no second reading.

    Arrow takes it as a Python file object. Input: bytes-like. The file must not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._file = path.open("xb", buffering=0)
        self._dropped = False

    def write(self, data: Any) -> int:
        """Append; a write after `drop` goes nowhere, so that Arrow can end its own state."""
        if self._dropped:
            return len(data)
        view = memoryview(data).cast("B")
        self._sha256.update(view)
        self.bytes += len(view)
        written = 0
        while written < len(view):
            written += self._file.write(view[written:]) or 0
        return written

    def flush(self) -> None:
        """Nothing is buffered."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._file.closed and not self._dropped

    def close(self) -> None:
        """Called by Arrow when it is done; the file stays open until `finish`."""

    def finish(self) -> WrittenFile:
        """Make the content durable and close."""
        os.fsync(self._file.fileno())
        self._file.close()
        return WrittenFile(name=self.path.name, bytes=self.bytes, sha256=self._sha256.hexdigest())

    def drop(self) -> None:
        """Close and remove the file."""
        self._dropped = True
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes, *, drafts: Path, mode: int = 0o666) -> None:
    """Write a small file so that it is there whole or not at all.

    Args:
        path: Where it goes; replaced if it is there.
        content: What it holds.
        drafts: A folder of the same file system to write it in first.
        mode: Who may read it, less what the process's umask takes away.
    """
    draft = drafts / f"{DRAFT}{secrets.token_hex(8)}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def point(link: Path, target: str) -> None:
    """Let a symbolic link in a folder point to a name beside it, in one step; it is replaced if it is there."""
    draft = link.with_name(f"{DRAFT}{secrets.token_hex(8)}")
    draft.symlink_to(target)
    draft.replace(link)
    sync_folder(link.parent)


def remove(folder: Path) -> bool:
    """Remove a folder with all in it: under its name it is there whole or not at all.

    Returns:
        Whether it was there.
    """
    trash = folder.with_name(f"{TRASH}{secrets.token_hex(8)}")
    try:
        folder.rename(trash)
    except FileNotFoundError:
        return False
    shutil.rmtree(trash)
    return True


def remove_leavings(folder: Path, limit: float) -> None:
    """Remove the drafts and the trash in a folder that were last changed before a time (seconds since 1970)."""
    for path in folder.iterdir():
        if path.name.startswith((DRAFT, TRASH)):
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < limit:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
