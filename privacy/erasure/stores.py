"""The store of a source, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_veil.privacy.errors import ErasureError

if TYPE_CHECKING:
    from airflow_veil.privacy.erasure.store import Store
    from airflow_veil.privacy.storage.base import Source


def store_of(source: Source) -> Store:
    """A source, as something that people can be erased from.

    Args:
        source: What `Workspace.source` gives.

    Raises:
        ErasureError: Nobody can be erased from this kind of source.
    """
    from airflow_veil.privacy.erasure.files import FileStore
    from airflow_veil.privacy.erasure.postgres_table import PostgresStore
    from airflow_veil.privacy.erasure.sqlite_table import SqliteStore
    from airflow_veil.privacy.storage.csv import CsvSource
    from airflow_veil.privacy.storage.parquet import ParquetSource
    from airflow_veil.privacy.storage.sql import SqlSource
    from airflow_veil.privacy.storage.sqlite import SqliteSource

    if isinstance(source, ParquetSource | CsvSource):
        return FileStore(source)
    if isinstance(source, SqlSource):
        table = source.table_source
        return SqliteStore(table) if isinstance(table, SqliteSource) else PostgresStore(table)
    raise ErasureError(
        f"people cannot be erased from a {type(source).__name__}",
        where=source.identity.name,
        expected="Parquet or CSV files, or a table of SQLite or PostgreSQL",
    )
