"""Files whose rows have times: planned by footers where they tell, and changed one by one, each in one step.

What is to be done is found anew from the files themselves each time, and a file that is clean is left alone, so that
doing it again does nothing; `rewriting/data_files.py` tells how a file changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.retention import footer
from airflow_veil.privacy.retention.anonymize import Cells
from airflow_veil.privacy.retention.archive import Archive
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff, day_of_partition
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type, goes
from airflow_veil.privacy.retention.survey import Frozen, Planned, Survey
from airflow_veil.privacy.rewriting import parquet_file
from airflow_veil.privacy.rewriting.data_files import DataFiles, Plain
from airflow_veil.privacy.rewriting.loss import Loss
from airflow_veil.privacy.storage.batches import plain_schema
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.failure import storing
from airflow_veil.privacy.storage.files import DataFile
from airflow_veil.privacy.storage.parquet import ParquetSource


@dataclass(frozen=True)
class FileStore:
    """Parquet or CSV files, and the column with the time of their rows.

    Attributes:
        source: The files.
        column: The column; it may be one of a hive partition.
        cells: What rows lose whose time is over; None where they go.
        archive: Where rows are copied before they go; None where they are not.
    """

    source: ParquetSource | CsvSource
    column: str
    cells: Cells | None = None
    archive: Archive | None = None

    def survey(self, cut: CutOff, keeper: Keeper) -> Survey:
        """What becomes of each file; nothing is changed.

        Raises:
            StorageError: A file cannot be read, or could not be changed so that its rows are really gone.
            SchemaError: A column is missing, or tells no time.
        """
        self._check_place(keeper)
        planned = tuple(self._planned(file, cut, keeper) for file in self._data.set.files)
        touched = [each for each in planned if each.counts.changed]
        for each in touched:
            self._data.check_alone(each.file)
        whole = [each for each in touched if each.whole and self._data.is_folder]
        # A folder without files is none that can be read: the last one stays, without rows.
        dropped = whole[: len(planned) - 1]
        files = Files(
            dropped=len(dropped),
            unread=0 if self.archive else sum(not each.read for each in dropped),
            rewritten=len(touched) - len(dropped),
            untouched=len(planned) - len(touched),
        )
        return Survey(sum((each.counts for each in planned), Counts()), files, planned)

    def enforce(self, cut: CutOff, survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Change the files that hold rows to be changed; call it under `alone`.

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
        touched = [each for each in planned if each.counts.changed]
        change = _Over(self, cut)
        counts: list[Counts] = []
        dropped = unread = 0
        left = len(planned)
        for each in touched:
            told, done = self._data.change(
                each.file, change, frozen, may_drop=left > 1, copied=self._copied if self.archive else None
            )
            counts.append(told)
            dropped += done.dropped
            unread += done.dropped and not each.read and not self.archive
            left -= done.dropped
        untouched = [each.counts for each in planned if not each.counts.changed]
        files = Files(
            dropped=dropped,
            unread=unread,
            rewritten=len(touched) - dropped,
            untouched=len(untouched),
        )
        return sum([*counts, *untouched], Counts()), files

    def alone(self) -> AbstractContextManager[None]:
        """Hold the lock of the files against other runs; what killed ones left is swept.

        Raises:
            StorageError: Another run does not end in time.
        """
        return self._data.alone()

    def lost(self, file: DataFile, cut: CutOff, keeper: Keeper) -> tuple[Loss, Counts]:
        """What rows of a file lose, found anew; none is read where all go by the footer."""
        told = self._told(file, cut, keeper)
        if told is not None and told.gone == told.rows:
            return Loss(np.ones(told.rows, bool)), told
        return self.sorted(file, cut, keeper)

    def sorted(self, file: DataFile, cut: CutOff, keeper: Keeper) -> tuple[Loss, Counts]:
        """What rows of a file lose, by reading their times, and subjects where some are held, and cells to be lost."""
        parts, total = [], Counts()
        for times, batch in self._times_of(file, cut, keeper):
            subjects = self._subjects(file, batch, keeper)
            over, counts = goes(times, keeper.mask(subjects, batch.num_rows), cut)
            loss = Loss(over)
            if self.cells is not None:
                loss, counts = self.cells.lost(over, counts, batch.column)
            parts.append(loss)
            total += counts.archived() if self.archive else counts
        return Loss.joined(parts), total

    def _copied(self, file: DataFile, loss: Loss) -> AbstractContextManager[Callable[[], None]]:
        """Copy the rows of a file that go into the archive."""
        if self.archive is None:
            return nullcontext(lambda: None)
        schema = plain_schema(self.source.schema())
        return self.archive.copied(file.name, schema, lambda: self._going(file, loss, schema))

    def _going(self, file: DataFile, loss: Loss, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of a file that go, whole, with the columns that its folders' names are."""
        partition, start = self._data.set.partition_values(file), 0
        stored = [name for name in schema.names if name not in partition]
        for batch in self._data.read(file.path, stored):
            rows = batch.num_rows
            columns = [
                pa.repeat(partition[each.name], rows) if each.name in partition else batch.column(each.name)
                for each in schema
            ]
            fitting = [column.cast(each.type) for column, each in zip(columns, schema, strict=True)]
            mask = pa.array(loss.gone[start : start + rows])
            yield pa.record_batch(fitting, schema=schema).filter(mask)
            start += rows

    @cached_property
    def _data(self) -> DataFiles:
        return DataFiles(self.source)

    @cached_property
    def _position(self) -> int | None:
        """Which hive partition the column is; None where it is in the files."""
        names = self._data.set.partitions.names
        return names.index(self.column) if self.column in names else None

    def _check_place(self, keeper: Keeper) -> None:
        self._data.check()
        if self.cells is not None:
            for name in self.cells.columns:
                self._data.check_cells(name, null=name in self.cells.emptied)
        known = self.source.schema().names
        for name in self._read_columns(keeper):
            if name not in known:
                raise SchemaError(f"there is no column {name}", where=str(self.source.path))

    def _read_columns(self, keeper: Keeper) -> list[str]:
        subject = [keeper.column] if keeper.looks and keeper.column else []
        cells = () if self.cells is None else self.cells.columns
        return list(dict.fromkeys([self.column, *subject, *cells]))

    def _planned(self, file: DataFile, cut: CutOff, keeper: Keeper) -> Planned:
        where = self._data.set.where(file)
        with storing("reading", where):
            told = self._told(file, cut, keeper)
            if told is not None:
                return Planned(file, told, read=False)
            _, counts = self.sorted(file, cut, keeper)
            return Planned(file, counts, read=True)

    def _told(self, file: DataFile, cut: CutOff, keeper: Keeper) -> Counts | None:
        """What becomes of a file's rows by its folder's name or its footer; None where they have to be read."""
        if not isinstance(self.source, ParquetSource):
            return None
        if self._position is None:
            told = footer.from_footer(file.path, self.column, cut, where=self._data.set.where(file))
        else:
            _, one = goes(self._partition_time(file, cut), np.zeros(1, bool), cut)
            told = _times(one, parquet_file.rows_of(file.path))
        kept = keeper.looks or keeper.held.everything
        # What cells are like no footer tells.
        if told is None or (told.delete and (kept or self.cells)):
            return None
        return told.archived() if self.archive else told

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

    def _times_of(
        self, file: DataFile, cut: CutOff, keeper: Keeper
    ) -> Iterator[tuple[pa.Array, pa.RecordBatch]]:
        """The rows of a file, some at a time, and their times."""
        partition = self._data.set.partition_values(file)
        columns = self._read_columns(keeper)
        stored = [name for name in columns if name not in partition] or self._data.any_column()
        for batch in self._data.read(file.path, stored):
            rows = batch.num_rows
            if self._position is not None:
                times = pa.repeat(self._partition_time(file, cut)[0], rows)
            else:
                times = batch.column(self.column)
                check_type(times.type, column=self.column, where=self._data.set.where(file))
            yield times, batch

    def _subjects(self, file: DataFile, batch: pa.RecordBatch, keeper: Keeper) -> pa.Array | None:
        """Whose the rows are, where some are held."""
        if not keeper.looks or keeper.column is None:
            return None
        name, partition = keeper.column, self._data.set.partition_values(file)
        return pa.repeat(partition[name], batch.num_rows) if name in partition else batch.column(name)


@dataclass(frozen=True)
class _Over(Plain):
    """Takes out of files the rows whose time is over, or cells of them; see `Change`."""

    store: FileStore
    cut: CutOff

    def decide(self, file: DataFile, keeper: Keeper) -> tuple[Loss, Counts]:
        return self.store.lost(file, self.cut, keeper)

    def is_clean(self, draft: DataFile, keeper: Keeper, *, rows: int) -> bool:
        _, counts = self.store.sorted(draft, self.cut, keeper)
        return counts.rows == rows and not counts.changed


def _times(counts: Counts, rows: int) -> Counts:
    """The counts of as many rows as one stands for."""
    named = {name: getattr(counts, name) * rows for name in ("delete", "held", "waiting", "null")}
    return Counts(rows=rows, before_1970=counts.before_1970 * rows, future=counts.future * rows, **named)
