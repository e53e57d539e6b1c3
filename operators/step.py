"""What the four step operators share: each runs its part of the plan over what the step before has staged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.operators.interval import interval_of
from airflow_veil.privacy.transforms.base import Step

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class StepOperator(VeilOperator):
    """One step of a release.

    Args:
        after: What the step before handed on: `minimize.output`. Not for the first step.
    """

    step: ClassVar[Step]
    template_fields: Sequence[str] = (*VeilOperator.template_fields, "after")

    def __init__(self, *, after: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.after = after

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Run the step and stage its output; hands on the release's id, the step and row counts."""
        from airflow_veil.privacy.release import service
        from airflow_veil.privacy.release.reference import Reference

        who = actor(context)
        if self.step is Step.MINIMIZE:
            reference = service.begin(workspace, self.dataset, interval_of(context), actor=who)
        else:
            reference = Reference.from_xcom(self.after, dataset=self.dataset)
        return self.finish(service.run_step(workspace, reference, self.step, actor=who))

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The step as planned."""
        from airflow_veil.privacy.release import service

        reference = None
        if self.after is not None:
            from airflow_veil.privacy.release.reference import Reference

            reference = Reference.from_xcom(self.after, dataset=self.dataset)
        return service.planned_step(workspace, self.dataset, self.step, reference)
