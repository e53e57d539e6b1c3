"""`SanitizeOperator`: all steps of a plan in one pass over the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.operators.interval import interval_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class SanitizeOperator(VeilOperator):
    """Minimize, tokenize, mask and generalize in one pass, with no personal data staged between: for large tables.

    Reads the source, and stages the release beside its destination, where `PublishReleaseOperator` finds it.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Run the whole plan; hands on the release's id and row counts."""
        from airflow_veil.privacy.release import service

        who = actor(context)
        reference = service.begin(workspace, self.dataset, interval_of(context), actor=who)
        return self.finish(service.sanitize(workspace, reference, actor=who))

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The pass as planned."""
        from airflow_veil.privacy.release import service

        return service.planned_step(workspace, self.dataset, None, None)
