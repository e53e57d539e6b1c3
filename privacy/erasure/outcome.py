"""How the requests of a batch end: complete, held, or incomplete with all that is left named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure import requests
from airflow_veil.privacy.erasure.batch import dossier_in
from airflow_veil.privacy.erasure.dossier import Dossier
from airflow_veil.privacy.erasure.graph import graph_of
from airflow_veil.privacy.erasure.planning import resolved
from airflow_veil.privacy.erasure.source import all_left
from airflow_veil.privacy.erasure.store import Tally
from airflow_veil.privacy.errors import VeilError
from airflow_veil.privacy.ledger.erasures import Batch, Outcome, RequestState

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace


def outcomes(workspace: Workspace, batch: Batch) -> dict[str, Outcome]:
    """How the requests of a batch end whose plan is frozen."""
    dossier, general = dossier_in(workspace, batch), _problems(workspace, batch)
    left = all_left(workspace, dossier, batch) if not general else {}
    return {
        request: _outcome(workspace, batch, dossier, number, general, left)
        for number, request in enumerate(batch.requests)
    }


def unplanned(workspace: Workspace, batch: Batch) -> dict[str, Outcome]:
    """How the requests of a batch end that could not be planned: nothing was erased, and why is told."""
    found = [workspace.ledger.erasures.find(name) for name in batch.requests]
    try:
        resolved(workspace, graph_of(workspace.loaded.policy), found)
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
    closed = None
    if state is not RequestState.COMPLETE:
        name = batch.requests[number]
        request = workspace.ledger.erasures.find(name)
        known = dossier.subjects.of_request(owner)
        closed = requests.sealed_again(request, known, workspace.keys)
    return Outcome(state=state, facts=facts, sealed=closed)


def _problems(workspace: Workspace, batch: Batch) -> list[str]:
    """Why none of a batch's requests can be complete."""
    steps = workspace.ledger.erasures.steps(batch.batch_id)
    problems = [f"{step.name} is not done" for step in steps if step.done_at is None]
    problems += [text for step in steps for text in (step.done or {}).get("problems", [])]
    if batch.verified is None:
        problems.append("it is not verified that nothing is left")
    checks = (batch.verified or {}).get("checks", [])
    return problems + [check["sentence"] for check in checks if not check["passed"]]
