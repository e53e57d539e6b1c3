"""Columns that are asked for must be there: sources of every kind say so in the same words."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from airflow_veil.privacy.errors import SchemaError


def check_there(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Check that there are some columns.

    Args:
        names: The columns that are asked for.
        known: The columns that there are.
        where: What has them.

    Raises:
        SchemaError: One is not there.
    """
    absent = [name for name in names if name not in known]
    if absent:
        raise SchemaError(f"there is no column {', '.join(absent)}", where=where)
