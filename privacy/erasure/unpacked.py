"""Looks into one file by its kind, which its first bytes tell: raw, and unpacked where it is compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.bounds import Rule
from airflow_veil.privacy.erasure.parquet_residue import look_at_parquet
from airflow_veil.privacy.erasure.residue import Tally

SQLITE = b"SQLite format 3\0"
ARROW = b"ARROW1"
_LOGS = ("-wal", "-journal", "-shm")
_STREAMS: tuple[tuple[bytes, str, Callable[[Path], BinaryIO]], ...] = (
    (b"\x1f\x8b", "gzip", lambda path: cast("BinaryIO", gzip.open(path))),  # noqa: SIM115 - the caller closes it
    (b"BZh", "bzip2", lambda path: cast("BinaryIO", bz2.open(path))),  # noqa: SIM115 - the caller closes it
    (b"\xfd7zXZ\0", "xz", lambda path: cast("BinaryIO", lzma.open(path))),  # noqa: SIM115 - the caller closes it
    (b"\x28\xb5\x2f\xfd", "zstd", lambda path: _arrow_stream(path, "zstd")),
    (b"\x04\x22\x4d\x18", "lz4", lambda path: _arrow_stream(path, "lz4")),
)
_UNREADABLE = ((b"Obj\x01", "Avro"), (b"ORC", "ORC"), (b"PARE", "encrypted Parquet"))
FETCH_ROWS = 8192


def look(path: Path, tally: Tally) -> None:
    """Look through a file; one that vanishes meanwhile holds nothing.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(16)
            _look(path, file, begin, tally)
    except FileNotFoundError:
        return


def _look(path: Path, file: BinaryIO, begin: bytes, tally: Tally) -> None:
    file.seek(0)
    if begin.startswith(b"PAR1"):
        look_at_parquet(path, file, tally)
    elif begin.startswith(SQLITE):
        _look_at_database(path, file, tally)
    elif path.name.endswith(_LOGS):
        _look_at_log(path, file, tally)
    else:
        packed = begin.startswith(ARROW)
        for _, _, number, spelling in tally.stream(file, Rule.PACKED if packed else Rule.TEXT):
            tally.count("raw bytes", number, spelling)
        _look_inside(path, begin, tally)


def _look_inside(path: Path, begin: bytes, tally: Tally) -> None:
    """What is compressed in a file."""
    try:
        if begin.startswith(ARROW):
            _look_at_arrow(path, tally)
        elif begin.startswith(b"PK\x03\x04"):
            _look_at_zip(path, tally)
        for magic, name, opened in _STREAMS:
            if begin.startswith(magic):
                with opened(path) as stream:
                    _look_at_stream(stream, f"{name} stream", tally)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        tally.opaque.add("what is compressed in it is damaged or of an unknown kind")
    for magic, name in _UNREADABLE:
        if begin.startswith(magic):
            tally.opaque.add(f"{name} is not looked into")


def _look_at_stream(stream: BinaryIO, place: str, tally: Tally) -> None:
    for _, _, number, spelling in tally.stream(stream, Rule.TEXT):
        tally.count(place, number, spelling)


def _arrow_stream(path: Path, codec: str) -> BinaryIO:
    return cast("BinaryIO", pa.input_stream(str(path), compression=codec))


def _look_at_zip(path: Path, tally: Tally) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.flag_bits & 1:
                tally.opaque.add("an encrypted member")
                continue
            with archive.open(member) as stream:
                _look_at_stream(cast("BinaryIO", stream), "member of the archive", tally)


def _look_at_arrow(path: Path, tally: Tally) -> None:
    """The batches of an Arrow file, with what their buffers hold beside the values."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                look_at_array(column, f"values of column {name}, batch {number}", tally)


def look_at_array(array: pa.Array, place: str, tally: Tally) -> None:
    """Look through the buffers of an array and of all arrays inside it: values that nulls hide are found, too."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        look_at_array(array.dictionary, f"dictionary of {place}", tally)
    elif pa.types.is_nested(array.type):
        for child in _children(array):
            look_at_array(child, place, tally)
    elif _has_offsets(array.type):
        _look_at_cells(array, place, tally)
    elif not pa.types.is_null(array.type):
        for buffer in array.buffers()[1:]:
            if buffer is not None:
                tally.search(memoryview(buffer), place, Rule.PACKED)


def _has_offsets(kind: pa.DataType) -> bool:
    return any(
        is_it(kind)
        for is_it in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )


def _children(array: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_struct(array.type) or pa.types.is_union(array.type):
        yield from (array.field(number) for number in range(array.type.num_fields))
    elif pa.types.is_map(array.type):
        yield from (array.keys, array.items)
    else:
        yield array.values


def _look_at_cells(array: pa.Array, place: str, tally: Tally) -> None:
    """Values lie one right after the other: a text counts if it stands alone in its cell, or is in no cell."""
    _, offsets, values = array.buffers()
    if values is None:
        return
    content = memoryview(values)
    tally.looked_at += len(content)
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    width = np.dtype(np.int64 if wide else np.int32)
    bounds = np.frombuffer(offsets, width, len(array) + 1, array.offset * width.itemsize)
    for begin, end, number, spelling in tally.wanted.find(content, Rule.PACKED):
        cell = int(np.searchsorted(bounds, begin, side="right")) - 1
        if 0 <= cell < len(array) and array[cell].is_valid and end <= bounds[cell + 1]:
            first, last = int(bounds[cell]), int(bounds[cell + 1])
            spot = (begin - first, end - first, number, spelling)
            if spot not in set(tally.wanted.find(content[first:last], Rule.TEXT)):
                continue
        elif 0 <= cell < len(array) and array[cell].is_valid and end <= bounds[-1]:
            # From the end of one value into the next one.
            continue
        tally.count(place, number, spelling)


def _look_at_database(path: Path, file: BinaryIO, tally: Tally) -> None:
    """All cells that SQL shows, then the bytes: rows that were deleted are among them."""
    _look_at_tables(path, tally)
    for _, _, number, spelling in tally.stream(file, Rule.PACKED):
        tally.count("raw bytes of SQLite", number, spelling)


def _look_at_log(path: Path, file: BinaryIO, tally: Tally) -> None:
    hits = list(tally.stream(file, Rule.PACKED))
    for suffix in _LOGS:
        database = path.with_name(path.name.removesuffix(suffix))
        if hits and database != path and database.is_file():
            _look_at_tables(database, Tally(tally.path, tally.wanted, shadows=tally.shadows))
    for _, _, number, spelling in hits:
        tally.count("raw bytes of SQLite", number, spelling)


def _look_at_tables(path: Path, tally: Tally) -> None:
    """Texts that are a piece of a living value go to `shadows`: in the bytes they could not be told from it."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=60, isolation_level=None)) as connection:
            connection.text_factory = bytes
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                _look_at_table(connection, name.decode(), tally)
    except (sqlite3.Error, UnicodeError):
        tally.opaque.add("its tables cannot be read")


def _look_at_table(connection: sqlite3.Connection, table: str, tally: Tally) -> None:
    sql = table.replace('"', '""')
    cursor = connection.execute(f'SELECT * FROM "{sql}"')  # noqa: S608 - quoted
    while rows := cursor.fetchmany(FETCH_ROWS):
        cells = [cell for cell in chain.from_iterable(rows) if isinstance(cell, bytes)]
        content = b"\n".join(cells)
        tally.looked_at += len(content)
        whole = list(tally.wanted.find(content, Rule.TEXT))
        for _, _, number, spelling in whole:
            tally.count(f"cells of table {table}", number, spelling)
        # A row's texts lie one right after the other: the end of one and the beginning of the next may spell another.
        beside = b"\n".join(b"".join(map(_stored, row)) for row in rows)
        by_chance = tally.wanted.within(content) | tally.wanted.within(beside)
        tally.shadows |= by_chance - {number for _, _, number, _ in whole}


def _stored(cell: Any) -> bytes:
    """What a value is in the body of a record, as far as texts are about: a null is nothing there."""
    return cell if isinstance(cell, bytes) else b"" if cell is None else b"\0"
