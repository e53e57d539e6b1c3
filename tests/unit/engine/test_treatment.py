"""Treating one batch: kernels are held to their contract, and no value escapes in an error."""

from __future__ import annotations

import traceback
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from airflow_veil.privacy.engine.counts import Nulls
from airflow_veil.privacy.engine.treatment import prepare
from airflow_veil.privacy.errors import InternalError, SchemaError, TransformError
from airflow_veil.privacy.plan.stage import fused, stage
from airflow_veil.privacy.transforms.base import Step
from airflow_veil.privacy.transforms.drop import Drop
from airflow_veil.privacy.transforms.keep import Keep

SENTINEL = "sentinel-4929"


def _batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def _broken(kit: Any, table: pa.Table, function: Any) -> Any:
    """The treatment of a table whose column `name` has a kernel of its own making."""
    return prepare(fused(kit.plan(table, {"id": Keep(), "name": kit.Apply(function=function)})), None)


class TestTreatment:
    def test_kept_columns_are_not_copied(self, kit: Any, people: pa.Table) -> None:
        """A kept column leaves in the memory it came in."""
        batch = _batch(people.select(["id"]))
        out, _counts = prepare(fused(kit.plan(people, {"id": Keep()})), None)(batch)

        assert out.column("id").buffers()[1].address == batch.column("id").buffers()[1].address

    def test_kernels_see_raw_inputs(self, kit: Any, people: pa.Table) -> None:
        """A kernel gets the raw columns it names, whatever becomes of those."""
        plan = kit.plan(people, {"id": kit.mixes[Step.MASK](reads=("name",)), "name": Drop(), "age": Drop()})
        out, _counts = prepare(fused(plan), None)(_batch(people.select(["id", "name"])))

        assert out.column("id").to_pylist()[:2] == ["1|Ada|mask", "2|-|mask"]

    def test_counts_nulls_before_and_after(self, kit: Any, people: pa.Table) -> None:
        """Each output column tells its nulls as read and as it leaves."""
        blank = kit.Apply(function=lambda column, _inputs: pa.nulls(len(column), column.type))
        _out, counts = prepare(fused(kit.plan(people, {"name": blank, "age": Keep()})), None)(
            _batch(people.select(["name", "age"]))
        )

        assert counts.nulls == {"name": Nulls(2, 7), "age": Nulls(1, 1)}

    def test_counts_nulls_of_rows_that_leave(self, kit: Any, people: pa.Table) -> None:
        """A row that is held back counts nowhere else."""
        plan = kit.plan(
            people, {"name": Keep()}, kit.KeepRows(column="name", function=lambda c: c.is_valid())
        )
        _out, counts = prepare(fused(plan), None)(_batch(people.select(["name"])))

        assert (counts.rows_in, counts.rows_out, counts.nulls) == (7, 5, {"name": Nulls(0, 0)})

    def test_a_row_counts_for_the_first_filter_that_drops_it(self, kit: Any, people: pa.Table) -> None:
        """The filters' figures add up to the rows that are gone."""
        few = kit.KeepRows(column="id", function=lambda ids: pc.less(ids, 5))
        odd = kit.KeepMoreRows(column="id", function=lambda ids: pc.equal(pc.bit_wise_and(ids, 1), 1))
        out, counts = prepare(fused(kit.plan(people, {"id": Keep()}, few, odd)), None)(
            _batch(people.select(["id"]))
        )

        assert out.column("id").to_pylist() == [1, 3]
        assert counts.dropped_rows == {"keep_rows": 3, "keep_more_rows": 2}

    def test_filters_run_before_kernels(self, kit: Any, people: pa.Table) -> None:
        """A row that does not leave is not treated: it cannot fail a run either."""
        seen: list[int] = []

        def look(column: pa.Array, _inputs: Any) -> pa.Array:
            seen.append(len(column))
            return column

        plan = kit.plan(
            people,
            {"id": kit.Apply(function=look)},
            kit.KeepRows(column="id", function=lambda i: pc.equal(i, 3)),
        )
        prepare(fused(plan), None)(_batch(people.select(["id"])))

        assert seen == [1]

    def test_passes_treated_columns_through(self, kit: Any, people: pa.Table) -> None:
        """A later stage leaves what an earlier one treated as it is."""
        plan = kit.plan(people, {"id": kit.mixes[Step.TOKENIZE](), "age": kit.mixes[Step.GENERALIZE]()})
        batch = pa.record_batch({"id": ["token"], "age": pa.array([31], pa.int16())})
        out, counts = prepare(stage(plan, Step.GENERALIZE), None)(batch)

        assert out.to_pylist() == [{"id": "token", "age": "31|generalize"}]
        assert counts.nulls == {"id": Nulls(0, 0), "age": Nulls(0, 0)}


class TestKernelContract:
    @pytest.mark.parametrize(
        ("function", "message"),
        [
            pytest.param(
                lambda c, _: c[:-1], "people.name: the kernel returned 6 rows. Expected: 7", id="length"
            ),
            pytest.param(lambda c, _: pc.utf8_length(c), "people.name: the kernel returned int32", id="type"),
            pytest.param(lambda c, _: pa.chunked_array([c]), "returned a ChunkedArray", id="chunked"),
            pytest.param(lambda c, _: c.to_pylist(), "returned a list", id="list"),
            pytest.param(lambda _c, _: None, "returned a NoneType", id="nothing"),
        ],
    )
    def test_a_wrong_result_is_our_bug(self, kit: Any, people: pa.Table, function: Any, message: str) -> None:
        """A kernel that returns another length or type is named, and nothing is released."""
        treatment = _broken(kit, people, function)

        with pytest.raises(InternalError, match=message):
            treatment(_batch(people.select(["id", "name"])))

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            pytest.param(lambda c: pa.nulls(len(c), pa.bool_()), "left 7 rows undecided", id="null"),
            pytest.param(lambda c: pa.array([True]), "returned 1 rows", id="length"),
            pytest.param(lambda c: c, "returned int64", id="type"),
        ],
    )
    def test_a_filter_must_decide_every_row(
        self, kit: Any, people: pa.Table, function: Any, message: str
    ) -> None:
        """A row filter that leaves a row undecided does not let it slip through."""
        plan = kit.plan(people, {"id": Keep()}, kit.KeepRows(column="id", function=function))

        with pytest.raises(InternalError, match=message):
            prepare(fused(plan), None)(_batch(people.select(["id"])))


def _arrow_error(column: pa.Array, _inputs: Any) -> pa.Array:
    return pc.cast(column, pa.int64())


def _value_error(column: pa.Array, _inputs: Any) -> pa.Array:
    raise ValueError(column[0].as_py())


def _chained_error(column: pa.Array, _inputs: Any) -> pa.Array:
    try:
        return _value_error(column, _inputs)
    except ValueError as error:
        raise KeyError(column[0].as_py()) from error


class TestKernelErrors:
    @pytest.mark.parametrize("function", [_arrow_error, _value_error, _chained_error])
    def test_an_unexpected_error_holds_no_value(self, kit: Any, function: Any) -> None:
        """The column and the kind of the error are told; the value in its text is not, nowhere."""
        table = pa.table({"id": [1], "name": [SENTINEL]})

        with pytest.raises(
            TransformError, match=r"people\.name: the treatment failed with \w+ \(test_treatment\.py:\d+"
        ) as caught:
            _broken(kit, table, function)(_batch(table))

        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert SENTINEL not in "".join(traceback.format_exception(caught.value))
        assert SENTINEL not in repr(caught.value.__dict__)

    def test_an_error_of_ours_passes_as_it_is(self, kit: Any, people: pa.Table) -> None:
        """What a treatment says about its column is not reworded."""

        def fail(_column: pa.Array, _inputs: Any) -> pa.Array:
            raise TransformError("3 values are too short", where="people.name")

        with pytest.raises(TransformError, match="3 values are too short"):
            _broken(kit, people, fail)(_batch(people.select(["id", "name"])))

    def test_a_filter_is_guarded_too(self, kit: Any) -> None:
        """An unexpected error in a row filter holds no value either."""
        table = pa.table({"name": [SENTINEL]})
        plan = kit.plan(
            table, {"name": Keep()}, kit.KeepRows(column="name", function=lambda c: _value_error(c, {}))
        )

        with pytest.raises(
            TransformError, match="people, keep_rows: the treatment failed with ValueError"
        ) as caught:
            prepare(fused(plan), None)(_batch(table))

        assert SENTINEL not in "".join(traceback.format_exception(caught.value))


class TestConforming:
    @pytest.mark.parametrize(
        ("bound", "delivered"),
        [
            pytest.param(pa.string(), pa.large_string(), id="large-text"),
            pytest.param(pa.string(), pa.dictionary(pa.int32(), pa.string()), id="dictionary"),
            pytest.param(pa.timestamp("s"), pa.timestamp("ms"), id="seconds-kept-as-milliseconds"),
            pytest.param(pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC"), id="unit-with-zone"),
        ],
    )
    def test_other_storage_of_the_same_type_is_taken(self, kit: Any, bound: Any, delivered: Any) -> None:
        """How a file stores a type may differ between steps; what leaves has the plan's type."""
        values = pa.array([None, 1], pa.int64()).cast(bound)
        plan = kit.plan(pa.table({"at": values}), {"at": Keep()})
        out, _counts = prepare(fused(plan), None)(pa.record_batch({"at": values.cast(delivered)}))

        assert out.column("at").equals(values)

    @pytest.mark.parametrize(
        ("bound", "delivered"),
        [
            pytest.param(pa.int64(), pa.int32(), id="width"),
            pytest.param(pa.int64(), pa.string(), id="number-to-text"),
            pytest.param(pa.timestamp("us"), pa.timestamp("us", "UTC"), id="zone"),
        ],
    )
    def test_another_type_is_an_error(self, kit: Any, bound: Any, delivered: Any) -> None:
        """A type that changed since the plan was bound stops the run."""
        values = pa.array([None, 1], pa.int64()).cast(bound)
        plan = kit.plan(pa.table({"at": values}), {"at": Keep()})

        with pytest.raises(SchemaError, match=r"people\.at: the source delivers"):
            prepare(fused(plan), None)(pa.record_batch({"at": values.cast(delivered)}))

    def test_a_lossy_unit_is_an_error_without_the_value(self, kit: Any) -> None:
        """Fractions of a second do not vanish because a plan was bound to seconds, and are not shown."""
        plan = kit.plan(pa.table({"at": pa.array([1], pa.timestamp("s"))}), {"at": Keep()})
        lossy = 1111111 * 3

        with pytest.raises(SchemaError) as caught:
            prepare(fused(plan), None)(pa.record_batch({"at": pa.array([lossy], pa.timestamp("ms"))}))

        assert str(lossy) not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None

    def test_other_columns_are_an_error(self, kit: Any, people: pa.Table) -> None:
        """A batch that lacks a column is not treated as far as it goes."""
        treatment = prepare(fused(kit.plan(people, {"id": Keep(), "name": Keep()})), None)

        with pytest.raises(SchemaError, match=r"other columns than those asked for\. Expected: id, name"):
            treatment(_batch(people.select(["id"])))
