"""Tables of a database as a source, and as a destination whose current release is a view."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_veil.privacy.errors import ReleaseError, StorageError
from airflow_veil.privacy.storage.base import DatasetIdentity, Source, Types, Writer, Written
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.names import segment
from airflow_veil.privacy.storage.postgres import PostgresSource, PostgresWriter, namespace
from airflow_veil.privacy.storage.release_table import ReleaseTable, schema_of
from airflow_veil.privacy.storage.retyped import Retyped
from airflow_veil.privacy.storage.sqlite import SqliteSource, SqliteWriter
from airflow_veil.privacy.storage.table_name import TableName

LONGEST_NAME = 63
"""What PostgreSQL keeps of a name; it cuts off the rest without a word."""

TOUCH_SECONDS = 20.0
"""How often a writer says that it is alive."""


def database_url(url: str) -> URL:
    """A database's URL, as SQLAlchemy writes them; `postgres://`, as Airflow writes it, is known, too.

    Raises:
        StorageError: It is no URL, or of a database that is not supported. The URL is not shown: it may hold a
            password.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername.partition("+")[0] in ("postgres", "postgresql"):
            return parsed.set(drivername="postgresql")
    except (sa.exc.ArgumentError, ValueError):
        raise unfit(
            "this is no URL of a database", where="database", expected="sqlite:// or postgresql://"
        ) from None
    if parsed.drivername.partition("+")[0] != "sqlite":
        raise unfit(
            f"{parsed.drivername} is not supported", where="database", expected="sqlite:// or postgresql://"
        )
    if parsed.database in (None, "", ":memory:"):
        raise unfit("a database in memory cannot be shared between tasks", where="sqlite", expected="a file")
    return parsed.set(drivername="sqlite")


@dataclass(frozen=True)
class SqlSource:
    """A table or view of SQLite or PostgreSQL; see `SqliteSource` and `PostgresSource` for the types.

    Attributes:
        url: SQLAlchemy-style URL; it is in no repr and no error.
        table: `table` or `schema.table`, spelled as the database has it; `public` where PostgreSQL's is not said.
        types: The policy's types, for columns whose own declaration does not tell.
    """

    url: str = field(repr=False)
    table: str
    types: Types = field(default_factory=dict)

    @property
    def identity(self) -> DatasetIdentity:
        """See `Source.identity`."""
        return self._source.identity

    def schema(self) -> pa.Schema:
        """See `Source.schema`: what the catalogue says."""
        return self._source.schema()

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`: one snapshot, streamed."""
        return self._source.batches(columns, batch_rows=batch_rows)

    def fingerprint(self) -> dict[str, Any]:
        """See `Source.fingerprint`."""
        return self._source.fingerprint()

    @property
    def table_source(self) -> SqliteSource | PostgresSource:
        """The table as its database reads it."""
        return self._source

    @cached_property
    def _source(self) -> SqliteSource | PostgresSource:
        url = database_url(self.url)
        if url.drivername == "sqlite":
            return SqliteSource(Path(str(url.database)), TableName.parse(self.table, schema=None), self.types)
        return PostgresSource(url, TableName.parse(self.table, schema="public"), self.types)


@dataclass(frozen=True)
class SqlDestination:
    """Releases as tables, each its own, and a view under the data set's name that shows the current one.

    A release is the table `<dataset>__veil_<release_id>_<token>`; `veil_releases` knows which is which. Publishing
    and rolling back are one transaction that points the view elsewhere. A table, or a view that is not ours,
    under the data set's name is never replaced. See `Destination`.

    Attributes:
        url: SQLAlchemy-style URL of SQLite or PostgreSQL; it is in no repr and no error.
        schema: The schema (PostgreSQL), which must be there; `public` if not said.
    """

    url: str = field(repr=False)
    schema: str | None = None

    @property
    def name(self) -> str:
        """The database and schema, without user and password."""
        return f"{self._releases.where}/{self._schema}" if self._schema else self._releases.where

    def identity(self, dataset: str) -> DatasetIdentity:
        """The view."""
        return self._identity(segment(dataset, "data set"))

    def staged_identity(self, dataset: str, release_id: str) -> DatasetIdentity:
        """The table of a release, without the token that tells attempts apart."""
        return self._identity(f"{dataset}__veil_{segment(release_id, 'release')}")

    def writer(self, dataset: str, release_id: str, schema: pa.Schema) -> Writer:
        """See `Destination.writer`."""
        segment(release_id, "release")
        table = TableName(_table_name(segment(dataset, "data set"), release_id), self._schema)
        with self._releases.transaction("staging") as connection:
            if self._releases.taken(connection, dataset):
                raise unfit(
                    f"there is a table or view {dataset} that is not ours",
                    where=self._releases.where,
                    fix="rename it, or choose another schema",
                )
            self._releases.add(
                connection, table_name=table.table, dataset=dataset, release_id=release_id, schema=schema
            )
        try:
            return TableWriter(self._releases, table, (dataset, release_id), self._writer(table, schema))
        except BaseException:
            with self._releases.transaction("discarding") as connection:
                self._releases.forget(connection, table.table)
            raise

    def source(self, dataset: str, release_id: str) -> Source:
        """See `Destination.source`."""
        with self._releases.transaction("looking up the release") as connection:
            rows = self._rows(connection, dataset, release_id, "committed") or self._rows(
                connection, dataset, release_id, "staged"
            )
        if not rows:
            raise self._missing(dataset, release_id)
        name = rows[0].table_name
        return Retyped(
            SqlSource(self.url, f"{self._schema}.{name}" if self._schema else name), schema_of(rows[0])
        )

    def commit(self, dataset: str, release_id: str, *, manifest: Mapping[str, Any]) -> bool:
        """See `Destination.commit`."""
        with self._releases.transaction("publishing") as connection:
            there = self._rows(connection, dataset, release_id, "committed")
            staged = self._rows(connection, dataset, release_id, "staged")
            if not there and not staged:
                raise self._missing(dataset, release_id)
            if self._releases.taken(connection, dataset):
                raise unfit(
                    f"there is a table or view {dataset} that is not ours", where=self._releases.where
                )
            chosen, *rest = [*there, *staged]
            for row in rest:
                self._releases.forget(connection, row.table_name)
            if not there:
                text = json.dumps(manifest, sort_keys=True, ensure_ascii=False)
                self._releases.update(connection, chosen.table_name, state="committed", manifest=text)
            self._releases.point(connection, dataset, chosen.table_name)
        return not there

    def discard(self, dataset: str, release_id: str) -> int:
        """See `Destination.discard`."""
        with self._releases.transaction("discarding") as connection:
            rows = self._rows(connection, dataset, release_id, "staged")
            for row in rows:
                self._releases.forget(connection, row.table_name)
        return len(rows)

    def releases(self, dataset: str) -> tuple[str, ...]:
        """See `Destination.releases`."""
        columns = self._releases.table.c
        with self._releases.transaction("listing releases") as connection:
            rows = self._releases.find(connection, columns.dataset == dataset, columns.state == "committed")
        return tuple(sorted(row.release_id for row in rows))

    def current(self, dataset: str) -> str | None:
        """See `Destination.current`."""
        columns = self._releases.table.c
        with self._releases.transaction("reading the current release") as connection:
            rows = self._releases.find(connection, columns.dataset == dataset, columns.is_current)
        return rows[0].release_id if rows else None

    def switch(self, dataset: str, release_id: str) -> None:
        """See `Destination.switch`."""
        with self._releases.transaction("switching") as connection:
            rows = self._rows(connection, dataset, release_id, "committed")
            if rows:
                self._releases.point(connection, dataset, rows[0].table_name)
        if not rows:
            raise self._missing(dataset, release_id)

    def manifest(self, dataset: str, release_id: str) -> dict[str, Any]:
        """See `Destination.manifest`."""
        with self._releases.transaction("reading the manifest") as connection:
            rows = self._rows(connection, dataset, release_id, "committed")
        if not rows:
            raise self._missing(dataset, release_id)
        manifest: dict[str, Any] = json.loads(rows[0].manifest)
        return manifest

    def drop(self, dataset: str, release_id: str) -> None:
        """See `Destination.drop`."""
        with self._releases.transaction("dropping") as connection:
            for row in self._rows(connection, dataset, release_id, "committed"):
                if row.is_current:
                    raise ReleaseError(
                        "the current release cannot be dropped", where=dataset, fix="make another one current"
                    )
                self._releases.forget(connection, row.table_name)

    def withdraw(self, dataset: str, release_id: str) -> None:
        """See `Destination.withdraw`: view and table go in one transaction."""
        with self._releases.transaction("withdrawing") as connection:
            for row in self._rows(connection, dataset, release_id, "committed"):
                if row.is_current:
                    self._releases.hide(connection, dataset)
                self._releases.forget(connection, row.table_name)

    def sweep(self, dataset: str, older_than_seconds: float) -> int:
        """See `Destination.sweep`; a writer that lives says so every twenty seconds."""
        columns = self._releases.table.c
        limit = time.time() - older_than_seconds
        with self._releases.transaction("sweeping") as connection:
            rows = self._releases.find(
                connection, columns.dataset == dataset, columns.state != "committed", columns.touched < limit
            )
            for row in rows:
                self._releases.forget(connection, row.table_name)
        return len(rows)

    @cached_property
    def _url(self) -> URL:
        return database_url(self.url)

    @cached_property
    def _schema(self) -> str | None:
        return None if self._url.drivername == "sqlite" else self.schema or "public"

    @cached_property
    def _releases(self) -> ReleaseTable:
        return ReleaseTable(self._url, self._schema)

    def _identity(self, table: str) -> DatasetIdentity:
        if self._schema is None:
            return DatasetIdentity(f"sqlite://{Path(str(self._url.database)).absolute()}", table)
        return DatasetIdentity(namespace(self._url), f"{self._url.database}.{self._schema}.{table}")

    def _writer(self, table: TableName, schema: pa.Schema) -> SqliteWriter | PostgresWriter:
        if self._schema is None:
            return SqliteWriter(Path(str(self._url.database)), table, schema)
        return PostgresWriter(self._url, table, schema)

    def _rows(
        self, connection: sa.Connection, dataset: str, release_id: str, state: str
    ) -> list[sa.Row[Any]]:
        columns = self._releases.table.c
        conditions = (columns.dataset == dataset, columns.release_id == release_id, columns.state == state)
        return list(self._releases.find(connection, *conditions))

    def _missing(self, dataset: str, release_id: str) -> ReleaseError:
        return ReleaseError(f"there is no release {release_id}, committed or staged", where=dataset)


class TableWriter(Writer):
    """The writer of one attempt: says that it is alive, and marks the table as staged when it is whole."""

    def __init__(
        self,
        releases: ReleaseTable,
        table: TableName,
        release: tuple[str, str],
        inner: SqliteWriter | PostgresWriter,
    ) -> None:
        self._releases, self._table, self._release, self._inner = releases, table, release, inner
        self._touched = time.monotonic()
        self._written: Written | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`."""
        self._inner.write(batch)
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            with self._releases.transaction("staging") as connection:
                self._releases.update(connection, self._table.table)
            self._touched = time.monotonic()

    def close(self) -> Written:
        """See `Writer.close`."""
        if self._written is None:
            written = self._inner.close()
            with self._releases.transaction("staging") as connection:
                self._stage(connection)
            self._written = written
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._inner.abort()
        with self._releases.transaction("discarding") as connection:
            self._releases.forget(connection, self._table.table)

    def _stage(self, connection: sa.Connection) -> None:
        """What earlier attempts staged is dropped: the last one counts."""
        columns = self._releases.table.c
        dataset, release_id = self._release
        same = (columns.dataset == dataset, columns.release_id == release_id, columns.state == "staged")
        for row in self._releases.find(connection, *same):
            self._releases.forget(connection, row.table_name)
        if not self._releases.update(connection, self._table.table, state="staged"):
            raise StorageError("the attempt was swept while it was written", where=self._releases.where)


def _table_name(dataset: str, release_id: str) -> str:
    """A new name for the table of an attempt; shortened by a digest where it would be too long for PostgreSQL."""
    if len(dataset) > LONGEST_NAME:
        raise unfit(
            f"the name has {len(dataset)} characters", where=dataset, expected=f"{LONGEST_NAME} at most"
        )
    stem = f"{dataset}__veil_{re.sub(r'[^A-Za-z0-9_]', '_', release_id)}"
    token = secrets.token_hex(4)
    if len(stem) + len(token) < LONGEST_NAME:
        return f"{stem}_{token}"
    digest = hashlib.sha256(f"{dataset}\0{release_id}".encode()).hexdigest()[:16]
    return f"{dataset[:24]}__veil_{digest}_{token}"
