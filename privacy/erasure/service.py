"""Erasure, as tasks and commands call it: requests become a batch, the batch a plan, and the plan is done step by step.

    requests ──► plan: closure, counts ──frozen──► suppress ──► sources, leaves first ──► staging, releases
                                                                                               │
                       certificate ◄── conclude: closure destroyed ◄── verify, by other code ◄─┘

The ledger has each step before it is done. Everything is found anew by each try, so a step may be killed, retried, or
run twice at once; what is clean already is success. What is left is named, and the request is then not complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure.stores import store_of

from airflow_veil.privacy.erasure import deadline, releases, requests
from airflow_veil.privacy.erasure import verify as independent
from airflow_veil.privacy.erasure.dossier import Dossier, tally_lists
from airflow_veil.privacy.erasure.graph import Edge, Graph, graph_of
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.replay import found_again
from airflow_veil.privacy.erasure.resolve import NOTHING_HELD, Resolved, matcher_of, resolve
from airflow_veil.privacy.erasure.sealed import Sealed, seal, unseal
from airflow_veil.privacy.erasure.stages import SOURCE, SUPPRESS, stages_of
from airflow_veil.privacy.erasure.store import Store, Tally
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.erasure.suppression import suppress
from airflow_veil.privacy.errors import ErasureError, SchemaError, StorageError, VeilError
from airflow_veil.privacy.ledger.erasures import Batch, Outcome, Request, RequestState
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.lineage.deleting import of_erasing
from airflow_veil.privacy.policy.erasure import Exempt, Recompute
from airflow_veil.privacy.retention.holds import Keeper, keeper_of

if TYPE_CHECKING:
    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


_OPEN = (RequestState.WAITING, RequestState.ERASING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A batch whose plan is frozen.

    Attributes:
        batch_id: Its name.
        requests: The requests, by their opaque names.
        steps: What is to be done, in order.
        plan: What is going to be touched, in counts.
    """

    batch_id: str
    requests: tuple[str, ...]
    steps: tuple[str, ...]
    plan: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The same for XCom and machines: names and counts."""
        return {
            "batch": self.batch_id,
            "requests": len(self.requests),
            "steps": list(self.steps),
            **self.plan,
        }


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
    return _counts(workspace, graph, _resolved(workspace, graph, found), len(found))


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
        resolved = _resolved(workspace, graph, found)
        told, dossier = _counts(workspace, graph, resolved, len(found)), _dossier(resolved)
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
        step: The step: `suppress`, `source <data set>` or `releases <data set>`.
        actor: Who does it.

    Returns:
        What was done, in counts.

    Raises:
        ErasureError: An earlier step is not done, the plan is not frozen, or the policy has changed since.
        StorageError: A store cannot be changed; what was not changed is as it was, and the step can be done again.
        LedgerError: The ledger cannot be used.
    """
    ledger = workspace.ledger.erasures
    batch = _frozen(workspace, batch_id)
    if step not in {each.name for each in ledger.steps(batch_id)}:
        return {}
    begun = ledger.begin_step(batch_id, step, actor=actor)
    if begun.done_at is not None:
        return dict(begun.done or {})
    dossier = _open(workspace, batch)
    kind, _, dataset = step.partition(" ")
    if step == SUPPRESS:
        done = {
            "suppressed": suppress(
                workspace, dossier.subjects, batch_id=batch_id, requests=batch.requests, actor=actor
            )
        }
    elif kind == SOURCE:
        done = _erase_source(workspace, dataset, dossier, len(batch.requests))
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
    batch = _frozen(workspace, batch_id)
    undone = [each.name for each in ledger.steps(batch_id) if each.done_at is None]
    if undone:
        raise ErasureError(
            f"{', '.join(undone)} is not done yet", where=batch_id, fix="erase first, then verify"
        )
    checks = list(_checks(workspace, batch, _open(workspace, batch)))
    result = {
        "passed": all(check.passed for check in checks),
        "checks": [check.as_dict() for check in checks],
    }
    ledger.verified(batch_id, result, actor=actor)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """How a batch ended.

    Attributes:
        batch_id: Its name.
        states: Request to its state.
        problems: What is left, named.
    """

    batch_id: str
    states: Mapping[str, RequestState]
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all is done, but for what a hold keeps."""
        return all(state is not RequestState.INCOMPLETE for state in self.states.values())

    def as_dict(self) -> dict[str, Any]:
        """The same for XCom and machines."""
        counts = {
            state.value: sum(each is state for each in self.states.values())
            for state in dict.fromkeys(self.states.values())
        }
        return {"batch": self.batch_id, "requests": counts, "problems": list(self.problems)}


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
    outcomes = (
        _outcomes(workspace, _frozen(workspace, batch_id))
        if batch.frozen_at
        else _unplanned(workspace, batch)
    )
    ledger.conclude(batch_id, outcomes, actor=actor)
    states = {request: outcome.state for request, outcome in outcomes.items()}
    told = dict.fromkeys(text for each in outcomes.values() for text in each.facts["problems"])
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
    return conclude(workspace, planned.batch_id, actor=actor)


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


def _resolved(workspace: Workspace, graph: Graph, found: list[Request]) -> Resolved:
    ring = workspace.keys
    named = [requests.opened(request, ring) for request in found]
    return resolve(graph, named, open_store=partial(_store, workspace), holding=partial(keeper_of, workspace))


def _store(workspace: Workspace, dataset: str) -> Store:
    return store_of(workspace.source(dataset))


def _dossier(resolved: Resolved) -> Dossier:
    counts = {dataset: tally_lists(found.tally) for dataset, found in resolved.found.items()}
    for dataset, tally in resolved.exempt.items():
        counts[dataset] = {**counts.get(dataset, {}), "exempt": tally.deleted.tolist()}
    return Dossier(resolved.subjects, counts, resolved.problems, resolved.together)


def _counts(workspace: Workspace, graph: Graph, resolved: Resolved, requests: int) -> dict[str, Any]:
    """The plan in counts."""
    datasets = {
        dataset: {
            "rows": found.rows,
            "delete": int(found.tally.deleted.sum()),
            "mask": int(found.tally.masked.sum()),
            "held": int(found.tally.held.sum()),
            "files": found.files,
            "untouched": found.untouched,
        }
        for dataset, found in resolved.found.items()
    }
    return {
        "requests": requests,
        "refused": len(resolved.problems),
        "values": resolved.subjects.values,
        "datasets": datasets,
        "exempt": {
            dataset: {"rows": int(tally.deleted.sum()), "why": _why(graph, dataset)}
            for dataset, tally in resolved.exempt.items()
        },
        "answers": workspace.loaded.policy.erasure.answers.exempt
        if workspace.loaded.policy.erasure and workspace.loaded.policy.erasure.answers
        else None,
        "recompute": {
            dataset: {"how": how, "since": workspace.source(dataset).fingerprint()}
            for dataset, how in _recomputed(workspace).items()
        },
    }


def _why(graph: Graph, dataset: str) -> list[str]:
    return [edge.action.exempt for edge in graph.of(dataset) if isinstance(edge.action, Exempt)]


def _recomputed(workspace: Workspace) -> dict[str, str]:
    """Data sets that are made anew by somebody, and how."""
    found = {}
    for dataset, data in workspace.loaded.policy.datasets.items():
        if data.erasure is not None and isinstance(data.erasure.rows, Recompute):
            found[dataset] = data.erasure.rows.recompute
    return found


def _frozen(workspace: Workspace, batch_id: str) -> Batch:
    batch = workspace.ledger.erasures.batch(batch_id)
    if batch.policy != workspace.loaded.policy.name or batch.frozen_at is None:
        raise ErasureError("there is no such plan of this policy", where=batch_id, fix="plan first")
    digest = (batch.plan or {}).get("policy_digest")
    if digest != workspace.loaded.digest:
        raise ErasureError(
            "the policy has changed since the plan was frozen",
            where=batch_id,
            fix="go on with the policy as it was, and change it when the batch is concluded",
        )
    return batch


def _open(workspace: Workspace, batch: Batch) -> Dossier:
    if batch.sealed is None or batch.key_version is None:
        raise ErasureError("the batch is concluded; what it knew is destroyed", where=batch.batch_id)
    closed = Sealed(batch.key_version, batch.sealed)
    return Dossier.from_bytes(unseal(closed, workspace.keys, about=batch.batch_id))


def _erase_source(workspace: Workspace, dataset: str, dossier: Dossier, count: int) -> dict[str, Any]:
    graph = graph_of(workspace.loaded.policy)
    matcher = matcher_of(graph, dataset, dossier.subjects, keeper_of(workspace, dataset))
    policy, holds = workspace.loaded.policy.name, workspace.ledger.holds

    @contextmanager
    def frozen() -> Iterator[Keeper]:
        with holds.frozen(policy, dataset) as held:
            yield keeper_of(workspace, dataset, held)

    store = _store(workspace, dataset)
    with store.alone():
        changed = store.erase(matcher, frozen, count)
    return {
        "rows": changed.rows,
        "deleted": int(changed.tally.deleted.sum()),
        "masked": int(changed.tally.masked.sum()),
        "held": int(changed.tally.held.sum()),
        "rewritten": changed.rewritten,
        "dropped": changed.dropped,
        "untouched": changed.untouched,
    }


def _checks(workspace: Workspace, batch: Batch, dossier: Dossier) -> Iterator[independent.Check]:
    """All looks at all places."""
    graph, subjects, since = graph_of(workspace.loaded.policy), dossier.subjects, _since(batch)
    held = {name: int(_left(workspace, graph, name, dossier, batch).held.sum()) for name in graph.touched}
    for dataset in graph.order:
        yield from independent.verify_dataset(
            workspace, dataset, subjects, graph, since=since.get(dataset), allowed=held
        )
    for dataset in since.keys() - set(graph.order):
        yield independent.recomputed(workspace, dataset, since[dataset])
    kept = {name: "a legal hold keeps rows of it" for name, rows in held.items() if rows}
    alone = _theirs_alone(workspace, graph, subjects, len(batch.requests))
    yield from independent.verify_bytes(workspace, alone, graph, skipped=kept)
    yield from releases.verify(workspace, graph, subjects)
    yield from _elsewhere(workspace, batch, dossier)


def _theirs_alone(workspace: Workspace, graph: Graph, subjects: Subjects, count: int) -> Subjects:
    """The people's values without those that somebody else has, too, such as an address that two share."""
    targets = {edge.target for edge in graph.edges}
    for identifier in graph.identifiers:
        known = subjects.of(identifier)
        if identifier in targets or not len(known):
            continue
        dataset, _, column = identifier.partition(".")
        edge = Edge(dataset, column, identifier, "delete", subject=False)
        matcher = Matcher([(edge, known)], NOTHING_HELD, where=dataset)
        others = _store(workspace, dataset).find(matcher, (column,), count).keys[column]
        subjects = subjects.less(identifier, others.texts)
    return subjects


def _elsewhere(workspace: Workspace, batch: Batch, dossier: Dossier) -> Iterator[independent.Check]:
    """Releases that other policies made of the sources before these were clean."""
    changed = [
        name
        for name, counts in dossier.counts.items()
        if any(any(counts.get(kind, ())) for kind in ("deleted", "masked"))
    ]
    steps = workspace.ledger.erasures.steps(batch.batch_id)
    clean = max(
        (step.done_at for step in steps if step.name.startswith(SOURCE) and step.done_at), default=None
    )
    if clean is not None:
        identities = {workspace.source(name).identity for name in changed}
        yield from releases.derived_elsewhere(workspace, identities, since=clean)


def _left(workspace: Workspace, graph: Graph, dataset: str, dossier: Dossier, batch: Batch) -> Tally:
    """What is there still of the batch's people: to be erased, or held."""
    matcher = matcher_of(graph, dataset, dossier.subjects, keeper_of(workspace, dataset))
    return _store(workspace, dataset).find(matcher, (), len(batch.requests)).tally


def _all_left(workspace: Workspace, dossier: Dossier, batch: Batch) -> dict[str, Tally]:
    graph = graph_of(workspace.loaded.policy)
    return {name: _left(workspace, graph, name, dossier, batch) for name in graph.touched}


def _since(batch: Batch) -> dict[str, Any]:
    """Data sets to recompute, with what their sources were when the plan was frozen."""
    recompute = (batch.plan or {}).get("recompute", {})
    return {dataset: told["since"] for dataset, told in recompute.items()}


def _problems(workspace: Workspace, batch: Batch) -> list[str]:
    """Why none of a batch's requests can be complete."""
    steps = workspace.ledger.erasures.steps(batch.batch_id)
    problems = [f"{step.name} is not done" for step in steps if step.done_at is None]
    problems += [text for step in steps for text in (step.done or {}).get("problems", [])]
    if batch.verified is None:
        problems.append("it is not verified that nothing is left")
    checks = (batch.verified or {}).get("checks", [])
    return problems + [check["sentence"] for check in checks if not check["passed"]]


def _outcomes(workspace: Workspace, batch: Batch) -> dict[str, Outcome]:
    """How the requests of a batch end whose plan is frozen."""
    dossier, general = _open(workspace, batch), _problems(workspace, batch)
    left = _all_left(workspace, dossier, batch) if not general else {}
    return {
        request: _outcome(workspace, batch, dossier, number, general, left)
        for number, request in enumerate(batch.requests)
    }


def _unplanned(workspace: Workspace, batch: Batch) -> dict[str, Outcome]:
    """How the requests of a batch end that could not be planned: nothing was erased, and why is told."""
    found = [workspace.ledger.erasures.find(name) for name in batch.requests]
    try:
        _resolved(workspace, graph_of(workspace.loaded.policy), found)
        why = "it was not planned"
    except VeilError as error:
        why = str(error)
    facts: dict[str, Any] = {"datasets": {}, "held": {}, "problems": [why], "together_with": None}
    return {request: Outcome(state=RequestState.INCOMPLETE, facts=facts) for request in batch.requests}


def _outcome(
    workspace: Workspace,
    batch: Batch,
    dossier: Dossier,
    number: int,
    general: list[str],
    left: Mapping[str, Tally],
) -> Outcome:
    """How one request ends."""
    owner = dossier.together.get(number, number)
    problems = [*general, *([dossier.problems[number]] if number in dossier.problems else [])]
    if number not in dossier.problems and owner in dossier.problems:
        problems.append(dossier.problems[owner])
    held = {name: int(tally.held[owner]) for name, tally in left.items() if tally.held[owner]}
    for name, tally in left.items():
        still = int(tally.deleted[owner] + tally.masked[owner])
        problems += [f"{still} rows of {name} are there again: something writes them"] if still else []
    state = RequestState.INCOMPLETE if problems else RequestState.HELD if held else RequestState.COMPLETE
    facts = {
        "datasets": dossier.of_request(owner),
        "held": held,
        "problems": problems,
        "together_with": batch.requests[owner] if owner != number else None,
    }
    known = dossier.subjects.of_request(owner)
    closed = None
    if state is not RequestState.COMPLETE:
        name = batch.requests[number]
        request = workspace.ledger.erasures.find(name)
        closed = requests.sealed_again(request, known, workspace.keys)
    return Outcome(state=state, facts=facts, sealed=closed)
