"""The rows that a model learns from: read once, in bounded memory, drawn by people, some of whom are kept from it.

    batches of a source ──► columns that are learned ──► people drawn ──► hold-out apart ──► keys made numbers

Only columns that are learned, keys and references are read, and whose a row is. Numbers are clamped, categories are
those that the policy declares. Keys and references leave as numbers from 1: whatever they were, no model sees it.

People are drawn without replacement, all alike: each has a random number that a seed and who it is decide, and those
with the smallest are taken, with all of their rows in all tables, until a table would exceed `fit_rows`. What is too
much is let go as it is read. Another such number says who is kept from the model. So who is drawn and who is kept does
not depend on the order of rows, and a related row of a person is always where the person is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.crypto import prf
from airflow_veil.privacy.errors import SyntheticError, TransformError
from airflow_veil.privacy.policy.models import Policy
from airflow_veil.privacy.storage.batches import plain_array
from airflow_veil.privacy.synthetic.constraints import broken_rows, held
from airflow_veil.privacy.synthetic.coordinates import decoded, encoded, typed
from airflow_veil.privacy.synthetic.specification import Specification, TableSpecification
from airflow_veil.privacy.transforms.canonical import canonical

Numbers = NDArray[np.uint64]
"""A random number a row, the same for all rows of a person."""

_NOBODY = "__nobody"
_DRAW, _KEEP, _LOT = "__draw", "__keep", "__person"
"""Columns beside those that are read: the person's random numbers, and the person."""
_EVERY = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a model learns from, and what it never sees.

    Attributes:
        fit: The rows to fit to, by table, of `TableSpecification.training_schema`.
        holdout: The rows of the people who are kept from the model; tables of nobody's rows are whole in both.
        people: Whose each row of `fit` is, by table: numbers without a meaning, the same in all tables.
        read: How many rows were read, by table.
        left_out: How many rows were read that are in neither, by table, other than those of people who were not drawn:
            nobody knows whose they are, or they refer to a row that is not there.
    """

    fit: Mapping[str, pa.Table]
    holdout: Mapping[str, pa.Table]
    people: Mapping[str, NDArray[np.int64]]
    read: Mapping[str, int]
    left_out: Mapping[str, int]


def subjects_of(policy: Policy, specification: Specification) -> dict[str, str | None]:
    """The column that says whose a row is, by table; None where rows are nobody's."""
    datasets = {name: policy.datasets[name].subject for name in specification.tables}
    return {name: subject.column if subject else None for name, subject in datasets.items()}


def columns_of(table: TableSpecification, subject: str | None) -> tuple[str, ...]:
    """The columns of a source that are read for a table; all others are not."""
    return tuple(dict.fromkeys((*table.read, *([] if subject is None else [subject]))))


def read_training(
    specification: Specification,
    sources: Mapping[str, Iterable[pa.RecordBatch]],
    subjects: Mapping[str, str | None],
    *,
    seed: int,
) -> Training:
    """Read the rows that a model learns from.

    Args:
        specification: What is made.
        sources: Batches by table, with the columns of `columns_of` at least; each is read once.
        subjects: The column that says whose a row is, by table; None where rows are nobody's. Then the rows of the only
            table are drawn one by one, and one of several tables is taken whole.
        seed: Says who is drawn, and who is kept.

    Returns:
        The rows. Memory is that of twice `fit_rows` rows a table and of one batch.

    Raises:
        SyntheticError: A value is none that the policy declares, a key stands twice, rows break a constraint, or
            there is nothing to learn from. It tells columns and counts.
    """
    draw, keep = (_key(seed, purpose) for purpose in ("drawn", "kept"))
    sample = _Sample(specification.fit_rows)
    read: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    for name, table in specification.tables.items():
        owners = None if table.whose is None else sample.rows_of(table.whose)
        reader = _Reader(table, subjects[name], draw, keep, owners)
        whole = subjects[name] is None and len(specification.tables) > 1
        sample.begin(name, key=table.key, whole=whole)
        for batch in sources[name]:
            sample.add(reader.rows(batch))
        sample.end()
        reader.finish()
        read[name], left_out[name] = reader.read, reader.strangers
    tables = sample.tables()
    _unique_keys(specification, tables)
    split = specification.holdout * _EVERY
    fit: dict[str, pa.Table] = {}
    kept: dict[str, pa.Table] = {}
    for name, rows in tables.items():
        is_kept = rows.column(_KEEP).to_numpy() < split
        whole = sample.is_whole(name)
        fit[name] = rows if whole else rows.filter(pa.array(~is_kept))
        kept[name] = rows if whole else rows.filter(pa.array(is_kept))
    fit, people, lost = _numbered(specification, fit)
    kept, _, lost_too = _numbered(specification, kept)
    left_out.update(lost)
    left_out.update(lost_too)
    for name, rows in fit.items():
        if rows.num_rows == 0:
            raise SyntheticError(
                "there is nothing to learn from: no row of a drawn person", where=name, fix="raise `fit_rows`"
            )
    return Training(fit=fit, holdout=kept, people=people, read=read, left_out=dict(left_out))


def _key(seed: int, purpose: str) -> bytes:
    return hashlib.sha256(f"airflow-veil/synthetic/{purpose}/{seed}".encode()).digest()


class _Reader:
    """Turns batches of one source into rows of the columns that are read, with the numbers of their people."""

    def __init__(
        self,
        table: TableSpecification,
        subject: str | None,
        draw: bytes,
        keep: bytes,
        owners: tuple[pa.ChunkedArray, pa.ChunkedArray] | None,
    ) -> None:
        self._table, self._subject, self._draw, self._keep = table, subject, draw, keep
        self._owners = owners
        """Keys of the rows that say whose these are, and whose they are."""
        self._refused: Counter[tuple[str, str]] = Counter()
        self.read = 0
        self.strangers = 0

    def rows(self, batch: pa.RecordBatch) -> pa.Table:
        """The rows of a batch of which it is known whose they are."""
        missing = [name for name in columns_of(self._table, self._subject) if name not in batch.schema.names]
        if missing:
            raise SyntheticError(f"the source has no column {', '.join(missing)}", where=self._table.name)
        columns = {name: plain_array(batch.column(name)) for name in self._table.read}
        columns |= {column.name: typed(columns[column.name], column) for column in self._table.learned}
        self._refused["its constraints", "rows that break them"] += broken_rows(self._table, columns)
        columns = {name: self._column(name, array) for name, array in columns.items()}
        columns = held(self._table, columns)
        lots = self._lots(batch)
        rows = pa.table(
            {
                **columns,
                _LOT: lots,
                _DRAW: pa.array(prf.uint64(lots.fill_null(""), key=self._draw)),
                _KEEP: pa.array(prf.uint64(lots.fill_null(""), key=self._keep)),
            }
        )
        self.read += batch.num_rows
        if lots.null_count:
            self.strangers += lots.null_count if self._owners is None else 0
            rows = rows.filter(lots.is_valid())
        return rows

    def finish(self) -> None:
        """Tell what was refused of all batches.

        Raises:
            SyntheticError: Something was.
        """
        refused = {what: count for what, count in self._refused.items() if count}
        if refused:
            told = "; ".join(f"{column}: {count} {why}" for (column, why), count in sorted(refused.items()))
            raise SyntheticError(
                f"nothing is learned from rows that are not as declared ({told})",
                where=self._table.name,
                fix="declare the values, `other` or `nulls: true` in the policy, or mend the source",
            )

    def _column(self, name: str, array: pa.Array) -> pa.Array:
        column = self._table[name]
        if not column.learned:
            array = _spelled(array, where=f"{self._table.name}.{name}")
        if not column.nulls:
            empty = array.is_null(nan_is_null=True)
            self._refused[name, "empty values"] += pc.sum(empty).as_py() or 0
        if not column.learned:
            return array
        coordinates, undeclared = encoded(array, column)
        self._refused[name, "values that are not declared"] += int(undeclared.sum())
        return decoded(coordinates, column)

    def _lots(self, batch: pa.RecordBatch) -> pa.Array:
        """Whose each row is, as text."""
        if self._subject is None:
            numbers = np.arange(self.read, self.read + batch.num_rows)
            return pc.binary_join_element_wise(_NOBODY, pa.array(numbers).cast(pa.string()), "/")
        subject = plain_array(batch.column(self._subject))
        spelled = _spelled(subject, where=f"{self._table.name}.{self._subject}")
        if self._owners is None:
            return spelled
        keys, lots = self._owners
        # Who is not among them was not drawn.
        return lots.combine_chunks().take(pc.index_in(spelled, value_set=keys.combine_chunks()))


def _spelled(array: pa.Array, *, where: str) -> pa.Array:
    try:
        return canonical(array, where=where)
    except TransformError as error:
        raise SyntheticError(error.what, where=where, expected=error.expected, fix=error.fix) from None


class _Sample:
    """The rows of the people with the smallest numbers, of all tables, of none more than the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._below = _EVERY
        """Whose number is not below it is not drawn."""
        self._tables: dict[str, pa.Table] = {}
        self._keys: dict[str, str] = {}
        self._whole: set[str] = set()
        self._name = ""
        self._parts: list[pa.Table] = []
        self._rows = 0

    def begin(self, name: str, *, key: str | None, whole: bool) -> None:
        """What follows is of a table; or a table that is taken whole."""
        self._name, self._parts, self._rows = name, [], 0
        self._keys[name] = key or ""
        if whole:
            self._whole.add(name)

    def is_whole(self, name: str) -> bool:
        """Whether a table is taken whole."""
        return name in self._whole

    def rows_of(self, name: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """The keys of the drawn rows of a table that was read, and whose each is."""
        rows = self._tables[name]
        return rows.column(self._keys[name]), rows.column(_LOT)

    def add(self, rows: pa.Table) -> None:
        """Take rows, and let go of those that are too many by now."""
        self._parts.append(self._drawn(self._name, rows))
        self._rows += self._parts[-1].num_rows
        if self._rows > 2 * self._limit:
            self._shrink()

    def end(self) -> None:
        """All rows of the table are in."""
        self._shrink()
        self._tables[self._name] = self._parts[0]
        self._parts = []

    def tables(self) -> dict[str, pa.Table]:
        """The rows of those who were drawn, in the order of their numbers: not in that of the source."""
        return {name: self._drawn(name, rows).sort_by(_DRAW) for name, rows in self._tables.items()}

    def _drawn(self, name: str, rows: pa.Table) -> pa.Table:
        if name in self._whole or self._below == _EVERY:
            return rows
        return rows.filter(pc.less(rows.column(_DRAW), pa.scalar(self._below, pa.uint64())))

    def _shrink(self) -> None:
        if not self._parts:
            raise SyntheticError("the source has no rows, or no batches", where=self._name)
        rows = pa.concat_tables(self._parts)
        if rows.num_rows > self._limit:
            if self._name in self._whole:
                raise SyntheticError(
                    f"the rows are nobody's, and more than {self._limit}",
                    where=self._name,
                    fix="raise `fit_rows`, or name the `subject` of the data set",
                )
            self._below = min(self._below, self._first_too_many(rows))
            rows = self._drawn(self._name, rows)
        # A copy, so that what was let go is free.
        self._parts = [rows.take(pa.array(np.arange(rows.num_rows)))]
        self._rows = rows.num_rows

    def _first_too_many(self, rows: pa.Table) -> int:
        """The number of the first person whose rows are too many, in the order of the numbers."""
        numbers, counts = np.unique(rows.column(_DRAW).to_numpy(), return_counts=True)
        first = int(np.searchsorted(np.cumsum(counts), self._limit, side="right"))
        if first == 0:
            raise SyntheticError(
                f"one person has more than {self._limit} rows", where=self._name, fix="raise `fit_rows`"
            )
        return int(numbers[first])


def _unique_keys(specification: Specification, tables: Mapping[str, pa.Table]) -> None:
    """Raise SyntheticError where a key stands twice; a sequence has many rows of one."""
    for name, table in specification.tables.items():
        if table.key is None or specification.method.par is not None:
            continue
        rows = tables[name]
        twice = rows.num_rows - pc.count_distinct(rows.column(table.key)).as_py()
        if twice:
            raise SyntheticError(
                f"{twice} rows have a key that stands before",
                where=f"{name}.{table.key}",
                fix="name another key",
            )


def _numbered(
    specification: Specification, tables: dict[str, pa.Table]
) -> tuple[dict[str, pa.Table], dict[str, NDArray[np.int64]], Counter[str]]:
    """Tables with keys, references and people as numbers from 1, without rows that refer to what is not there."""
    keys: dict[tuple[str, str], pa.Array] = {}
    lots = _distinct([rows.column(_LOT) for rows in tables.values()])
    numbered: dict[str, pa.Table] = {}
    people: dict[str, NDArray[np.int64]] = {}
    lost: Counter[str] = Counter()
    for name, table in specification.tables.items():
        rows = tables[name]
        for column in table.references:
            values = rows.column(column.name)
            there = pc.is_in(values, value_set=keys[column.target])
            stays = pc.or_(there, pa.scalar(column.nulls))
            lost[name] += rows.num_rows - (pc.sum(stays).as_py() or 0)
            rows = rows.filter(stays)
        columns = {}
        for column in (table[name] for name in table.read):
            values = rows.column(column.name)
            if column.word == "key":
                keys[name, column.name] = _distinct([values])
                values = _number(values, keys[name, column.name])
            elif column.word == "reference":
                values = _number(values, keys[column.target])
            columns[column.name] = values
        numbered[name] = pa.table(columns, schema=table.training_schema)
        people[name] = _number(rows.column(_LOT), lots).to_numpy()
    return numbered, people, lost


def _distinct(columns: list[pa.ChunkedArray]) -> pa.Array:
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()).unique()


def _number(values: pa.ChunkedArray, known: pa.Array) -> pa.ChunkedArray:
    return pc.add(pc.index_in(values, value_set=known), 1).cast(pa.int64())
