"""Finding and erasing people in Parquet files, against a loop that rewrites each file row by row.

The loop does what the handler of Amazon's S3 Find and Forget does with a file: row group after row group, it takes the
column apart into Python values, tests each of them in a set, filters and writes. It is only told which files there are,
as we are; it neither syncs what it wrote nor looks at it, and has no lock, no holds and no atomic step.

People are spread over files and row groups at random, so that statistics of row groups help nobody. Finding and the
batch are in processor time of all threads; erasing is by the clock, too, for it reads and writes at once. Each is the
best of several turns, ours and the loop's in one run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.figure import Figure, figure

from airflow_veil.privacy.erasure.files import FileStore
from airflow_veil.privacy.erasure.graph import Edge
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.ledger.holds import Held
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.storage.parquet import ParquetSource

ROWS, GROUP_ROWS = 2_000_000, 1 << 18
PEOPLE = ROWS // 4
FILES, FILE_ROWS = 20, 200_000
MANY, BATCH = 100_000, 10_000
TURNS = 7
MILLION = 1e6
SEED = 20260101
COUNTRIES = np.array(["AT", "DE", "FR", "IT", "PL"])


class Seconds(NamedTuple):
    """What some work takes."""

    clock: float
    processor: float


def run() -> list[Figure]:
    """Measure in a temporary folder; takes a minute."""
    with TemporaryDirectory(prefix="veil-bench-") as folder:
        one, many = Path(folder, "one"), Path(folder, "many")
        one.mkdir()
        pq.write_table(_people(SEED, ROWS), one / "0.parquet", row_group_size=GROUP_ROWS)
        return [*_finding(one), *_rewriting(one), *_skipping(many)]


def _people(seed: int, rows: int, *, which: int = 0, of: int = 1) -> pa.Table:
    """Orders of people: a number, an e-mail, an amount, a time and a country."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, PEOPLE // of, rows) * of + which
    return pa.table(
        {
            "customer": pa.array(numbers),
            "email": _emails(numbers),
            "amount": pa.array(random.random(rows) * 100),
            "at": pa.array(random.integers(0, 1 << 50, rows), pa.timestamp("us")),
            "country": pa.array(COUNTRIES[random.integers(0, len(COUNTRIES), rows)]),
        }
    )


def _emails(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(
        "customer.", pc.cast(pa.array(numbers), pa.string()), "@example.com", ""
    )


def _finding(folder: Path) -> list[Figure]:
    """Rows a second that are looked through, nothing changed."""
    found = []
    for column, kind in (("customer", "whole numbers"), ("email", "text")):
        for count in (1, MANY):
            matcher = _matcher(column, _someone(count))
            seconds = min(_timed(lambda m=matcher: _find(folder, m)).processor for _ in range(TURNS))
            name = f"Finding {count:,} of {PEOPLE:,} people by {kind}"
            found.append(figure(name, ROWS / seconds / MILLION, "M rows/s", floor=4, aim=8))
    return found


def _rewriting(folder: Path) -> list[Figure]:
    """One file of which every row group holds somebody."""
    ours, batch, loop = [], [], []
    few, all_of = _someone(100), _someone(BATCH)
    for _ in range(TURNS):
        ours.append(_on_copy(folder, lambda path: _erase(path, _matcher("customer", few[:1]))))
        batch.append(_on_copy(folder, lambda path: _erase(path, _matcher("customer", all_of))))
        loop.append(_on_copy(folder, lambda path: _loop(path, "customer", set(few[:1].tolist()))))
    clock = [_best(times).clock for times in (ours, loop)]
    processor = [_best(times).processor for times in (ours, batch, loop)]
    together = f"Time of {BATCH:,} people in one batch / of one"
    return [
        figure("Erasing one person from one file", ROWS / clock[0] / MILLION, "M rows/s"),
        figure("The loop, row by row", ROWS / clock[1] / MILLION, "M rows/s"),
        _ratio("One file: our rows a second / the loop's", clock[1] / clock[0], floor=1.5, aim=2),
        _ratio("The same by processor time", processor[2] / processor[0], floor=1.5, aim=2),
        figure(together, processor[1] / processor[0], "x", floor=1.3, aim=1.1),
    ]


def _skipping(folder: Path) -> list[Figure]:
    """Many files of which one holds whom is looked for."""
    folder.mkdir()
    for number in range(FILES):
        table = _people(SEED + number, FILE_ROWS, which=number, of=FILES)
        pq.write_table(table, folder / f"{number:02}.parquet", row_group_size=GROUP_ROWS)
    person = pq.read_table(folder / "07.parquet", columns=["customer"]).column(0)[0].as_py()
    ours, loop = [], []
    for _ in range(TURNS):
        ours.append(_on_copy(folder, lambda path: _erase(path, _matcher("customer", np.array([person])))))
        loop.append(_on_copy(folder, lambda path: _loop(path, "customer", {person})))
    name = f"1 of {FILES} files: our rows a second / the loop's"
    return [_ratio(name, _best(loop).clock / _best(ours).clock, floor=10, aim=15)]


def _best(times: list[Seconds]) -> Seconds:
    return Seconds(min(each.clock for each in times), min(each.processor for each in times))


def _ratio(name: str, value: float, *, floor: float, aim: float) -> Figure:
    told = figure(name, value, "x", floor=floor, aim=aim)
    return {**told, "ratio_to": "the loop", "ratio": told["value"]}


def _someone(count: int) -> np.ndarray:
    return np.random.default_rng(SEED + 1).choice(PEOPLE, count, replace=False)


def _matcher(column: str, numbers: np.ndarray) -> Matcher:
    spelled = pc.cast(pa.array(numbers), pa.string()) if column == "customer" else _emails(numbers)
    domain = f"orders.{column}"
    known = Subjects().with_(domain, spelled, np.zeros(len(numbers), np.int32)).of(domain)
    return Matcher([(Edge("orders", column, domain, "delete", subject=True), known)], _nobody(), "orders")


def _nobody() -> Keeper:
    return Keeper(Held(), None, KeyRing.generate)


@contextmanager
def _frozen() -> Iterator[Keeper]:
    yield _nobody()


def _find(folder: Path, matcher: Matcher) -> None:
    FileStore(ParquetSource(folder)).find(matcher, (), 1)


def _erase(folder: Path, matcher: Matcher) -> None:
    store = FileStore(ParquetSource(folder))
    with store.alone():
        changed = store.erase(matcher, _frozen, 1)
    assert changed.rewritten == 1, "nobody was erased"


def _loop(folder: Path, column: str, people: set[int]) -> None:
    """Every file anew: values of Python one by one, as the handler does it."""
    for path in sorted(folder.glob("*.parquet")):
        new = path.with_suffix(".new")
        with pq.ParquetFile(path) as file, pq.ParquetWriter(new, file.schema_arrow) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                stays = [value not in people for value in table.column(column).to_pylist()]
                writer.write_table(table.filter(np.array(stays)))
        new.replace(path)


def _on_copy(folder: Path, work: Callable[[Path], None]) -> Seconds:
    """The time that some work takes on a copy of a folder, made before."""
    with TemporaryDirectory(prefix="veil-bench-", dir=folder.parent) as place:
        copy = Path(place, "files")
        shutil.copytree(folder, copy)
        return _timed(lambda: work(copy))


def _timed(work: Callable[[], object]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)
