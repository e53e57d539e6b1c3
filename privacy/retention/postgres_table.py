"""A table of PostgreSQL: its rows whose time is over go, or lose cells, in one transaction, all of them or none.

The server compares times itself; subjects come here only where some are held, each once, to be compared by their hash,
and cells only where a treatment has to see them.
Where the rows lay is free after the next VACUUM, which autovacuum does on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.retention.anonymize import Cells
from airflow_veil.privacy.retention.archive import Archive
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff, moments
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.sorting import check_type
from airflow_veil.privacy.retention.survey import Frozen, Survey
from airflow_veil.privacy.rewriting import postgres_rows
from airflow_veil.privacy.rewriting.holding import under_holds
from airflow_veil.privacy.rewriting.loss import Loss
from airflow_veil.privacy.storage.postgres import PostgresSource
from airflow_veil.privacy.storage.there import check_there

if TYPE_CHECKING:
    from psycopg import Connection

FETCH_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a table.

    Attributes:
        oid: The number that the server knows the table by.
        over: The condition that a row's time is over.
        keeps: The condition that a row is held; None where none is.
        times: What the conditions compare with.
    """

    oid: int
    over: str
    keeps: str | None
    times: dict[str, Any]

    @property
    def going(self) -> str:
        """The condition that nothing keeps a row whose time is over."""
        return f"{self.over} AND NOT {self.keeps or 'false'}"


@dataclass(frozen=True)
class PostgresStore:
    """A table, and the column with the time of its rows.

    Attributes:
        source: The table.
        column: The column.
        cells: What rows lose whose time is over; None where they go.
        archive: Where rows are copied before they go; None where they are not.
    """

    source: PostgresSource
    column: str
    cells: Cells | None = None
    archive: Archive | None = None

    @property
    def _table(self) -> str:
        return postgres_rows.table(self.source)

    def alone(self) -> nullcontext[None]:
        """Nothing is to be locked: of two transactions that delete the same rows one waits, and is then tried again."""
        return nullcontext()

    def survey(self, cut: CutOff, keeper: Keeper) -> Survey:
        """What becomes of the rows; nothing is changed.

        Raises:
            StorageError: Rows cannot be deleted from it, or it cannot be read.
            SchemaError: A column is missing, or tells no time.
        """
        with postgres_rows.connected(self.source) as connection:
            question = self._question(connection, cut, keeper)
            counts = self._counted(connection, question, keeper)
            if self.cells is not None:
                _, counts = self._lost(connection, question, counts)
            return Survey(counts.archived() if self.archive else counts)

    def enforce(self, cut: CutOff, _survey: Survey, frozen: Frozen) -> tuple[Counts, Files]:
        """Delete the rows, or let them lose cells; what became of them.

        Raises:
            StorageError: They cannot be changed, or somebody else changed them at the same time; none is.
        """

        @contextmanager
        def attempt(keeper: Keeper) -> Iterator[tuple[Callable[[], None], Counts]]:
            with postgres_rows.connected(self.source) as connection:
                question = self._question(connection, cut, keeper)
                counts = self._counted(connection, question, keeper)
                with self._copied(connection, question) as copy:
                    if self.cells is None:
                        self._delete(connection, question, counts)
                    else:
                        lost, counts = self._lost(connection, question, counts)
                        self._lose(connection, question, lost)

                    def step() -> None:
                        copy()
                        connection.commit()

                    yield step, counts.archived() if self.archive else counts

        return under_holds(frozen, attempt), Files()

    def _question(self, connection: Connection, cut: CutOff, keeper: Keeper) -> _Question:
        changes = self.cells is not None
        oid = postgres_rows.check(connection, self.source, deletes=not changes, updates=changes)
        cells = () if self.cells is None else self.cells.columns
        names = [self.column, *([keeper.column] if keeper.looks and keeper.column else []), *cells]
        check_there(names, self.source.schema().names, self.source.where)
        postgres_rows.check_cells(
            connection, self.source, oid, () if self.cells is None else self.cells.emptied
        )
        schema = self.source.schema()
        kind = check_type(schema.field(self.column).type, column=self.column, where=self.source.where)
        bounds: tuple[date, ...] = moments(cut, kind)
        times: dict[str, Any] = dict(zip(("first", "until", "due", "now"), bounds, strict=True))
        over = f"({postgres_rows.name(self.column)} >= %(first)s AND {postgres_rows.name(self.column)} < %(until)s)"
        if not keeper.looks or keeper.column is None:
            kept = "true" if keeper.held.everything else None
            return _Question(oid, over, kept, times)
        shown = postgres_rows.shown(connection, oid, keeper.column)
        found = connection.execute(
            f"SELECT DISTINCT {shown} FROM {self._table} WHERE {over}",  # noqa: S608
            times,
        )
        texts = [row[0] for row in found if row[0] is not None]
        subjects = pa.array(texts, pa.string()).cast(schema.field(keeper.column).type)
        held = [text for text, kept in zip(texts, keeper.mask(subjects, len(texts)), strict=True) if kept]
        return _Question(oid, over, f"coalesce({shown} = ANY(%(held)s), false)", {**times, "held": held})

    def _counted(self, connection: Connection, question: _Question, keeper: Keeper) -> Counts:
        time = postgres_rows.name(self.column)
        kept = "true" if keeper.held.everything else question.keeps or "false"
        conditions = (
            f"{question.over} AND NOT {kept}",
            f"{question.over} AND {kept}",
            f"{time} >= %(first)s AND {time} >= %(until)s AND {time} < %(due)s",
            f"{time} IS NULL",
            f"{time} < %(first)s",
            f"{time} > %(now)s",
        )
        filters = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
        counted = connection.execute(
            f"SELECT count(*), {filters} FROM {self._table}",  # noqa: S608
            question.times,
        ).fetchone()
        names = ("rows", "delete", "held", "waiting", "null", "before_1970", "future")
        return Counts(**dict(zip(names, counted or (), strict=True)))

    def _lost(
        self, connection: Connection, question: _Question, counts: Counts
    ) -> tuple[list[tuple[Any, ...]], Counts]:
        """Where rows are that lose cells, and for each column whether its cell is lost and what it becomes."""
        cells = self.cells or Cells((), {})
        kinds = {name: self.source.schema().field(name).type for name in cells.becomes}
        wanted = [f"CASE WHEN {postgres_rows.name(name)} IS NOT NULL THEN '' END" for name in cells.emptied]
        wanted += [postgres_rows.shown(connection, question.oid, name) for name in cells.becomes]
        # Where cells only become null, rows that have none left need not come here.
        some = " OR ".join(f"{postgres_rows.name(name)} IS NOT NULL" for name in cells.emptied)
        spared = "" if cells.becomes else f" AND ({some})"
        lost: list[tuple[Any, ...]] = []
        with connection.cursor(name="veil_rows") as cursor:
            cursor.execute(
                f"SELECT tableoid::bigint, ctid::text, {', '.join(wanted)} FROM {self._table} "  # noqa: S608
                f"WHERE {question.going}{spared}",
                question.times,
            )
            while fetched := cursor.fetchmany(FETCH_ROWS):
                parts, places, *texts = zip(*fetched, strict=True)
                columns = {
                    name: postgres_rows.as_array(self.source, name, kinds.get(name, pa.string()), values)
                    for name, values in zip(cells.columns, texts, strict=True)
                }
                all_ = np.ones(len(parts), bool)
                loss, _ = cells.lost(all_, Counts(delete=len(parts)), columns.__getitem__)
                lost += _changes(loss, cells, parts, places, columns)
        changed = len(lost)
        return lost, replace(counts, delete=0, anonymize=changed, anonymized=counts.delete - changed)

    def _lose(self, connection: Connection, question: _Question, lost: list[tuple[Any, ...]]) -> None:
        """Let cells become what they are to be, all of a row at once: it moves."""
        if self.cells is None or not lost:
            return
        names = self.cells.columns
        declared = "".join(f", lost_{index} boolean, cell_{index} text" for index in range(len(names)))
        postgres_rows.hand_over(connection, "veil_lost", f"part oid, place tid{declared}", lost)
        becomes = ", ".join(
            f"{name} = CASE WHEN l.lost_{index} THEN l.cell_{index}::{kind} ELSE t.{name} END"
            for index, (name, kind) in enumerate(
                (postgres_rows.name(name), postgres_rows.type_of(connection, question.oid, name))
                for name in names
            )
        )
        done = connection.execute(
            f"UPDATE {self._table} AS t SET {becomes} FROM veil_lost AS l "  # noqa: S608
            "WHERE t.tableoid = l.part AND t.ctid = l.place",
            (),
        )
        postgres_rows.check_count(done.rowcount, len(lost), self.source.where)

    def _delete(self, connection: Connection, question: _Question, counts: Counts) -> None:
        done = connection.execute(f"DELETE FROM {self._table} WHERE {question.going}", question.times)  # noqa: S608
        if self.archive is not None:
            postgres_rows.check_count(done.rowcount, counts.delete, self.source.where)

    def _copied(
        self, connection: Connection, question: _Question
    ) -> AbstractContextManager[Callable[[], None]]:
        """Copy the rows that go into the archive."""
        if self.archive is None:
            return nullcontext(lambda: None)
        # What Arrow does not read off the server's texts stays a text.
        kinds = [
            each.with_type(each.type if _is_read(each.type) else pa.string()) for each in self.source.schema()
        ]
        schema = pa.schema(kinds)
        part = str(self.source.table)
        return self.archive.copied(part, schema, lambda: self._going(connection, question, schema))

    def _going(
        self, connection: Connection, question: _Question, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """The rows that go, whole; one snapshot has the same ones each time."""
        wanted = ", ".join(postgres_rows.shown(connection, question.oid, each.name) for each in schema)
        with connection.cursor(name="veil_going") as cursor:
            cursor.execute(
                f"SELECT {wanted} FROM {self._table} WHERE {question.going} ORDER BY tableoid, ctid",  # noqa: S608
                question.times,
            )
            while fetched := cursor.fetchmany(FETCH_ROWS):
                texts = zip(*fetched, strict=True)
                arrays = [
                    postgres_rows.as_array(self.source, each.name, each.type, values)
                    for each, values in zip(schema, texts, strict=True)
                ]
                yield pa.record_batch(arrays, schema=schema)


def _changes(
    loss: Loss, cells: Cells, parts: Sequence[int], places: Sequence[str], columns: Mapping[str, pa.Array]
) -> Iterator[tuple[Any, ...]]:
    """Where rows are that lose cells, and for each column whether its cell is lost and what it becomes."""
    none = np.zeros(len(loss), bool)
    masks = [loss.cells.get(name, none) for name in cells.columns]
    becomes = [
        cells.becomes[name](columns[name]).cast(pa.string()).to_pylist()
        if name in cells.becomes
        else [None] * len(loss)
        for name in cells.columns
    ]
    for row in np.logical_or.reduce(masks).nonzero()[0].tolist():
        pairs = ((bool(mask[row]), texts[row]) for mask, texts in zip(masks, becomes, strict=True))
        yield (parts[row], places[row], *(each for pair in pairs for each in pair))


def _is_read(kind: pa.DataType) -> bool:
    """Whether Arrow reads values of a type off the texts that the server shows for them."""
    tests = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_date,
        pa.types.is_timestamp,
        pa.types.is_string,
    )
    return any(test(kind) for test in tests)
