"""`AnchorEvidenceOperator`: keeps a signed checkpoint of the evidence outside the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import actor
from airflow_veil.operators.log import LogOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class AnchorEvidenceOperator(LogOperator):
    """Sign how the evidence stands and keep that outside the database, if it goes on from what was anchored before.

    A log that does not go on from there was changed: the task fails for good, and somebody has to look. That it is
    anchored is itself the last entry of what is. Hands on the number of entries and the root, nothing else.

    Args:
        to: Where: a file that grows, a folder (ends with a slash if new), a git repository, or `s3://BUCKET/PREFIX/`.
        kwargs: Those of `LogOperator`.
    """

    template_fields: Sequence[str] = ("to",)

    def __init__(
        self,
        *,
        to: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = str(to)

    def run(self, context: Context) -> dict[str, Any]:
        """Anchor it; hands on size and root."""
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
