"""The suppression list: who was erased and must stay so, though upstream sends them again.

Of a value there is a keyed hash, never the value nor a plain hash, which whoever has a list of customers could guess.
Entries are added and, when a person comes back, removed with a reason; nothing else happens to them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, delete, func, insert, select

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.database import reading, writing
from airflow_veil.privacy.ledger.reason import check_reason
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import suppressed

Entry: TypeAlias = tuple[str, int, str, str]
"""Domain, key version, hash in hex, and the request that asked for it."""
Hashes: TypeAlias = Mapping[str, str]
"""Hash in hex to the request that asked for it."""

_HASH = re.compile(r"[0-9a-f]{64}")
_AT_ONCE = 5_000
"""Rows a statement: the first error tells a place, and no statement grows with the list."""


@dataclass(frozen=True)
class Suppressed:
    """Who is suppressed under a policy.

    Attributes:
        domains: Domain to key version to the hashes under it.
    """

    domains: Mapping[str, Mapping[int, Hashes]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, domain: str) -> Mapping[int, Hashes]:
        """The hashes of a domain by key version; none where nobody is suppressed."""
        return self.domains.get(domain, {})

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return sum(len(hashes) for versions in self.domains.values() for hashes in versions.values())

    @property
    def versions(self) -> frozenset[int]:
        """The key versions that the list cannot be checked without."""
        return frozenset(version for versions in self.domains.values() for version in versions)

    def __bool__(self) -> bool:
        return bool(self.domains)

    def __repr__(self) -> str:
        return f"Suppressed({self.entries} entries in {len(self.domains)} domains)"


class SuppressionList:
    """The suppression list of a ledger; `Ledger.suppression` gives it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, policy: str, entries: Iterable[Entry], *, batch_id: str, actor: str) -> int:
        """Add entries, with evidence of how many; those that are there already stay as they are.

        Args:
            policy: Name of the policy.
            entries: Domain, key version, hash (64 hex digits, lower case) and request id, in any order.
            batch_id: The batch of requests.
            actor: Who erases.

        Returns:
            How many are new. Where none is, nothing is noted: a retry finds them there.

        Raises:
            ErasureError: A hash is none: a value must never get in here.
        """
        wanted: dict[tuple[str, int, str], str] = {}
        for domain, version, digest, request in entries:
            if not _HASH.fullmatch(digest):
                raise ErasureError(
                    "what is to be suppressed is no keyed hash", where=domain, expected="64 hex digits"
                )
            wanted.setdefault((domain, version, digest), request)
        with writing(self._engine) as connection:
            new = _without(wanted, connection, policy)
            if not new:
                return 0
            at = utc_now()
            rows = (
                {
                    "policy": policy,
                    "domain": domain,
                    "key_version": version,
                    "hash": digest,
                    "request_id": request,
                    "batch_id": batch_id,
                    "created_at": at,
                }
                for (domain, version, digest), request in new.items()
            )
            for some in _parts(rows):
                connection.execute(insert(suppressed), some)
            told = {
                "entries": len(new),
                "domains": dict(Counter(domain for domain, _, _ in new)),
                "key_versions": sorted({version for _, version, _ in new}),
            }
            _note(connection, "suppression.added", f"{policy}/{batch_id}", told, actor)
        return len(new)

    def of(self, policy: str) -> Suppressed:
        """Who is suppressed now."""
        row = suppressed.c
        query = select(row.domain, row.key_version, row.hash, row.request_id).where(row.policy == policy)
        found: dict[str, dict[int, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
        with reading(self._engine) as connection:
            for domain, version, digest, request in connection.execute(query):
                found[domain][version][digest] = request
        # Frozen: an absent domain must not come to be by asking for it.
        return Suppressed({domain: dict(versions) for domain, versions in found.items()})

    def versions(self, policy: str) -> frozenset[int]:
        """The key versions that the list cannot be checked without: destroy none of them."""
        query = select(suppressed.c.key_version).where(suppressed.c.policy == policy).distinct()
        with reading(self._engine) as connection:
            return frozenset(connection.scalars(query))

    def policies(self, version: int) -> tuple[str, ...]:
        """The policies whose lists cannot be checked without a key version."""
        query = select(suppressed.c.policy).where(suppressed.c.key_version == version).distinct()
        with reading(self._engine) as connection:
            return tuple(sorted(connection.scalars(query)))

    def remove(self, policy: str, request_id: str, *, reason: str, actor: str) -> int:
        """Take out what a request has suppressed, with evidence: the person comes back, and is to be let in.

        What another request suppressed of the same person stays until that is taken out, too.

        Args:
            policy: Name of the policy.
            request_id: The request.
            reason: Why, for the evidence; no personal data.
            actor: Who lets them in.

        Returns:
            How many entries went; none, and nothing is noted, where there are none or they went before.

        Raises:
            ErasureError: The reason is too short or too long.
        """
        check_reason(reason, where=f"request {request_id}", failure=ErasureError)
        mine = (suppressed.c.policy == policy, suppressed.c.request_id == request_id)
        with writing(self._engine) as connection:
            query = select(suppressed.c.domain, func.count()).where(*mine).group_by(suppressed.c.domain)
            domains = {str(domain): int(count) for domain, count in connection.execute(query)}
            if not domains:
                return 0
            connection.execute(delete(suppressed).where(*mine))
            told = {"reason": reason, "entries": sum(domains.values()), "domains": domains}
            _note(connection, "suppression.removed", f"{policy}/{request_id}", told, actor)
        return sum(domains.values())


def _without(
    wanted: Mapping[tuple[str, int, str], str], connection: Connection, policy: str
) -> dict[tuple[str, int, str], str]:
    """The entries that are not in the list yet."""
    row = suppressed.c
    there: set[tuple[str, int, str]] = set()
    for domain, version in dict.fromkeys((domain, version) for domain, version, _ in wanted):
        place = (row.policy == policy, row.domain == domain, row.key_version == version)
        hashes = (digest for at, under, digest in wanted if (at, under) == (domain, version))
        for some in _parts(hashes):
            found = connection.scalars(select(row.hash).where(*place, row.hash.in_(some)))
            there.update((domain, version, digest) for digest in found)
    return {key: request for key, request in wanted.items() if key not in there}


def _parts(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, _AT_ONCE)):
        yield part


def _note(connection: Connection, kind: str, subject: str, payload: Mapping[str, Any], actor: str) -> None:
    evidence.append(connection, kind=kind, subject=subject, payload=payload, actor=actor)
