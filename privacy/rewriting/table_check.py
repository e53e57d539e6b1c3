"""What both databases check of a table before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.failure import unfit


def check_no_cascade(tables: Sequence[str], where: str) -> None:
    """Check that no other table changes with the rows that go.

    Args:
        tables: Those whose foreign keys would cascade, or set cells.
        where: The table that rows go from.

    Raises:
        StorageError: There is one.
    """
    if tables:
        raise unfit(
            f"rows of {', '.join(tables)} would change with the rows that go",
            where=where,
            expected="foreign keys that neither cascade nor set null",
            fix="give those tables a rule of their own, and let the key restrict",
        )


def takes_no_null(name: str, where: str) -> SchemaError:
    """The error of a column whose cells cannot become null."""
    return SchemaError(
        f"column {name} cannot be masked: it takes no null",
        where=where,
        fix="delete the rows, or let the column be nullable",
    )
