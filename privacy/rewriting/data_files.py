"""The files of a source, as something that rows can be taken out of: one by one, each in one step.

Killed anywhere, retried, or run twice at once, it ends in the same state, without a journal (a kill may leave an empty
folder of a partition):

- a file is either as it was, or without the rows that were to go: the new one is written beside it, synced, looked at,
  and renamed over it; one that goes whole is unlinked;
- who changes files holds the lock of their folder, and only then sweeps what killed runs left beside them;
- right before the step the file must be the one that was read (inode, size, times), and holds are looked up in the
  ledger's own transaction, so that none can be placed in between.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.rewriting import csv_file, parquet_file
from airflow_veil.privacy.rewriting.holding import Keeps, under_holds
from airflow_veil.privacy.rewriting.loss import Loss
from airflow_veil.privacy.rewriting.parquet_file import Metadata, as_it_is
from airflow_veil.privacy.rewriting.swap import check_unchanged, move_step, state, step, wait_for
from airflow_veil.privacy.storage.csv import SUFFIXES as CSV
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.durable import sync_folder
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.files import MANIFEST, DataFile, FileSet
from airflow_veil.privacy.storage.parquet import SUFFIXES as PARQUET
from airflow_veil.privacy.storage.parquet import ParquetSource

DRAFT = ".veil-"
"""What names begin with of files that are about to take another one's place; a kill may leave them."""
LOCK = ".veil.lock"
SIDECAR = "_metadata"
"""Beside Parquet files some writers keep all footers, with their statistics."""
TABLE_LOGS = {"_delta_log": "Delta table", ".hoodie": "Hudi table"}
"""Folders in which a table keeps what its files are, and values of them."""

K = TypeVar("K", bound=Keeps)
K_contra = TypeVar("K_contra", bound=Keeps, contravariant=True)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Change(Protocol[K_contra, T_co]):
    """Tells what a file loses, and whether what was written is right."""

    def decide(self, file: DataFile, keeper: K_contra) -> tuple[Loss, T_co]:
        """What the file's rows lose, found in the file, and what to tell of it."""

    def is_clean(self, draft: DataFile, keeper: K_contra, *, rows: int) -> bool:
        """Whether a file that was written anew has so many rows, and none that was to lose anything."""

    def metadata(self, entries: Metadata) -> Metadata:
        """What stays of a footer's metadata."""

    def home(self, file: DataFile) -> Path:
        """Where a file without rows may lie; elsewhere than it does where its folders' names must go."""


@dataclass(frozen=True)
class Done:
    """What became of a file.

    Attributes:
        rewritten: Whether it was written anew.
        dropped: Whether it went whole.
    """

    rewritten: bool = False
    dropped: bool = False


@dataclass(frozen=True)
class DataFiles:
    """The files of a source.

    Attributes:
        source: Parquet or CSV files.
    """

    source: ParquetSource | CsvSource

    @cached_property
    def set(self) -> FileSet:
        """The files as they were when first asked for."""
        suffixes = PARQUET if isinstance(self.source, ParquetSource) else CSV
        return FileSet(self.source.path, suffixes, self.source.types)

    @property
    def is_folder(self) -> bool:
        """Whether there may be several, of which one can go."""
        return self.source.path.is_dir()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the files against other runs; what killed ones left is swept.

        Raises:
            StorageError: Another run does not end in time.
        """
        path = self.source.path.resolve()
        lock = path / LOCK if path.is_dir() else path.with_name(f".{path.name}{LOCK}")
        with storing("locking", str(self.source.path)):
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            wait_for(handle, str(self.source.path))
            with storing("sweeping", str(self.source.path)):
                _sweep(path)
            yield
        finally:
            os.close(handle)

    def check(self) -> None:
        """Check that this is nothing that is kept elsewhere, too.

        Raises:
            StorageError: It is a release, or a table with a log of its own.
        """
        path, where = self.source.path, str(self.source.path)
        if (path / MANIFEST).exists():
            raise unfit(
                "this is a release, which never changes",
                where=where,
                fix="let releases expire: `expires_after`",
            )
        for name, kind in TABLE_LOGS.items():
            if (path / name).exists():
                raise unfit(
                    f"this is a {kind}, whose log and older files hold its rows, too",
                    where=where,
                    fix="delete its rows by its own writer, with older versions and log entries",
                )

    def check_alone(self, file: DataFile) -> None:
        """Check that a file can be changed: under two names, or behind a link, its rows would stay under the other one.

        Raises:
            StorageError: It cannot.
        """
        path, where = file.path, self.set.where(file)
        if file.path != self.source.path and path.is_symlink():
            raise unfit("the file is a symbolic link", where=where, fix="put the file itself there")
        if path.stat().st_nlink > 1:
            raise unfit(
                "the file has another name (a hard link), under which its rows would stay",
                where=where,
                fix="remove the other name, or make it a copy",
            )
        if isinstance(self.source, ParquetSource):
            with storing("reading", where):
                parquet_file.check(path, where=where)

    def check_cells(self, name: str, *, null: bool) -> None:
        """Check that cells of a column can be changed.

        Args:
            name: The column.
            null: Whether they are to become null.

        Raises:
            SchemaError: They cannot.
        """
        where = str(self.source.path)
        if name in self.set.partitions.names:
            raise SchemaError(
                f"column {name} cannot be masked: it is in the folders' names",
                where=where,
                fix="delete the rows, or write the files anew with the column in them",
            )
        if not null:
            return
        if isinstance(self.source, CsvSource):
            if not self.source.format.null_values:
                raise SchemaError(
                    f"column {name} cannot be masked: the files have no spelling of null",
                    where=where,
                    fix="name one under `csv: {null_values: …}`",
                )
        elif not all(parquet_file.is_nullable(file.path, name) for file in self.set.files):
            raise SchemaError(
                f"column {name} cannot be masked: it takes no null",
                where=where,
                fix="delete the rows, or write the files anew with the column nullable",
            )

    def any_column(self) -> list[str]:
        """A column that is in the files, to count rows by."""
        partitions = self.set.partitions.names
        return [name for name in self.source.schema().names if name not in partitions][:1]

    def read(self, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some of the columns that are in a file, with plain types."""
        if isinstance(self.source, ParquetSource):
            return parquet_file.read(path, columns)
        return csv_file.read(self.source, path, columns)

    def change(
        self,
        file: DataFile,
        change: Change[K, T],
        frozen: Callable[[], AbstractContextManager[K]],
        *,
        may_drop: bool,
        keeper: K | None = None,
        copied: Callable[[DataFile, Loss], AbstractContextManager[Callable[[], None]]] | None = None,
    ) -> tuple[T, Done]:
        """Take out of one file what it is to lose; one that loses nothing is not touched.

        Args:
            file: The file.
            change: Tells what it loses.
            frozen: Gives what is held, and keeps it so for the block.
            may_drop: Whether the file may go if all its rows do; else it stays without rows.
            keeper: What was held a moment ago, where it is known.
            copied: Copies what is lost elsewhere; gives the step by which it is there, made right before the file's.

        Returns:
            What the change told, and what became of the file.

        Raises:
            StorageError: The file changed meanwhile, or cannot be written anew; it is as it was.
        """
        where = self.set.where(file)

        @contextmanager
        def attempt(keeper: K) -> Iterator[tuple[Callable[[], None] | None, tuple[T, Done]]]:
            seen = state(file.path)
            loss, told = change.decide(file, keeper)
            home = change.home(file)
            # A file that has no rows any more may still lie under a name that must go.
            whole = loss.whole or (not len(loss) and home != file.path)
            if not loss.any and not whole:
                yield None, (told, Done())
                return
            self.check_alone(file)
            # First, so that a kill in between leaves none: readers do without them.
            self._drop_sidecars(file.path)
            with nullcontext(_nothing) if copied is None else copied(file, loss) as copy:

                def drop() -> None:
                    check_unchanged(file.path, seen, where)
                    copy()
                    self._drop(file.path, seen, where)

                if whole and may_drop and self.is_folder:
                    yield drop, (told, Done(dropped=True))
                    return
                with self._draft(file, loss, change, where) as draft:
                    beside = DataFile(draft, file.name, file.partition)
                    if not change.is_clean(beside, keeper, rows=len(loss) - int(loss.gone.sum())):
                        raise _wrong(where)
                    place = home if whole else file.path

                    def swap() -> None:
                        check_unchanged(file.path, seen, where)
                        copy()
                        self._swap(file.path, draft, place, seen, where)

                    yield swap, (told, Done(rewritten=True))

        with storing("deleting rows", where):
            return under_holds(frozen, attempt, keeper)

    def _drop(self, path: Path, seen: tuple[int, ...], where: str) -> None:
        check_unchanged(path, seen, where)
        step(path, None)
        self._drop_empty_folders(path.parent)

    def _swap(self, path: Path, draft: Path, home: Path, seen: tuple[int, ...], where: str) -> None:
        check_unchanged(path, seen, where)
        if home == path:
            step(path, draft)
        else:
            move_step(path, draft, home)
            self._drop_empty_folders(path.parent)

    @contextmanager
    def _draft(self, file: DataFile, loss: Loss, change: Change[K, T], where: str) -> Iterator[Path]:
        """The file without what is lost, beside it, on disk; at the end of the block it is gone if nobody took it."""
        real = file.path.resolve()
        draft = real.with_name(f"{DRAFT}{secrets.token_hex(8)}-{real.name}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as sink:
                if isinstance(self.source, ParquetSource):
                    parquet_file.rewrite(file.path, sink, loss, where=where, metadata=change.metadata)
                else:
                    csv_file.rewrite(self.source, file.path, sink, loss, where=where)
                sink.flush()
                os.fsync(sink.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _drop_empty_folders(self, folder: Path) -> None:
        """Remove the folders of partitions that have no file any more."""
        with suppress(OSError):
            while folder != self.source.path:
                (folder / SIDECAR).unlink(missing_ok=True)
                folder.rmdir()
                folder = folder.parent
                sync_folder(folder)

    def _drop_sidecars(self, path: Path) -> None:
        """Remove what others keep of a file: its footer with statistics of rows that go, and its check sums."""
        real = path.resolve()
        real.with_name(f".{real.name}.crc").unlink(missing_ok=True)
        if self.is_folder:
            for folder in {self.source.path, path.parent}:
                (folder / SIDECAR).unlink(missing_ok=True)


class Plain:
    """A change keeps footers' metadata and places, unless it says something else."""

    def metadata(self, entries: Metadata) -> Metadata:
        """See `Change.metadata`."""
        return as_it_is(entries)

    def home(self, file: DataFile) -> Path:
        """See `Change.home`."""
        return file.path


def _nothing() -> None:
    """Nothing is to be copied."""


def _wrong(where: str) -> StorageError:
    return StorageError(
        "the file that was written anew is not what it should be; the old one is as it was",
        where=where,
        fix="run again; if it stays so, report it as a bug",
    )


def _sweep(path: Path) -> None:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                if name.startswith(DRAFT):
                    Path(folder, name).unlink(missing_ok=True)
    else:
        # What lies beside may be of another file, and that one's lock is not held.
        mine = re.compile(rf"{re.escape(DRAFT)}[0-9a-f]{{16}}-{re.escape(path.name)}")
        for draft in path.parent.iterdir():
            if mine.fullmatch(draft.name):
                draft.unlink(missing_ok=True)
