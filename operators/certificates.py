"""`ProveCertificatesOperator`: gives certificates the proofs that they could not have when they were issued."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import actor
from airflow_veil.operators.log import LogOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class ProveCertificatesOperator(LogOperator):
    """Write the certificates of a folder anew with their proofs, once a checkpoint covers them.

    A certificate is issued before the checkpoint that covers it: until then it says that it is not anchored yet. Hands
    on how many have got their proofs, and how many still wait; that is evidence as well.

    Args:
        anchors: Where the checkpoints are: what `AnchorEvidenceOperator` was given as `to`.
        certificates: The folder; `certificates` in the installation's home if None.
        kwargs: Those of `LogOperator`.
    """

    template_fields: Sequence[str] = ("anchors", "certificates")

    def __init__(
        self,
        *,
        anchors: str,
        certificates: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anchors = str(anchors)
        self.certificates = certificates

    def run(self, context: Context) -> dict[str, Any]:
        """Prove them; hands on counts."""
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
