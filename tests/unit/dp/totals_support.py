"""Queries for tests, a source in memory, and the totals written plainly: row by row, in Python's own numbers."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.dp.query import Axis, Query
from airflow_veil.privacy.dp.statistic import Bins, Form, Ranks, Reading, Rows, Statistic, Total, Units
from airflow_veil.privacy.dp.totals import Totals
from airflow_veil.privacy.storage.base import DatasetIdentity
from airflow_veil.privacy.storage.batches import plain_schema, rebatch


@dataclass(frozen=True)
class Memory:
    """A table as a source, in batches of a few rows."""

    table: pa.Table
    rows: int = 3

    @property
    def identity(self) -> DatasetIdentity:
        return DatasetIdentity("memory", "table")

    def schema(self) -> pa.Schema:
        return plain_schema(self.table.schema)

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        return rebatch(self.table.select(list(columns)).to_batches(), min(self.rows, batch_rows))

    def fingerprint(self) -> dict[str, Any]:
        return {}


class FixedLots:
    """Lots that depend on whom they are for and the turn alone: two tables draw the same for units they share."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def draw(self, whom: np.ndarray, turn: str) -> np.ndarray:
        digests = (hashlib.blake2b(f"{self.seed}/{turn}/{one}".encode(), digest_size=8) for one in whom)
        return np.array([int.from_bytes(digest.digest(), "little") for digest in digests], np.uint64)


def query(
    *statistics: Statistic,
    subject: str | None = None,
    axes: tuple[Axis, ...] = (),
    groups: int = 1,
    rows: int = 1,
    **more: Any,
) -> Query:
    facts: dict[str, Any] = {
        "policy": "policy",
        "name": "question",
        "dataset": "visits",
        "budget": "budget",
        "unit": f"visits.{subject}" if subject else "visits",
        "subject": subject,
        "joins": (),
        "where": "",
        "leaving": {},
        "axes": axes,
        "groups_per_unit": groups if subject else 1,
        "rows_per_group": rows if subject else 1,
        "statistics": statistics,
        "measures": {},
        "noise": "laplace",
        "spend": Decimal(1),
        "delta": Decimal(0),
        "confidence": 0.95,
        "consistency": None,
    }
    return Query(**facts | more)


def axis(name: str, *labels: str | int | bool) -> Axis:
    """An axis of public labels; without any, one whose labels are not public."""
    return Axis(name=name, column=name, labels=labels or None)


def total(
    column: str, low: float, high: float, step: str = "1", form: Form = Form.VALUE, **reading: Any
) -> Total:
    bounds = (Fraction(str(low)), Fraction(str(high)))
    return Total(
        of=Reading(column=column, **reading), low=bounds[0], high=bounds[1], form=form, step=Fraction(step)
    )


def told(found: Totals) -> dict[tuple[str, ...], dict[Statistic, list[int]]]:
    """Totals as plain data: labels to statistics to cells, without groups of which all cells are zero."""
    keys = list(zip(*(key.to_pylist() for key in found.keys), strict=True)) or [()] * found.groups
    assert len(keys) == found.groups
    groups = {}
    for number, key in enumerate(keys):
        cells = {statistic: table[number].tolist() for statistic, table in found.cells.items()}
        if any(any(values) for values in cells.values()):
            groups[key] = cells
    return groups


def plain_totals(
    asked: Query, rows: list[dict[str, Any]]
) -> dict[tuple[str, ...], dict[Statistic, list[int]]]:
    """What the totals are where no bound binds; slow, and as the words say."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        key = tuple(_label(one, row[one.column]) for one in asked.axes)
        if None not in key and (asked.subject is None or row[asked.subject] is not None):
            groups[key].append(row)  # type: ignore[index]
    answer = {}
    for key, members in groups.items():
        cells = {one: _cells(asked, one, members) for one in asked.statistics}
        if any(any(values) for values in cells.values()):
            answer[key] = cells
    return answer


def _label(one: Axis, value: Any) -> str | None:
    """The text of a row's label; None where it is in no group."""
    if value is None:
        return None
    if one.to is not None:
        text = value.strftime({"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}[one.to])
        return text if text in (one.labels or ()) else None
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, date) and not isinstance(value, datetime):
        text = value.isoformat()
    else:
        text = str(value)
    known = (
        None
        if one.labels is None
        else [str(x).lower() if isinstance(x, bool) else str(x) for x in one.labels]
    )
    return text if known is None or text in known else None


def _cells(asked: Query, one: Statistic, members: list[dict[str, Any]]) -> list[int]:
    if isinstance(one, Units):
        return [len({row[asked.subject] for row in members}) if asked.subject else len(members)]
    if one.of is None:
        return [len(members)]
    if isinstance(one, Bins) and one.values:
        values = [row[one.of.column] for row in members]
        return [sum(value is not None and value == bin_ for value in values) for bin_ in one.values]
    numbers = [number for row in members if (number := read(one.of, row[one.of.column])) is not None]
    if isinstance(one, Rows):
        return [len(numbers)]
    if isinstance(one, Total):
        return [sum(steps(one, number) for number in numbers)]
    cells = [0] * one.width
    for number in numbers:
        place = _bin(one, number) if isinstance(one, Bins) else _rank(one, number)
        if place is not None:
            cells[place] += 1
    return cells


def read(of: Reading, value: Any) -> float | None:
    if value is None:
        return of.null
    if isinstance(value, str):
        return 0.0
    value = float(value)
    if math.isnan(value):
        return of.nan
    return None if math.isinf(value) and not of.clamp_infinite else value


def steps(one: Total, number: float) -> int:
    value = min(max(number, float(one.low)), float(one.high))
    if one.form is not Form.VALUE:
        value -= float(one.middle)
    if one.form is Form.SQUARED:
        value *= value
    least, most = one.steps
    return min(max(round(value / float(one.step)), least), most)


def _bin(one: Bins, number: float) -> int | None:
    edges = one.edges
    if math.isinf(number):
        return 0 if number < 0 else len(edges) - 2
    if number == edges[-1]:
        return len(edges) - 2
    return next((n for n in range(len(edges) - 1) if edges[n] <= number < edges[n + 1]), None)


def _rank(one: Ranks, number: float) -> int:
    return 2 * sum(candidate < number for candidate in one.candidates) + (number in one.candidates)
