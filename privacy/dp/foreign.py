"""Turns what Polars raises into errors that name the place and the kind of failure: its texts may quote values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polars.exceptions import PanicException, PolarsError

from airflow_veil.privacy.storage.failure import storing, unfit


@contextmanager
def polars_storing(doing: str, where: str) -> Iterator[None]:
    """Raise a StorageError for what Polars, Arrow or the system raises inside the block; see `storing`.

    Args:
        doing: What is being done, such as `reading`.
        where: The data set to name.
    """
    try:
        with storing(doing, where):
            yield
    except (PolarsError, PanicException) as error:
        raise unfit(f"{doing} failed with {type(error).__name__}", where=where) from None
