"""`EnforceRetentionOperator` and `ExpireReleasesOperator`: rows and releases go when their time is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_veil.operators.base import VeilOperator, actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.retention.service import Approval


class EnforceRetentionOperator(VeilOperator):
    """Plan what of a data set is over, and delete, anonymize or archive it in its source, in one task.

    The cut-off comes from the policy and the wall clock when the task works, never from the run's logical date: a
    backfill of last year deletes what is over today. Killed at any moment, retried, cleared or run twice at once, it
    ends in the same state. Where more would go than the policy lets one run delete, or the clock cannot be believed, it
    fails, and changes nothing until it is approved. Afterwards other code looks whether it was done, and a certificate
    of the run is filed.

    Args:
        approve: Why more may go than one run may delete; kept as evidence, at least ten characters. No personal data.
            A template, so that a person can give it in the configuration of a run.
        certificates: The folder that the run's certificate is filed in; `certificates` in the installation's home if
            None.
    """

    template_fields: Sequence[str] = (*VeilOperator.template_fields, "approve", "certificates")

    def __init__(self, *, approve: str = "", certificates: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approve = approve
        self.certificates = certificates

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Plan, enforce, verify and certify; hands on counts and the certificate's name, and tells its assets."""
        from airflow_veil.privacy.retention import certificate, service

        who = actor(context)
        done = service.enforce(workspace, self.dataset, actor=who, approval=self._approval(context))
        folder = Path(self.certificates) if self.certificates else workspace.settings.certificates
        issued, file = certificate.file_run(workspace.ledger, done.run_id, folder, actor=who)
        told = done.as_dict() | {"certificate": {"file": file.name, "digest": issued.digest}}
        for asset in self.outlets:
            context["outlet_events"][asset].extra = told
        self.lineage = done.lineage
        self.log.info(done.told)
        return told

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The deletion as planned: which data set, before it is known what goes."""
        from airflow_veil.privacy.retention import service

        return service.planned_lineage(workspace, self.dataset)

    def _approval(self, context: Context) -> Approval | None:
        """Whoever triggered the run with a reason approves it; the task itself, where the DAG file gives one."""
        from airflow_veil.privacy.retention.service import Approval

        if not self.approve:
            return None
        user = getattr(context["dag_run"], "triggering_user_name", None)
        return Approval(by=f"airflow:{user}" if user else actor(context), reason=self.approve)


class ExpireReleasesOperator(VeilOperator):
    """End the releases of a policy that are past `expires_after`: withdraw them, and mark them as expired.

    Also the current one: consumers see none until the next. Models of synthetic data whose time is over go with them:
    their bytes are destroyed. Each has its evidence.
    """

    names: ClassVar[str] = "policies"

    def __init__(self, *, dataset: str = "", **kwargs: Any) -> None:
        super().__init__(dataset=dataset, **kwargs)

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """End them; hands on their names."""
        from airflow_veil.privacy.retention import expiry, models

        gone = models.expire_models(workspace, actor=actor(context))
        ended = expiry.expire(workspace, actor=actor(context))
        self.log.info(
            "Ended %d releases, %d of them current, and %d models",
            len(ended.releases),
            ended.current,
            len(gone),
        )
        return ended.as_dict() | {"models": list(gone)}
