"""`DPReleaseOperator`: releases the answer to a query with differential privacy, from a budget that is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk.exceptions import AirflowSkipException

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.operators.interval import interval_of
from airflow_veil.privacy.errors import BudgetExhaustedError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class DPReleaseOperator(VeilOperator):
    """Answer a query of the policy and publish the answer.

    The price is set aside before any data is read. An answer is drawn once for the query, the version of the data and
    the run's interval: a retry, a cleared task, a second run and a backfill of it publish the stored answer and cost
    nothing. Killed at any moment, it leaves money spent or nothing drawn, and the answer before in place.

    Args:
        query: Name of the query in the policy.
        again: A name for asking the same question anew, such as a ticket's number; it is charged anew, once a name.
        reason: Why it is asked anew; kept as evidence, at least ten characters. No personal data.
        on_exhausted: What becomes of the task where the budget does not pay: `fail`, which is told by Airflow's
            notifications of failures, or `skip`, which skips what is downstream.
    """

    names: ClassVar[str] = "queries"
    template_fields: Sequence[str] = (*VeilOperator.template_fields, "again", "reason")

    def __init__(
        self,
        *,
        query: str,
        again: str = "",
        reason: str = "",
        on_exhausted: Literal["fail", "skip"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset=query, **kwargs)
        self.again = again
        self.reason = reason
        self.on_exhausted = on_exhausted

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Answer and publish; hands on the release, and tells its assets."""
        from airflow_veil.privacy.release import dp_release

        try:
            done = dp_release.release(
                workspace,
                self.dataset,
                interval_of(context),
                actor=actor(context),
                again=self.again,
                reason=self.reason,
            )
        except BudgetExhaustedError as error:
            if self.on_exhausted == "fail":
                raise
            message = str(error)
        else:
            for asset in self.outlets:
                context["outlet_events"][asset].extra = done.reference.as_xcom()
            return self.finish(done)
        # Out here, so that the original is not attached as context.
        raise AirflowSkipException(message)

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The answer as planned."""
        from airflow_veil.privacy.release import dp_release

        return dp_release.planned_answer(workspace, self.dataset)
