"""Treats one batch: a stage's kernels, prepared once, over whole Arrow columns."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.engine.counts import Counts, Nulls
from airflow_veil.privacy.errors import InternalError, SchemaError, TransformError, VeilError
from airflow_veil.privacy.plan.stage import Stage, StageColumn
from airflow_veil.privacy.policy.types import same_type
from airflow_veil.privacy.transforms.base import Kernel, Keys, RowFilter, RowKernel

A = TypeVar("A", bound=pa.Array)


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """A stage with its keys and tables: calling it treats one batch.

    It belongs to one thread at a time; `prepare` makes as many as are wanted.

    Attributes:
        stage: What it does.
        kernels: The kernel of each column that is treated, by name.
        row_kernels: The row filters with their kernels, in order.
    """

    stage: Stage
    kernels: Mapping[str, Kernel]
    row_kernels: tuple[tuple[RowFilter, RowKernel], ...]

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Counts]:
        """Treat one batch.

        Args:
            batch: The columns of `stage.input_schema`, n rows.

        Returns:
            The columns of `stage.output_schema`, at most n rows in the same order, and what was counted.

        Raises:
            SchemaError: The batch does not have the columns or types that the plan was bound to.
            TransformError: A column cannot be treated.
            InternalError: A kernel broke its contract.
        """
        rows_in = batch.num_rows
        batch, dropped = self._filter(_conform(batch, self.stage))
        arrays = [self._column(column, batch) for column in self.stage.columns]
        nulls = {
            column.name: Nulls(batch.column(column.source).null_count, array.null_count)
            for column, array in zip(self.stage.columns, arrays, strict=True)
        }
        out = pa.RecordBatch.from_arrays(arrays, schema=self.stage.output_schema)
        return out, Counts(rows_in=rows_in, rows_out=batch.num_rows, dropped_rows=dropped, nulls=nulls)

    def _filter(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, int]]:
        """Hold rows back; each filter sees all rows, and counts those that the ones before let through."""
        kept: pa.BooleanArray | None = None
        dropped: dict[str, int] = {}
        before = batch.num_rows
        for row_filter, kernel in self.row_kernels:
            keep = self._keep(row_filter, kernel, batch)
            kept = keep if kept is None else pc.and_(kept, keep)
            dropped[row_filter.word] = before - kept.true_count
            before = kept.true_count
        # Most batches of most tables lose no row; those are passed on without a copy.
        return (batch if before == batch.num_rows else batch.filter(kept)), dropped

    def _keep(self, row_filter: RowFilter, kernel: RowKernel, batch: pa.RecordBatch) -> pa.BooleanArray:
        inputs = {name: batch.column(name) for name in row_filter.inputs(self.stage.plan.subject)}
        where = f"{self.stage.plan.dataset}, {row_filter.word}"
        keep = _guarded(lambda: kernel(inputs), where=where)
        _check(keep, pa.bool_(), batch.num_rows, where=where)
        if keep.null_count:
            raise InternalError(f"the row filter left {keep.null_count} rows undecided", where=where)
        return keep

    def _column(self, column: StageColumn, batch: pa.RecordBatch) -> pa.Array:
        raw = batch.column(column.source)
        if column.planned is None:
            return raw
        where = f"{self.stage.plan.dataset}.{column.name}"
        inputs = {name: batch.column(column.sources[name]) for name in column.planned.inputs}
        array = _guarded(lambda: self.kernels[column.name](raw, inputs), where=where)
        _check(array, column.type, len(raw), where=where)
        return array


def prepare(stage: Stage, keys: Keys | None) -> Treatment:
    """Derive the keys and tables of a stage's kernels; no row is read.

    Raises:
        KeyRingError: A key is needed and cannot be had.
        TransformError: A file that a treatment names cannot be used, or a filter does not fit its columns.
    """
    plan = stage.plan
    return Treatment(
        stage=stage,
        kernels={
            column.name: column.planned.transform.prepare(plan.binding(column.planned, keys))
            for column in stage.columns
            if column.planned is not None
        },
        row_kernels=tuple(
            (row, row.prepare(plan.row_binding(keys), _input_types(stage, row.inputs(plan.subject))))
            for row in stage.row_filters
        ),
    )


def _input_types(stage: Stage, names: tuple[str, ...]) -> dict[str, pa.DataType]:
    return {name: stage.input_schema.field(name).type for name in names}


def _guarded(call: Callable[[], A], *, where: str) -> A:
    """Run a kernel; what it raises unexpectedly may quote a value, so only its class and trail go on."""
    try:
        return call()
    except (VeilError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not carry a value further
        failure = f"{type(error).__name__} ({_trail(error)})"
    # Raised out here so that not even `__context__` holds the original.
    raise TransformError(
        f"the treatment failed with {failure}",
        where=where,
        expected="values that the treatment can take",
        fix="look at the column's values; if they are right, report this as a bug",
    )


def _trail(error: Exception) -> str:
    """The Python files and lines that an error came through, the kernel's first: all of a trace but the values."""
    _guard, _call, *frames = traceback.walk_tb(error.__traceback__)
    places = [(Path(frame.f_code.co_filename), line) for frame, line in frames]
    return ", ".join(f"{path.name}:{line}" for path, line in places if path.suffix == ".py")


def _check(array: pa.Array, expected: pa.DataType, rows: int, *, where: str) -> None:
    """Hold a kernel to its contract."""
    if not isinstance(array, pa.Array):
        kind = type(array).__name__
        raise InternalError(f"the kernel returned a {kind}", where=where, expected="an Arrow array")
    if array.type != expected:
        raise InternalError(f"the kernel returned {array.type}", where=where, expected=str(expected))
    if len(array) != rows:
        raise InternalError(f"the kernel returned {len(array)} rows", where=where, expected=f"{rows} rows")


def _conform(batch: pa.RecordBatch, stage: Stage) -> pa.RecordBatch:
    """Bring a batch to the schema the plan was bound to; only storage may differ, never the type."""
    schema = stage.input_schema
    if batch.schema.equals(schema, check_metadata=False):
        return batch
    if batch.schema.names != schema.names:
        raise SchemaError(
            "the source delivers other columns than those asked for",
            where=stage.plan.dataset,
            expected=", ".join(schema.names),
        )
    columns = zip(batch.columns, schema, strict=True)
    arrays = [_conform_column(array, field, stage) for array, field in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _conform_column(array: pa.Array, field: pa.Field, stage: Stage) -> pa.Array:
    if array.type == field.type:
        return array
    if same_type(field.type, array.type) or _same_clock(field.type, array.type):
        try:
            return pc.cast(array, field.type)
        except pa.ArrowInvalid:
            pass  # Told below: the text of the cause may quote a value.
    raise SchemaError(
        f"the source delivers {array.type}",
        where=f"{stage.plan.dataset}.{field.name}",
        expected=str(field.type),
        fix="bind the policy to the source again, and look at the change",
    )


def _same_clock(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether two timestamp types differ in their unit only: Parquet keeps seconds as milliseconds."""
    both = pa.types.is_timestamp(left) and pa.types.is_timestamp(right)
    return bool(both and left.tz == right.tz)
