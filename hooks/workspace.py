"""A workspace whose connections Airflow resolves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_veil.hooks import connection
from airflow_veil.hooks.keys import KeyRingHook
from airflow_veil.hooks.ledger import LedgerHook
from airflow_veil.hooks.settings import settings
from airflow_veil.privacy.release.workspace import Workspace, checked, key_file

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.policy.load import LoadedPolicy
    from airflow_veil.privacy.settings import Settings


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
        open_keys=_open_keys,
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


def _open_keys(loaded: LoadedPolicy, places: Settings) -> KeyRing:
    source = loaded.policy.keys
    if source is not None and source.connection is not None:
        return KeyRingHook(source.connection).get_conn()
    return key_file(loaded, places)
