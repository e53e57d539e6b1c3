"""`ClassifyColumnsOperator`: personal data that the policy does not declare stops the release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.operators.interval import interval_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.release.workspace import Workspace


class ClassifyColumnsOperator(VeilOperator):
    """Look at the columns of a source before its release, and compare what they hold with the policy.

    The task fails where a column that leaves in clear holds personal data and is declared `none`, holds a direct
    identifier and is declared less, or holds another kind than at the last release under the same policy. It names the
    columns, kinds and confidences; kinds and whole percents go into the manifest, and what was found into the evidence.
    No value is logged or kept.

    Args:
        sample_rows: How many rows are looked at, spread over the source; None for all of them.
        on_finding: `fail`, or `warn` to log and record what was found and go on.
    """

    template_fields: Sequence[str] = (*VeilOperator.template_fields, "on_finding")

    def __init__(
        self,
        *,
        sample_rows: int | None = 100_000,
        on_finding: Literal["fail", "warn"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sample_rows = sample_rows
        self.on_finding = on_finding

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Classify; hands on the release's id."""
        from airflow_veil.privacy.release import service

        who = actor(context)
        reference = service.begin(workspace, self.dataset, interval_of(context), actor=who)
        done = service.classify(
            workspace,
            reference,
            actor=who,
            sample_rows=self.sample_rows,
            on_finding=self.on_finding,
        )
        return self.finish(done)
