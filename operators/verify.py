"""`VerifyEvidenceOperator`: checks the evidence against the checkpoints that are kept outside the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import actor
from airflow_veil.operators.log import LogOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class VerifyEvidenceOperator(LogOperator):
    """Read every entry, compute every digest anew, and compare with the checkpoints that were anchored.

    Anything that was changed, moved, put in, left out or cut off fails the task for good, with the number of the first
    entry that is wrong. It is what an auditor does, done by whoever keeps the log: it finds accidents early, and stands
    in for no auditor. Hands on counts; that it was verified is evidence.

    Args:
        anchors: Where the checkpoints are: what `AnchorEvidenceOperator` was given as `to`.
        kwargs: Those of `LogOperator`.
    """

    template_fields: Sequence[str] = ("anchors",)

    def __init__(
        self,
        *,
        anchors: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anchors = str(anchors)

    def run(self, context: Context) -> dict[str, Any]:
        """Verify it; hands on counts and the root."""
        from airflow_veil.hooks.audit_key import AuditKeyHook
        from airflow_veil.hooks.ledger import LedgerHook
        from airflow_veil.privacy.audit.anchor import checkpoints
        from airflow_veil.privacy.audit.places import place
        from airflow_veil.privacy.audit.record import of_ledger
        from airflow_veil.privacy.audit.verify import verify

        keys = AuditKeyHook(self.audit_key_conn_id).trusted(self.trust)
        anchored = checkpoints(place(self.anchors), keys)
        with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            report = verify(of_ledger(ledger), anchored)
            found = {
                "size": report.size,
                "root": report.root.hex(),
                "anchored": report.anchored,
                "checkpoints": report.checkpoints,
                "erased": len(report.erased),
            }
            ledger.append_evidence(
                "evidence.verified", anchored[-1].checkpoint.origin, found, actor=actor(context)
            )
        self.log.info("Verified %d entries, %d of them anchored", report.size, report.anchored)
        return found
