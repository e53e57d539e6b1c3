"""Files whose rows have times: planned by footers where they tell, and changed one by one, each in one step.

Killed anywhere, retried, or run twice at once, it ends in the same state, without a journal (a kill may leave an empty
folder of a partition):

- a file is either as it was, or without the rows that were to go: the new one is written beside it, synced, looked at,
  and renamed over it; one that goes whole is unlinked;
- what is to be done is found anew from the files themselves each time, and a file that is clean is left alone, so that
  doing it again does nothing;
- who changes files holds the lock of their folder, and only then sweeps what killed runs left beside them;
- right before the step the file must be the one that was read (inode, size, times), and holds are looked up in the
  ledger's own transaction, so that none can be placed in between.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.retention import csv_file, parquet_file
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff, day_of_partition
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import Mask, check_type, goes
from airflow_veil.privacy.retention.survey import Frozen, Planned, Survey
from airflow_veil.privacy.retention.swap import check_unchanged, state, step, wait_for
from airflow_veil.privacy.storage.csv import SUFFIXES as CSV
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.durable import sync_folder
from airflow_veil.privacy.storage.failure import storing, unfit
from airflow_veil.privacy.storage.files import MANIFEST, DataFile, FileSet
from airflow_veil.privacy.storage.parquet import SUFFIXES as PARQUET
from airflow_veil.privacy.storage.parquet import ParquetSource

DRAFT = ".retention-"
"""What names begin with of files that are about to take another one's place; a kill may leave them."""
LOCK = ".retention.lock"
SIDECAR = "_metadata"
"""Beside Parquet files some writers keep all footers, with their statistics."""


@dataclass(frozen=True)
class FileStore:
    """Parquet or CSV files, and the column with the time of their rows.

    Attributes:
        source: The files.
        column: The column; it may be one of a hive partition.
    """

    source: ParquetSource | CsvSource
    column: str

    def survey(self, cut: CutOff, keeper: Keeper) -> Survey:
        """What becomes of each file; nothing is changed.

        Raises:
            StorageError: A file cannot be read, or could not be changed so that its rows are really gone.
            SchemaError: A column is missing, or tells no time.
        """
        self._check_place(keeper)
        planned = tuple(self._planned(file, cut, keeper) for file in self._files.files)
        touched = [each for each in planned if each.counts.delete]
        for each in touched:
            self._check_alone(each.file)
        whole = [each for each in touched if each.whole and self.source.path.is_dir()]
        # A folder without files is none that can be read: the last one stays, without rows.
        dropped = whole[: len(planned) - 1]
        files = Files(
            dropped=len(dropped),
            unread=sum(not each.read for each in dropped),
            rewritten=len(touched) - len(dropped),
            untouched=len(planned) - len(touched),
        )
        return Survey(sum((each.counts for each in planned), Counts()), files, planned)

    def enforce(self, cut: CutOff, survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Change the files that hold rows to delete; call it under `alone`.

        Args:
            cut: The cut-off.
            survey: What `survey` said.
            frozen: Gives what is held, and keeps it so for a block.

        Returns:
            What became of rows and files.

        Raises:
            StorageError: A file changed meanwhile, or cannot be written; it is as it was, others may be done.
        """
        planned = survey.parts
        touched = [each for each in planned if each.counts.delete]
        counts: list[Counts] = []
        dropped = unread = 0
        left = len(planned)
        # First, so that a kill in between leaves none: readers do without them.
        self._drop_sidecars(touched)
        for each in touched:
            may_drop = left > 1 and self.source.path.is_dir()
            done, went = self._change(each, cut, frozen, may_drop=may_drop)
            counts.append(done)
            dropped, unread, left = dropped + went, unread + (went and not each.read), left - went
        untouched = [each.counts for each in planned if not each.counts.delete]
        files = Files(
            dropped=dropped,
            unread=unread,
            rewritten=len(touched) - dropped,
            untouched=len(untouched),
        )
        return sum([*counts, *untouched], Counts()), files

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
                self._sweep(path)
            yield
        finally:
            os.close(handle)

    @cached_property
    def _files(self) -> FileSet:
        suffixes = PARQUET if isinstance(self.source, ParquetSource) else CSV
        return FileSet(self.source.path, suffixes, self.source.types)

    @cached_property
    def _position(self) -> int | None:
        """Which hive partition the column is; None where it is in the files."""
        names = self._files.partitions.names
        return names.index(self.column) if self.column in names else None

    def _check_place(self, keeper: Keeper) -> None:
        where = str(self.source.path)
        if (self.source.path / MANIFEST).exists():
            raise unfit(
                "this is a release, which never changes",
                where=where,
                fix="let releases expire: `expires_after`",
            )
        known = self.source.schema().names
        for name in self._read_columns(keeper):
            if name not in known:
                raise SchemaError(f"there is no column {name}", where=where)

    def _check_alone(self, file: DataFile) -> None:
        """A file under two names, or behind a link, would keep its rows under the other one."""
        path, where = file.path, self._files.where(file)
        if file.path != self.source.path and path.is_symlink():
            raise unfit("the file is a symbolic link", where=where, fix="put the file itself there")
        if path.stat().st_nlink > 1:
            raise unfit(
                "the file has another name (a hard link), under which its rows would stay",
                where=where,
                fix="remove the other name, or make it a copy",
            )

    def _read_columns(self, keeper: Keeper) -> list[str]:
        wanted = [self.column, *([keeper.column] if keeper.looks and keeper.column else [])]
        return list(dict.fromkeys(wanted))

    def _planned(self, file: DataFile, cut: CutOff, keeper: Keeper) -> Planned:
        where = self._files.where(file)
        with storing("reading", where):
            told = self._told(file, cut, keeper)
            if told is not None:
                return Planned(file, told, read=False)
            _, counts = self._sorted(file, cut, keeper)
            return Planned(file, counts, read=True)

    def _told(self, file: DataFile, cut: CutOff, keeper: Keeper) -> Counts | None:
        """What becomes of a file's rows by its folder's name or its footer; None where they have to be read."""
        if not isinstance(self.source, ParquetSource):
            return None
        if self._position is None:
            told = parquet_file.from_footer(file.path, self.column, cut, where=self._files.where(file))
        else:
            _, one = goes(self._partition_time(file, cut), np.zeros(1, bool), cut)
            told = _times(one, parquet_file.rows_of(file.path))
        kept = keeper.looks or keeper.held.everything
        return None if told is None or (told.delete and kept) else told

    def _partition_time(self, file: DataFile, cut: CutOff) -> pa.Array:
        """The time of all rows of a file in a hive partition, as one value."""
        _, text = file.partition[self._position or 0]
        day = None if text is None else day_of_partition(text, cut)
        if text is not None and day is None:
            raise SchemaError(
                f"a folder's name tells no day, month or year for partition column {self.column}",
                where=str(self.source.path),
                expected="2024-01-31, 2024-01 or 2024",
            )
        return pa.array([day], pa.date32())

    def _sorted(self, file: DataFile, cut: CutOff, keeper: Keeper) -> tuple[Mask, Counts]:
        """Which rows of a file go, by reading their times, and subjects where some are held."""
        masks, total = [], Counts()
        for times, subjects, rows in self._times_of(file, cut, keeper):
            mask, counts = goes(times, keeper.mask(subjects, rows), cut)
            masks.append(mask)
            total += counts
        return (np.concatenate(masks) if masks else np.zeros(0, bool)), total

    def _times_of(
        self, file: DataFile, cut: CutOff, keeper: Keeper
    ) -> Iterator[tuple[pa.Array, pa.Array | None, int]]:
        partition = self._files.partition_values(file)
        columns = self._read_columns(keeper)
        stored = [name for name in columns if name not in partition] or self._any_column(partition)
        for batch in self._read(file.path, stored):
            rows = batch.num_rows
            if self._position is not None:
                times = pa.repeat(self._partition_time(file, cut)[0], rows)
            else:
                times = batch.column(self.column)
                check_type(times.type, column=self.column, where=self._files.where(file))
            subjects: pa.Array | None = None
            if keeper.looks and keeper.column is not None:
                name = keeper.column
                subjects = pa.repeat(partition[name], rows) if name in partition else batch.column(name)
            yield times, subjects, rows

    def _any_column(self, partition: dict[str, pa.Scalar]) -> list[str]:
        """A column that is in the files, to count rows by."""
        return [name for name in self.source.schema().names if name not in partition][:1]

    def _read(self, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if isinstance(self.source, ParquetSource):
            return parquet_file.read(path, columns)
        return csv_file.read(self.source, path, columns)

    def _change(
        self, planned: Planned, cut: CutOff, frozen: Frozen, *, may_drop: bool
    ) -> tuple[Counts, bool]:
        """Change one file; what became of its rows, and whether it went whole."""
        file, where = planned.file, self._files.where(planned.file)
        with frozen() as keeper:
            pass
        while True:
            with storing("deleting rows", where):
                seen = state(file.path)
                gone, counts = self._gone(file, cut, keeper)
                whole = may_drop and bool(gone.size and gone.all())
                draft = None if whole or not gone.any() else self._draft(file, gone, where)
                try:
                    if draft is not None:
                        self._look_at(draft, file, cut, keeper, rows=counts.rows - counts.delete)
                    with frozen() as now:
                        if now.held == keeper.held:
                            check_unchanged(file.path, seen, where)
                            step(file.path, draft, whole=whole)
                            self._drop_empty_folders(file.path, whole=whole)
                            return counts, whole
                    keeper = now
                finally:
                    if draft is not None:
                        draft.unlink(missing_ok=True)

    def _gone(self, file: DataFile, cut: CutOff, keeper: Keeper) -> tuple[Mask, Counts]:
        """Which rows of a file go, found anew; none is read where all go by the footer."""
        told = self._told(file, cut, keeper)
        if told is not None and told.delete == told.rows:
            return np.ones(told.rows, bool), told
        return self._sorted(file, cut, keeper)

    def _draft(self, file: DataFile, gone: Mask, where: str) -> Path:
        """The file without the rows that go, beside it, on disk."""
        real = file.path.resolve()
        draft = real.with_name(f"{DRAFT}{secrets.token_hex(8)}-{real.name}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as sink:
                self._rewrite(file.path, sink, gone, where)
                sink.flush()
                os.fsync(sink.fileno())
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return draft

    def _rewrite(self, path: Path, sink: BinaryIO, gone: Mask, where: str) -> None:
        if isinstance(self.source, ParquetSource):
            parquet_file.rewrite(path, sink, gone, where=where)
        else:
            csv_file.rewrite(self.source, path, sink, gone, where=where)

    def _look_at(self, draft: Path, file: DataFile, cut: CutOff, keeper: Keeper, *, rows: int) -> None:
        """Read what was written: the rows that stay are there, and none that was to go."""
        _, found = self._sorted(DataFile(draft, file.name, file.partition), cut, keeper)
        if found.rows != rows or found.delete:
            raise StorageError(
                "the file that was written anew is not what it should be; the old one is as it was",
                where=self._files.where(file),
                fix="run again; if it stays so, report it as a bug",
            )

    def _drop_empty_folders(self, path: Path, *, whole: bool) -> None:
        """Remove the folders of partitions that have no file any more."""
        folder = path.parent
        with suppress(OSError):
            while whole and folder != self.source.path:
                (folder / SIDECAR).unlink(missing_ok=True)
                folder.rmdir()
                folder = folder.parent
                sync_folder(folder)

    def _drop_sidecars(self, touched: list[Planned]) -> None:
        """Remove what others keep of the footers of files that changed: their statistics are of rows that went."""
        if self.source.path.is_dir():
            for folder in {self.source.path, *(each.file.path.parent for each in touched)} if touched else ():
                (folder / SIDECAR).unlink(missing_ok=True)

    def _sweep(self, path: Path) -> None:
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


def _times(counts: Counts, rows: int) -> Counts:
    """The counts of as many rows as one stands for."""
    named = {name: getattr(counts, name) * rows for name in ("delete", "held", "waiting", "null")}
    return Counts(rows=rows, before_1970=counts.before_1970 * rows, future=counts.future * rows, **named)
