"""The gate before publication: what is staged is decided on, perhaps approved by people, and only then goes out.

The decision and who approved it stand in the draft of the manifest beside the digest of what they are about: the rule,
the output, its figures and its expectations. If one of these changes, nothing is approved any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.gate import approval
from airflow_veil.privacy.gate.approval import Approval
from airflow_veil.privacy.gate.decide import Decision, Evidence, Expectations, Outcome, decide
from airflow_veil.privacy.gate.figures import figures_of, output_digest
from airflow_veil.privacy.gate.trend import Point, history
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState, utc_now
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.period import after
from airflow_veil.privacy.policy.gate import Gate
from airflow_veil.privacy.release.done import Done, already
from airflow_veil.privacy.release.manifest import digest_of
from airflow_veil.privacy.release.planning import made_by
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace

_KINDS = {
    Outcome.ALLOW: "release.allowed",
    Outcome.APPROVAL: "release.held",
    Outcome.DENY: "release.denied",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What the gate says.

    Attributes:
        done: What is handed on.
        decision: The decision.
        rule: The rule that it was made by.
        approvals: Who has approved exactly this release so far.
    """

    done: Done
    decision: Decision
    rule: Gate
    approvals: tuple[Approval, ...] = ()

    def waits_for(self, person: int) -> bool:
        """Whether the first, or the second, person still has to approve."""
        return self.decision.outcome is Outcome.APPROVAL and len(self.approvals) < person


def gate(workspace: Workspace, reference: Reference, *, actor: str) -> Gated:
    """Decide on a staged release, and record the decision; approvals of exactly this release are kept.

    Raises:
        ReleaseError: It is not staged any more, or the policy has no gate.
        LedgerError: The ledger cannot be used.
    """
    rule = rule_of(workspace)
    if reference.published:
        passed = Decision(outcome=Outcome.ALLOW, reasons=(), figures={})
        return Gated(done=already(reference), decision=passed, rule=rule)
    release = _staged(workspace, reference)
    draft = {**(release.manifest or {}), **_budget(workspace)}
    before = next(iter(_history(workspace, release)), None)
    decision = decide(rule, _evidence(workspace, release.dataset, draft, before))
    digest = _digest(rule, draft)
    kept = _approvals(draft, digest) if decision.outcome is Outcome.APPROVAL else ()
    told = {
        **decision.as_dict(),
        "rule": rule.model_dump(mode="json", exclude_none=True),
        "before": {"release_id": before.release_id, "figures": before.figures} if before else None,
        "digest": digest,
        "decided_at": utc_now().isoformat(),
        "approvals": [each.as_dict() for each in kept],
        "rejected": None,
    }
    payload = {"reasons": list(decision.reasons), "digest": digest, "approvals": len(kept)}
    note = Note(kind=_KINDS[decision.outcome], payload=payload, actor=actor)
    workspace.ledger.draft(release.release_id, {**_budget_fact(draft), "gate": told}, note)
    return Gated(
        done=_done(
            workspace, reference, f"{decision.outcome}: {', '.join(decision.reasons) or 'all bounds hold'}"
        ),
        decision=decision,
        rule=rule,
        approvals=kept,
    )


def approve(
    workspace: Workspace, reference: Reference, *, by: str, name: str, at: datetime, reason: str, actor: str
) -> Done:
    """Record that somebody approved what the gate held back.

    Args:
        workspace: The policy and its systems.
        reference: The release.
        by: Who, by an id.
        name: Their name.
        at: When, aware.
        reason: Why; without personal data.
        actor: The task that was told.

    Raises:
        ReleaseError: There is nothing to approve, it changed since it was held, the same person approved before, or
            nobody or no reason is named.
    """
    rule, release = rule_of(workspace), _staged(workspace, reference)
    held = _held(rule, release)
    text = approval.checked_reason(reason)
    before = _approvals(release.manifest or {}, held["digest"])
    if not by:
        raise _refused(release, "nobody says who approved it", "a user of Airflow")
    if by in {each.by for each in before}:
        raise _refused(release, "the same person approved it before", "another person")
    given = Approval(
        by=by,
        name=name,
        at=at.isoformat(),
        until=after(at, rule.valid).isoformat(),
        reason=text,
        digest=held["digest"],
    )
    approvals = [each.as_dict() for each in (*before, given)]
    note = Note(kind="release.approved", payload=given.as_dict(), actor=actor)
    workspace.ledger.draft(release.release_id, {"gate": {**held, "approvals": approvals}}, note)
    return _done(workspace, reference, f"approved by {len(approvals)} of {rule.people}, until {given.until}")


def reject(
    workspace: Workspace, reference: Reference, *, by: str, name: str, at: datetime, reason: str, actor: str
) -> Done:
    """Record that somebody rejected a release; approvals that it had are gone.

    Raises:
        ReleaseError: It is not staged any more, or no gate held it.
    """
    release = _staged(workspace, reference)
    held = (release.manifest or {}).get("gate") or {}
    # A no counts as it is: also without a reason, and of nobody.
    told = {"by": by, "name": name, "at": at.isoformat(), "reason": reason[: approval.LONGEST_REASON]}
    note = Note(kind="release.rejected", payload=told, actor=actor)
    facts = {"gate": {**held, "outcome": Outcome.DENY.value, "approvals": [], "rejected": told}}
    workspace.ledger.draft(release.release_id, facts, note)
    return _done(workspace, reference, "rejected")


def unanswered(workspace: Workspace, reference: Reference, code: str, *, actor: str) -> None:
    """Record that a release was not approved: nobody answered in time, or not in a way that counts.

    Args:
        workspace: The policy and its systems.
        reference: The release.
        code: Why: `approval.timed_out` or `approval.invalid`.
        actor: The task that waited.

    Raises:
        ReleaseError: It is not staged any more.
    """
    release = _staged(workspace, reference)
    note = Note(kind="release.denied", payload={"reasons": [code]}, actor=actor)
    workspace.ledger.draft(release.release_id, {}, note)


def is_open(workspace: Workspace, release: ReleaseRecord, draft: Mapping[str, Any], *, now: datetime) -> None:
    """See whether the gate, if the policy has one, let exactly this release through.

    Raises:
        ReleaseError: It did not.
    """
    rule = workspace.loaded.policy.release.gate if workspace.loaded.policy.release else None
    if rule is None:
        return
    held = draft.get("gate")
    if not isinstance(held, Mapping):
        raise _refused(
            release, "the policy has a gate, and it was not asked", "a ReleaseGateOperator before it"
        )
    if held.get("digest") != _digest(rule, draft):
        raise _refused(
            release, "the release changed since the gate looked at it", "the release as it was then"
        )
    if held.get("outcome") == Outcome.ALLOW:
        return
    if held.get("outcome") != Outcome.APPROVAL:
        raise _refused(
            release, "the gate denied the release, or somebody rejected it", "a release that may go out"
        )
    given = approval.valid(held["approvals"], digest=held["digest"], now=now)
    if len(given) < rule.people:
        wanted = f"valid approvals of {rule.people} different people"
        raise _refused(release, f"the release has {len(given)} valid approvals", wanted)


def is_held(workspace: Workspace, reference: Reference) -> bool:
    """Whether the gate holds a release back until somebody approves it.

    Raises:
        ReleaseError: There is no such release.
    """
    held = (workspace.ledger.release(reference.release_id).manifest or {}).get("gate")
    return isinstance(held, Mapping) and held.get("outcome") == Outcome.APPROVAL


def trend(workspace: Workspace, dataset: str) -> tuple[Point, ...]:
    """The figures of a data set's published releases, the newest first.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    records = workspace.ledger.list(workspace.loaded.policy.name, dataset)
    return history(records, destination=workspace.destination.name)


def rule_of(workspace: Workspace) -> Gate:
    """The policy's rule.

    Raises:
        ReleaseError: It has none.
    """
    release = workspace.loaded.policy.release
    if release is None or release.gate is None:
        raise ReleaseError(
            "the policy has no gate",
            where=str(workspace.loaded.path),
            fix="write `gate` under `release`, or remove the task",
        )
    return release.gate


def _staged(workspace: Workspace, reference: Reference) -> ReleaseRecord:
    release = workspace.ledger.release(reference.release_id)
    if release.state is not ReleaseState.STAGED:
        raise _refused(release, f"the release is {release.state}", "one that is staged")
    return release


def _history(workspace: Workspace, release: ReleaseRecord) -> tuple[Point, ...]:
    records = workspace.ledger.list(release.policy, release.dataset)
    return history(records, destination=release.destination)


def _evidence(workspace: Workspace, dataset: str, draft: Mapping[str, Any], before: Point | None) -> Evidence:
    return Evidence(
        figures=figures_of(draft),
        expectations=_evaluated(workspace, draft)
        if "synthetic" in draft
        else _expectations(draft, workspace.loaded.policy.datasets[dataset].expectations),
        before=before.figures if before else None,
    )


def _evaluated(workspace: Workspace, draft: Mapping[str, Any]) -> Expectations:
    """What became of the evaluation of synthetic rows, which stands in for expectations."""
    told = draft["synthetic"]
    declared = workspace.loaded.policy.synthetic
    rules = declared.releases[told["synthesis"]].evaluate if declared else None
    learned = any(word in ("numbers", "categories", "dates") for word in told["columns"].values())
    if rules is None or told["method"] == "faker" or not learned:
        return Expectations.HELD
    found = draft.get("evaluation")
    if not isinstance(found, Mapping) or found.get("of") != output_digest(draft):
        return Expectations.MISSING
    return Expectations.HELD if found.get("outcome") == Outcome.ALLOW else Expectations.FAILED


def _expectations(draft: Mapping[str, Any], suite: str | None) -> Expectations:
    """What became of the suite that the policy names; a validation without a suite looked at columns and types."""
    told = draft.get("expectations")
    if not isinstance(told, Mapping) or told.get("suite") != suite:
        return Expectations.MISSING
    results = told.get("results")
    if not isinstance(results, list) or (suite is not None and not results):
        return Expectations.MISSING
    held = all(isinstance(each, Mapping) and each.get("success") is True for each in results)
    return Expectations.HELD if held else Expectations.FAILED


def _budget(workspace: Workspace) -> dict[str, Any]:
    """The share that is spent of the budget that is spent most; nothing is spent of one that has no account yet."""
    declared = workspace.loaded.policy.differential_privacy
    if declared is None:
        return {}
    budgets = workspace.ledger.budgets
    opened = {account.name for account in budgets.accounts()} & set(declared.budgets)
    return {"budget_spent": max((_spent(budgets.statement(name)) for name in opened), default=0.0)}


def _spent(statement: Any) -> float:
    limits, remaining = statement.account.limits, statement.remaining
    word = "rho" if limits.rho is not None else "epsilon"
    allowed, left = getattr(limits, word), getattr(remaining, word)
    return 1.0 if left is None or not allowed else min(1.0, max(0.0, float(1 - left / allowed)))


def _budget_fact(draft: Mapping[str, Any]) -> dict[str, Any]:
    return {"budget_spent": draft["budget_spent"]} if "budget_spent" in draft else {}


def _digest(rule: Gate, draft: Mapping[str, Any]) -> str:
    """Digest of what is decided on: by which rule, which files, with which figures and expectations."""
    words = ("output", "risk", "risk_of", "utility", "utility_of", "expectations", "plan_digest")
    about = {word: draft.get(word) for word in words}
    if "synthetic" in draft:
        about["evaluation"] = draft.get("evaluation")
    return digest_of({**about, "rule": rule.model_dump(mode="json", exclude_none=True)})


def _approvals(draft: Mapping[str, Any], digest: str) -> tuple[Approval, ...]:
    held = draft.get("gate")
    given = held.get("approvals", ()) if isinstance(held, Mapping) else ()
    return approval.valid(given, digest=digest, now=utc_now())


def _held(rule: Gate, release: ReleaseRecord) -> dict[str, Any]:
    """What the gate recorded when it held the release, if that is still about what is staged."""
    held = (release.manifest or {}).get("gate")
    if not isinstance(held, Mapping) or held.get("outcome") != Outcome.APPROVAL:
        raise _refused(release, "there is nothing to approve", "a release that the gate holds")
    if held.get("digest") != _digest(rule, release.manifest or {}):
        raise _refused(
            release, "the release changed while it was waited for", "the release that was asked about"
        )
    return dict(held)


def _done(workspace: Workspace, reference: Reference, said: str) -> Done:
    return Done(
        reference=replace(reference, step="gate"),
        lineage=lineage.of_reading(made_by(workspace, reference)),
        summary=f"Release {reference.release_id} of {reference.dataset}: {said}",
    )


def _refused(release: ReleaseRecord, what: str, expected: str) -> ReleaseError:
    return ReleaseError(
        what,
        where=f"release {release.release_id} of {release.dataset}",
        expected=expected,
        fix="clear the run from its gate; nothing was published",
    )
