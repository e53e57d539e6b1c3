"""A database with people, of either kind."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from airflow_veil.privacy.erasure.postgres_table import PostgresStore
from airflow_veil.privacy.erasure.sqlite_table import SqliteStore
from airflow_veil.privacy.storage.base import Types
from airflow_veil.privacy.storage.postgres import PostgresSource
from airflow_veil.privacy.storage.sqlite import SqliteSource
from airflow_veil.privacy.storage.table_name import TableName


class Database:
    """A database; a path or a URL."""

    def __init__(self, place: Path | str) -> None:
        self.place = place

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        opened = sqlite3.connect(self.place) if isinstance(self.place, Path) else psycopg.connect(self.place)
        with contextlib.closing(opened) as connection:
            yield connection
            connection.commit()

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def people(self, count: int, kind: str = "TEXT") -> None:
        """As many rows, each by somebody and with somebody else in it."""
        self.run(f"CREATE TABLE people (id {kind}, parent {kind}, number INTEGER, note TEXT)")
        for n in range(count):
            who, parent = (f"'p{n}'", f"'p{n - 1}'") if kind == "TEXT" else (str(n), str(n - 1))
            self.run(f"INSERT INTO people VALUES ({who}, {parent}, {1000 + n}, 'canary-{n:05d}-note')")

    def numbers(self, where: str = "number IS NOT NULL") -> list[int]:
        return [row[0] for row in self.run(f"SELECT number FROM people WHERE {where} ORDER BY number")]

    def store(self, types: Types | None = None, table: str = "people") -> SqliteStore | PostgresStore:
        if isinstance(self.place, Path):
            return SqliteStore(SqliteSource(self.place, TableName(table), types or {}))
        return PostgresStore(PostgresSource(make_url(self.place), TableName(table, "public"), types or {}))
