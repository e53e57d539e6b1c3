"""The fused release of twelve columns, Parquet to Parquet, against a plain copy of the same columns.

The plain copy is what a script without the suite would do: pyarrow's reader and writer as they come, batch by batch.
A second copy uses the suite's own reader and writer. All run in turns in this process; a figure is the best of its
turns. The ratio means something on an idle machine only: a copy uses one core, a release all, so others at work slow
the release more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow.parquet as pq
from benchmarks import people
from benchmarks.figure import Figure, figure

from airflow_veil.privacy.engine import local
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.plan.stage import Stage, fused
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter

ROWS = 1_000_000
TURNS = 7
FLOOR, AIM = 2.0, 1.3


def run() -> list[Figure]:
    """Measure both; takes some tens of seconds."""
    with TemporaryDirectory(prefix="veil-bench-") as folder, two_cores():
        source, stage, keys = prepared(Path(folder), ROWS)
        ways: dict[str, Callable[[Path], None]] = {
            "plain": lambda out: copy_plainly(source.path, out),
            "copy": lambda out: copy(source, out),
            "release": lambda out: release(stage, source, out, keys),
        }
        turns: dict[str, list[Spent]] = {name: [] for name in ways}
        for turn in range(TURNS):
            for name, way in ways.items():
                turns[name].append(timed(way, Path(folder, f"{name}-{turn}")))
    best = {name: Spent(*map(min, zip(*spent, strict=True))) for name, spent in turns.items()}
    size = f"{ROWS / 1e6:g} M rows, 12 columns"
    return [
        figure(f"Plain pyarrow copy, {size}", best["plain"].wall, "s"),
        figure(f"Copy by our reader and writer, {size}", best["copy"].wall, "s"),
        figure(f"Fused release, {size}", best["release"].wall, "s"),
        figure(
            "Fused release / plain pyarrow copy",
            best["release"].wall / best["plain"].wall,
            "x",
            floor=FLOOR,
            aim=AIM,
        ),
        figure(
            "Fused release / copy by our reader and writer", best["release"].wall / best["copy"].wall, "x"
        ),
        figure("Processor time of the plain pyarrow copy", best["plain"].processor, "s"),
        figure("Processor time of the fused release", best["release"].processor, "s"),
    ]


def prepared(folder: Path, rows: int) -> tuple[ParquetSource, Stage, KeyRing]:
    """The table, the stage that a policy file makes of it, and a key ring."""
    policy = folder / "benchmark.yaml"
    policy.write_text(people.POLICY)
    people.write(folder / "people.parquet", rows)
    source, keys = ParquetSource(folder / "people.parquet"), KeyRing.generate()
    plan = bind(load(policy), "people", source.schema(), key_version=keys.current)
    return source, fused(plan), keys


def release(stage: Stage, source: ParquetSource, out: Path, keys: KeyRing) -> None:
    """The release, as `veil run` does it."""
    with ParquetWriter(out, stage.output_schema) as writer:
        local.run(stage, source, writer, keys=keys)


def copy(source: ParquetSource, out: Path) -> None:
    """The same columns through the same reader and writer, untreated."""
    with ParquetWriter(out, source.schema()) as writer:
        for batch in source.batches(source.schema().names, batch_rows=local.BATCH_ROWS):
            writer.write(batch)


def copy_plainly(path: Path, out: Path) -> None:
    """What a script without the suite would do."""
    with (
        pq.ParquetFile(path) as reader,
        pq.ParquetWriter(out / "copy.parquet", reader.schema_arrow) as writer,
    ):
        for batch in reader.iter_batches(local.BATCH_ROWS):
            writer.write_batch(batch)


class Spent(NamedTuple):
    """Seconds: on the clock, and of processor time over all threads, which a busy machine does not stretch."""

    wall: float
    processor: float


def timed(way: Callable[[Path], None], out: Path) -> Spent:
    """What one way takes to write a new folder."""
    out.mkdir()
    wall, processor = time.perf_counter(), time.process_time()
    way(out)
    spent = Spent(time.perf_counter() - wall, time.process_time() - processor)
    for file in out.iterdir():
        file.unlink()
    return spent


@contextmanager
def two_cores() -> Iterator[None]:
    """Keep this process on two cores: the size of machine that the limit is for."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(cores)[:2]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
