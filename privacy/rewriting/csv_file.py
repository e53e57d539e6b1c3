"""One CSV file: its rows as Arrow reads them, and the same file without some of its records and cells.

Arrow tells which rows lose something, and Python's reader where each record begins and ends, quotes and line breaks in
quotes considered. A record that loses nothing keeps its spelling; one that loses cells is spelled anew. Both count the
rows, and where they disagree nothing is written.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import pyarrow as pa

from airflow_veil.privacy.rewriting.loss import Loss
from airflow_veil.privacy.storage.csv import BLOCK, CsvSource
from airflow_veil.privacy.storage.failure import unfit

BATCH_ROWS = 1 << 16


def read(source: CsvSource, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of one file of a source."""
    return replace(source, path=path).batches(columns, batch_rows=BATCH_ROWS)


def rewrite(source: CsvSource, path: Path, draft: BinaryIO, loss: Loss, *, where: str) -> None:
    """Write one file of a source anew.

    Args:
        source: How the file is written; it has a spelling of null if cells are lost.
        path: The file.
        draft: Where to.
        loss: What its rows lose.
        where: How to name the file in an error.

    Raises:
        StorageError: The file's records cannot be told apart.
    """
    zipped = path.suffix == ".gz"
    # No name and no time of its own, so that the same rows are the same bytes.
    packed = gzip.GzipFile(filename="", mode="wb", fileobj=draft, mtime=0) if zipped else None
    sink = io.TextIOWrapper(
        cast("BinaryIO", packed or draft), encoding=source.format.encoding, newline="", write_through=True
    )
    names = replace(source, path=path).schema().names
    with closing(_text(path, source.format.encoding)) as text:
        records = _records(text, source.format.delimiter)
        if source.format.header is None:
            _copy_header(records, sink)
        whole = _copy_rows(records, sink, _Left(source, loss, names, _treated(source, path, loss)))
    if not whole:
        raise unfit(
            "two readers find different numbers of rows",
            where=where,
            expected="RFC 4180: quotes around the whole cell, and doubled inside",
            fix="write the file anew, then run again",
        )
    _end(sink, packed)


def _copy_header(records: Iterator[tuple[str, list[str]]], sink: TextIO) -> None:
    """Copy all that is before the first row: the first record that is not an empty line is the header."""
    for raw, cells in records:
        sink.write(raw)
        if cells:
            return


def _copy_rows(records: Iterator[tuple[str, list[str]]], sink: TextIO, left: _Left) -> bool:
    """Write what is left of the rows; whether there were as many as expected."""
    count = 0
    for raw, cells in records:
        # Empty lines are no rows.
        if not cells:
            sink.write(raw)
            continue
        if count >= left.rows:
            return False
        sink.write(left(count, raw, cells))
        count += 1
    return count == left.rows


class _Left:
    """Spells what is left of records.

    Args:
        source: How they are written.
        loss: What they lose.
        names: The names of their cells.
        treated: Column to what becomes of its cells that are treated, one after the other.
    """

    def __init__(
        self,
        source: CsvSource,
        loss: Loss,
        names: Sequence[str],
        treated: Mapping[str, Iterator[str | None]],
    ) -> None:
        self.rows = len(loss)
        self._gone = loss.gone
        self._emptied = [(names.index(name), mask) for name, mask in loss.cells.items() if mask.any()]
        self._null = (*source.format.null_values, "")[0]
        self._delimiter = source.format.delimiter
        self._treated = {names.index(name): texts for name, texts in treated.items()}

    def __call__(self, row: int, raw: str, cells: list[str]) -> str:
        if self._gone[row]:
            return ""
        lost = [index for index, mask in self._emptied if mask[row]]
        if not lost:
            return raw
        kept = [self._lost(index) if index in lost else cell for index, cell in enumerate(cells)]
        record = io.StringIO(newline="")
        csv.writer(record, delimiter=self._delimiter, lineterminator=_line_end(raw)).writerow(kept)
        return record.getvalue()

    def _lost(self, index: int) -> str:
        """What becomes of the next cell of a column that is lost."""
        text = next(self._treated[index]) if index in self._treated else None
        return self._null if text is None else text


def _treated(source: CsvSource, path: Path, loss: Loss) -> dict[str, Iterator[str | None]]:
    """What becomes of the cells that are treated, as texts, column by column; they are read as they are asked for."""
    wanted = [name for name, mask in loss.cells.items() if name in loss.becomes and mask.any()]
    return {name: _texts(source, path, name, loss) for name in wanted}


def _texts(source: CsvSource, path: Path, name: str, loss: Loss) -> Iterator[str | None]:
    start = 0
    for batch in read(source, path, [name]):
        mask = loss.cells[name][start : start + batch.num_rows]
        start += batch.num_rows
        yield from loss.becomes[name](batch.column(0).filter(pa.array(mask))).cast(pa.string()).to_pylist()


def _line_end(raw: str) -> str:
    """How a record ends; the last one of a file may not."""
    return raw[len(raw.rstrip("\r\n")) :]


def _end(sink: io.TextIOWrapper, packed: gzip.GzipFile | None) -> None:
    """Hand on all that was written; the file below stays open, for it has to be synced."""
    sink.flush()
    sink.detach()
    if packed is not None:
        packed.close()


def _text(path: Path, encoding: str) -> TextIO:
    raw = gzip.GzipFile(path, "rb") if path.suffix == ".gz" else path.open("rb")
    return io.TextIOWrapper(cast("BinaryIO", raw), encoding=encoding, newline="")


class _Lines:
    """Hands out lines, and remembers those since it was last asked."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._seen: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self._seen.append(line)
        return line

    def taken(self) -> str:
        seen, self._seen = self._seen, []
        return "".join(seen)


def _records(text: TextIO, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """The text of each record, and its cells; an empty line has none."""
    csv.field_size_limit(BLOCK)
    lines = _Lines(text)
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            yield lines.taken(), cells
    except csv.Error:
        # Its text may quote the record; the counts are going to differ, which is told.
        return
