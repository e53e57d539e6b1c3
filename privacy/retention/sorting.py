"""Sorts rows by their time: which go, and why the others stay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.retention.counts import Counts
from airflow_veil.privacy.retention.cutoff import CutOff, bounds
from airflow_veil.privacy.rewriting.loss import Mask
from airflow_veil.privacy.storage.batches import plain


def check_type(kind: pa.DataType, *, column: str, where: str) -> pa.DataType:
    """The plain type of a column that tells times.

    Raises:
        SchemaError: It tells none.
    """
    kind = plain(kind)
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        raise SchemaError(
            f"column {column} is of type {kind}, which tells no time",
            where=where,
            expected="a date or a timestamp",
            fix="declare its type in the policy, or name another column under `retention: {from:`",
        )
    return kind


def goes(times: pa.Array, held: Mask, cut: CutOff) -> tuple[Mask, Counts]:
    """Which rows go.

    Args:
        times: The rows' times: dates or timestamps, n of them.
        held: Which of the n rows a hold keeps.
        cut: The cut-off.

    Returns:
        Whether each row goes, and the counts.
    """
    limit = bounds(cut, times.type)
    null = np.asarray(times.is_null())
    whole = times.cast(pa.int32()) if pa.types.is_date32(times.type) else times
    values = whole.cast(pa.int64()).fill_null(limit.now).to_numpy(zero_copy_only=False)
    early = ~null & (values < limit.first)
    future = ~null & (values > limit.now)
    sound = ~null & ~early & ~future
    over = sound & (values < limit.until)
    gone: Mask = over & ~held
    counts = Counts(
        rows=len(times),
        delete=int(gone.sum()),
        held=int((over & held).sum()),
        waiting=int((sound & (values >= limit.until) & (values < limit.due)).sum()),
        null=int(null.sum()),
        before_1970=int(early.sum()),
        future=int(future.sum()),
    )
    return gone, counts


def settled(
    kind: pa.DataType, *, least: int, greatest: int, nulls: int, rows: int, cut: CutOff
) -> Counts | None:
    """What becomes of rows of which only the least and the greatest time are known.

    Args:
        kind: The type of the times.
        least: The least.
        greatest: The greatest.
        nulls: How many have none.
        rows: How many there are.
        cut: The cut-off.

    Returns:
        The counts; None where the rows have to be looked at.
    """
    limit = bounds(cut, kind)
    if least < limit.first or greatest > limit.now:
        return None
    if least >= limit.due:
        return Counts(rows=rows, null=nulls)
    if greatest < limit.until and not nulls:
        return Counts(rows=rows, delete=rows)
    return None
