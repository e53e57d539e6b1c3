"""`ProveCertificatesOperator`: gives certificates the proofs that they could not have when they were issued."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_veil.operators.base import actor, without_values

if TYPE_CHECKING:
    from airflow.sdk import Context


class ProveCertificatesOperator(BaseOperator):
    """Write the certificates of a folder anew with their proofs, once a checkpoint covers them.

    A certificate is issued before the checkpoint that covers it: until then it says that it is not anchored yet. Hands
    on how many have got their proofs, and how many still wait; that is evidence as well.

    Args:
        anchors: Where the checkpoints are: what `AnchorEvidenceOperator` was given as `to`.
        certificates: The folder; `certificates` in the installation's home if None.
        trust: Verifier keys of the same log that signed there before, besides the signing key's own.
        audit_key_conn_id: Connection of type `veil_audit_key`; the installation's own key file if None.
        ledger_conn_id: Connection of type `veil_ledger`; the installation's own ledger if None.
    """

    template_fields: Sequence[str] = ("anchors", "certificates")
    ui_color = "#e6eef5"

    def __init__(
        self,
        *,
        anchors: str,
        certificates: str | None = None,
        trust: Sequence[str] = (),
        audit_key_conn_id: str | None = None,
        ledger_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anchors = str(anchors)
        self.certificates = certificates
        self.trust = tuple(trust)
        self.audit_key_conn_id = audit_key_conn_id
        self.ledger_conn_id = ledger_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Prove; whatever goes wrong is told in names and counts only."""
        return without_values(lambda: self._prove(context), where=f"certificates, task {self.task_id}")

    def _prove(self, context: Context) -> dict[str, Any]:
        from airflow_veil.hooks.audit_key import AuditKeyHook
        from airflow_veil.hooks.ledger import LedgerHook
        from airflow_veil.hooks.settings import settings
        from airflow_veil.privacy.audit.anchor import checkpoints
        from airflow_veil.privacy.audit.certificate import prove_all
        from airflow_veil.privacy.audit.places import place

        keys = AuditKeyHook(self.audit_key_conn_id).trusted(self.trust)
        anchored = checkpoints(place(self.anchors), keys)
        folder = Path(self.certificates) if self.certificates else settings().certificates
        with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            proven, waiting = prove_all(ledger, folder, anchored)
            found = {"proven": proven, "waiting": waiting}
            ledger.append_evidence("certificates.proven", keys[0].name, found, actor=actor(context))
        self.log.info("Proved %d certificates, %d wait for a checkpoint", proven, waiting)
        return found
