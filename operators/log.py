"""What tasks over the evidence as a whole share: no policy, but checkpoints that are kept outside the database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_veil.operators.base import without_values

if TYPE_CHECKING:
    from airflow.sdk import Context


class LogOperator(BaseOperator):
    """A task over the log of evidence.

    Args:
        trust: Verifier keys of the same log that signed there before, besides the signing key's own.
        audit_key_conn_id: Connection of type `veil_audit_key`; the installation's own key file if None.
        ledger_conn_id: Connection of type `veil_ledger`; the installation's own ledger if None.
    """

    ui_color = "#e6eef5"

    def __init__(
        self,
        *,
        trust: Sequence[str] = (),
        audit_key_conn_id: str | None = None,
        ledger_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trust = tuple(trust)
        self.audit_key_conn_id = audit_key_conn_id
        self.ledger_conn_id = ledger_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it; whatever goes wrong is told in names and counts only."""
        return without_values(lambda: self.run(context), where=f"{type(self).__name__}, task {self.task_id}")

    @abstractmethod
    def run(self, context: Context) -> dict[str, Any]:
        """The step itself; returns what is handed on by XCom: counts and digests."""
