"""One CSV file: its rows as Arrow reads them, and the same file without some of its records.

Arrow tells which rows go, and Python's reader where each record begins and ends, quotes and line breaks in quotes
considered. Records that stay keep their spelling. Both count the rows, and where they disagree nothing is written.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import pyarrow as pa

from airflow_veil.privacy.retention.sorting import Mask
from airflow_veil.privacy.storage.csv import BLOCK, CsvSource
from airflow_veil.privacy.storage.failure import unfit

BATCH_ROWS = 1 << 16


def read(source: CsvSource, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of one file of a source."""
    return replace(source, path=path).batches(columns, batch_rows=BATCH_ROWS)


def rewrite(source: CsvSource, path: Path, draft: BinaryIO, gone: Mask, *, where: str) -> None:
    """Write one file of a source anew.

    Args:
        source: How the file is written.
        path: The file.
        draft: Where to.
        gone: Whether each row goes.
        where: How to name the file in an error.

    Raises:
        StorageError: The file's records cannot be told apart.
    """
    encoding, zipped = source.format.encoding, path.suffix == ".gz"
    # No name and no time of its own, so that the same rows are the same bytes.
    packed = gzip.GzipFile(filename="", mode="wb", fileobj=draft, mtime=0) if zipped else None
    sink = io.TextIOWrapper(
        cast("BinaryIO", packed or draft), encoding=encoding, newline="", write_through=True
    )
    with closing(_text(path, encoding)) as text:
        count = 0
        for raw, is_row in _records(text, source.format.delimiter, header=source.format.header is None):
            if not is_row:
                sink.write(raw)
                continue
            if count >= len(gone):
                break
            if not gone[count]:
                sink.write(raw)
            count += 1
        else:
            _end(sink, packed)
            if count == len(gone):
                return
    raise unfit(
        "two readers find different numbers of rows",
        where=where,
        expected="RFC 4180: quotes around the whole cell, and doubled inside",
        fix="write the file anew, then run again",
    )


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


def _records(text: TextIO, delimiter: str, *, header: bool) -> Iterator[tuple[str, bool]]:
    """The text of each record, and whether it is a row: empty lines and the header are none."""
    csv.field_size_limit(BLOCK)
    lines = _Lines(text)
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            is_row = bool(cells) and not header
            header = header and not cells
            yield lines.taken(), is_row
    except csv.Error:
        # Its text may quote the record; the counts are going to differ, which is told.
        return
