"""What was erased stays erased: the values of erased people are known again by keyed hashes, and by nothing else.

The key is a subkey of the key ring's, one a domain: without the ring nobody can test a guess against the list, and a
number of one table says nothing of the same number in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.prf import hmac_sha256
from airflow_veil.privacy.erasure.graph import Edge, graph_of
from airflow_veil.privacy.erasure.judged import Judged
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.errors import ErasureError, KeyRingError
from airflow_veil.privacy.ledger.suppression import Entry, Suppressed
from airflow_veil.privacy.policy.models import Policy
from airflow_veil.privacy.storage.batches import plain_array
from airflow_veil.privacy.transforms.canonical import canonical

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.release.workspace import Workspace

Mask = NDArray[np.bool_]

PURPOSE = "suppression"
"""What the subkeys are for."""


def suppress(
    workspace: Workspace, subjects: Subjects, *, batch_id: str, requests: Sequence[str], actor: str
) -> int:
    """Put all values of some people on the suppression list, by their keyed hashes; may be repeated.

    Args:
        workspace: The policy and its systems.
        subjects: The people.
        batch_id: The batch of requests.
        requests: The names of its requests; the subjects' owners are numbers of them.
        actor: Who erases.

    Returns:
        How many entries are new.

    Raises:
        ErasureError: A value belongs to none of the requests.
        KeyRingError: The key ring cannot be opened.
        LedgerError: The ledger cannot be used.
    """
    if not subjects.values:
        return 0
    entries = _entries(subjects, workspace.keys, requests)
    name = workspace.loaded.policy.name
    return workspace.ledger.suppression.add(name, entries, batch_id=batch_id, actor=actor)


def _entries(subjects: Subjects, ring: KeyRing, requests: Sequence[str]) -> Iterator[Entry]:
    version = ring.current
    for domain, known in subjects.domains.items():
        if len(known) and (known.owners.min() < 0 or known.owners.max() >= len(requests)):
            raise ErasureError("values belong to none of the requests", where=domain)
        hashes = hashes_of(known.texts, ring, domain, version).to_pylist()
        for digest, owner in zip(hashes, known.owners.tolist(), strict=True):
            yield domain, version, digest.hex(), requests[owner]


def hashes_of(texts: pa.Array, ring: KeyRing, domain: str, version: int) -> pa.Array:
    """The keyed hashes of values, spelled canonically: `binary(32)`; nulls stay null.

    Raises:
        KeyRingError: The version is destroyed or not in the ring: what it hashed can be looked up no more.
    """
    try:
        key = ring.subkey(PURPOSE, domain, version=version)
    except KeyRingError as error:
        what = error.what
    else:
        return hmac_sha256(texts, key=key)
    raise KeyRingError(
        f"{what}, and the suppression list needs it: who was erased cannot be told from who was not",
        where=domain,
        expected=f"version {version} of the key ring that people were erased with",
        fix="use that key ring; or, once upstream no longer sends them, take the requests of that version off the list",
    )


@dataclass(frozen=True)
class Suppression:
    """Tells who is suppressed; loaded once a run.

    Attributes:
        suppressed: What the ledger says.
        ring: Opens the key ring; not called where nothing is looked up.
    """

    suppressed: Suppressed
    ring: Callable[[], KeyRing] = field(repr=False)
    _judged: dict[tuple[str, str], Judged] = field(default_factory=dict, repr=False, compare=False)

    def covers(self, domain: str) -> bool:
        """Whether any value of a domain is suppressed."""
        return bool(self.suppressed.of(domain))

    def ready(self, domain: str) -> None:
        """Look whether values of a domain can be looked up, before a row is read.

        Raises:
            KeyRingError: The ring cannot be opened, or lacks a version that the list needs.
        """
        for version in self.suppressed.of(domain):
            hashes_of(pa.array([], pa.string()), self.ring(), domain, version)

    def mask(self, column: pa.Array, domain: str) -> Mask:
        """Which rows name somebody who is suppressed; nulls name nobody.

        Each value is hashed once a key version and batch, however often it stands there, and not again in the next
        batches where values repeat. It is for one thread.

        Args:
            column: n values of a type with a canonical spelling; dictionaries are fine.
            domain: Whose values they are.

        Returns:
            Shape (n,), bool.

        Raises:
            TransformError: A value has no canonical spelling.
            KeyRingError: As `ready`.
        """
        if not self.covers(domain) or column.null_count == len(column):
            return np.zeros(len(column), bool)
        encoded = column if pa.types.is_dictionary(column.type) else plain_array(column).dictionary_encode()
        among = self._among(encoded.dictionary, domain)
        if not among.any():
            return np.zeros(len(column), bool)
        # Place -1 is the last one: nobody.
        codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        mask: Mask = np.append(among, False)[codes]
        return mask

    def known(self, column: pa.Array, domain: str) -> dict[str, str]:
        """The values of a column that are suppressed, spelled canonically, and the request of each.

        Raises:
            TransformError, KeyRingError: As `mask`.
        """
        if not self.covers(domain):
            return {}
        texts = canonical(pc.drop_null(pc.unique(plain_array(column))), where=domain)
        texts = pc.drop_null(texts.filter(pa.array(self._among(texts, domain))))
        found: dict[str, str] = {}
        for version, requests in self.suppressed.of(domain).items():
            hashes = hashes_of(texts, self.ring(), domain, version).to_pylist()
            for text, digest in zip(texts.to_pylist(), hashes, strict=True):
                if digest.hex() in requests:
                    found.setdefault(text, requests[digest.hex()])
        return found

    def _among(self, values: pa.Array, domain: str) -> Mask:
        """Which of some distinct values are suppressed."""
        judged = self._judged.setdefault((domain, str(values.type)), Judged())
        return judged(values, lambda unseen: self._hit(unseen, domain))

    def _hit(self, values: pa.Array, domain: str) -> Mask:
        texts = canonical(values, where=domain)
        hit = np.zeros(len(values), bool)
        for version, hashes in self._sets[domain].items():
            digests = hashes_of(texts, self.ring(), domain, version)
            hit |= pc.is_in(digests, value_set=hashes).to_numpy(zero_copy_only=False)
        return hit

    @cached_property
    def _sets(self) -> Mapping[str, Mapping[int, pa.Array]]:
        return {
            domain: {
                version: pa.array([bytes.fromhex(digest) for digest in hashes], pa.binary(32))
                for version, hashes in versions.items()
            }
            for domain, versions in self.suppressed.domains.items()
        }


def suppression_of(workspace: Workspace) -> Suppression:
    """The suppression list of a policy as it is now; the key ring stays closed.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    suppressed = workspace.ledger.suppression.of(workspace.loaded.policy.name)
    return Suppression(suppressed, lambda: workspace.keys)


def looked_up(
    suppression: Suppression,
    policy: Policy,
    dataset: str,
    *,
    stored: bool = False,
    identifiers: bool = False,
) -> tuple[Edge, ...]:
    """The columns of a data set that are to be looked up in the list.

    Args:
        suppression: The list.
        policy: The policy.
        dataset: The data set.
        stored: Whether it is about rows in the source: what stays there by the policy (`exempt`) or is made anew
            (`recompute`) is then left alone. What leaves is left by all of them: a law that makes rows stay does not
            make them be released.
        identifiers: Whether columns count, too, that requests may name people by; such a row is the person's, so what
            becomes of the subject's rows becomes of it.

    Returns:
        Edges whose domains are in the list.

    Raises:
        ErasureError: People are on the list, and the policy no longer says in which columns they are.
    """
    if not suppression.suppressed:
        return ()
    if policy.erasure is None:
        raise ErasureError(
            "people were erased under this policy, and it says nothing of erasure any more, so they cannot be left out",
            where=policy.name,
            fix="put `erasure` back into the policy, or take their requests off the suppression list",
        )
    graph = graph_of(policy)
    edges = [edge for edge in graph.of(dataset) if edge.touches or not stored]
    named = {edge.target for edge in graph.edges} | set(graph.identifiers)
    _not_renamed(suppression.suppressed, policy, edges, named)
    if identifiers:
        edges += _of_identifiers(graph.identifiers, edges, dataset)
    return tuple(edge for edge in edges if suppression.covers(edge.domain))


def _of_identifiers(identifiers: Sequence[str], edges: Sequence[Edge], dataset: str) -> list[Edge]:
    """Edges of the columns that requests may name people by; what edges know already is left out."""
    own = next((edge for edge in edges if edge.subject), None)
    if own is None:
        return []
    mine = [target.partition(".")[2] for target in identifiers if target.partition(".")[0] == dataset]
    return [
        Edge(dataset, column, f"{dataset}.{column}", own.action, subject=False)
        for column in mine
        if all((edge.column, edge.target) != (column, f"{dataset}.{column}") for edge in edges)
    ]


def _not_renamed(suppressed: Suppressed, policy: Policy, edges: Sequence[Edge], named: set[str]) -> None:
    """A domain is a name: under another one nobody would be found any more.

    Nothing tells a name that was changed from one that was dropped, so only what looks like a change is refused: nobody
    is in the list by the name that the policy has now, and somebody is by one that it lacks.
    """
    unknown = {domain: domain.partition(".")[0] for domain in suppressed.domains if domain not in named}
    for edge in edges:
        parent = edge.domain.partition(".")[0]
        lost = [
            domain
            for domain, dataset in sorted(unknown.items())
            if dataset == parent or dataset not in policy.datasets
        ]
        if lost and not suppressed.of(edge.domain):
            raise ErasureError(
                f"people were erased from {', '.join(lost)}, which the policy no longer knows, and nobody from "
                f"{edge.domain}: if it was renamed, they cannot be left out",
                where=f"data set {edge.dataset}, column {edge.column}",
                fix="name it as before, or take their requests off the suppression list",
            )


def as_subjects(found: Mapping[str, Mapping[str, str]]) -> tuple[Subjects, tuple[str, ...]]:
    """People that were found again.

    Args:
        found: Domain to values, and the request of each.

    Returns:
        The people; their owners are numbers of the requests that are given with them.
    """
    requests = tuple(sorted({request for values in found.values() for request in values.values()}))
    number = {request: place for place, request in enumerate(requests)}
    subjects = Subjects()
    for domain, values in found.items():
        owners = np.array([number[request] for request in values.values()], np.int32)
        subjects = subjects.with_(domain, pa.array(list(values), pa.string()), owners)
    return subjects, requests
