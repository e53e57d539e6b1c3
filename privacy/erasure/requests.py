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
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.erasure_record import Request
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.storage.batches import plain
from airflow_veil.privacy.transforms.spelled import spelled

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.release.workspace import Workspace

_SUBJECT = "erasure-subject"
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
    graph_of(workspace.loaded.policy)
    rule = workspace.loaded.policy.erasure
    assert rule is not None  # noqa: S101 - graph_of has looked
    now = utc_now()
    received = now if received_at is None else received_at
    due_at = due(received, rule.within, rule.time_zone)
    if received > now:
        raise ErasureError("the request was received after now", fix="give the day that it came")
    named = _named(workspace, identifiers, rule.identifiers)
    return _take_down(workspace, named, received, due_at, actor=actor)


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
    return _take_down(workspace, spelled_once, now, due(now, rule.within, rule.time_zone), actor=actor)


def _take_down(
    workspace: Workspace, named: Named, received: datetime, due_at: datetime, *, actor: str
) -> Request:
    """Seal values and write the request down, unless one is open for the same."""
    policy, rule = workspace.loaded.policy, workspace.loaded.policy.erasure
    assert rule is not None  # noqa: S101 - callers have looked
    content, ring = canonical_json({name: list(texts) for name, texts in named.items()}), workspace.keys
    if (before := _repeated(workspace, content)) is not None:
        return before
    request_id = f"erasure-{secrets.token_hex(8)}"
    sealed = seal(content.encode(), ring, about=request_id)
    return workspace.ledger.erasures.request(
        policy.name,
        identifiers=tuple(named),
        subject=_subject(content, ring, policy.name, sealed.key_version),
        key_version=sealed.key_version,
        sealed=sealed.content,
        request_id=request_id,
        due_at=due_at,
        actor=actor,
        requested_at=received,
        time_zone=rule.time_zone,
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


def _named(
    workspace: Workspace, given: Mapping[str, str | Sequence[str]], identifiers: Sequence[str]
) -> dict[str, list[str]]:
    """Identifiers by their full names, in the policy's order, with their values as the source spells them."""
    found: dict[str, list[str]] = {}
    for name, value in given.items():
        texts = [value] if isinstance(value, str) else list(value)
        found.setdefault(_full_name(name, identifiers), []).extend(texts)
    if not any(found.values()):
        raise ErasureError("nobody is named", expected=f"a value of {', '.join(identifiers)}")
    return {name: _spelled(workspace, name, found[name]) for name in identifiers if found.get(name)}


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


def _spelled(workspace: Workspace, identifier: str, texts: Sequence[str]) -> list[str]:
    """Values of one identifier, each once, in an order that says nothing."""
    dataset, _, column = identifier.partition(".")
    schema = workspace.source(dataset).schema()
    if column not in schema.names:
        raise SchemaError(f"the source has no column {column}", where=dataset, fix="correct `identifiers`")
    found = spelled(texts, plain(schema.field(column).type), column=column, failure=ErasureError).to_pylist()
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
