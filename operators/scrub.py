"""`ScrubStagingOperator`: removes staged personal data, also after a failure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.operators.interval import interval_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.release.workspace import Workspace


class ScrubStagingOperator(VeilOperator):
    """Remove what this run staged and did not publish, and what killed runs left behind.

    Made for a teardown behind the last task: `publish >> scrub.as_teardown()`. Not with `setups=<first task>`: Airflow
    skips a teardown whose setup failed, and that one has staged already. A scheduler that is killed for good takes its
    teardowns with it; the sweep of the next run finds what they left.

    Args:
        orphans_after: Staging of other runs is an orphan when it is older than this and nobody holds it; as the policy
            says (`staging_expires_after`) if None.
    """

    def __init__(self, *, orphans_after: timedelta | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.orphans_after = orphans_after

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Scrub; hands on how many staged folders and tables went."""
        from airflow_veil.privacy.release import service

        scrubbed = service.scrub(
            workspace,
            self.dataset,
            interval_of(context),
            actor=actor(context),
            orphans_after=None if self.orphans_after is None else self.orphans_after.total_seconds(),
        )
        self.log.info("Removed %d staged outputs of this run and %d orphans", scrubbed.own, scrubbed.orphans)
        return {"own": scrubbed.own, "orphans": scrubbed.orphans}
