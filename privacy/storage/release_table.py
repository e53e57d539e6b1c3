"""What a database remembers of its releases: one row for each table that holds one, in `veil_releases`."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.storage.sqlite import WAIT_SECONDS

LOCK = 0x7665696C
"""The advisory lock (PostgreSQL) that changes to the releases of a database are made under."""


@dataclass(frozen=True)
class ReleaseTable:
    """The table `veil_releases` of one schema.

    Every change is one transaction, and one at a time: PostgreSQL by an advisory lock, SQLite by its own. The
    data definition language of both is part of transactions.

    Attributes:
        url: The database.
        schema: The schema, or None (SQLite).
    """

    url: URL = field(repr=False)
    schema: str | None

    @cached_property
    def table(self) -> sa.Table:
        """The table; `state` is writing, staged or committed."""
        return sa.Table(
            "veil_releases",
            sa.MetaData(schema=self.schema),
            sa.Column("table_name", sa.String(63), primary_key=True),
            sa.Column("dataset", sa.String(64), nullable=False),
            sa.Column("release_id", sa.String(200), nullable=False),
            sa.Column("state", sa.String(16), nullable=False),
            sa.Column("is_current", sa.Boolean, nullable=False, default=False),
            sa.Column("manifest", sa.Text),
            sa.Column("arrow_schema", sa.Text, nullable=False),
            sa.Column("touched", sa.Double, nullable=False),
        )

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """A transaction that no other one of ours runs beside.

        Raises:
            StorageError: The database refuses; the transaction is rolled back.
        """
        try:
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                self.table.metadata.create_all(connection)
                yield connection
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise StorageError(f"{doing} failed with {_kind(error)}", where=self.where) from None

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return self.url.set(username=None, password=None, query={}).render_as_string(hide_password=True)

    def add(self, connection: Connection, **row: Any) -> None:
        """Remember a table that is about to be written; `schema` is that of its rows."""
        schema = base64.b64encode(row.pop("schema").serialize()).decode()
        values = {"state": "writing", "is_current": False, "arrow_schema": schema, "touched": time.time()}
        connection.execute(self.table.insert().values(**row, **values))

    def update(self, connection: Connection, table_name: str, **values: Any) -> bool:
        """Change a row and mark it as touched; whether it is there."""
        change = self.table.update().where(self.table.c.table_name == table_name)
        return connection.execute(change.values(touched=time.time(), **values)).rowcount == 1

    def find(self, connection: Connection, *where: Any) -> Sequence[sa.Row[Any]]:
        """The rows that meet all conditions, the newest first."""
        return connection.execute(
            sa.select(self.table).where(*where).order_by(self.table.c.touched.desc())
        ).all()

    def forget(self, connection: Connection, table_name: str) -> None:
        """Drop a table with its row; nothing happens if they are gone."""
        sa.Table(table_name, sa.MetaData(schema=self.schema)).drop(connection, checkfirst=True)
        connection.execute(self.table.delete().where(self.table.c.table_name == table_name))

    def point(self, connection: Connection, dataset: str, table_name: str) -> None:
        """Let the view of a data set show a table, and mark the table as current."""
        prepare = connection.dialect.identifier_preparer
        place = f"{prepare.quote_schema(self.schema)}." if self.schema else ""
        view, target = (f"{place}{prepare.quote_identifier(name)}" for name in (dataset, table_name))
        body = f"VIEW {view} AS SELECT * FROM {target}"  # noqa: S608
        if not self._replaced(connection, body):
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view}")
            connection.exec_driver_sql(f"CREATE {body}")
        mine = self.table.update().where(self.table.c.dataset == dataset)
        connection.execute(mine.values(is_current=self.table.c.table_name == table_name))

    def hide(self, connection: Connection, dataset: str) -> None:
        """Remove the view of a data set: nothing of it is current any more."""
        prepare = connection.dialect.identifier_preparer
        place = f"{prepare.quote_schema(self.schema)}." if self.schema else ""
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {place}{prepare.quote_identifier(dataset)}")
        mine = self.table.update().where(self.table.c.dataset == dataset)
        connection.execute(mine.values(is_current=False))

    def taken(self, connection: Connection, dataset: str) -> bool:
        """Whether something that is not our view bears the data set's name."""
        database = sa.inspect(connection)
        if not database.has_table(dataset, schema=self.schema):
            return False
        ours = self.find(connection, self.table.c.dataset == dataset, self.table.c.is_current)
        return not ours or dataset not in database.get_view_names(schema=self.schema)

    def _replaced(self, connection: Connection, body: str) -> bool:
        """Replace the view in place, which keeps who may read it; impossible where its columns changed."""
        if connection.dialect.name != "postgresql":
            return False
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"CREATE OR REPLACE {body}")
        except sa.exc.ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != "42P16":
                raise
            return False
        return True

    @cached_property
    def _engine(self) -> Engine:
        url = self.url
        if url.get_backend_name() == "postgresql":
            return sa.create_engine(
                url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool, hide_parameters=True
            )
        arguments = {"timeout": WAIT_SECONDS}
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments, hide_parameters=True)
        sa.event.listen(engine, "connect", _leave_transactions_to_us)
        sa.event.listen(engine, "begin", _begin)
        return engine


def schema_of(row: sa.Row[Any]) -> pa.Schema:
    """The schema of the rows that a table was written with."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(row.arrow_schema)))


def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    """Python's driver would commit before each CREATE and DROP."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _kind(error: Exception) -> str:
    """What failed, without the driver's text: it holds parameters and, at times, values."""
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return f"{type(cause or error).__name__}{f' ({code})' if code else ''}"
