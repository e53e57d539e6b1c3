"""What the tables of both databases check of their columns before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_veil.privacy.errors import SchemaError

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.postgres import PostgresSource
    from airflow_veil.privacy.storage.sqlite import SqliteSource


def check_there(source: PostgresSource | SqliteSource, names: Iterable[str]) -> None:
    """Check that there are some columns.

    Raises:
        SchemaError: One is not there.
    """
    schema = source.schema()
    absent = [name for name in names if name not in schema.names]
    if absent:
        raise SchemaError(f"there is no column {', '.join(absent)}", where=source.where)


def takes_no_null(name: str, where: str) -> SchemaError:
    """The error of a column whose cells cannot become null."""
    return SchemaError(
        f"column {name} cannot be masked: it takes no null",
        where=where,
        fix="delete the rows, or let the column be nullable",
    )
