"""Values that are found wherever they turn up, and a search that looks everywhere."""

from __future__ import annotations

import secrets
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def _digits(count: int) -> str:
    """Random digits, not beginning with 0."""
    return str(10 ** (count - 1) + secrets.randbelow(9 * 10 ** (count - 1)))


@dataclass(frozen=True)
class Canaries:
    """Random values for each column of an input, and how each may be spelled.

    A text canary is a random token and the row's number; a number is random digits and the row's number; days are
    those of one far decade, times have random microseconds of one second. All spellings of a column's canaries share a
    piece that is searched for, as text and, for numbers, as the bytes of a few of them; it is long enough to be in no
    log by chance.

    Attributes:
        tokens: The random token of each text column.
    """

    tokens: dict[str, str] = field(
        default_factory=lambda: {
            name: f"Kv{secrets.token_hex(10)}"
            for name in ("name", "email", "phone", "note", "country", "secret", "badvalue")
        }
    )
    id_digits: str = field(default_factory=lambda: _digits(12))
    card_digits: str = field(default_factory=lambda: _digits(10))
    salary_digits: str = field(default_factory=lambda: _digits(11))
    microsecond: str = field(default_factory=lambda: _digits(6))
    day: date = date(1873, 4, 17)

    def rows(self, count: int) -> pa.Table:
        """An input of that many rows: every cell of it is a canary."""
        numbers = range(count)
        moment = datetime(1993, 4, 17, 13, 37, 42, int(self.microsecond), tzinfo=UTC)
        seconds = np.arange(count) % 86_400 * 86_400_000_000
        moments = np.datetime64(moment.replace(tzinfo=None), "us") + seconds.astype("timedelta64[us]")
        return pa.table(
            {
                "id": pa.array([int(self.id_digits) * 1_000_000 + i for i in numbers], pa.int64()),
                "name": [f"{self.tokens['name']}{i}" for i in numbers],
                "email": [f"{self.tokens['email']}{i}@example.org" for i in numbers],
                "phone": [f"{self.tokens['phone']}{i:07d}" for i in numbers],
                "card": [f"{self.card_digits}{i:06d}" for i in numbers],
                "born": [self.day + timedelta(days=i % 28) for i in numbers],
                "seen": pa.array(moments, pa.timestamp("us", "UTC")),
                "note": [f"please write to {self.tokens['note']}{i}@example.org" for i in numbers],
                "salary": [float(f"{self.salary_digits}.{i % 64}5") for i in numbers],
                "country": [f"{self.tokens['country']}{i}" for i in numbers],
                "secret": [f"{self.tokens['secret']}{i}" for i in numbers],
            }
        )

    def spellings(self) -> dict[str, tuple[bytes, ...]]:
        """What to search for, by column."""
        days = [self.day + timedelta(days=i) for i in range(28)]
        numbers = [int(self.id_digits) * 1_000_000 + i for i in range(8)]
        salaries = [float(f"{self.salary_digits}.{i}5") for i in range(8)]
        return {
            **{name: (token.encode(),) for name, token in self.tokens.items()},
            "id": (
                self.id_digits.encode(),
                *(number.to_bytes(8, order) for number in numbers for order in ("little", "big")),
            ),
            "card": (self.card_digits.encode(),),
            "born": tuple(
                text.encode() for day in days for text in (day.isoformat(), repr(day), f"{day:%d/%m/%Y}")
            ),
            "seen": (f"37:42.{self.microsecond}".encode(), f"37, 42, {self.microsecond}".encode()),
            "salary": (
                self.salary_digits.encode(),
                *(struct.pack(order, salary) for salary in salaries for order in ("<d", ">d")),
            ),
        }


@dataclass(frozen=True)
class Found:
    """A canary where none may be."""

    column: str
    where: str

    def __str__(self) -> str:
        return f"{self.column} in {self.where}"


def search(spellings: dict[str, tuple[bytes, ...]], places: Iterable[tuple[str, bytes]]) -> list[Found]:
    """Every place that holds a spelling of a column's canaries."""
    return [
        Found(column, where)
        for where, content in places
        for column, texts in spellings.items()
        if any(text in content for text in texts)
    ]


def files(folder: Path, *, but: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """The bytes, and the path, of every file below a folder; what is below a link, or `but`, is left out."""
    left_out = tuple(but)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not any(path.is_relative_to(top) for top in left_out):
            yield f"file {path.relative_to(folder)}", f"{path}\n".encode() + path.read_bytes()


def tables(database: Path) -> Iterator[tuple[str, bytes]]:
    """The rows of every table of a SQLite database, as text: compressed and escaped forms are opened up."""
    with closing(sqlite3.connect(database)) as connection:
        names = [
            name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        for name in names:
            rows = connection.execute(f'select * from "{name}"').fetchall()
            yield f"table {name} of {database.name}", "\n".join(map(_row, rows)).encode()


def _row(row: tuple[Any, ...]) -> str:
    return "\t".join(value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row)


def released(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The cells of every column of a release, uncompressed."""
    table = pq.read_table(folder)
    for name in table.column_names:
        yield f"released column {name}", "\n".join(map(str, table.column(name).to_pylist())).encode()
