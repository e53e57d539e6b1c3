"""The archive: rows whose time is over are copied into it, durably, before they leave their source.

    rows that go ──► draft ──synced, read back──► ready ──renamed──► archived ──► the source's own step

Files of an archive never change. Each tells in its footer which run wrote it, of which part of the source, and on which
day. A run that was killed may have left rows both in the archive and in the source: such a run is not through by the
ledger, and what it archived is compared with the rows that go now, row by row, so that none is archived twice.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from hashlib import file_digest
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.period import after
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.rewriting.swap import wait_for
from airflow_veil.privacy.storage.batches import plain_array, rebatch
from airflow_veil.privacy.storage.durable import sync_folder
from airflow_veil.privacy.storage.failure import storing, unfit

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace

FOOTER = b"airflow_veil.archive"
"""Under which name the footer tells where rows are from."""
LOCK = ".lock"
DRAFT = ".veil-"
"""What names begin with of files that are not in the archive yet; a kill may leave them."""

BATCH_ROWS = 1 << 16
Rows = Callable[[], Iterable[pa.RecordBatch]]
"""Gives the rows that go, the same ones in the same order each time."""


@dataclass
class Archived:
    """What a run did to the archive.

    Attributes:
        files: Files that it wrote.
        rows: Rows in them.
        before: Rows that go now and were there already, since an earlier run was killed.
        expired: Files whose time was over, which it dropped.
        held: Files whose time was over, which a hold keeps.
    """

    files: int = 0
    rows: int = 0
    before: int = 0
    expired: int = 0
    held: int = 0


@dataclass(frozen=True)
class Archive:
    """The archive of a data set.

    Attributes:
        folder: Where its files lie.
        through: Whether a run, by its name, is through.
        expires_after: How long it keeps rows; None for good.
        run: The run that archives.
        day: The day of the run, in the policy's zone.
        done: What the run did.
    """

    folder: Path
    through: Callable[[str], bool]
    expires_after: str | None
    day: date
    run: str = ""
    done: Archived = field(default_factory=Archived)

    @contextmanager
    def copied(self, part: str, schema: pa.Schema, rows: Rows) -> Iterator[Callable[[], None]]:
        """Copy rows that go; gives the step by which they are in the archive.

        Args:
            part: Which part of the source they are of: a file, or the table.
            schema: Their columns.
            rows: Gives them.

        Raises:
            StorageError: They cannot be written, or are not read back as they were.
        """
        known = self._in_doubt(part, schema)

        def missing() -> Iterator[pa.RecordBatch]:
            return _without(rows(), known)

        draft = self.folder / f"{DRAFT}{secrets.token_hex(8)}"
        try:
            with storing("archiving rows", str(self.folder)):
                count = self._write(draft, part, schema, missing())
                if not _same(draft, schema, missing()):
                    raise _wrong(self.folder)
                with draft.open("rb") as written:
                    name = f"{file_digest(written, 'sha256').hexdigest()}.parquet"

            before = (known - _unmet(rows(), known)).total() if known else 0

            def step() -> None:
                self.done.before += before
                if count:
                    draft.replace(self.folder / name)
                    sync_folder(self.folder)
                    self.done.files += 1
                    self.done.rows += count

            yield step
        finally:
            draft.unlink(missing_ok=True)

    def expire(self, keeper: Keeper) -> None:
        """Drop files whose time is over, but those with rows that are held.

        Raises:
            StorageError: One cannot be read or dropped.
        """
        with storing("expiring archived rows", str(self.folder)):
            for path in self.over():
                if self._is_held(path, keeper):
                    self.done.held += 1
                    continue
                path.unlink()
                sync_folder(self.folder)
                self.done.expired += 1

    def over(self) -> list[Path]:
        """The files whose time is over."""
        period = self.expires_after
        if period is None:
            return []
        return [path for path in files(self.folder) if _until(origin(path), period) <= self.day]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the archive against other runs; what killed ones left beside its files is swept.

        Raises:
            StorageError: Another run does not end in time, or the folder cannot be made.
        """
        with storing("locking", str(self.folder)):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            wait_for(handle, str(self.folder))
            for path in self.folder.glob(f"{DRAFT}*"):
                path.unlink(missing_ok=True)
            yield
        finally:
            os.close(handle)

    def _write(self, draft: Path, part: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Write rows to disk; how many."""
        count = 0
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as sink:
            with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    count += batch.num_rows
                told = {"run": self.run, "part": part, "day": self.day.isoformat()}
                writer.add_key_value_metadata({FOOTER: json.dumps(told).encode()})
            sink.flush()
            os.fsync(sink.fileno())
        return count

    def _in_doubt(self, part: str, schema: pa.Schema) -> Counter[str]:
        """The rows of the part that are in the archive, and may be in the source, too: of runs that were killed."""
        found: Counter[str] = Counter()
        with storing("reading the archive", str(self.folder)):
            for path in files(self.folder):
                told = origin(path)
                if told["part"] == part and told["run"] != self.run and not self.through(told["run"]):
                    for batch in _read(path, schema):
                        found.update(_spelled(batch))
        return found

    def _is_held(self, path: Path, keeper: Keeper) -> bool:
        if keeper.held.everything:
            return True
        if not keeper.looks or keeper.column is None:
            return False
        with pq.ParquetFile(path) as file:
            columns = (plain_array(batch.column(0)) for batch in file.iter_batches(columns=[keeper.column]))
            return any(keeper.mask(column, len(column)).any() for column in columns)


def folder_of(workspace: Workspace, dataset: str) -> Path | None:
    """The folder that old rows of a data set are copied into; None where the policy archives none."""
    from airflow_veil.privacy.storage.open import local_path

    rule = workspace.loaded.policy.datasets[dataset].retention
    if rule is None or rule.archive is None:
        return None
    return local_path(rule.archive.to, root=workspace.root) / workspace.loaded.policy.name / dataset


def files(folder: Path) -> list[Path]:
    """The files of an archive."""
    return sorted(folder.glob("[0-9a-f]*.parquet")) if folder.is_dir() else []


def origin(path: Path) -> dict[str, str]:
    """Where the rows of a file of an archive are from: run, part and day.

    Raises:
        StorageError: The footer does not tell.
    """
    told = (pq.read_metadata(path).metadata or {}).get(FOOTER)
    if told is None:
        raise unfit(
            "a file of the archive does not tell where it is from",
            where=str(path),
            fix="keep other files out of the archive's folder",
        )
    found: dict[str, str] = json.loads(told)
    return found


def _until(told: dict[str, str], period: str) -> date:
    """The first day that a file is no longer kept."""
    return after(datetime.combine(date.fromisoformat(told["day"]), time(), tzinfo=UTC), period).date()


def _read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a file, in the types that they had; columns that it does not have are null."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            columns = [
                batch.column(each.name).cast(each.type)
                if each.name in batch.schema.names
                else pa.nulls(batch.num_rows, each.type)
                for each in schema
            ]
            yield pa.record_batch(columns, schema=schema)


def _same(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bool:
    """Whether a file has some rows, in their order."""
    pairs = zip_longest(rebatch(batches, BATCH_ROWS), rebatch(_read(path, schema), BATCH_ROWS))
    # Of two that are not equal only the spelling tells: no number that is none is equal to itself.
    return all(
        one is not None and other is not None and (one.equals(other) or _spelled(one) == _spelled(other))
        for one, other in pairs
    )


def _without(batches: Iterable[pa.RecordBatch], known: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The rows without those that are known, each as often as it is."""
    left = known.copy()
    for batch in batches:
        if not known:
            yield batch
            continue
        new = []
        for row in _spelled(batch):
            new.append(left[row] <= 0)
            left[row] -= left[row] > 0
        yield batch.filter(pa.array(new, pa.bool_()))


def _unmet(batches: Iterable[pa.RecordBatch], known: Counter[str]) -> Counter[str]:
    """Those of the known rows that are not among some."""
    return known - Counter(row for batch in batches for row in _spelled(batch))


def _spelled(batch: pa.RecordBatch) -> list[str]:
    """Each row as a text that equal rows share, and no others."""
    columns = [_whole(column).to_pylist() for column in batch.columns]
    return [repr(row) for row in zip(*columns, strict=True)]


def _whole(column: pa.Array) -> pa.Array:
    """Times as whole numbers: Python has no nanoseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        return column.cast(pa.int64())
    return column


def _wrong(folder: Path) -> StorageError:
    return StorageError(
        "what was archived is not read back as it was; the rows are still where they were",
        where=str(folder),
        fix="run again; if it stays so, report it as a bug",
    )
