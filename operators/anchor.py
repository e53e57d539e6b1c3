"""`AnchorEvidenceOperator`: keeps a signed checkpoint of the evidence outside the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_veil.operators.base import actor, without_values

if TYPE_CHECKING:
    from airflow.sdk import Context


class AnchorEvidenceOperator(BaseOperator):
    """Sign how the evidence stands and keep that outside the database, if it goes on from what was anchored before.

    A log that does not go on from there was changed: the task fails for good, and somebody has to look. That it is
    anchored is itself the last entry of what is. Hands on the number of entries and the root, nothing else.

    Args:
        to: Where: a file that grows, a folder (ends with a slash if new; a bucket is mounted or synchronised) or a git
            repository.
        trust: Verifier keys of the same log that signed there before.
        audit_key_conn_id: Connection of type `veil_audit_key`; the installation's own key file if None.
        ledger_conn_id: Connection of type `veil_ledger`; the installation's own ledger if None.
    """

    template_fields: Sequence[str] = ("to",)
    ui_color = "#e6eef5"

    def __init__(
        self,
        *,
        to: str,
        trust: Sequence[str] = (),
        audit_key_conn_id: str | None = None,
        ledger_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = str(to)
        self.trust = tuple(trust)
        self.audit_key_conn_id = audit_key_conn_id
        self.ledger_conn_id = ledger_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Anchor; whatever goes wrong is told in names and counts only."""
        return without_values(lambda: self._anchor(context), where=f"anchor, task {self.task_id}")

    def _anchor(self, context: Context) -> dict[str, Any]:
        from airflow_veil.hooks.audit_key import AuditKeyHook
        from airflow_veil.hooks.ledger import LedgerHook
        from airflow_veil.privacy.audit.anchor import anchor
        from airflow_veil.privacy.audit.note import VerifierKey
        from airflow_veil.privacy.audit.places import place

        key = AuditKeyHook(self.audit_key_conn_id).get_conn()
        trusted = tuple(VerifierKey.parse(text) for text in self.trust)
        with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            done = anchor(ledger, key, place(self.to), actor=actor(context), trusted=trusted)
        self.log.info("Anchored %d entries, %d before", done.checkpoint.size, done.before)
        return {"size": done.checkpoint.size, "root": done.checkpoint.root.hex(), "added": done.added}
