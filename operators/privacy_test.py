"""`PrivacyTestOperator`: a model is attacked before it is shared, and shared only if it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.privacy.errors import ModelError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.workspace import Workspace


class PrivacyTestOperator(VeilOperator):
    """Run membership and attribute inference against a trained model of the policy, and share it if it passes.

    The model is loaded in a process of its own with limits. Denied, the task fails with codes that say why, and no
    retry helps; nothing is shared. Passed, its file and its card, in the form of the Hugging Face Hub, are published
    with one rename. A retry, a cleared task and a second run of the same test publish nothing anew. By XCom go outcome,
    counts of people and digests; figures go to the evidence.

    Args:
        model: Name of the model in the policy.
        publish: Whether it is shared when it passes; else it is tested only.
        source: The artefact in place of the policy's, such as one of this run, if given.
    """

    names: ClassVar[str] = "models"

    def __init__(self, *, model: str, publish: bool = True, **kwargs: Any) -> None:
        super().__init__(dataset=model, **kwargs)
        self.publish = publish

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Test and share; hands on the outcome, and tells its assets."""
        from airflow_veil.privacy.release import model_release

        done = model_release.release_model(
            workspace, self.dataset, actor=actor(context), publish=self.publish
        )
        self.lineage = done.lineage
        if done.reasons:
            raise ModelError(
                f"The model is denied: {', '.join(done.reasons)}",
                where=f"model {self.dataset}",
                fix="fit it with more regularization, on more people, or with noise; what attacks reached is in the"
                " evidence, and nothing was shared",
            )
        told = done.as_xcom()
        for asset in self.outlets:
            context["outlet_events"][asset].extra = told
        self.log.info("%s", done.summary)
        return told

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The model as planned."""
        from airflow_veil.privacy.release import model_release

        return model_release.planned_model(workspace, self.dataset)
