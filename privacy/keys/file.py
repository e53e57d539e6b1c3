"""A key ring in a file that only its owner can read: for a laptop or a single machine.

A team keeps its ring in an Airflow secrets backend instead.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.owned import OWNER_ONLY, SAFE, open_owned, write_owned
from airflow_veil.privacy.keys.ring import KeyRing

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key ring in a file of mode 0600.

    Every change is made by one process at a time (flock on `.<name>.lock` beside the file), and replaces the
    file whole: written beside it, flushed to disk, renamed. A kill at any moment leaves the old ring or the
    new one.

    Attributes:
        path: The file itself, not a symbolic link to it.
    """

    path: Path

    def load(self) -> KeyRing:
        """Read the ring.

        Raises:
            KeyRingError: The file is missing, a symbolic link, no regular file, another user's, open to group
                or others, or holds no key ring.
        """
        with _open(self.path, os.O_RDONLY) as file:
            return _read(file, self.path)

    def create(self, ring: KeyRing | None = None) -> KeyRing:
        """Write a ring, a new one if none is given, to a file that is not there yet.

        Raises:
            KeyRingError: The file exists, or cannot be written.
        """
        ring = ring or KeyRing.generate()
        with self._locked():
            if os.path.lexists(self.path):
                raise KeyRingError(
                    "the key file exists already",
                    where=str(self.path),
                    fix="use it, rotate it, or name another file; a lost ring cannot be made again",
                )
            self._put(ring)
        return ring

    def rotate(self) -> KeyRing:
        """Add a new active version; processes that rotate at once add one each.

        Raises:
            KeyRingError: As for `load`, or the file cannot be written.
        """
        return self._change(KeyRing.rotate)

    def destroy(self, version: int) -> KeyRing:
        """Destroy the secret of a retired version.

        The file no longer holds the secret when this returns, nor does the file it replaces, which is
        overwritten with zeros. That is all that can be promised. Backups, snapshots, copies, and what a
        copy-on-write file system, a journal or a flash disk keeps of the old blocks are beyond reach, as is
        the memory of processes that have read it: destroy those yourself, or keep the ring on an encrypted
        disk or in a secrets backend.

        Raises:
            KeyRingError: As for `load`, the version is unknown or active, or the file cannot be written.
        """
        return self._change(lambda ring: ring.destroy(version))

    def _change(self, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
        with self._locked(), _open(self.path, os.O_RDWR) as old:
            ring = change(_read(old, self.path))
            self._put(ring)
            # After the rename, not before: a kill in between must not leave the only ring overwritten.
            with _told(self.path):
                _wipe(old)
        return ring

    def _put(self, ring: KeyRing) -> None:
        """Write the ring beside the file and rename it over; the lock is held."""
        beside = self.path.with_name(f".{self.path.name}.new")
        with _told(self.path):
            _remove(beside)
            try:
                write_owned(beside, ring.to_json().encode())
                os.replace(beside, self.path)
            except BaseException:
                _remove(beside)
                raise
            _flush(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only one that changes the file; a lock of its own, since the file is replaced."""
        name = self.path.with_name(f".{self.path.name}.lock")
        with _told(self.path):
            lock = os.open(name, os.O_RDWR | os.O_CREAT | SAFE, OWNER_ONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _open(path: Path, flags: int) -> BinaryIO:
    """Open a key file that is ours alone."""
    with _told(path):
        handle = open_owned(
            path,
            flags,
            what="key file",
            not_ours=f"run as its owner, or `chown {os.geteuid()} {path}` if the ring is yours",
            not_private=f"`chmod 600 {path}`, and rotate the ring if somebody may have read it",
        )
    return os.fdopen(handle, "rb" if flags == os.O_RDONLY else "r+b", buffering=0)


def _read(file: BinaryIO, path: Path) -> KeyRing:
    with _told(path):
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise KeyRingError("too large for a key file", where=str(path), expected="at most 1 MiB")
    return KeyRing.from_json(content, where=str(path))


def _remove(path: Path) -> None:
    """Wipe and remove a half-made ring, ours or that of a killed process, if there is one."""
    with suppress(FileNotFoundError):
        # What cannot be wiped, on a full disk or a strange file, is at least removed.
        with (
            suppress(OSError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_NONBLOCK | SAFE), "wb", buffering=0) as file,
        ):
            _wipe(file)
        os.unlink(path)


def _wipe(file: BinaryIO) -> None:
    """Overwrite a file with zeros; what that is worth, see `KeyFile.destroy`."""
    file.seek(0)
    file.write(bytes(os.fstat(file.fileno()).st_size))
    file.flush()
    os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what the operating system refused, in the project's words."""
    try:
        yield
    except FileNotFoundError:
        raise KeyRingError(
            "there is no such key file" if path.parent.is_dir() else "there is no such folder",
            where=str(path),
            fix="make the ring with `veil keys init`, or correct the path",
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyRingError(
                "the key file is a symbolic link, which somebody else could point elsewhere",
                where=str(path),
                fix="name the file that it points to",
            ) from None
        raise KeyRingError(
            f"the key file cannot be used: {os.strerror(error.errno or 0)}",
            where=str(path),
            fix="check the permissions and the space of its folder",
        ) from None
