"""A data set that is kept in more than one place: its source, and the archive that retention copies old rows into.

The source comes first: what retention moves into the archive meanwhile is found there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import reduce

from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.store import Changed, Found, Frozen, Store
from airflow_veil.privacy.erasure.subjects import Subjects


@dataclass(frozen=True)
class Several:
    """Stores that are looked through and changed one after the other; see `Store`.

    Attributes:
        stores: At least one.
    """

    stores: tuple[Store, ...]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Store.alone`: all of them."""
        with ExitStack() as locks:
            for store in self.stores:
                locks.enter_context(store.alone())
            yield

    def find(self, matcher: Matcher, keys: Sequence[str], requests: int) -> Found:
        """See `Store.find`: what is found in all of them together."""
        return reduce(_found, [store.find(matcher, keys, requests) for store in self.stores])

    def erase(self, matcher: Matcher, frozen: Frozen, requests: int) -> Changed:
        """See `Store.erase`: one after the other."""
        return reduce(_changed, [store.erase(matcher, frozen, requests) for store in self.stores])


def _found(one: Found, other: Found) -> Found:
    known = Subjects(one.keys)
    for key, values in other.keys.items():
        known = known.with_(key, values.texts, values.owners)
    return replace(
        one,
        rows=one.rows + other.rows,
        tally=one.tally + other.tally,
        keys=known.domains,
        files=one.files + other.files,
        untouched=one.untouched + other.untouched,
    )


def _changed(one: Changed, other: Changed) -> Changed:
    return Changed(
        rows=one.rows + other.rows,
        tally=one.tally + other.tally,
        rewritten=one.rewritten + other.rewritten,
        dropped=one.dropped + other.dropped,
        untouched=one.untouched + other.untouched,
    )
