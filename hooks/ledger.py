"""The ledger behind an Airflow connection of type `veil_ledger`, or the installation's own SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_veil.hooks import connection
from airflow_veil.hooks.settings import settings
from airflow_veil.privacy.errors import VeilError

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger


class LedgerHook(BaseHook):
    """Opens the ledger: the database of record for releases and evidence, apart from Airflow's own.

    Without a connection of that id the ledger is where `VEIL_LEDGER` or `[veil] home` says: SQLite by default.

    Args:
        ledger_conn_id: The id of a connection of type `veil_ledger` (PostgreSQL).
    """

    conn_name_attr = "ledger_conn_id"
    default_conn_name = "veil_ledger"
    conn_type = "veil_ledger"
    hook_name = "Veil ledger"

    def __init__(self, ledger_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ledger_conn_id = ledger_conn_id

    def get_conn(self) -> Ledger:
        """Open the ledger, bringing its schema up to date.

        Raises:
            MissingConnectionError: A connection is named and missing.
            LedgerError: The database cannot be used.
        """
        from airflow_veil.privacy.ledger.ledger import Ledger
        from airflow_veil.privacy.release.workspace import own_ledger

        if self.ledger_conn_id is None:
            return own_ledger(settings())
        return Ledger.open(self._target())

    def look(self) -> Ledger:
        """Open the ledger to read it: nothing is made and nothing upgraded.

        Raises:
            MissingConnectionError: A connection is named and missing.
            LedgerError: There is none, it is of another version, or it cannot be used.
        """
        from airflow_veil.privacy.ledger.ledger import Ledger

        return Ledger.look(self._target())

    def _target(self) -> str | Path:
        if self.ledger_conn_id is None:
            return settings().ledger
        found = connection.fetch(self.ledger_conn_id, types=(self.conn_type, "postgres"))
        return connection.postgres_url(found)

    def test_connection(self) -> tuple[bool, str]:
        """Open the ledger; what the connection form's test button runs."""
        try:
            with self.get_conn() as ledger:
                count = len(ledger.list())
        except VeilError as error:
            return False, str(error)
        return True, f"Ledger with {count} releases"
