"""A request: whom it names, by the policy's identifiers, and until when it has to be done.

Values are spelled as the source spells them and sealed at once; the ledger, errors and logs have names only. Whoever
places a request has made sure that it is the person who asks.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_veil.privacy.erasure.deadline import due
from airflow_veil.privacy.erasure.graph import graph_of
from airflow_veil.privacy.erasure.sealed import Sealed, seal, unseal
from airflow_veil.privacy.errors import ErasureError, SchemaError
from airflow_veil.privacy.keys.version import KeyState
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.erasure_record import Request, RequestState
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.storage.batches import plain
from airflow_veil.privacy.transforms.spelled import spelled

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.release.workspace import Workspace

_SUBJECT = "erasure-subject"
_AT_ONCE = 500
"""So many are taken down in one transaction: others have to write to the ledger, too."""
Named = Mapping[str, Sequence[str]]
"""`data_set.column` to values, spelled canonically."""


def place(
    workspace: Workspace,
    identifiers: Mapping[str, str | Sequence[str]],
    *,
    actor: str,
    received_at: datetime | None = None,
) -> Request:
    """Take down that somebody asks to be erased.

    Args:
        workspace: The policy and its systems.
        identifiers: By what the person is named: `data_set.column`, or the column where one identifier alone has it, to
            the value as the source spells it, or to several, such as an old address and a new one.
        actor: Who takes it down.
        received_at: When it was received, aware; now if None.

    Returns:
        The request; where one is open that names the same person by the same values, that one.

    Raises:
        ErasureError: The policy says nothing of erasure, a name is none of its identifiers, a value is none of its
            column, or the time has no zone or is not yet.
        SchemaError: The source has no such column.
        StorageError: The source cannot be opened.
        KeyRingError: The key ring cannot be opened.
        LedgerError: The ledger cannot be used.
    """
    return place_all(workspace, [identifiers], actor=actor, received_at=received_at)[0]


def place_all(
    workspace: Workspace,
    people: Sequence[Mapping[str, str | Sequence[str]]],
    *,
    actor: str,
    received_at: datetime | None = None,
) -> tuple[Request, ...]:
    """Take down that several people ask to be erased; all of them are looked at before the first is taken down.

    Args:
        workspace: The policy and its systems.
        people: By what each is named: see `place`.
        actor: Who takes it down.
        received_at: When the requests were received, aware; now if None.

    Returns:
        The request of each, in their order.

    Raises:
        ErasureError: See `place`; none is taken down.
        SchemaError: The source has no such column.
        StorageError: The source cannot be opened.
        KeyRingError: The key ring cannot be opened.
        LedgerError: The ledger cannot be used; those before may be taken down, and the same call does the rest.
    """
    graph_of(workspace.loaded.policy)
    rule = workspace.loaded.policy.erasure
    assert rule is not None  # noqa: S101 - graph_of has looked
    now = utc_now()
    received = now if received_at is None else received_at
    due_at = due(received, rule.within, rule.time_zone)
    if received > now:
        raise ErasureError("the request was received after now", fix="give the day that it came")
    names = [_named(person, rule.identifiers) for person in people]
    asked = [
        _asked(workspace, named, actor=actor, received=received, due_at=due_at)
        for named in _spelled(workspace, names)
    ]
    erasures = workspace.ledger.erasures
    found = [
        request
        for first in range(0, len(asked), _AT_ONCE)
        for request in erasures.request_all(asked[first : first + _AT_ONCE])
    ]
    return tuple(found)


def place_again(workspace: Workspace, named: Named, *, actor: str) -> Request:
    """Take down that somebody who was erased is there again, by values that the suppression list knew.

    Args:
        workspace: The policy and its systems.
        named: `data_set.column` to values, spelled canonically; not only the policy's identifiers.
        actor: Who found them.

    Returns:
        The request; where one is open for the same values, that one.

    Raises:
        ErasureError: The policy says nothing of erasure.
        KeyRingError: The key ring cannot be opened.
        LedgerError: The ledger cannot be used.
    """
    graph_of(workspace.loaded.policy)
    rule = workspace.loaded.policy.erasure
    assert rule is not None  # noqa: S101 - graph_of has looked
    now = utc_now()
    spelled_once = {name: sorted(set(texts)) for name, texts in sorted(named.items())}
    due_at = due(now, rule.within, rule.time_zone)
    asked = _asked(workspace, spelled_once, actor=actor, received=now, due_at=due_at)
    return workspace.ledger.erasures.request_all([asked])[0]


def _asked(
    workspace: Workspace, named: Named, *, actor: str, received: datetime, due_at: datetime
) -> Request:
    """The request that is open for the same person, or a new one, sealed."""
    policy, ring = workspace.loaded.policy, workspace.keys
    content = canonical_json({name: list(texts) for name, texts in named.items()})
    if (before := _repeated(workspace, content)) is not None:
        return before
    request_id = f"erasure-{secrets.token_hex(8)}"
    sealed = seal(content.encode(), ring, about=request_id)
    return Request(
        request_id=request_id,
        policy=policy.name,
        state=RequestState.WAITING,
        identifiers=tuple(named),
        subject=_subject(content, ring, policy.name, sealed.key_version),
        key_version=sealed.key_version,
        sealed=sealed.content,
        requested_by=actor,
        requested_at=received,
        time_zone=policy.erasure.time_zone if policy.erasure else "UTC",
        first_due_at=due_at,
        due_at=due_at,
    )


def opened(request: Request, ring: KeyRing) -> dict[str, tuple[str, ...]]:
    """By what a request names the person, and what else was known when a batch left something.

    Returns:
        `data_set.column` to values, spelled canonically. Never write them anywhere.

    Raises:
        ErasureError: They are destroyed: the request is through.
        TamperedError: What is sealed was changed.
        KeyRingError: The key version is destroyed.
    """
    if request.sealed is None:
        raise ErasureError(
            f"the request is {request.state}, and what it named is destroyed", where=request.where
        )
    content = unseal(Sealed(request.key_version, request.sealed), ring, about=request.request_id)
    return {str(name): tuple(map(str, texts)) for name, texts in json.loads(content).items()}


def sealed_again(request: Request, known: Named, ring: KeyRing) -> bytes:
    """What a request names together with what else is known by now, to take the place of its `sealed`.

    Raises:
        ErasureError: What it named is destroyed.
        KeyRingError: The key version is destroyed.
    """
    named = opened(request, ring)
    both = {name: sorted({*named.get(name, ()), *known.get(name, ())}) for name in sorted({*named, *known})}
    content = canonical_json(both).encode()
    return seal(content, ring, about=request.request_id, key_version=request.key_version).content


def _named(given: Mapping[str, str | Sequence[str]], identifiers: Sequence[str]) -> dict[str, list[str]]:
    """Identifiers by their full names, in the policy's order, with their values as they were given."""
    found: dict[str, list[str]] = {}
    for name, value in given.items():
        texts = [value] if isinstance(value, str) else list(value)
        found.setdefault(_full_name(name, identifiers), []).extend(texts)
    if not any(found.values()):
        raise ErasureError("nobody is named", expected=f"a value of {', '.join(identifiers)}")
    return {name: found[name] for name in identifiers if found.get(name)}


def _full_name(name: str, identifiers: Sequence[str]) -> str:
    if name in identifiers:
        return name
    fits = [each for each in identifiers if each.partition(".")[2] == name]
    if len(fits) == 1:
        return fits[0]
    # The name is not shown: it may be a value that somebody wrote in the wrong place.
    raise ErasureError(
        "a name is that of several identifiers" if fits else "a name is none of the policy's identifiers",
        expected=" or ".join(fits or identifiers),
    )


def _spelled(workspace: Workspace, people: Sequence[Mapping[str, list[str]]]) -> list[dict[str, list[str]]]:
    """The same, spelled as the source spells them; each value once, in an order that says nothing."""
    kinds = {name: _kind(workspace, name) for name in dict.fromkeys(name for each in people for name in each)}
    return [{name: _values(name, kinds[name], texts) for name, texts in person.items()} for person in people]


def _kind(workspace: Workspace, identifier: str) -> pa.DataType:
    dataset, _, column = identifier.partition(".")
    schema = workspace.source(dataset).schema()
    if column not in schema.names:
        raise SchemaError(f"the source has no column {column}", where=dataset, fix="correct `identifiers`")
    return plain(schema.field(column).type)


def _values(identifier: str, kind: pa.DataType, texts: Sequence[str]) -> list[str]:
    column = identifier.partition(".")[2]
    found = spelled(texts, kind, column=column, failure=ErasureError).to_pylist()
    if not all(found):
        raise ErasureError(f"a value of {identifier} is empty", expected="one that names somebody")
    return sorted(set(found))


def _repeated(workspace: Workspace, content: str) -> Request | None:
    """The open request that names the same by the same values, also one from before the keys were rotated."""
    policy, ring = workspace.loaded.policy.name, workspace.keys
    readable = [each.number for each in ring.versions if each.state is not KeyState.DESTROYED]
    subjects = [_subject(content, ring, policy, version) for version in readable]
    return workspace.ledger.erasures.of_subject(policy, subjects)


def _subject(content: str, ring: KeyRing, policy: str, version: int) -> str:
    key = ring.subkey(_SUBJECT, policy, version=version)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
