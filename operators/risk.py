"""`AssessRiskOperator`: the risk of a staged release is measured before anybody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_veil.operators.after import AfterOperator
from airflow_veil.operators.base import actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class AssessRiskOperator(AfterOperator):
    """Measure how likely people are found in a staged release, and what is learned of them.

    Quasi-identifiers and sensitive columns are those that the policy calls so and that leave. The figures go to the
    ledger and the manifest; by XCom goes the release with its counts, nothing of them. Nothing is decided: any
    release passes.

    Args:
        population: How many people the data set is a sample of, for estimates of the population; none if not said.
        largest: The largest sets of columns that are looked at for who is unique by them.
    """

    def __init__(self, *, population: int | None = None, largest: int | None = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.population = population
        self.largest = largest

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Measure; hands on the release."""
        from airflow_veil.privacy.release import service

        done = service.assess_staged(
            workspace,
            self.reference,
            actor=actor(context),
            population=self.population,
            largest=self.largest,
        )
        return self.finish(done)

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The reading as planned."""
        from airflow_veil.privacy.release import service

        return service.planned_validation(workspace, self.reference)
