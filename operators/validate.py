"""`ValidateOperator`: a staged release must meet its expectation suite before it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_veil.operators.after import AfterOperator
from airflow_veil.operators.base import actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class ValidateOperator(AfterOperator):
    """Check a staged release: the plan's columns and types, and a Great Expectations suite if the policy names one.

    The suite is `expectations/<name>.json` beside the policy. Results are counts: how many values were looked at and
    how many did not fit, never which. A suite that is not met fails the release; the rows stay unpublished.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Validate; hands on the release with the number of expectations that held."""
        from airflow_veil.privacy.release import service

        return self.finish(service.validate(workspace, self.reference, actor=actor(context)))

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The reading as planned."""
        from airflow_veil.privacy.release import service

        return service.planned_validation(workspace, self.reference)
