"""`BudgetSensor`: waits until a budget pays for a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator

from airflow_veil.operators.base import without_values
from airflow_veil.operators.interval import interval_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class BudgetSensor(BaseSensorOperator):
    """Wait until the budget of a query pays for it: until its next period, or until somebody raises it.

    It waits in `reschedule` mode unless told otherwise, so that it takes no worker for days. An answer that is stored
    already needs no money, and is not waited for.

    Args:
        policy: Path of the policy file.
        query: Name of the query in it.
        source: URI to read instead of the policy's source, if given.
        ledger_conn_id: Connection of type `veil_ledger`; the installation's own ledger if None.
    """

    names: ClassVar[str] = "queries"
    template_fields: Sequence[str] = ("policy", "dataset", "source")
    ui_color = "#e6eef5"

    def __init__(
        self,
        *,
        policy: str,
        query: str,
        source: str | None = None,
        ledger_conn_id: str | None = None,
        mode: str = "reschedule",
        poke_interval: float = 3_600,
        **kwargs: Any,
    ) -> None:
        super().__init__(mode=mode, poke_interval=poke_interval, **kwargs)
        self.policy = str(policy)
        self.dataset = query
        self.source = source
        self.ledger_conn_id = ledger_conn_id

    def poke(self, context: Context) -> bool:
        """Whether the budget pays now."""
        from airflow_veil.hooks.workspace import workspace
        from airflow_veil.privacy.release import dp_release

        def affordable() -> bool:
            with workspace(self.policy, source=self.source, ledger_conn_id=self.ledger_conn_id) as opened:
                return dp_release.affordable(opened, self.dataset, interval_of(context))

        return without_values(affordable, where=f"{self.dataset}, task {self.task_id}")
