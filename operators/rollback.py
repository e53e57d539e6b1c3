"""`RollbackReleaseOperator`: makes an earlier release current again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import VeilOperator, actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.release.workspace import Workspace


class RollbackReleaseOperator(VeilOperator):
    """Make an earlier release current again, and mark the present one as rolled back.

    Args:
        reason: Why; it is part of the evidence. Names and numbers of tickets, nothing of the data.
        release_id: Which release; the one before the current if None.
    """

    template_fields: Sequence[str] = (*VeilOperator.template_fields, "release_id", "reason")

    def __init__(self, *, reason: str, release_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.release_id = release_id

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Roll back; hands on the release that is current now."""
        from airflow_veil.privacy.release import service

        done = service.rollback(
            workspace,
            self.dataset,
            release_id=self.release_id,
            reason=self.reason,
            actor=actor(context),
            replacing=self._replacing(workspace, context),
        )
        return self.finish(done)

    def _replacing(self, workspace: Workspace, context: Context) -> str | None:
        """The release that was current at the first try; noted, so that a retry does not go back one further."""
        noted = context["task_state_store"].get("replacing")
        if noted is not None:
            return str(noted)
        current = workspace.ledger.current(
            workspace.loaded.policy.name,
            self.dataset,
            destination=workspace.destination_of(self.dataset).name,
        )
        if current is not None:
            context["task_state_store"].set("replacing", current.release_id)
        return current.release_id if current is not None else None
