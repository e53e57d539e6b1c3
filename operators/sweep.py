"""`SweepStagingOperator`: removes what killed runs have staged, once the policy lets it lie no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_veil.operators.base import VeilOperator, actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.release.workspace import Workspace


class SweepStagingOperator(VeilOperator):
    """Remove staged rows that nobody has touched for longer than `staging_expires_after`, of all data sets of a policy.

    `ScrubStagingOperator` does so at the end of each run; this one also where no run comes any more, as after a DAG
    was paused. What a living task writes stays.
    """

    names: ClassVar[str] = "policies"

    def __init__(self, *, dataset: str = "", **kwargs: Any) -> None:
        super().__init__(dataset=dataset, **kwargs)

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Sweep; hands on how many staged runs and attempts went."""
        from airflow_veil.privacy.retention import staging

        swept = staging.sweep(workspace, actor=actor(context))
        self.log.info("Removed %d staged runs and %d attempts", swept.runs, sum(swept.attempts.values()))
        return swept.as_dict()
