"""The operators of erasure: wait for requests, plan, erase step by step, verify, certify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_veil.operators.base import VeilOperator, actor, without_values

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.release.workspace import Workspace


class ErasureRequestsSensor(BaseSensorOperator):
    """Wait until somebody asks to be erased; it takes no worker meanwhile.

    Args:
        policy: Path of the policy file.
        request: The opaque name of one request; any that waits if empty.
        ledger_conn_id: Connection of type `veil_ledger`; the installation's own ledger if None.
    """

    names: ClassVar[str] = "policies"
    template_fields: Sequence[str] = ("policy", "request")
    ui_color = "#e6eef5"

    def __init__(
        self,
        *,
        policy: str,
        request: str = "",
        ledger_conn_id: str | None = None,
        mode: str = "reschedule",
        poke_interval: float = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(mode=mode, poke_interval=poke_interval, **kwargs)
        self.policy = str(policy)
        self.request = request
        self.ledger_conn_id = ledger_conn_id

    def poke(self, context: Context) -> bool:
        """Whether a request waits, or a batch is open that somebody has to go on with."""
        from airflow_veil.hooks.workspace import workspace

        def waits() -> bool:
            with workspace(self.policy, ledger_conn_id=self.ledger_conn_id) as opened:
                erasures, name = opened.ledger.erasures, opened.loaded.policy.name
                return bool(self.request) or bool(erasures.open(name)) or bool(erasures.waiting(name))

        return without_values(waits, where=f"task {self.task_id}")


class _BatchOperator(VeilOperator):
    """A task that works on a batch.

    Args:
        after: What `PlanErasureOperator` handed on: `plan.output`.
    """

    names: ClassVar[str] = "policies"
    template_fields: Sequence[str] = (*VeilOperator.template_fields, "after")

    def __init__(self, *, after: Any, dataset: str = "", **kwargs: Any) -> None:
        super().__init__(dataset=dataset, **kwargs)
        self.after = after

    def batch(self, workspace: Workspace) -> str:
        """The batch's name; where planning failed, that of the batch that is open."""
        from airflow_veil.privacy.erasure import service

        if isinstance(self.after, Mapping) and isinstance(self.after.get("batch"), str):
            return str(self.after["batch"])
        return service.open_batch(workspace)


class PlanErasureOperator(VeilOperator):
    """Make a batch of the requests that wait, find all that their people are known by, and freeze the plan.

    Identifiers are read from the ledger, where they are sealed; neither they nor what they lead to is in XCom. It is
    skipped, with all that follows, where nothing waits. Killed or retried, it goes on with the batch that is open.

    Args:
        request: The opaque name of one request; all that wait if empty. A template.
    """

    names: ClassVar[str] = "policies"
    template_fields: Sequence[str] = (*VeilOperator.template_fields, "request")

    def __init__(self, *, request: str = "", dataset: str = "", **kwargs: Any) -> None:
        super().__init__(dataset=dataset, **kwargs)
        self.request = request

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Plan; hands on the batch's name and the plan in counts."""
        from airflow_veil.privacy.erasure import service

        planned = service.plan(workspace, actor=actor(context), only=self.request or None)
        if planned is None:
            raise AirflowSkipException("No request waits")
        self.log.info("Batch %s: %d requests", planned.batch_id, len(planned.requests))
        for near in service.near(workspace):
            self.log.warning("Request %s is due on %s", near.request_id, near.due_at.date())
        return planned.as_dict()


class EraseSubjectsOperator(_BatchOperator):
    """Do one step of a batch: suppress its people, erase them from the source of a data set, or from its releases.

    Killed at any moment, retried, cleared or run twice at once, it ends in the same state. It refuses to go before the
    steps that come first: leaves are erased before what they refer to.

    Args:
        step: `suppress`, `source <data set>` or `releases <data set>`.
    """

    template_fields: Sequence[str] = (*_BatchOperator.template_fields, "step")

    def __init__(self, *, step: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Do the step; hands on counts."""
        from airflow_veil.privacy.erasure import service

        done = service.erase(workspace, self.batch(workspace), self.step, actor=actor(context))
        self.lineage = service.lineage_of(workspace, self.step, done)
        self.log.info("%s: %s", self.step, done)
        return done


class VerifyErasureOperator(_BatchOperator):
    """Look for whatever is left of a batch's people, in every place once more, by other code than what erased.

    It refuses to look before all steps are done. What it finds does not fail the task: the requests are then not
    complete, and the task that certifies says so.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Verify; hands on how many checks passed."""
        from airflow_veil.privacy.erasure import service

        found = service.verify(workspace, self.batch(workspace), actor=actor(context))
        failed = [check["sentence"] for check in found["checks"] if not check["passed"]]
        for told in failed:
            self.log.error("%s", told)
        return {"passed": found["passed"], "checks": len(found["checks"]), "failed": len(failed)}


class CertifyErasureOperator(_BatchOperator):
    """End a batch, destroy what was known of its people, and write a certificate for each request.

    It fails where a request is not complete, so that somebody looks; what a hold keeps is not a failure.

    Args:
        certificates: Folder of the certificates; that of the installation if None.
    """

    template_fields: Sequence[str] = (*_BatchOperator.template_fields, "certificates")

    def __init__(self, *, certificates: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.certificates = certificates

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Conclude and certify; hands on how many requests ended in which state."""
        from airflow_veil.privacy.erasure import certificate, service

        batch_id = self.batch(workspace)
        concluded = service.conclude(workspace, batch_id, actor=actor(context))
        folder = Path(self.certificates) if self.certificates else workspace.settings.certificates
        certificate.file_batch(workspace, batch_id, folder, actor=actor(context))
        if not concluded.complete:
            raise AirflowFailException("; ".join(concluded.problems))
        self.log.info("%s", concluded.as_dict())
        return concluded.as_dict()
