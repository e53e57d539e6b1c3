"""Releases as folders: written where nobody looks, published by one rename, made current by one link.

    <root>/<dataset>/<release_id>/data-00000.parquet ... _manifest.json  never changed once it is there
    <root>/<dataset>/current -> <release_id>                             what consumers read
    <root>/<dataset>/.attempt-<release_id>-<token>/                      one attempt, mode 0700, locked while written
    <root>/<dataset>/.staged-<release_id> -> .attempt-...                the attempt that is whole

A process may be killed between any two system calls: renaming a folder and replacing a link are atomic (POSIX
rename(2)), and each is made durable before the next one begins.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from airflow_veil.privacy.errors import InternalError, ReleaseError
from airflow_veil.privacy.storage.base import DatasetIdentity, Source, Writer, Written
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.csv_writer import CsvWriter
from airflow_veil.privacy.storage.durable import (
    DRAFT,
    point,
    remove,
    remove_leavings,
    sync_folder,
    write_whole,
)
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.files import MANIFEST
from airflow_veil.privacy.storage.names import segment
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter
from airflow_veil.privacy.storage.retyped import Retyped, keep_schema, kept_schema
from airflow_veil.privacy.storage.whole_files import FileWriter

CURRENT = "current"
ATTEMPT = ".attempt-"
STAGED = ".staged-"


@dataclass(frozen=True)
class FolderDestination:
    """Releases of Parquet or CSV files under a folder; see `Destination`.

    Attributes:
        root: The folder; made on first use. One file system that knows flock(2) and symbolic links.
        format: What the files are.
    """

    root: Path
    format: Literal["parquet", "csv"] = "parquet"

    @property
    def name(self) -> str:
        """The root as a URI."""
        return self.root.absolute().as_uri()

    def identity(self, dataset: str) -> DatasetIdentity:
        """`file` and the path of `current`."""
        return DatasetIdentity("file", str(self._folder(dataset).absolute() / CURRENT))

    def staged_identity(self, dataset: str, release_id: str) -> DatasetIdentity:
        """`file` and the path of the link to the staged attempt."""
        return DatasetIdentity("file", str(self._staged(dataset, release_id).absolute()))

    def writer(self, dataset: str, release_id: str, schema: pa.Schema) -> Writer:
        """See `Destination.writer`."""
        staged, attempt, lock = self._attempt(dataset, release_id)
        try:
            keep_schema(attempt, schema)
            writer = (ParquetWriter if self.format == "parquet" else CsvWriter)(attempt, schema)
            return AttemptWriter(attempt, staged, lock, writer)
        except BaseException:
            os.close(lock)
            remove(attempt)
            raise

    def stage_files(self, name: str, release_id: str, files: Mapping[str, bytes]) -> Written:
        """Stage whole files that are no table, such as a model and its card; `commit` publishes them like rows.

        Args:
            name: What is released, in the place of a data set's name.
            release_id: The release.
            files: Content by name.

        Raises:
            StorageError: They cannot be written; nothing is staged.
        """
        staged, attempt, lock = self._attempt(name, release_id)
        inner = FileWriter(attempt)
        with AttemptWriter(attempt, staged, lock, inner) as writer:
            for file, content in files.items():
                inner.add(file, content)
            return writer.close()

    def source(self, dataset: str, release_id: str) -> Source:
        """See `Destination.source`."""
        release = self._folder(dataset) / segment(release_id, "release")
        folder = release if release.is_dir() else self._staged(dataset, release_id)
        if not folder.is_dir():
            raise self._missing(dataset, release_id)
        schema = kept_schema(folder)
        if self.format == "parquet":
            return Retyped(ParquetSource(folder), schema)
        return CsvSource(folder, dict(zip(schema.names, schema.types, strict=True)), quoted_nulls=False)

    def commit(self, dataset: str, release_id: str, *, manifest: Mapping[str, Any]) -> bool:
        """See `Destination.commit`."""
        release = self._folder(dataset) / segment(release_id, "release")
        with storing("publishing", str(release)):
            published = not release.is_dir() and self._publish(
                self._staged(dataset, release_id), release, manifest
            )
            self.discard(dataset, release_id)
            point(release.with_name(CURRENT), release_id)
        return published

    def discard(self, dataset: str, release_id: str) -> int:
        """See `Destination.discard`."""
        staged = self._staged(dataset, release_id)
        with storing("discarding", str(staged.parent)):
            staged.unlink(missing_ok=True)
            attempts = _attempts(staged.parent, f"{ATTEMPT}{release_id}-")
            return sum(remove(attempt) for attempt in attempts if not _locked(attempt))

    def releases(self, dataset: str) -> tuple[str, ...]:
        """See `Destination.releases`."""
        folder = self._folder(dataset)
        with storing("listing releases", str(folder)):
            if not folder.is_dir():
                return ()
            found = [path.name for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
            return tuple(sorted(name for name in found if not name.startswith(".")))

    def current(self, dataset: str) -> str | None:
        """See `Destination.current`."""
        link = self._folder(dataset) / CURRENT
        with storing("reading the current release", str(link)):
            return os.readlink(link) if link.is_symlink() else None

    def switch(self, dataset: str, release_id: str) -> None:
        """See `Destination.switch`."""
        release = self._release(dataset, release_id)
        with storing("switching", str(release)):
            point(release.with_name(CURRENT), release_id)

    def manifest(self, dataset: str, release_id: str) -> dict[str, Any]:
        """See `Destination.manifest`."""
        path = self._release(dataset, release_id) / MANIFEST
        with storing("reading the manifest", str(path)):
            manifest: dict[str, Any] = json.loads(path.read_bytes())
        return manifest

    def drop(self, dataset: str, release_id: str) -> None:
        """See `Destination.drop`."""
        if self.current(dataset) == release_id:
            raise ReleaseError(
                "the current release cannot be dropped", where=dataset, fix="make another one current"
            )
        with storing("dropping", str(self._folder(dataset))):
            remove(self._folder(dataset) / segment(release_id, "release"))

    def withdraw(self, dataset: str, release_id: str) -> None:
        """See `Destination.withdraw`: the link goes first, so that it never leads to half a release."""
        link = self._folder(dataset) / CURRENT
        if not self.root.is_dir():
            raise unfit(
                "the folder of releases is not there, so nothing can be withdrawn from it",
                where=str(self.root),
                fix="mount it, or run where it is",
            )
        with storing("withdrawing", str(self._folder(dataset))):
            if self.current(dataset) == release_id:
                link.unlink(missing_ok=True)
                sync_folder(link.parent)
            remove(self._folder(dataset) / segment(release_id, "release"))

    def sweep(self, dataset: str, older_than_seconds: float) -> int:
        """See `Destination.sweep`."""
        folder = self._folder(dataset)
        limit = time.time() - older_than_seconds
        with storing("sweeping", str(folder)):
            if not folder.is_dir():
                return 0
            old = [attempt for attempt in _attempts(folder, ATTEMPT) if _touched(attempt) < limit]
            swept = sum(remove(attempt) for attempt in old if not _locked(attempt))
            for link in folder.glob(f"{STAGED}*"):
                if not link.exists():
                    link.unlink(missing_ok=True)
            remove_leavings(folder, limit)
        return swept

    def _publish(self, staged: Path, release: Path, manifest: Mapping[str, Any]) -> bool:
        """Whether this call, and not another at the same time, made the release."""
        attempt = _linked(staged)
        if attempt is None or not attempt.is_dir():
            if release.is_dir():
                # Another commit was faster: it took the attempt away between two looks.
                return False
            raise self._missing(release.parent.name, release.name)
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
        try:
            write_whole(attempt / MANIFEST, f"{text}\n".encode(), drafts=release.parent)
            # Private while staged; from now on whoever may enter the data set's folder may read it.
            attempt.chmod(release.parent.stat().st_mode & 0o777)
            attempt.rename(release)
        except OSError:
            if release.is_dir():
                return False
            raise
        sync_folder(release.parent)
        return True

    def _attempt(self, dataset: str, release_id: str) -> tuple[Path, Path, int]:
        """A new attempt: what is going to point to it, its folder, and the handle that holds its lock."""
        staged = self._staged(dataset, release_id)
        attempt = staged.with_name(f"{ATTEMPT}{release_id}-{secrets.token_hex(8)}")
        with storing("staging", str(self.root)):
            attempt.parent.mkdir(parents=True, exist_ok=True)
            return staged, attempt, _make_locked(attempt)

    def _folder(self, dataset: str) -> Path:
        return self.root / segment(dataset, "data set")

    def _staged(self, dataset: str, release_id: str) -> Path:
        if release_id == CURRENT:
            raise unfit(f"a release cannot have the name {CURRENT}", where=dataset)
        return self._folder(dataset) / f"{STAGED}{segment(release_id, 'release')}"

    def _release(self, dataset: str, release_id: str) -> Path:
        if release_id not in self.releases(dataset):
            raise self._missing(dataset, release_id)
        return self._folder(dataset) / release_id

    def _missing(self, dataset: str, release_id: str) -> ReleaseError:
        known = ", ".join(self.releases(dataset)) or "none"
        return ReleaseError(
            f"there is no release {release_id}, committed or staged",
            where=dataset,
            expected=f"committed are: {known}",
        )


class AttemptWriter(Writer):
    """The writer of one attempt: holds its lock, and links it as staged when it is whole; see `Writer`."""

    def __init__(
        self, attempt: Path, staged: Path, lock: int, inner: ParquetWriter | CsvWriter | FileWriter
    ) -> None:
        self._attempt, self._staged, self._inner = attempt, staged, inner
        self._lock: int | None = lock
        self._written: Written | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`."""
        if isinstance(self._inner, FileWriter):
            raise InternalError("a release of whole files takes no rows", where=str(self._attempt))
        self._inner.write(batch)

    def close(self) -> Written:
        """See `Writer.close`."""
        if self._written is None:
            written = self._inner.close()
            with storing("staging", str(self._staged)):
                point(self._staged, self._attempt.name)
            self._unlock()
            self._written = written
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`; what was staged by an earlier attempt stays."""
        with suppress(FileNotFoundError):
            if self._staged.readlink() == Path(self._attempt.name):
                self._staged.unlink()
        self._inner.abort()
        self._unlock()
        remove(self._attempt)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _linked(link: Path) -> Path | None:
    """What a link beside it points to; None where it is gone, be it between two looks."""
    try:
        return link.with_name(os.readlink(link))
    except FileNotFoundError:
        return None


def _attempts(folder: Path, prefix: str) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.name.startswith(prefix))


def _make_locked(attempt: Path) -> int:
    """Make the folder of an attempt, locked from the moment on that it bears its name.

    Were it there before it is locked, the commit of another attempt could take it for one that nobody is at.

    Returns:
        The handle that holds the lock until it is closed, which the system does for a process that dies.
    """
    draft = attempt.with_name(f"{DRAFT}{secrets.token_hex(8)}")
    draft.mkdir(mode=0o700)
    handle = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(attempt)
    except BaseException:
        os.close(handle)
        remove(draft)
        raise
    return handle


def _locked(folder: Path) -> bool:
    """Whether a living process holds the folder's lock."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _touched(folder: Path) -> float:
    """When the folder or a file in it was changed last."""
    with suppress(FileNotFoundError):
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return 0.0
