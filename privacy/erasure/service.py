"""Erasure, as tasks and commands call it: requests become a batch, the batch a plan, and the plan is done step by step.

    requests ──► plan: closure, counts ──frozen──► suppress ──► sources, leaves first ──► staging, releases, models
                                                                                               │
                       certificate ◄── conclude: closure destroyed ◄── verify, by other code ◄─┘

The ledger has each step before it is done. Everything is found anew by each try, so a step may be killed, retried, or
run twice at once; what is clean already is success. What is left is named, and the request is then not complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure import deadline, releases, requests
from airflow_veil.privacy.erasure.batch import Concluded, Planned, dossier_in, frozen
from airflow_veil.privacy.erasure.graph import graph_of
from airflow_veil.privacy.erasure.looks import checks
from airflow_veil.privacy.erasure.models import end_models
from airflow_veil.privacy.erasure.outcome import outcomes, unplanned
from airflow_veil.privacy.erasure.planning import counts, dossier_of, resolved
from airflow_veil.privacy.erasure.replay import found_again
from airflow_veil.privacy.erasure.sealed import seal
from airflow_veil.privacy.erasure.source import erase_source
from airflow_veil.privacy.erasure.stages import MODELS, SOURCE, SUPPRESS, stages_of
from airflow_veil.privacy.erasure.suppression import suppress
from airflow_veil.privacy.errors import ErasureError, SchemaError, StorageError
from airflow_veil.privacy.ledger.erasures import Request, RequestState
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.lineage.deleting import of_erasing

if TYPE_CHECKING:
    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace

_OPEN = (RequestState.WAITING, RequestState.ERASING)


def forecast(workspace: Workspace, *, only: str | None = None) -> dict[str, Any]:
    """What would be erased if it were done now, in counts; nothing is changed, and nothing is written down.

    Args:
        workspace: The policy and its systems.
        only: One request; all that wait if None.

    Raises:
        ErasureError: The policy says nothing of erasure, or there is no such request.
        StorageError: A store cannot be read.
    """
    policy = workspace.loaded.policy.name
    ledger = workspace.ledger.erasures
    found = [ledger.find(only)] if only else list(ledger.waiting(policy))
    graph = graph_of(workspace.loaded.policy)
    return counts(workspace, graph, resolved(workspace, graph, found), len(found))


def plan(workspace: Workspace, *, actor: str, only: str | None = None) -> Planned | None:
    """Begin a batch of all requests that wait, find all that their people are known by, and freeze the plan.

    A batch that is open already is gone on with. Nothing is erased yet.

    Args:
        workspace: The policy and its systems.
        actor: Who plans.
        only: One request; all that wait if None.

    Returns:
        The plan; None where nothing waits.

    Raises:
        ErasureError: The policy says nothing of erasure, or there is no such request.
        StorageError: A store cannot be read; nothing is erased, and the batch stays open.
        SchemaError: A column is missing, or of a type that names nobody.
        KeyRingError: The key ring cannot be opened, or a request was sealed with a key that is destroyed.
        LedgerError: The ledger cannot be used.
    """
    policy = workspace.loaded.policy
    graph, ledger = graph_of(policy), workspace.ledger.erasures
    ring = workspace.keys
    batch = ledger.begin(policy.name, actor=actor, only=only)
    if batch is None:
        return None
    if batch.frozen_at is None:
        found = [ledger.find(name) for name in batch.requests]
        # What cannot be read now cannot be found later, so an error here leaves everything as it is: see `conclude`.
        known = resolved(workspace, graph, found)
        told, dossier = counts(workspace, graph, known, len(found)), dossier_of(known)
        closed = seal(dossier.to_bytes(), ring, about=batch.batch_id)
        batch = ledger.freeze(
            batch.batch_id,
            sealed=closed.content,
            key_version=closed.key_version,
            plan={"policy_digest": workspace.loaded.digest, **told},
            stages=stages_of(policy),
            actor=actor,
        )
    steps = tuple(step.name for step in ledger.steps(batch.batch_id))
    return Planned(batch_id=batch.batch_id, requests=batch.requests, steps=steps, plan=batch.plan or {})


def erase(workspace: Workspace, batch_id: str, step: str, *, actor: str) -> dict[str, Any]:
    """Do one step of a batch's plan; one that is done already is left as it is.

    Args:
        workspace: The policy and its systems.
        batch_id: The batch.
        step: The step: `suppress`, `source <data set>`, `releases <data set>` or `models`.
        actor: Who does it.

    Returns:
        What was done, in counts.

    Raises:
        ErasureError: An earlier step is not done, the plan is not frozen, or the policy has changed since.
        StorageError: A store cannot be changed; what was not changed is as it was, and the step can be done again.
        LedgerError: The ledger cannot be used.
    """
    ledger = workspace.ledger.erasures
    batch = frozen(workspace, batch_id)
    if step not in {each.name for each in ledger.steps(batch_id)}:
        return {}
    begun = ledger.begin_step(batch_id, step, actor=actor)
    if begun.done_at is not None:
        return dict(begun.done or {})
    dossier = dossier_in(workspace, batch)
    kind, _, dataset = step.partition(" ")
    if step == SUPPRESS:
        done = {
            "suppressed": suppress(
                workspace, dossier.subjects, batch_id=batch_id, requests=batch.requests, actor=actor
            )
        }
    elif kind == SOURCE:
        done = erase_source(workspace, dataset, dossier, len(batch.requests))
    elif kind == MODELS:
        done = end_models(workspace, dossier, batch_id=batch_id, actor=actor).as_dict()
    else:
        graph = graph_of(workspace.loaded.policy)
        reached = releases.reach(workspace, dataset, graph, dossier.subjects, batch_id=batch_id, actor=actor)
        done = reached.as_dict()
    return dict(ledger.finish_step(batch_id, step, done, actor=actor).done or {})


def verify(workspace: Workspace, batch_id: str, *, actor: str) -> dict[str, Any]:
    """Look at every place once more, by other code than what erased, for whatever is left of the batch's people.

    Returns:
        The checks, and whether all of them passed.

    Raises:
        ErasureError: A step is not done yet: there is nothing to verify.
        LedgerError: The ledger cannot be used.
    """
    ledger = workspace.ledger.erasures
    batch = frozen(workspace, batch_id)
    undone = [each.name for each in ledger.steps(batch_id) if each.done_at is None]
    if undone:
        raise ErasureError(
            f"{', '.join(undone)} is not done yet", where=batch_id, fix="erase first, then verify"
        )
    looked = list(checks(workspace, batch, dossier_in(workspace, batch)))
    result = {
        "passed": all(check.passed for check in looked),
        "checks": [check.as_dict() for check in looked],
    }
    ledger.verified(batch_id, result, actor=actor)
    return result


def conclude(workspace: Workspace, batch_id: str, *, actor: str) -> Concluded:
    """End a batch: requests of which nothing is left are complete, and what was known of their people is destroyed.

    What a hold keeps stays known, sealed, until it is lifted; so does what could not be done or verified.

    Raises:
        ErasureError: The plan is not frozen.
        LedgerError: The ledger cannot be used.
    """
    ledger = workspace.ledger.erasures
    batch = ledger.batch(batch_id)
    if batch.concluded_at is not None:
        found = [ledger.find(name) for name in batch.requests]
        states = {each.request_id: each.state for each in found}
        problems = [text for each in found for text in (each.outcome or {}).get("problems", [])]
        return Concluded(batch_id=batch_id, states=states, problems=tuple(dict.fromkeys(problems)))
    ends = (
        outcomes(workspace, frozen(workspace, batch_id)) if batch.frozen_at else unplanned(workspace, batch)
    )
    ledger.conclude(batch_id, ends, actor=actor)
    states = {request: outcome.state for request, outcome in ends.items()}
    told = dict.fromkeys(text for each in ends.values() for text in each.facts["problems"])
    return Concluded(batch_id=batch_id, states=states, problems=tuple(told))


def open_batch(workspace: Workspace) -> str:
    """The batch of the policy that is open.

    Raises:
        ErasureError: There is none.
    """
    batch = workspace.ledger.erasures.open(workspace.loaded.policy.name)
    if batch is None:
        raise ErasureError("no batch is open", where=workspace.loaded.policy.name)
    return batch.batch_id


def run(workspace: Workspace, *, actor: str, only: str | None = None) -> Concluded | None:
    """Plan, erase, verify and conclude, in one go; None where nothing waits.

    Raises:
        ErasureError: See `plan`.
        StorageError: See `erase`; the next call goes on from there.
    """
    try:
        planned = plan(workspace, actor=actor, only=only)
    except (StorageError, SchemaError):
        begun = workspace.ledger.erasures.open(workspace.loaded.policy.name)
        if begun is None:
            raise
        return conclude(workspace, begun.batch_id, actor=actor)
    if planned is None:
        return None
    for step in planned.steps:
        erase(workspace, planned.batch_id, step, actor=actor)
    verify(workspace, planned.batch_id, actor=actor)
    done = conclude(workspace, planned.batch_id, actor=actor)
    if only is not None and only not in done.states:
        # The turn was that of a batch that was open; now it is theirs.
        return run(workspace, actor=actor, only=only)
    return done


def near(workspace: Workspace) -> tuple[Request, ...]:
    """The requests that are due soon, or overdue: the policy's `warn` says how soon."""
    rule = workspace.loaded.policy.erasure
    if rule is None:
        return ()
    found = workspace.ledger.erasures.listed(workspace.loaded.policy.name)
    now = utc_now()
    return (*deadline.overdue(found, now), *deadline.near(found, now, rule.warn))


def lineage_of(workspace: Workspace, step: str, done: Mapping[str, Any]) -> LineageRecord | None:
    """The lineage of a step that changed a source; None of any other."""
    kind, _, dataset = step.partition(" ")
    if kind != SOURCE or not done:
        return None
    identity = workspace.source(dataset).identity
    left = done["rows"] - done["deleted"]
    return of_erasing(workspace.loaded, dataset, identity, rows=done["rows"], left=left)


def replay(workspace: Workspace, *, actor: str) -> Concluded | None:
    """Erase once more whoever is on the suppression list and in the sources again: after a restore, above all.

    Returns:
        How it ended; None where nobody is there again.

    Raises:
        ErasureError: The policy says nothing of erasure.
        StorageError: A source cannot be read or changed; the next call goes on from there.
        KeyRingError: The list cannot be looked up.
    """
    subjects, erased = found_again(workspace)
    asked = [
        requests.place_again(workspace, named, actor=actor)
        for number in range(len(erased))
        if (named := subjects.of_request(number))
    ]
    done = None
    while any(workspace.ledger.erasures.find(each.request_id).state in _OPEN for each in asked):
        # The first turn may have been that of a batch that was open.
        done = run(workspace, actor=actor)
    return done
