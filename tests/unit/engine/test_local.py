"""The local engine: all ways to run a plan give one result, in bounded memory, and nothing outlives a run."""

from __future__ import annotations

import io
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.engine.counts import Nulls
from airflow_veil.privacy.engine.local import run
from airflow_veil.privacy.errors import InternalError, TransformError
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import fused, stage
from airflow_veil.privacy.transforms.base import Step, Transform
from airflow_veil.privacy.transforms.drop import Drop
from airflow_veil.privacy.transforms.keep import Keep

NAMES = ("a", "b", "c", "d", "e", "unnamed")


def _release(kit: Any, plan: Plan, table: pa.Table, **how: Any) -> tuple[pa.Table, Any]:
    """The table that a fused run gives, and its counts."""
    sink = kit.Sink(plan.output_schema)
    counts = run(fused(plan), kit.Table(table), sink, **how)
    return sink.table, counts


def _through_parquet(table: pa.Table) -> pa.Table:
    """What the next step reads of a staged table."""
    staged = io.BytesIO()
    pq.write_table(table, staged)
    return pq.read_table(staged)


@st.composite
def _tables(draw: st.DrawFn) -> pa.Table:
    """Up to 30 rows of integers and text, with nulls."""
    rows = draw(st.integers(0, 30))
    types = draw(
        st.lists(st.sampled_from([pa.int64(), pa.string()]), min_size=len(NAMES), max_size=len(NAMES))
    )
    columns = {}
    for name, kind in zip(NAMES, types, strict=True):
        cell = st.integers(0, 99) if kind == pa.int64() else st.text("xyz ", max_size=3)
        columns[name] = pa.array(draw(st.lists(st.none() | cell, min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


@st.composite
def _treatments(draw: st.DrawFn, mixes: Any) -> dict[str, Transform]:
    """Any treatment of any column, reading any others; the last column stays unnamed."""
    named = NAMES[:-1]
    reads = st.lists(st.sampled_from(named), unique=True, max_size=3).map(tuple)
    mixed = st.builds(lambda step, names: mixes[step](reads=names), st.sampled_from(list(Step)), reads)
    treatments = {name: draw(st.one_of(st.just(Keep()), st.just(Drop()), mixed, mixed)) for name in named}
    assume(any(treatment.word != "drop" for treatment in treatments.values()))
    return treatments


def _reference(
    table: pa.Table, treatments: dict[str, Transform], kept_rows: list[bool]
) -> list[dict[str, Any]]:
    """The release by its definition, row by row and cell by cell."""
    rows = [row for row, keep in zip(table.to_pylist(), kept_rows, strict=True) if keep]
    return [
        {
            name: _cell(row, name, treatment)
            for name, treatment in treatments.items()
            if treatment.word != "drop"
        }
        for row in rows
    ]


def _cell(row: dict[str, Any], name: str, treatment: Any) -> Any:
    if treatment.word == "keep" or row[name] is None:
        return row[name]
    others = ["-" if row[other] is None else str(row[other]) for other in treatment.reads]
    return "|".join([str(row[name]), *others, treatment.step.value])


class TestEquivalence:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_stepwise_is_fused_is_the_definition(self, kit: Any, data: st.DataObject) -> None:
        """Four staged steps, one fused pass, and a cell-by-cell reference release the same table."""
        table = data.draw(_tables())
        treatments = data.draw(_treatments(kit.mixes))
        filters = (kit.KeepRows(column="a", function=lambda column: column.is_valid()),) * data.draw(
            st.integers(0, 1)
        )
        plan = kit.plan(table, treatments, *filters)
        batch_rows = data.draw(st.integers(1, 40))

        whole, counts = _release(kit, plan, table, batch_rows=batch_rows)
        staged, dropped = table, 0
        for step in Step:
            each = stage(plan, step)
            sink = kit.Sink(each.output_schema)
            step_counts = run(each, kit.Table(staged), sink, batch_rows=batch_rows)
            dropped += sum(step_counts.dropped_rows.values())
            staged = _through_parquet(sink.table)

        kept = [True] * table.num_rows if not filters else table.column("a").is_valid().to_pylist()
        assert whole.schema == plan.output_schema
        assert whole.to_pylist() == _reference(table, treatments, kept)
        assert staged.to_pylist() == whole.to_pylist()
        assert staged.schema.names == whole.schema.names
        assert dropped == sum(counts.dropped_rows.values()) == counts.rows_in - counts.rows_out

    @settings(max_examples=20, deadline=None)
    @given(data=st.data())
    def test_dropped_columns_are_told_once(self, kit: Any, data: st.DataObject) -> None:
        """What the steps report as dropped is, together, what the plan drops."""
        table = data.draw(_tables())
        plan = kit.plan(table, data.draw(_treatments(kit.mixes)))

        told = [name for step in Step for name in stage(plan, step).dropped]

        assert sorted(told) == sorted(plan.dropped) == sorted(fused(plan).dropped)

    @pytest.mark.parametrize("threads", [1, 2, 5])
    @pytest.mark.parametrize("batch_rows", [1, 7, 64, 1000])
    def test_same_whatever_the_batches_and_threads(self, kit: Any, batch_rows: int, threads: int) -> None:
        """Neither the size of batches nor the number of threads shows in the output or in the counts."""
        table = pa.table({"id": range(300), "name": [None if i % 7 == 0 else f"n{i}" for i in range(300)]})
        plan = kit.plan(
            table,
            {"id": kit.mixes[Step.MASK](reads=("name",)), "name": kit.mixes[Step.TOKENIZE](reads=("id",))},
            kit.KeepRows(column="id", function=lambda ids: pc.not_equal(pc.bit_wise_and(ids, 3), 0)),
        )
        expected = _release(kit, plan, table, batch_rows=300, threads=1)

        assert _release(kit, plan, table, batch_rows=batch_rows, threads=threads) == expected

    def test_rows_keep_their_order(self, kit: Any) -> None:
        """A batch that takes long does not let later ones pass."""
        second_began = threading.Event()

        def slow_first(column: pa.Array, _inputs: Any) -> pa.Array:
            if column[0].as_py() == 0:
                assert second_began.wait(60)
            else:
                second_began.set()
            return column

        table = pa.table({"id": range(10)})
        released, _counts = _release(
            kit, kit.plan(table, {"id": kit.Apply(function=slow_first)}), table, batch_rows=1, threads=2
        )

        assert released.column("id").to_pylist() == list(range(10))


class TestCounting:
    def test_counts_all_batches(self, kit: Any, people: pa.Table) -> None:
        """Rows, nulls and held-back rows are those of the whole table."""
        plan = kit.plan(
            people,
            {"id": Drop(), "name": Keep(), "age": kit.mixes[Step.MASK]()},
            kit.KeepRows(column="id", function=lambda ids: pc.less(ids, 6)),
        )
        _table, counts = _release(kit, plan, people, batch_rows=2)

        assert counts.as_dict() == {
            "rows_in": 7,
            "rows_out": 5,
            "dropped_rows": {"keep_rows": 2},
            "nulls": {"name": {"before": 2, "after": 2}, "age": {"before": 1, "after": 1}},
        }

    def test_progress_tells_the_totals_so_far(self, kit: Any, people: pa.Table) -> None:
        """After each batch the caller learns the rows read and released, in its own thread."""
        told: list[tuple[int, int, str]] = []
        plan = kit.plan(
            people, {"id": Keep()}, kit.KeepRows(column="id", function=lambda i: pc.greater(i, 1))
        )
        _release(
            kit,
            plan,
            people,
            batch_rows=3,
            progress=lambda *totals: told.append((*totals, threading.current_thread().name)),
        )

        here = threading.current_thread().name
        assert told == [(3, 2, here), (6, 5, here), (7, 6, here)]


class TestEmpty:
    def test_no_batches_still_give_a_schema(self, kit: Any, people: pa.Table) -> None:
        """An empty source gives an empty table with the release's schema, and counts for every column."""
        plan = kit.plan(
            people,
            {"id": kit.mixes[Step.TOKENIZE](), "name": Drop(), "age": Keep()},
            kit.KeepRows(column="id", function=lambda ids: ids.is_valid()),
        )
        released, counts = _release(kit, plan, people.slice(0, 0))

        assert (released.num_rows, released.schema) == (0, plan.output_schema)
        assert (counts.rows_in, counts.dropped_rows) == (0, {"keep_rows": 0})
        assert counts.nulls == {"id": Nulls(), "age": Nulls()}

    def test_a_filter_that_keeps_nothing(self, kit: Any, people: pa.Table) -> None:
        """A release without rows has its schema, and says where the rows went."""
        nothing = kit.KeepRows(column="id", function=lambda ids: pc.less(ids, 0))
        plan = kit.plan(people, {"id": kit.mixes[Step.TOKENIZE](), "age": Keep()}, nothing)
        released, counts = _release(kit, plan, people, batch_rows=2)

        assert (released.num_rows, released.schema) == (0, plan.output_schema)
        assert (counts.rows_in, counts.rows_out, counts.dropped_rows) == (7, 0, {"keep_rows": 7})

    def test_batches_without_rows_are_not_written(self, kit: Any, people: pa.Table) -> None:
        """A batch that a filter emptied leaves no trace in the output."""
        sink = kit.Sink()
        last = kit.KeepRows(column="id", function=lambda ids: pc.equal(ids, 7))
        run(fused(kit.plan(people, {"id": Keep()}, last)), kit.Table(people), sink, batch_rows=1)

        assert [batch.num_rows for batch in sink.batches] == [1]

    def test_columns_of_nulls_only(self, kit: Any) -> None:
        """A column without a value passes every step."""
        table = pa.table({"id": pa.nulls(5, pa.int64()), "name": pa.nulls(5, pa.string())})
        plan = kit.plan(table, {"id": kit.mixes[Step.TOKENIZE](), "name": kit.mixes[Step.MASK]()})
        released, counts = _release(kit, plan, table, batch_rows=2)

        assert released.column("name").null_count == 5
        assert counts.nulls == {"id": Nulls(5, 5), "name": Nulls(5, 5)}


class _Endless:
    """A source that never ends; it notes that it was closed."""

    def __init__(self) -> None:
        self.delivered = 0
        self.closed = False

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        try:
            for number in itertools.count():
                self.delivered += 1
                yield pa.record_batch({"id": pa.array([number] * batch_rows, pa.int64())})
        finally:
            self.closed = True


IDS = pa.table({"id": pa.array([], pa.int64())})


class TestBounds:
    @pytest.mark.parametrize("threads", [1, 3])
    def test_few_batches_are_on_their_way(self, kit: Any, threads: int) -> None:
        """The source is read no faster than the writer takes: memory does not grow with the table."""
        source = kit.Table(pa.table({"id": range(200)}))
        ahead: list[int] = []

        class Slow(kit.Sink):  # type: ignore[misc]
            def write(self, batch: pa.RecordBatch) -> None:
                super().write(batch)
                ahead.append(source.delivered - len(self.batches))

        run(fused(kit.plan(source.table, {"id": Keep()})), source, Slow(), batch_rows=1, threads=threads)

        assert max(ahead) <= 4 * threads

    @pytest.mark.parametrize(("columns", "rows"), [(1, 1 << 16), (16, 1 << 16), (1024, 1025)])
    def test_wide_tables_have_short_batches(self, kit: Any, columns: int, rows: int) -> None:
        """Memory does not grow with the number of columns either."""
        asked: list[int] = []

        class Asked(kit.Table):  # type: ignore[misc]
            def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
                asked.append(batch_rows)
                return super().batches(columns, batch_rows=batch_rows)

        table = pa.table({f"c{number}": pa.array([number]) for number in range(columns)})
        run(fused(kit.plan(table, dict.fromkeys(table.schema.names, Keep()))), Asked(table), kit.Sink())

        assert asked == [rows]

    def test_reads_only_what_it_needs(self, kit: Any, people: pa.Table) -> None:
        """A column that nothing is made of is not asked for."""
        asked: list[tuple[str, ...]] = []

        class Asked(kit.Table):  # type: ignore[misc]
            def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
                asked.append(tuple(columns))
                return super().batches(columns, batch_rows=batch_rows)

        plan = kit.plan(people, {"id": Keep(), "name": Drop(), "age": Keep()})
        run(fused(plan), Asked(people), kit.Sink())

        assert asked == [("id", "age")]


class TestFailure:
    def _run(self, kit: Any, function: Any, source: Any = None, sink: Any = None, **how: Any) -> _Endless:
        source = source or _Endless()
        plan = kit.plan(IDS, {"id": kit.Apply(function=function)})
        with sink or kit.Sink() as writer:
            run(fused(plan), source, writer, batch_rows=4, **how)
        return source  # type: ignore[no-any-return]

    def test_an_error_in_a_thread_ends_an_endless_run(self, kit: Any) -> None:
        """A failed batch is not read past; the writer is aborted and the source closed."""

        def fail_later(column: pa.Array, _inputs: Any) -> pa.Array:
            if column[0].as_py() == 9:
                raise ValueError
            return column

        source, sink = _Endless(), kit.Sink()
        with pytest.raises(TransformError, match=r"people\.id"):
            self._run(kit, fail_later, source, sink, threads=2)

        assert (sink.aborted, source.closed) == (True, True)
        assert source.delivered <= 10 + 4 * 2
        assert len(sink.batches) == 9

    def test_the_first_error_in_the_order_of_rows_is_raised(self, kit: Any) -> None:
        """Which error a run reports does not depend on which thread was faster."""
        later_failed = threading.Event()

        def fail(column: pa.Array, _inputs: Any) -> pa.Array:
            number = column[0].as_py()
            if number == 0:
                later_failed.wait(60)
                raise TransformError("first")
            later_failed.set()
            raise TransformError("later")

        with pytest.raises(TransformError, match="first"):
            self._run(kit, fail, threads=2)

    def test_a_broken_kernel_is_named(self, kit: Any) -> None:
        """A kernel that loses rows stops the run with the column's name."""
        with pytest.raises(InternalError, match=r"people\.id: the kernel returned 3 rows. Expected: 4 rows"):
            self._run(kit, lambda column, _inputs: column[1:])

    def test_a_writer_that_fails_ends_the_run(self, kit: Any) -> None:
        """An error of the writer passes as it is, and the threads are gone."""

        class Full(kit.Sink):  # type: ignore[misc]
            def write(self, batch: pa.RecordBatch) -> None:
                raise OSError("disk full")

        source = _Endless()
        with pytest.raises(OSError, match="disk full"):
            self._run(kit, lambda column, _inputs: column, source, Full())

        assert source.closed

    def test_a_source_that_fails_ends_the_run(self, kit: Any) -> None:
        """An error of the source passes as it is, after what was read before it."""

        class Torn(_Endless):
            def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
                yield from itertools.islice(super().batches(columns, batch_rows=batch_rows), 3)
                raise OSError("gone")

        sink = kit.Sink()
        with pytest.raises(OSError, match="gone"):
            self._run(kit, lambda column, _inputs: column, Torn(), sink)

        assert sink.aborted

    def test_an_interrupt_stops_everything(self, kit: Any) -> None:
        """Ctrl-C aborts the writer, closes the source and leaves no thread."""

        def interrupt(rows_in: int, _rows_out: int) -> None:
            if rows_in >= 20:
                raise KeyboardInterrupt

        source, sink = _Endless(), kit.Sink()
        with pytest.raises(KeyboardInterrupt):
            self._run(kit, lambda column, _inputs: column, source, sink, progress=interrupt)

        assert (sink.aborted, source.closed) == (True, True)

    def test_an_error_before_the_first_row_reads_nothing(self, kit: Any) -> None:
        """Keys and tables are prepared before the source is touched."""

        class NoKey(Keep):
            def prepare(self, binding: Any) -> Any:
                raise TransformError("no table", where=binding.where)

        source = _Endless()
        with pytest.raises(TransformError, match=r"people\.id: no table"):
            run(fused(kit.plan(IDS, {"id": NoKey()})), source, kit.Sink())

        assert source.delivered == 0


class TestThreads:
    def test_the_interpreter_s_turns_are_put_back(self, kit: Any) -> None:
        """A run shares the interpreter in short turns, and leaves the process as it was, also by an error."""
        before, during = sys.getswitchinterval(), []

        def look(column: pa.Array, _inputs: Any) -> pa.Array:
            during.append(sys.getswitchinterval())
            raise ValueError

        with pytest.raises(TransformError):
            run(fused(kit.plan(IDS, {"id": kit.Apply(function=look)})), _Endless(), kit.Sink(), batch_rows=4)

        assert during[0] < before
        assert sys.getswitchinterval() == before

    def test_a_kernel_is_in_one_thread_at_a_time(self, kit: Any) -> None:
        """Each thread has kernels of its own, so a kernel may keep scratch memory."""
        clashes: list[str] = []

        class Alone(Keep):
            def prepare(self, binding: Any) -> Any:
                busy = threading.Lock()

                def kernel(column: pa.Array, _inputs: Any) -> pa.Array:
                    if not busy.acquire(blocking=False):
                        clashes.append(threading.current_thread().name)
                        return column
                    pc.sum(pc.sqrt(pa.array(range(2000)))).as_py()
                    busy.release()
                    return column

                return kernel

        table = pa.table({"id": range(400)})
        released, _counts = _release(kit, kit.plan(table, {"id": Alone()}), table, batch_rows=1, threads=4)

        assert clashes == []
        assert released.num_rows == 400
