"""The local engine: streams a stage from a source to a writer in constant memory.

The calling thread reads and writes, as a plain copy would; a few threads treat the batches in between. At
most `4 * threads` batches are on their way, whatever the table's size, and they leave in the order they came.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue

import pyarrow as pa

from airflow_veil.privacy.engine.counts import Counts, Nulls
from airflow_veil.privacy.engine.treatment import Treatment, prepare
from airflow_veil.privacy.plan.stage import Stage
from airflow_veil.privacy.storage.base import Source, Writer
from airflow_veil.privacy.transforms.base import Keys

Progress = Callable[[int, int], None]
"""`progress(rows_in, rows_out)`: the totals so far, after each batch, in the thread that called `run`."""

Treated = tuple[pa.RecordBatch, Counts]

TURN_SECONDS = 0.0005
"""How long a thread may keep Python's interpreter from the others; Python's own default is ten times as long."""

BATCH_ROWS = 1 << 16
BATCH_CELLS = 1 << 20
"""A batch's rows and cells, at most: so many that the Python around it costs nothing, so few that some fit anywhere."""

AHEAD = 4
"""Batches on their way for each thread: the writer takes them in bursts, a row group at a time."""


def run(
    stage: Stage,
    source: Source,
    writer: Writer,
    *,
    keys: Keys | None = None,
    batch_rows: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Run a stage over all rows of a source.

    The output depends on the stage, the source and the keys alone, not on `batch_rows` or `threads`. Memory
    is bounded by `batch_rows * threads` rows, not by the table. The caller opens and closes the writer: an
    error in whatever thread is raised here once all threads have stopped, and the writer's `with` aborts it.

    Args:
        stage: What to do.
        source: Where the rows come from; `stage.reads` are the columns read.
        writer: Where they go, made for `stage.output_schema`. It gets no empty batches; without any, closing it
            leaves an output that has its schema.
        keys: The key ring; None where no treatment needs one.
        batch_rows: Rows a batch; left out, fewer for a table of many columns.
        threads: Threads that treat batches; as many as this process may use cores by default.
        progress: Called after each batch.

    Returns:
        What was counted.

    Raises:
        KeyRingError: A key is needed and cannot be had.
        SchemaError: The source delivers other columns or types than the plan was bound to.
        TransformError: A column cannot be treated.
        InternalError: A treatment broke its contract.
    """
    threads = threads or len(os.sched_getaffinity(0))
    batch_rows = batch_rows or min(BATCH_ROWS, BATCH_CELLS // max(len(stage.reads), len(stage.columns)) + 1)
    treatments = [prepare(stage, keys) for _ in range(threads)]
    total = _nothing(stage)
    batches = source.batches(stage.reads, batch_rows=batch_rows)
    # Closed here and now: a traceback would keep a suspended generator, and with it its threads, alive.
    with _short_turns(), closing(_treated(batches, treatments)) as treated:
        for batch, counts in treated:
            total += counts
            if batch.num_rows:
                writer.write(batch)
            if progress is not None:
                progress(total.rows_in, total.rows_out)
    return total


@contextmanager
def _short_turns() -> Iterator[None]:
    """Share the interpreter in short turns.

    Almost everything here runs outside the interpreter and comes back to it for an instant, many times a batch.
    A kernel that loops in Python (HMAC, names) would make each of these wait for a full turn. The setting is the
    process's: runs that overlap may leave the short turns on, which costs a little and breaks nothing.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, TURN_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _nothing(stage: Stage) -> Counts:
    """The counts of no rows: every column and filter is named even if nothing is read."""
    return Counts(
        dropped_rows={row.word: 0 for row in stage.row_filters},
        nulls={column.name: Nulls() for column in stage.columns},
    )


def _treated(batches: Iterator[pa.RecordBatch], treatments: list[Treatment]) -> Generator[Treated]:
    """Treat batches on as many threads as there are treatments, and give them back in order."""
    idle: SimpleQueue[Treatment] = SimpleQueue()
    for treatment in treatments:
        idle.put(treatment)

    def treat(batch: pa.RecordBatch) -> Treated:
        treatment = idle.get()
        try:
            return treatment(batch)
        finally:
            idle.put(treatment)

    pool = ThreadPoolExecutor(len(treatments), thread_name_prefix="veil-treat")
    pending: deque[Future[Treated]] = deque()
    try:
        for batch in batches:
            pending.append(pool.submit(treat, batch))
            while pending and (len(pending) >= AHEAD * len(treatments) or pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Also on an error, an interrupt or a writer that fails: no thread outlives the run.
        pool.shutdown(cancel_futures=True)
        if isinstance(batches, Generator):
            batches.close()
