"""The rows of a query as it reads them: the group of each, its unit, and what it counts for in each statistic.

All of it is row-local: what becomes of a row depends on that row, the query and the data sets that its reference leads
through, not on other rows, their number or their order. Of two tables that differ in one unit's rows, the rows of all
others are read the same, whatever the file, the batch or the thread that they are read in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from airflow_veil.privacy.dp.axes import BoundAxis, bind_axis, group_of
from airflow_veil.privacy.dp.foreign import polars_storing
from airflow_veil.privacy.dp.marks import Added, mark
from airflow_veil.privacy.dp.query import Query
from airflow_veil.privacy.dp.statistic import Statistic, Units
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.plan.stage import RESERVED
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.parquet import ParquetSource
from airflow_veil.privacy.transforms.base import Binding, RowKernel
from airflow_veil.privacy.transforms.where import Where

GROUP, UNIT = "group", "unit"
BATCH_ROWS = 1 << 20
"""Rows at a time from sources that are not scanned: many, so that the grouping of a batch pays."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Which rows count.

    Attributes:
        columns: The columns that it is about, with the types that the source has.
        kernel: Takes them as Arrow columns, and returns a boolean a row.
    """

    columns: dict[str, pa.DataType]
    kernel: RowKernel


@dataclass(frozen=True)
class BoundRows:
    """A query over the rows of its source.

    Attributes:
        query: The query.
        source: Its data set.
        types: The columns that are read, with their types.
        keep: Which rows count; None for all.
        axes: The keys.
        marks: What adds to rows what they count for, for each statistic; None where each row counts.
    """

    query: Query
    source: Source
    types: dict[str, pa.DataType]
    keep: Condition | None
    axes: list[BoundAxis]
    marks: list[Added | None]

    @property
    def keys(self) -> list[str]:
        """The columns of values whose labels are not public."""
        return [axis.name for axis in self.axes if axis.axis.labels is None]

    def marked(self, number: int) -> str | None:
        """The column of what a row counts for in a statistic; None where each row counts."""
        return None if self.marks[number] is None else mark_name(number)

    def frames(self) -> Iterator[pl.LazyFrame]:
        """The rows that are in a group, not read yet; memory is bounded by a batch, or by the scan.

        Yields:
            Frames with the columns `group` (int64), those of `keys`, `unit` (where the unit is not a row; text or
            whole numbers, as the subject's column has it) and those of `marked`. Without nulls but for marks, which
            are null where the row does not count.
        """
        for frame in frames_of(self.source, self.types, self.keep, where=where_of(self.query)):
            yield self._read(frame)

    def _read(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        for axis in self.axes:
            frame = axis.add(frame)
        there = [pl.col(axis.name).is_not_null() for axis in self.axes]
        # Added first: a selection of nothing but a constant would be a single row.
        frame = frame.with_columns(group_of(self.axes).alias(GROUP))
        columns = [pl.col(GROUP), *map(pl.col, self.keys)]
        if self.query.subject is not None:
            subject = pl.col(_at(self.types, self.query.subject))
            there.append(subject.is_not_null())
            columns.append(subject.alias(UNIT))
        if there:
            frame = frame.filter(*there)
        for number, add in enumerate(self.marks):
            if add is not None:
                frame = add(frame)
                columns.append(pl.col(mark_name(number)))
        return frame.select(columns)


def bind_rows(query: Query, source: Source) -> BoundRows:
    """Bind a query to its source; no row is read.

    Args:
        query: The query.
        source: Its data set.

    Raises:
        SchemaError: A column is missing or of a type that does not fit, a label cannot be a value of its column, or a
            row may count for too many steps.
        TransformError: `where` does not fit the columns.
        StorageError: The source cannot be opened.
    """
    where = where_of(query)
    filter_ = Where(expression=query.where) if query.where else None
    asked = filter_.inputs(None) if filter_ else ()
    types = types_of(source, [*query.columns, *asked], where=where)
    axes = [
        bind_axis(
            axis, f"key{n}", _at(types, axis.column), types[axis.column], where=_place(where, axis.column)
        )
        for n, axis in enumerate(query.axes)
    ]
    group_of(axes)
    if query.subject is not None:
        check_unit(types[query.subject], where=_place(where, query.subject))
    keep = None
    if filter_ is not None:
        binding = Binding(dataset=query.dataset, column="", type=pa.null())
        keep = Condition({name: types[name] for name in asked}, filter_.prepare(binding, types))
    marks = [_mark(n, statistic, types, where) for n, statistic in enumerate(query.statistics)]
    return BoundRows(query, source, types, keep, axes, marks)


def where_of(query: Query) -> str:
    """How an error names the place."""
    return f"data set {query.dataset}, query {query.name}"


def mark_name(number: int) -> str:
    """The column of what a row counts for in a statistic."""
    return f"mark{number}"


def column_name(number: int) -> str:
    """What a column that is read is called: by its place, since names may mean something to Polars."""
    return f"{RESERVED}column{number}"


def types_of(source: Source, columns: list[str], *, where: str) -> dict[str, pa.DataType]:
    """The types that a source has for columns.

    Raises:
        SchemaError: One is missing.
    """
    schema = source.schema()
    missing = [name for name in dict.fromkeys(columns) if name not in schema.names]
    if missing:
        raise SchemaError(f"there is no column {', '.join(missing)}", where=where)
    return {name: schema.field(name).type for name in dict.fromkeys(columns)}


def check_unit(kind: pa.DataType, *, where: str) -> None:
    """Look whether units can be told by a column.

    Raises:
        SchemaError: It is neither text nor whole numbers.
    """
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
        raise SchemaError(
            f"the column has the type {kind}", where=where, expected="text or whole numbers, to tell units by"
        )


def frames_of(
    source: Source, types: Mapping[str, pa.DataType], keep: Condition | None = None, *, where: str
) -> Iterator[pl.LazyFrame]:
    """Some columns of a source, not read yet where it can be scanned, else a batch at a time.

    Args:
        source: The source.
        types: The columns, with the types that the source has.
        keep: Which rows to take; None for all.
        where: The place to name in an error.

    Yields:
        The columns by their place, see `column_name`; without any, a column that says nothing.

    Raises:
        StorageError: The source cannot be read.
    """
    if types and isinstance(source, ParquetSource) and _scannable(source, types):
        scan = _scan(source, types)
        yield scan if keep is None else scan.filter(_kept(keep, types))
        return
    for batch in source.batches(list(types), batch_rows=BATCH_ROWS):
        with polars_storing("reading", where):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            frame = _frame(batch if keep is None else batch.filter(keep.kernel(columns)))
        yield frame.lazy()


def _scannable(source: ParquetSource, types: Mapping[str, pa.DataType]) -> bool:
    """Whether Polars reads these columns as Arrow does, and all of them are in the files."""
    return not source.partitioned and all(map(_alike, types.values()))


def _scan(source: ParquetSource, types: Mapping[str, pa.DataType]) -> pl.LazyFrame:
    frames = []
    for path in source.paths:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        # Renamed: `pl.col` and selectors take some names for patterns, `rename` takes all names for names.
        frame = scan.rename({name: _at(types, name) for name in types})
        frames.append(frame.select(_stored(pl.col(_at(types, name)), kind) for name, kind in types.items()))
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _kept(keep: Condition, types: Mapping[str, pa.DataType]) -> pl.Expr:
    """A condition over a scan: the same kernel, on the same types, whatever Polars reads at a time."""

    def decide(rows: pl.Series) -> pl.Series:
        columns = rows.struct.unnest().to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        arrays = [
            column.combine_chunks().cast(kind)
            for column, kind in zip(columns.columns, keep.columns.values(), strict=True)
        ]
        return pl.Series(keep.kernel(dict(zip(keep.columns, arrays, strict=True))), dtype=pl.Boolean)

    asked = pl.struct(_at(types, name) for name in keep.columns)
    return asked.map_batches(decide, return_dtype=pl.Boolean, is_elementwise=True)


def _stored(column: pl.Expr, kind: pa.DataType) -> pl.Expr:
    """A column in the type that the source tells: text may be a dictionary in one file, dates may be times."""
    if pa.types.is_string(kind):
        return column.cast(pl.String)
    return column.cast(pl.Date) if pa.types.is_date32(kind) else column


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """A batch as Polars takes it: columns by their place, decimals and halves as float64, times without a zone."""
    if not batch.num_columns:
        return pl.DataFrame({column_name(0): np.zeros(batch.num_rows, np.bool_)})
    names = [column_name(number) for number in range(batch.num_columns)]
    return pl.DataFrame(pa.Table.from_arrays([_taken(column) for column in batch.columns], names=names))


def _taken(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp(kind.unit))
    return column.cast(pa.date32()) if pa.types.is_date64(kind) else column


def _alike(kind: pa.DataType) -> bool:
    """Whether Polars reads a column of a Parquet file as Arrow does."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_float32(kind)
        or pa.types.is_float64(kind)
        or pa.types.is_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_date32(kind)
        or (pa.types.is_timestamp(kind) and kind.tz is None)
    )


def _mark(number: int, statistic: Statistic, types: Mapping[str, pa.DataType], where: str) -> Added | None:
    if isinstance(statistic, Units) or statistic.of is None:
        return None
    column = statistic.of.column
    return mark(statistic, mark_name(number), _at(types, column), types[column], where=_place(where, column))


def _at(types: Mapping[str, pa.DataType], column: str) -> str:
    return column_name(list(types).index(column))


def _place(where: str, column: str) -> str:
    return f"{where}, column {column}"
