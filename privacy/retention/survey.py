"""What a source is found to hold before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.storage.files import DataFile

Frozen = Callable[[], AbstractContextManager[Keeper]]
"""Gives what is held, and keeps it so for the block."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of one file.

    Attributes:
        file: The file.
        counts: What becomes of its rows.
        read: Whether rows had to be read to know it.
    """

    file: DataFile
    counts: Counts
    read: bool

    @property
    def whole(self) -> bool:
        """Whether all of its rows go."""
        return 0 < self.counts.rows == self.counts.gone


@dataclass(frozen=True, slots=True)
class Survey:
    """What becomes of a data set.

    Attributes:
        counts: What becomes of its rows.
        files: What becomes of its files.
        parts: Each of them; none of a table.
    """

    counts: Counts
    files: Files = field(default_factory=Files)
    parts: tuple[Planned, ...] = ()
