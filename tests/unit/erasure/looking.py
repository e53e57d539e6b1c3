"""What the tests of stores look for people with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.graph import Edge
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.store import Changed, Found, Frozen, Store
from airflow_veil.privacy.erasure.subjects import Known, Subjects
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.ledger.holds import Held
from airflow_veil.privacy.policy.erasure import Mask
from airflow_veil.privacy.retention.holds import Keeper, hashes_of

RING = KeyRing.generate()
DOMAIN = "people.id"


def known(people: Mapping[str, int] | Iterable[str]) -> Known:
    """Values, and the request that each is of: the first, if not said."""
    owners = people if isinstance(people, Mapping) else dict.fromkeys(people, 0)
    texts = pa.array(list(owners), pa.string())
    return Subjects().with_(DOMAIN, texts, np.array(list(owners.values()), np.int32)).of(DOMAIN)


def edge(column: str = "id", mask: Sequence[str] = ()) -> Edge:
    """A column that names people; rows go, or lose cells."""
    action: Literal["delete"] | Mask = Mask(mask=tuple(mask)) if mask else "delete"
    return Edge("people", column, DOMAIN, action, subject=not mask)


def ring() -> KeyRing:
    return RING


def keeper(*subjects: str, column: str | None = "id", everything: bool = False) -> Keeper:
    """Holds some people."""
    hashes = hashes_of(pa.array(subjects, pa.string()), RING, DOMAIN, RING.current).to_pylist()
    held = Held(
        everything=everything,
        subjects=frozenset((DOMAIN, RING.current, each.hex()) for each in hashes),
    )
    return Keeper(held, column, ring)


def matcher(people: Mapping[str, int] | Iterable[str], *edges: Edge, held: Keeper | None = None) -> Matcher:
    """Looks for people in `id`, or where the edges say."""
    values = known(people)
    return Matcher([(each, values) for each in edges or (edge(),)], held or keeper(), where="people")


def frozen(*keepers: Keeper) -> Frozen:
    """What is held at one moment after the other; the last one stays."""
    left = list(keepers)

    @contextmanager
    def give() -> Iterator[Keeper]:
        yield left.pop(0) if len(left) > 1 else left[0]

    return give


def find(store: Store, looking: Matcher, *keys: str, requests: int = 1) -> Found:
    return store.find(looking, keys, requests)


def erase(store: Store, looking: Matcher, *keepers: Keeper, requests: int = 1) -> Changed:
    with store.alone():
        return store.erase(looking, frozen(*(keepers or (looking.keeper,))), requests)


def state(path: Path) -> tuple[str, int, int]:
    """What an untouched file keeps."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_ino


def names(folder: Path) -> list[str]:
    """All files below a folder but the lock."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.endswith(".veil.lock"))
