"""`PublishReleaseOperator`: makes a staged release the current one, atomically."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_veil.operators.after import AfterOperator
from airflow_veil.operators.base import actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class PublishReleaseOperator(AfterOperator):
    """Commit a staged release with its manifest and make it current.

    Killed at any moment, it leaves either the previous release current or the new one; run again, it goes on from
    there. What it did is in the ledger: the release, and an entry of evidence.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Publish; hands on the release, and tells its assets."""
        from airflow_veil.privacy.release import service

        done = service.publish(workspace, self.reference, actor=actor(context))
        for asset in self.outlets:
            context["outlet_events"][asset].extra = done.reference.as_xcom()
        return self.finish(done)

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The publication as planned."""
        from airflow_veil.privacy.release import service

        return service.planned_publication(workspace, self.reference)
