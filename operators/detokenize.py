"""`DetokenizeOperator`: gives tokens back their values, for a reason that is kept as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import VeilOperator, actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.release.workspace import Workspace


class DetokenizeOperator(VeilOperator):
    """Turn reversible columns of a file back into the values that they stand for, into a file of mode 0600.

    Values go from file to file: XCom, logs and evidence hold counts. The evidence is written before the first value is.

    Args:
        input_path: The Parquet file or folder that holds the tokens, such as a release.
        output_path: The folder to write Parquet to; it must not be there yet.
        columns: The columns to turn back, by name as in the policy's data set.
        reason: Why; part of the evidence, at least ten characters.
    """

    template_fields: Sequence[str] = (
        *VeilOperator.template_fields,
        "input_path",
        "output_path",
        "columns",
        "reason",
    )

    def __init__(
        self, *, input_path: str, output_path: str, columns: Sequence[str], reason: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.input_path = input_path
        self.output_path = output_path
        self.columns = columns
        self.reason = reason

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Turn the columns back; hands on counts."""
        from airflow_veil.privacy.release import detokenize

        done = detokenize.detokenize(
            workspace,
            self.dataset,
            input=self.input_path,
            output=self.output_path,
            columns=tuple(self.columns),
            reason=self.reason,
            actor=actor(context),
        )
        self.lineage = done.lineage
        self.log.info("Turned %d values of %d columns back", done.values, len(self.columns))
        if done.withheld:
            self.log.info("%d values of erased people were withheld", done.withheld)
        return {"rows": done.rows, "values": done.values, "withheld": done.withheld}
