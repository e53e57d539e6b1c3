"""What a place with rows must be able to do, so that people can be found in it and erased from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.subjects import Known
from airflow_veil.privacy.retention.holds import Keeper

Frozen = Callable[[], AbstractContextManager[Keeper]]
"""Gives what is held, and keeps it so for the block."""


@dataclass(frozen=True)
class Tally:
    """Rows by request: arrays as long as there are requests.

    Attributes:
        deleted: Rows that go, or went.
        masked: Rows that lose cells, or lost them.
        held: Rows that a hold keeps.
    """

    deleted: NDArray[np.int64]
    masked: NDArray[np.int64]
    held: NDArray[np.int64]

    @classmethod
    def zero(cls, requests: int) -> Tally:
        """Nothing yet."""
        return cls(*(np.zeros(requests, np.int64) for _ in range(3)))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.deleted + other.deleted, self.masked + other.masked, self.held + other.held)


@dataclass(frozen=True)
class Found:
    """What is found in a store.

    Attributes:
        rows: How many rows there are.
        tally: Those that are to be touched, by request.
        keys: Key column to its values in the subjects' own rows.
        files: How many files hold such rows; zero of a table.
        untouched: How many files do not.
    """

    rows: int
    tally: Tally
    keys: Mapping[str, Known] = field(default_factory=dict)
    files: int = 0
    untouched: int = 0


@dataclass(frozen=True)
class Changed:
    """What was changed in a store.

    Attributes:
        rows: How many rows there were.
        tally: Those that were touched, by request.
        rewritten: Files that were written anew.
        dropped: Files that went whole.
        untouched: Files that keep their bytes and times.
    """

    rows: int
    tally: Tally
    rewritten: int = 0
    dropped: int = 0
    untouched: int = 0


class Store(Protocol):
    """A place with rows: files, or a table."""

    def alone(self) -> AbstractContextManager[None]:
        """Hold the place against other runs that change it; what killed ones left is swept.

        Raises:
            StorageError: Another run does not end in time.
        """

    def find(self, matcher: Matcher, keys: Sequence[str], requests: int) -> Found:
        """Find people; nothing is changed.

        Args:
            matcher: Tells which rows.
            keys: The columns whose values lead on.
            requests: How many requests there are.

        Raises:
            StorageError: The place cannot be read, or could not be changed so that rows are really gone.
            SchemaError: A column is missing, or cannot be masked.
        """

    def erase(self, matcher: Matcher, frozen: Frozen, requests: int) -> Changed:
        """Erase people; call it under `alone`. What is clean already is left as it is.

        `matcher.keeper` is replaced by what `frozen` gives right before each change.

        Raises:
            StorageError: A file changed meanwhile, or cannot be written; it is as it was, others may be done.
        """
