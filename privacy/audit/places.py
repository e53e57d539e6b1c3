"""Where checkpoints are anchored: outside the database, where whoever owns it cannot change them unseen.

A file that only grows, a folder with a file for each checkpoint, a branch of a git repository, which is pushed, or an
object store (`bucket.py`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from airflow_veil.privacy.errors import AuditError, StorageError

CHECKPOINT: Final = re.compile(r"checkpoint-(\d{20})\.txt")
"""What `checkpoint_name` gives."""
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://")
_BRANCH: Final = "refs/heads/veil-checkpoints"
_FILE: Final = "checkpoints.txt"
_WHO: Final = {"NAME": "airflow-veil", "EMAIL": "airflow-veil@localhost"}


def checkpoint_name(size: int) -> str:
    """The name of a checkpoint that is a file of its own: names sort as sizes do."""
    return f"checkpoint-{size:020}.txt"


class Place(ABC):
    """Where signed checkpoints are kept, in the order in which they were made.

    Attributes:
        where: The path or the address, as messages tell it.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def read(self) -> list[str]:
        """All checkpoints, as signed notes.

        Raises:
            AuditError: What is there is cut off.
            StorageError: It cannot be read.
        """

    @abstractmethod
    def add(self, note: str, size: int) -> None:
        """Keep one more, in the lock.

        Raises:
            StorageError: It cannot be written.
        """

    @abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """Be the only one that anchors here, where a place cannot hold the checkpoints of two at once.

        Raises:
            StorageError: It cannot be opened.
        """


class _LocalPlace(Place):
    """A place in the file system.

    Attributes:
        path: The file or the folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one on this machine that anchors here."""
        with _told(self.path):
            handle = self._lock()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @abstractmethod
    def _lock(self) -> int:
        """Open what is locked."""


def place(path: Path | str) -> Place:
    """The place of a path or an address: a git repository, a folder, a file, an object store. It may be yet to be made.

    A path that ends with a slash is a folder; `s3://BUCKET/PREFIX/` is an object store.

    Raises:
        StorageError: It is an address of another kind, or one that names credentials.
    """
    scheme = _SCHEME.match(str(path))
    if scheme and scheme[1] == "s3":
        # Here, since it brings Arrow, which the other places do without.
        from airflow_veil.privacy.audit.bucket import BucketPlace

        return BucketPlace(str(path))
    if scheme:
        raise StorageError(
            f"checkpoints are not kept at {scheme[1]}:// addresses",
            expected="a path, or s3://BUCKET/PREFIX/",
            fix="name the path of a file, a folder or a git repository",
        )
    found = Path(path).expanduser().absolute()
    if (found / ".git").exists() or ((found / "HEAD").is_file() and (found / "objects").is_dir()):
        return GitPlace(found)
    if found.is_dir() or str(path).endswith("/"):
        return FolderPlace(found)
    return FilePlace(found)


class FilePlace(_LocalPlace):
    """One file, to the end of which checkpoints are added; `chattr +a` makes the system hold to that."""

    def read(self) -> list[str]:
        """All checkpoints."""
        with _told(self.path):
            text = self.path.read_text("utf-8", "replace") if self.path.exists() else ""
        return _parted(text, str(self.path))

    def add(self, note: str, size: int) -> None:  # noqa: ARG002 - a file needs no names
        """Keep one more."""
        with _told(self.path):
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            with os.fdopen(handle, "wb", buffering=0) as file:
                # In one write: a kill leaves all of it or nothing.
                file.write(_joined(note, first=os.fstat(handle).st_size == 0).encode())
                os.fsync(handle)

    def _lock(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


class FolderPlace(_LocalPlace):
    """A folder with a file for each checkpoint, named by its size."""

    def read(self) -> list[str]:
        """All checkpoints, by size."""
        with _told(self.path):
            names = sorted(os.listdir(self.path)) if self.path.exists() else []
            found = [self.path / name for name in names if CHECKPOINT.fullmatch(name)]
            return [path.read_text("utf-8", "replace") for path in found]

    def add(self, note: str, size: int) -> None:
        """Keep one more; one that is there is never replaced."""
        final = self.path / checkpoint_name(size)
        beside = self.path / f".{final.name}.new"
        with _told(self.path):
            if final.exists():
                raise StorageError("there is such a checkpoint already", where=str(final))
            with beside.open("wb") as file:
                file.write(note.encode())
                file.flush()
                os.fsync(file.fileno())
            os.rename(beside, final)
            handle = self._lock()
            os.fsync(handle)
            os.close(handle)

    def _lock(self) -> int:
        self.path.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class GitPlace(_LocalPlace):
    """A branch of a git repository of its own history, a commit for each checkpoint; the work tree is left alone."""

    def read(self) -> list[str]:
        """All checkpoints."""
        text = self._git("cat-file", "blob", f"{_BRANCH}:{_FILE}") if self._tip() else ""
        return _parted(text, f"{self.path}, {_BRANCH}")

    def add(self, note: str, size: int) -> None:
        """Commit one more, unless the branch has moved meanwhile."""
        tip = self._tip()
        before = self._git("cat-file", "blob", f"{tip}:{_FILE}") if tip else ""
        text = before + _joined(note, first=not before)
        blob = self._git("hash-object", "-w", "--stdin", text=text).strip()
        tree = self._git("mktree", text=f"100644 blob {blob}\t{_FILE}\n").strip()
        parent = ["-p", tip] if tip else []
        message = f"Checkpoint of {size} entries"
        commit = self._git("commit-tree", tree, *parent, "-m", message).strip()
        self._git("update-ref", _BRANCH, commit, tip or "0" * len(commit))

    def _tip(self) -> str:
        return self._git("for-each-ref", "--format=%(objectname)", _BRANCH).strip()

    def _git(self, *arguments: str, text: str = "") -> str:
        program = shutil.which("git")
        if program is None:
            raise StorageError("git is not installed", where=str(self.path), fix="install it, or name a file")
        people = {f"GIT_{role}_{part}": of for role in ("AUTHOR", "COMMITTER") for part, of in _WHO.items()}
        done = subprocess.run(  # noqa: S603 - git itself, with arguments that are ours
            [program, "-C", str(self.path), *arguments],
            input=text.encode(),
            capture_output=True,
            check=False,
            env={**os.environ, **people},
        )
        if done.returncode:
            raise StorageError(
                f"git {arguments[0]} failed with {done.returncode}",
                where=str(self.path),
                fix="look at the repository with `git fsck`; try again if somebody else was anchoring",
            )
        return done.stdout.decode("utf-8", "replace")

    def _lock(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _joined(note: str, *, first: bool) -> str:
    """A note as it is added to others: an empty line before it."""
    return note if first else f"\n{note}"


def _parted(text: str, where: str) -> list[str]:
    """Notes that were joined: each is a text and signatures, with an empty line between and after."""
    parts = text.removesuffix("\n").split("\n\n") if text else []
    if len(parts) % 2 or (text and not text.endswith("\n")):
        raise AuditError(
            "the last checkpoint is cut off",
            where=where,
            expected="whole signed checkpoints, with an empty line between them",
            fix="remove what is after the last whole one, and anchor again",
        )
    return [f"{body}\n\n{signatures}\n" for body, signatures in zip(parts[::2], parts[1::2], strict=True)]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what the operating system refused, in the project's words."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"checkpoints cannot be kept there: {os.strerror(error.errno or 0)}",
            where=str(path),
            fix="make the folder, and let this user write to it",
        ) from None
