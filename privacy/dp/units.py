"""The way from a row to its unit, where it leads through other data sets.

The rows of a unit are those whose reference leads to it: adding or removing a unit adds or removes them, and the unit's
rows in the data sets between. That needs each key to belong to one unit; it is looked up, never trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl
import pyarrow as pa

from airflow_veil.privacy.dp.foreign import polars_storing
from airflow_veil.privacy.dp.query import Join, Query
from airflow_veil.privacy.dp.rows import UNIT, check_unit, column_name, frames_of, types_of, where_of
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.base import Source


def unit_map(
    query: Query, kind: pa.DataType | None, joined: Mapping[str, Source], beat: Callable[[], None]
) -> pl.DataFrame | None:
    """The units behind a query's references.

    Args:
        query: The query.
        kind: The type of its subject's column; None where the unit is a row.
        joined: The sources that `query.joins` names.
        beat: Called after each batch.

    Returns:
        The columns `key`, each key once, and `unit`; without nulls. None where the subject is the unit itself.

    Raises:
        SchemaError: A source or a column is missing, a type does not fit, or a key belongs to two units.
        StorageError: A source cannot be read.
    """
    if not query.joins or kind is None:
        return None
    types = [_types(query, join, joined) for join in query.joins]
    ends = [kind, *(pair[1] for pair in types[:-1])]
    for join, end, (key, _) in zip(query.joins, ends, types, strict=True):
        if _kind(end) != _kind(key):
            raise SchemaError(
                f"the reference has the type {end}, what it points to {key}",
                where=f"{where_of(query)}, {join.dataset}.{join.key}",
                expected="text and text, or whole numbers and whole numbers",
            )
    found: pl.DataFrame | None = None
    for join in reversed(query.joins):
        found = _step(query, join, joined[join.dataset], found, beat)
    return found


def with_units(frame: pl.LazyFrame, units: pl.DataFrame | None) -> pl.LazyFrame:
    """Replace the column `unit`, which holds references, by what they lead to; rows that lead nowhere are dropped."""
    if units is None:
        return frame
    return (
        frame.with_columns(_keyed(UNIT, frame.collect_schema()[UNIT]).alias("key"))
        .drop(UNIT)
        .join(units.lazy(), on="key", how="inner")
        .drop("key")
    )


def _step(
    query: Query, join: Join, source: Source, further: pl.DataFrame | None, beat: Callable[[], None]
) -> pl.DataFrame:
    """The units of the keys of one data set, `further` being those of the keys that it points to."""
    where = f"{where_of(query)}, {join.dataset}.{join.key}"
    types = types_of(source, [join.key, join.column], where=where)
    columns = [column_name(list(types).index(name)) for name in (join.key, join.column)]
    parts = []
    for frame in frames_of(source, types, where=where):
        with polars_storing("reading", where):
            kinds = frame.collect_schema()
            key, unit = (_keyed(column, kinds[column]) for column in columns)
            pairs = with_units(frame.select(key.alias("key_"), unit.alias(UNIT)).drop_nulls(), further)
            parts.append(pairs.rename({"key_": "key"}).unique().collect(engine="streaming"))
        beat()
    if not parts:
        return pl.DataFrame(schema={"key": pl.Int64, UNIT: pl.Int64})
    with polars_storing("joining", where):
        found = pl.concat(parts).unique()
        doubled = found.height - found["key"].n_unique()
    if doubled:
        raise SchemaError(
            "a key belongs to more than one unit",
            where=where,
            expected=f"one unit behind each value of {join.key}",
            fix=f"mend {join.dataset}, or name its true key in `references`",
        )
    return found


def _types(query: Query, join: Join, joined: Mapping[str, Source]) -> tuple[pa.DataType, pa.DataType]:
    where = f"{where_of(query)}, data set {join.dataset}"
    if join.dataset not in joined:
        raise SchemaError("the data set that references lead through is not given", where=where)
    types = types_of(joined[join.dataset], [join.key, join.column], where=where)
    for name, kind in types.items():
        check_unit(kind, where=f"{where}, column {name}")
    return types[join.key], types[join.column]


def _kind(kind: pa.DataType) -> str:
    """Types that compare with each other bear one name."""
    if pa.types.is_string(kind):
        return "text"
    return "unsigned" if pa.types.is_uint64(kind) else "whole"


def _keyed(column: str, kind: pl.DataType) -> pl.Expr:
    """A column in the type that its kind is joined in."""
    return pl.col(column) if kind in (pl.String, pl.UInt64) else pl.col(column).cast(pl.Int64)
