"""What all operators of the suite share: a policy, a data set, an error that tells nothing of the data, lineage."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_veil.privacy.errors import VeilError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.service import Done
    from airflow_veil.privacy.release.workspace import Workspace

T = TypeVar("T")


class VeilOperator(BaseOperator):
    """A task of the suite: it works on one data set of one policy.

    `execute` returns a small mapping of names, counts and digests: nothing else of a data set ever reaches XCom.

    Args:
        policy: Path of the policy file.
        dataset: Name of the data set in it.
        source: URI to read instead of the policy's source, if given.
        destination: URI to release to instead of the policy's destination, if given.
        ledger_conn_id: Connection of type `veil_ledger`; the installation's own ledger if None.
    """

    names: ClassVar[str] = "datasets"
    """What of the policy `dataset` names: one of its data sets, queries or syntheses, or nothing, for
    `policies` as a whole."""
    template_fields: Sequence[str] = ("policy", "dataset", "source", "destination")
    ui_color = "#e6eef5"

    def __init__(
        self,
        *,
        policy: str,
        dataset: str,
        source: str | None = None,
        destination: str | None = None,
        ledger_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.policy = str(policy)
        self.dataset = dataset
        self.source = source
        self.destination = destination
        self.ledger_conn_id = ledger_conn_id
        self.lineage: LineageRecord | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Do the step; whatever goes wrong is told in names, types and counts only."""
        return without_values(lambda: self._work(context), where=f"{self.dataset}, task {self.task_id}")

    def _work(self, context: Context) -> dict[str, Any]:
        with self.workspace() as workspace:
            return self.run(workspace, context)

    @abstractmethod
    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """The step itself; returns what is handed on by XCom."""

    def finish(self, done: Done) -> dict[str, Any]:
        """Note what was done, for lineage and the log, and hand it on."""
        self.lineage = done.lineage
        (self.log.warning if done.warns else self.log.info)("%s", done.summary)
        return done.reference.as_xcom()

    def workspace(self) -> Workspace:
        """The policy and the outside systems that it names, opened when first used.

        Raises:
            PolicyError: The policy does not check.
        """
        from airflow_veil.hooks.workspace import workspace

        return workspace(
            self.policy,
            source=self.source,
            destination=self.destination,
            ledger_conn_id=self.ledger_conn_id,
        )

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """What the task is going to do, for lineage at its start; None where that is not known yet."""
        return None

    def get_openlineage_facets_on_start(self) -> Any:
        """Lineage of the plan, before counts are known."""
        from airflow_veil.hooks.lineage import operator_lineage

        try:
            with self.workspace() as workspace:
                record = self.planned_lineage(workspace)
        except Exception:  # noqa: BLE001 - `execute` is about to report it, without values; the provider would log it
            record = None
        return operator_lineage(record)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Lineage of what was done."""
        from airflow_veil.hooks.lineage import operator_lineage

        return operator_lineage(self.lineage)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Lineage of what was tried."""
        return self.get_openlineage_facets_on_start()


def without_values(work: Callable[[], T], *, where: str) -> T:
    """Run some work so that no error of it can show a value of the data.

    Errors of the suite are safe by construction. Of any other error only its type and the places in the code are told:
    the message of a database or of Arrow may quote the cell that it stumbled on.

    Raises:
        AirflowFailException: Trying again cannot help.
        AirflowException: Trying again may help.
    """
    try:
        return work()
    except AirflowException:
        raise
    except VeilError as error:
        failure = (AirflowException if error.retryable else AirflowFailException)(str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, its text must not get out
        failure = AirflowException(_told(error, where))
    # Raised out here, so that the original is not attached as context.
    raise failure


def _told(error: Exception, where: str) -> str:
    """The error's type and where in the code it arose, the innermost place first."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
    return f"{where}: {type(error).__name__}; its text is withheld, since it may quote data. At {places}"


def actor(context: Context) -> str:
    """Who does it, for the evidence: the task, by its place in Airflow."""
    task_instance = context["ti"]
    return f"airflow:{task_instance.dag_id}/{task_instance.run_id}/{task_instance.task_id}"
