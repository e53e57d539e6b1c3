"""How fast texts are looked for in every byte of files, and rows are counted by the readers of verification.

10,000 e-mail addresses in all spellings, against one; content of rows with addresses of other people, the hardest kind:
it shares beginnings and ends with what is looked for. MB are those that are looked at, decompressed; seconds are those
of one core, which is all that a scan uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.figure import Figure, figure

from airflow_veil.privacy.erasure.residue import Wanted, scan
from airflow_veil.privacy.erasure.rows_left import rows_left
from airflow_veil.privacy.erasure.spellings import spellings
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource

ROWS = 2_000_000
TEXTS = 10_000
TURNS = 3


def run() -> list[Figure]:
    """Measure in a temporary folder; takes two minutes."""
    many = [_mail(number * 7 + ROWS * 10) for number in range(TEXTS)]
    with TemporaryDirectory(prefix="veil-bench-") as name:
        folder = Path(name)
        table = pa.table(
            {
                "id": pa.array(range(ROWS), pa.int64()),
                "mail": [_mail(number) for number in range(ROWS)],
                "city": [f"city {number % 97}" for number in range(ROWS)],
            }
        )
        pq.write_table(table, folder / "a.parquet", row_group_size=1 << 18)
        pl.DataFrame(pl.from_arrow(table)).write_csv(folder / "a.csv")
        return [*_bytes(folder, many), *_rows(folder, many), _aho_corasick(folder, many)]


def _mail(number: int) -> str:
    return f"person{number * 2654435761 % 10**9}.{number % 1000}@mail{number % 50}.example.com"


def _bytes(folder: Path, many: list[str]) -> list[Figure]:
    figures = [figure(f"Making ready for {TEXTS:,} texts", _best(lambda: Wanted(many)), "s", floor=10, aim=3)]
    ready = figures[0]["value"]
    for kind in ("csv", "parquet"):
        path = folder / f"a.{kind}"
        for texts in ([many[0]], many):
            size = scan([path], texts).bytes / 1e6
            seconds = _best(lambda path=path, texts=texts: scan([path], texts))
            seconds -= ready if len(texts) > 1 else 0
            name = f"Bytes of {kind} scanned for {len(texts):,} text{'s' if len(texts) > 1 else ''}"
            figures.append(figure(name, size / seconds, "MB/s", floor=60, aim=100))
    return figures


def _rows(folder: Path, many: list[str]) -> list[Figure]:
    sources = {"parquet": ParquetSource(folder / "a.parquet"), "csv": CsvSource(folder / "a.csv")}
    return [
        figure(
            f"Rows of {kind} looked through for {TEXTS:,} texts",
            ROWS / 1e6 / _best(lambda source=source: rows_left(source, "mail", many)),
            "M rows/s of a core",
        )
        for kind, source in sources.items()
    ]


def _aho_corasick(folder: Path, many: list[str]) -> Figure:
    """What polars' search for many texts would do with the same spellings and chunks of 32 MB."""
    strings = [content.decode("latin-1") for text in many for _, content in spellings(text)]
    with (folder / "a.csv").open("rb") as file:
        content = file.read(32 << 20)
    seconds = _best(
        lambda: pl.Series([content.decode("latin-1")]).str.find_many(strings, overlapping=True), turns=1
    )
    return figure(
        "For comparison: Aho-Corasick of polars, the same texts", len(content) / 1e6 / seconds, "MB/s"
    )


def _best(work: Callable[[], object], turns: int = TURNS) -> float:
    seconds = []
    for _ in range(turns):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return min(seconds)
