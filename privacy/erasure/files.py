"""Parquet and CSV files in which people are found, and from which they are erased, file by file.

What is to be done is found anew from the files themselves each time, and a file without anybody who is looked for is
left alone, so that doing it again does nothing; `rewriting/data_files.py` tells how a file changes. A folder whose name
says who somebody is goes with its last row.

Of a file that nobody is in, nothing is looked at but the columns that name people: what its metadata or a dictionary
without rows may hold is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.columns import Columns
from airflow_veil.privacy.erasure.folders import drop_named, nameless
from airflow_veil.privacy.erasure.look import Collected, Look, look
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.row_groups import segments
from airflow_veil.privacy.erasure.store import Changed, Found, Frozen, Tally
from airflow_veil.privacy.erasure.traces import Traces
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.rewriting import csv_file, parquet_file
from airflow_veil.privacy.rewriting.data_files import DataFiles
from airflow_veil.privacy.rewriting.loss import Loss, Mask
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.failure import storing
from airflow_veil.privacy.storage.files import DataFile
from airflow_veil.privacy.storage.parquet import ParquetSource

if TYPE_CHECKING:
    from airflow_veil.privacy.retention.holds import Keeper
    from airflow_veil.privacy.rewriting.parquet_file import Metadata


@dataclass(frozen=True)
class FileStore:
    """Parquet or CSV files; see `Store`.

    Attributes:
        source: The files.
    """

    source: ParquetSource | CsvSource

    def alone(self) -> AbstractContextManager[None]:
        """See `Store.alone`."""
        return self.data.alone()

    def find(self, matcher: Matcher, keys: Sequence[str], requests: int) -> Found:
        """See `Store.find`."""
        self._check(matcher, keys)
        rows, total, collected, touched = 0, Tally.zero(requests), Collected(keys), 0
        files = self.data.set.files
        for file in files:
            with storing("reading", self.data.set.where(file)):
                loss, tally = self.seen(file, matcher, requests, collected)
                if loss.any:
                    self.data.check_alone(file)
            rows, total, touched = rows + len(loss), total + tally, touched + loss.any
        return Found(rows, total, collected.known(), files=touched, untouched=len(files) - touched)

    def erase(self, matcher: Matcher, frozen: Frozen, requests: int) -> Changed:
        """See `Store.erase`; call it under `alone`."""
        # Which files there are is asked anew: another run may have been at them until now.
        return FileStore(replace(self.source))._erase(matcher, frozen, requests)  # noqa: SLF001

    @cached_property
    def data(self) -> DataFiles:
        """The files, as something that rows can be taken out of."""
        return DataFiles(self.source)

    def seen(
        self,
        file: DataFile,
        matcher: Matcher,
        requests: int,
        collected: Collected | None = None,
        *,
        by_footer: bool = True,
    ) -> tuple[Loss, Tally]:
        """What the rows of one file lose, and how many of them there are by request.

        Args:
            file: The file.
            matcher: Tells which.
            requests: How many requests there are.
            collected: Where keys go that lead on.
            by_footer: Whether statistics may say that nobody is in some rows.
        """
        keys = collected.keys if collected is not None else ()
        gone: list[tuple[int, Look]] = []
        tally, rows = Tally.zero(requests), 0
        for start, columns in self._parts(file, matcher, keys, by_footer=by_footer):
            part = look(matcher, columns, keys, requests)
            tally, rows = tally + part.tally, start + columns.rows
            if collected is not None:
                collected.add(part)
            if part.loss.any:
                gone.append((start, part))
        if isinstance(self.source, ParquetSource):
            rows = parquet_file.rows_of(file.path)
        return _joined(gone, rows), tally

    def _erase(self, matcher: Matcher, frozen: Frozen, requests: int) -> Changed:
        self._check(matcher, ())
        files = self.data.set.files
        change = _Erasing(self, matcher, requests)
        rows, total, rewritten, dropped = 0, Tally.zero(requests), 0, 0
        with frozen() as keeper:
            pass
        for file in files:
            may_drop = dropped < len(files) - 1
            (count, tally), done = self.data.change(file, change, frozen, may_drop=may_drop, keeper=keeper)
            rows, total = rows + count, total + tally
            rewritten, dropped = rewritten + done.rewritten, dropped + done.dropped
        if self.data.is_folder and not matcher.empty:
            with storing("removing folders", str(self.source.path)):
                drop_named(self.source.path, change.names)
        untouched = len(files) - rewritten - dropped
        return Changed(rows, total, rewritten=rewritten, dropped=dropped, untouched=untouched)

    def _parts(
        self, file: DataFile, matcher: Matcher, keys: Sequence[str], *, by_footer: bool
    ) -> Iterator[tuple[int, Columns]]:
        """The rows of a file in which somebody may be, some at a time, and where they begin."""
        partition = self.data.set.partition_values(file)
        if isinstance(self.source, ParquetSource):
            for part in segments(file.path, matcher, partition, by_footer=by_footer):
                yield part.start, part.columns
            return
        wanted = dict.fromkeys([*matcher.columns, *keys, *matcher.emptied])
        stored = [name for name in wanted if name not in partition] or self.data.any_column()
        start = 0
        for batch in csv_file.read(self.source, file.path, stored):
            yield start, Columns(batch.num_rows, batch.column, partition)
            start += batch.num_rows

    def _check(self, matcher: Matcher, keys: Sequence[str]) -> None:
        where = str(self.source.path)
        self.data.check()
        schema = self.source.schema()
        for name in dict.fromkeys([*matcher.columns, *keys, *matcher.emptied]):
            if name not in schema.names:
                raise SchemaError(f"there is no column {name}", where=where)
        for index, (edge, _) in enumerate(matcher.edges):
            # Whether the type can name anybody shows before anything is read.
            matcher.typed(index, schema.field(edge.column).type)
        for name in matcher.emptied:
            self.data.check_cells(name, null=True)


@dataclass(frozen=True)
class _Erasing:
    """Takes people out of files; see `Change`."""

    store: FileStore
    matcher: Matcher
    requests: int

    def decide(self, file: DataFile, keeper: Keeper) -> tuple[Loss, tuple[int, Tally]]:
        """See `Change.decide`."""
        loss, tally = self.store.seen(file, self._by(keeper), self.requests)
        return loss, (len(loss), tally)

    def is_clean(self, draft: DataFile, keeper: Keeper, *, rows: int) -> bool:
        """See `Change.is_clean`; statistics are not believed here."""
        loss, _ = self.store.seen(draft, self._by(keeper), self.requests, by_footer=False)
        return len(loss) == rows and not loss.any

    def metadata(self, entries: Metadata) -> Metadata:
        """See `Change.metadata`."""
        return self._traces.metadata(entries)

    def home(self, file: DataFile) -> Path:
        """See `Change.home`; a file without rows may not lie under somebody's name."""
        named = {name for name, text in file.partition if text is not None and self.names(name, text)}
        return nameless(self.store.source.path, file.path, named) if named else file.path

    def names(self, column: str, text: str) -> bool:
        """Whether a value of a partition column names somebody who is looked for."""
        partitions = self.store.data.set.partitions
        if column not in partitions.names:
            return False
        # As the column spells it, and as it stands there: of a folder without files nobody knows the type.
        spelled = [pa.array([text], pa.string())]
        with suppress(pa.ArrowInvalid):
            spelled.append(spelled[0].cast(partitions.field(column).type))
        edges = self.matcher.edges
        named = [index for index, (edge, known) in enumerate(edges) if edge.column == column and len(known)]
        return any((self.matcher.owners_of(index, each) >= 0).any() for index in named for each in spelled)

    def _by(self, keeper: Keeper) -> Matcher:
        return replace(self.matcher, keeper=keeper)

    @cached_property
    def _traces(self) -> Traces:
        return Traces.of(text for _, known in self.matcher.edges for text in known.texts.to_pylist())


def _joined(parts: list[tuple[int, Look]], rows: int) -> Loss:
    """What all rows of a file lose, from what some of its parts do."""
    gone: Mask = np.zeros(rows, bool)
    cells: dict[str, Mask] = {}
    for start, part in parts:
        stop = start + len(part.loss)
        gone[start:stop] = part.loss.gone
        for name, mask in part.loss.cells.items():
            cells.setdefault(name, np.zeros(rows, bool))[start:stop] = mask
    return Loss(gone, cells)
