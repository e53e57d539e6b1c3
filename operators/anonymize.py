"""`AnonymizeOperator`: a treated data set is generalized until its classes hold what the policy asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_veil.operators.after import AfterOperator
from airflow_veil.operators.base import actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class AnonymizeOperator(AfterOperator):
    """Find the recoding that costs least of those that hold `anonymize` of the policy, apply it and stage the release.

    It comes after `sanitize`, or after the last of the four steps, which then leave their rows in the private staging
    area. The recoding is part of the manifest, and is used again the next night while what is asked is the same; rows
    whose class is too small that night are left out. By XCom go counts alone.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Anonymize; hands on the release."""
        from airflow_veil.privacy.release import service

        return self.finish(service.anonymize(workspace, self.reference, actor=actor(context)))

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The anonymization as planned."""
        from airflow_veil.privacy.release.anonymize import planned

        return planned(workspace, self.reference)
