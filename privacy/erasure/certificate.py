"""The certificate of a request: what was asked, what was done where, what stays and why, and what a second look found.

It is made of what the ledger has of the request and its batch, so whoever asks again gets the same facts. Whose it is
stands nowhere on it but in the request's opaque name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_veil.privacy.audit import certificate as certificates
from airflow_veil.privacy.audit.certificate import Certificate
from airflow_veil.privacy.audit.facts import Asked, Backups, Check, Evidence, Kept, Store
from airflow_veil.privacy.erasure import models
from airflow_veil.privacy.erasure.stages import MODELS, RELEASES, SOURCE
from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.erasures import Batch, Request, RequestState
from airflow_veil.privacy.period import after, in_words

if TYPE_CHECKING:
    from airflow_veil.privacy.policy.erasure import Erasure
    from airflow_veil.privacy.release.workspace import Workspace

_ENDED = (RequestState.COMPLETE, RequestState.HELD, RequestState.INCOMPLETE)


def file_batch(workspace: Workspace, batch_id: str, folder: Path, *, actor: str) -> tuple[Path, ...]:
    """Issue the certificates of all requests of a batch, and file them; each request has one a batch.

    Returns:
        Their JSON files.

    Raises:
        ErasureError: The batch is not concluded.
        StorageError: One cannot be written.
        LedgerError: The ledger cannot be used.
    """
    batch = workspace.ledger.erasures.batch(batch_id)
    return tuple(file_request(workspace, name, folder, actor=actor)[1] for name in batch.requests)


def file_request(
    workspace: Workspace, request_id: str, folder: Path, *, actor: str
) -> tuple[Certificate, Path]:
    """Issue the certificate of one request, and file it.

    Returns:
        The certificate, and its JSON file.

    Raises:
        ErasureError: There is no such request, or it has not ended.
        StorageError: It cannot be written.
        LedgerError: The ledger cannot be used.
    """
    issued = certificates.issue(workspace.ledger, of_request(workspace, request_id), actor=actor)
    return issued, certificates.write(issued, folder)


def of_request(workspace: Workspace, request_id: str) -> Certificate:
    """The facts of a request; they are the same whenever they are asked for.

    Raises:
        ErasureError: There is no such request, or it has not ended.
    """
    ledger, rule = workspace.ledger.erasures, workspace.loaded.policy.erasure
    request = ledger.find(request_id)
    if request.state not in _ENDED or request.batch_id is None or request.outcome is None or rule is None:
        raise ErasureError(
            f"the request is {request.state}, so there is nothing to certify",
            where=request_id,
            fix="certify it when its batch is concluded",
        )
    batch = ledger.batch(request.batch_id)
    zone = ZoneInfo(rule.time_zone)
    return Certificate(
        kind="erasure",
        title={
            RequestState.COMPLETE: "A person was erased",
            RequestState.HELD: "A person was erased, but for what a legal hold keeps",
        }.get(request.state, "A person is not erased yet"),
        name=f"{request.request_id}-{batch.batch_id}",
        asked=_asked(request, batch, rule, zone),
        done=tuple(_done(workspace, request, batch)),
        kept=(*_kept(request, batch), *_drawn(workspace, batch)),
        verification=tuple(_verification(request, batch)),
        backups=_backups(rule, (batch.concluded_at or request.requested_at).astimezone(zone)),
        evidence=tuple(
            Evidence(seq=entry.seq, kind=entry.kind)
            for entry in workspace.ledger.evidence_of(f"{batch.policy}/{batch.batch_id}")
        ),
    )


def _asked(request: Request, batch: Batch, rule: Erasure, zone: ZoneInfo) -> Asked:
    due = request.due_at.astimezone(zone).date()
    return Asked(
        what="To erase the person whom the request names, wherever the policy's tables, or what was made of them,"
        f" tell of them. The request was due on {_day(due)}.",
        by=request.requested_by,
        at=request.requested_at.astimezone(UTC).replace(microsecond=0),
        policy=request.policy,
        policy_digest=(batch.plan or {}).get("policy_digest", ""),
        rule=f"A request is carried out within {in_words(rule.within)}."
        f" People are named by {', '.join(rule.identifiers)}.",
        reference=request.request_id,
    )


def _done(workspace: Workspace, request: Request, batch: Batch) -> Iterator[Store]:
    """What was done in each place; of sources by request, of releases for the whole batch."""
    steps = {step.name: step for step in workspace.ledger.erasures.steps(batch.batch_id)}
    counts: Mapping[str, Any] = (request.outcome or {}).get("datasets", {})
    for name, step in steps.items():
        kind, _, dataset = name.partition(" ")
        if step.done is None:
            yield Store(store=name, said="Not done.")
        elif kind == SOURCE:
            identity = workspace.source(dataset).identity
            mine = counts.get(dataset, {})
            yield Store(
                store=dataset,
                place=identity.name
                if identity.namespace == "file"
                else f"{identity.namespace}/{identity.name}",
                rows_deleted=mine.get("deleted", 0),
                rows_masked=mine.get("masked", 0),
                files_dropped=step.done["dropped"],
                files_rewritten=step.done["rewritten"],
                said="Files are counted for all requests that were carried out together.",
            )
        elif kind == RELEASES:
            yield Store(store=f"releases of {dataset}", said=_releases(step.done))
        elif kind == MODELS:
            yield Store(store="models", said=models.told(step.done))
        else:
            yield Store(
                store="suppression list", said="Whatever is sent again of the person is left out of releases."
            )


def _releases(done: Mapping[str, Any]) -> str:
    clean, remade, gone = len(done["clean"]), len(done["remade"]), len(done["withdrawn"])
    told = [
        f"{remade} made anew without the people of this batch" if remade else "",
        f"{gone} withdrawn" if gone else "",
        f"{clean} without any of them" if clean else "",
    ]
    return f"{'; '.join(filter(None, told)) or 'None there'}."


def _kept(request: Request, batch: Batch) -> Iterator[Kept]:
    outcome, plan = request.outcome or {}, batch.plan or {}
    for dataset, rows in outcome.get("held", {}).items():
        why = "A legal hold keeps them; they go when it is lifted."
        yield Kept(store=dataset, rows=rows, word="held", why=why)
    for dataset, told in plan.get("exempt", {}).items():
        rows = outcome.get("datasets", {}).get(dataset, {}).get("exempt", 0)
        if rows:
            yield Kept(store=dataset, rows=rows, word="exempt", why="; ".join(told["why"]))
    for dataset, told in plan.get("recompute", {}).items():
        why = f"Its rows tell of nobody alone; it is made anew: {told['how']}"
        yield Kept(store=dataset, rows=0, word="recompute", why=why)
    if plan.get("answers"):
        yield Kept(store="answers to queries", rows=0, word="exempt", why=plan["answers"])


def _drawn(workspace: Workspace, batch: Batch) -> Iterator[Kept]:
    """Releases that stay: of synthetic rows, though their model is destroyed, and of models that were shared."""
    for step in workspace.ledger.erasures.steps(batch.batch_id):
        for release, why in (step.done or {}).get("kept", {}).items() if step.name == MODELS else ():
            word = "private" if why == models.PRIVATE else "exempt"
            yield Kept(store=f"release {release}", rows=0, word=word, why=why)


def _verification(request: Request, batch: Batch) -> Iterator[Check]:
    for check in (batch.verified or {}).get("checks", []):
        yield Check(
            what=check["sentence"],
            looked_at=check["looked_at"],
            found=check["found"],
            passed=check["passed"],
        )
    for problem in (request.outcome or {}).get("problems", []):
        yield Check(what=problem, looked_at=0, found=1, passed=False)


def _backups(rule: Erasure, ended: datetime) -> Backups:
    made = "Backups from before may still hold the person."
    if rule.backups is None:
        return Backups(said=f"{made} The policy does not say how long they are kept.")
    said = f"{made} By the policy they are kept for {in_words(rule.backups)}; after a restore, erasures are done again."
    return Backups(said=said, until=after(ended, rule.backups).date())


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
