"""A workspace whose connections Airflow resolves."""

from __future__ import annotations

from airflow_veil.hooks import connection
from airflow_veil.hooks.keys import KeyRingHook
from airflow_veil.hooks.ledger import LedgerHook
from airflow_veil.hooks.settings import settings
from airflow_veil.privacy.release.workspace import Workspace, checked


def workspace(
    policy: str,
    *,
    source: str | None = None,
    destination: str | None = None,
    ledger_conn_id: str | None = None,
) -> Workspace:
    """Open a policy for work in a task.

    Raises:
        PolicyError: It does not check.
    """
    return Workspace(
        loaded=checked(policy),
        settings=settings(),
        source_uri=source,
        destination_uri=destination,
        connect=database_url,
        key_ring=lambda conn_id: KeyRingHook(conn_id).get_conn(),
        open_ledger=lambda _settings: LedgerHook(ledger_conn_id).get_conn(),
    )


def database_url(conn_id: str) -> str:
    """The database URL behind a connection; it may hold a password.

    Raises:
        MissingConnectionError: There is none, or it is of a type that cannot be read.
    """
    found = connection.fetch(conn_id, types=("sqlite", "postgres"))
    if found.conn_type == "sqlite":
        # `sqlite:////data/crm.db` and a form with the path as host mean the same file.
        return f"sqlite:///{found.host or found.schema}"
    return connection.postgres_url(found)
