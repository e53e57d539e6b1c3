"""`ReleaseGateOperator`: a staged release goes out, is denied, or waits for a person's approval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from airflow_veil.operators.after import AfterOperator
from airflow_veil.operators.base import actor, without_values
from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.period import after

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.done import Done
    from airflow_veil.privacy.release.gate import Gated
    from airflow_veil.privacy.release.reference import Reference
    from airflow_veil.privacy.release.workspace import Workspace

_FIXED = ("subject", "body", "defaults", "params", "response_timeout", "fail_on_reject", "options")
"""What the policy says, or must not be said: a default would approve when nobody answers."""


class ReleaseGateOperator(AfterOperator, ApprovalOperator):
    """Decide by the policy's `release.gate` whether a staged release goes out.

    Allowed, the run goes on. Denied, the task fails with codes that say why, and no retry helps. Held, the task waits
    in Airflow, under "required actions", until a person approves or rejects: who, when, why, until when are evidence.
    Rejected, nothing downstream runs but teardowns. No answer in time is no approval: the task fails.

    Args:
        person: Which of the people who have to approve is asked here: 1, or 2 in a task after the first one. The second
            has to be somebody else.
    """

    template_fields: Sequence[str] = (*AfterOperator.template_fields, *ApprovalOperator.template_fields)

    def __init__(self, *, person: int = 1, **kwargs: Any) -> None:
        if taken := sorted(set(_FIXED) & set(kwargs)):
            raise ValueError(f"{', '.join(taken)}: it is the policy that says this")
        super().__init__(
            subject="Release",
            ignore_downstream_trigger_rules=True,
            params={"reason": Param("", type="string", title="Why? No personal data.")},
            **kwargs,
        )
        self.person = person

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Decide; hands on the release, or waits for a person."""
        from airflow_veil.privacy.gate.decide import Outcome
        from airflow_veil.privacy.release import service

        found = [service.gate(workspace, each, actor=actor(context)) for each in self.references]
        for gated in found:
            if gated.decision.outcome is Outcome.DENY:
                raise ReleaseError(
                    f"The gate denies the release: {', '.join(gated.decision.reasons)}",
                    where=f"release {gated.done.reference.release_id} of {self.dataset}",
                    fix="treat quasi-identifiers more strictly, or mend what could not be looked at; nothing was"
                    " published",
                )
        waiting = next((gated for gated in found if gated.waits_for(self.person)), None)
        if waiting is not None:
            self._ask(waiting)
            ApprovalOperator.execute(self, context)
        return self.hand_on([gated.done for gated in found])

    @property
    def references(self) -> tuple[Reference, ...]:
        """The releases that are decided on together."""
        return (self.reference,)

    def hand_on(self, done: list[Done]) -> dict[str, Any]:
        """Hand on what was decided on."""
        return self.finish(done[0])

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with what somebody answered."""
        return without_values(
            lambda: self._answered(context, event), where=f"{self.dataset}, task {self.task_id}"
        )

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait; whatever is no answer of a person is no approval."""
        if next_method != "execute_complete":
            return self.execute_complete(context, {"error": "no answer", "error_type": "timeout"})
        return super().resume_execution(next_method, next_kwargs, context)

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The reading as planned."""
        from airflow_veil.privacy.release import service

        return service.planned_validation(workspace, self.references[0])

    def _ask(self, gated: Gated) -> None:
        """What people are shown who have to approve: names, codes and figures."""
        from airflow_veil.privacy.gate.said import asking

        self.subject = f"Release of {self.dataset}: {', '.join(gated.decision.reasons)}"[:200]
        self.body = asking(gated.decision, gated.rule, reference=gated.done.reference, person=self.person)
        now = datetime.now(UTC)
        self.response_timeout = after(now, gated.rule.wait) - now

    def _answered(self, context: Context, event: dict[str, Any]) -> Any:
        with self.workspace() as workspace:
            handed = self._recorded(workspace, context, event)
        # Rejected, this marks everything downstream as skipped, by an exception of Airflow's.
        super().execute_complete(context, event)
        return handed

    def _held(self, workspace: Workspace) -> tuple[Reference, ...]:
        """Those that are waited for; of several, some may go out without anybody's leave."""
        from airflow_veil.privacy.release import service

        held = tuple(each for each in self.references if service.is_held(workspace, each))
        return held or self.references

    def _recorded(self, workspace: Workspace, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer before anything goes on by it."""
        from airflow_veil.privacy.release import service

        who = actor(context)
        if "error" in event or event.get("timedout"):
            code = (
                "approval.timed_out"
                if event.get("error_type", "timeout") == "timeout"
                else "approval.invalid"
            )
            for each in self.references:
                service.unanswered(workspace, each, code, actor=who)
            raise AirflowFailException(f"{self.dataset}: nobody approved the release ({code})")
        user = event.get("responded_by_user") or {}
        told = {
            "by": str(user.get("id") or ""),
            "name": str(user.get("name") or ""),
            "at": event["responded_at"],
            "reason": str((event.get("params_input") or {}).get("reason") or ""),
        }
        if event["chosen_options"] != [self.APPROVE]:
            return self.hand_on(
                [service.reject(workspace, each, **told, actor=who) for each in self.references]
            )
        try:
            return self.hand_on(
                [service.approve(workspace, each, **told, actor=who) for each in self._held(workspace)]
            )
        except ReleaseError:
            for each in self.references:
                service.unanswered(workspace, each, "approval.invalid", actor=who)
            raise
