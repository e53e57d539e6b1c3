"""Opens what a policy names for the commands: files at once, Airflow only for connections."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_veil.privacy.settings import Settings

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.plan.plan import Plan
    from airflow_veil.privacy.policy.load import LoadedPolicy
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.storage.base import Source


def workspace(policy: Path, *, source: str | None = None, destination: str | None = None) -> Workspace:
    """A policy that checks, with the outside systems that it names.

    Args:
        policy: The policy file.
        source: URI to read instead of the policy's source.
        destination: URI to release to instead of the policy's destination.

    Raises:
        PolicyError: The policy does not check.
    """
    from airflow_veil.privacy.release.workspace import checked

    return of_loaded(checked(policy), source=source, destination=destination)


def of_loaded(
    loaded: LoadedPolicy, *, source: str | None = None, destination: str | None = None
) -> Workspace:
    """The workspace of a policy that is loaded already, whether or not it checks."""
    from airflow_veil.privacy.release.workspace import Workspace

    return Workspace(
        loaded=loaded,
        settings=Settings.from_env(),
        source_uri=source,
        destination_uri=destination,
        connect=_database_url,
        key_ring=_key_ring,
    )


def bound(opened: Workspace, dataset: str, *, key_version: int | None = None) -> Plan:
    """The plan of a data set, for the schema that its source has now; the ledger is left alone.

    Raises:
        SchemaError: The source does not fit the policy.
        StorageError: The source cannot be opened.
    """
    from airflow_veil.privacy.plan.bind import bind

    return bind(opened.loaded, dataset, opened.source(dataset).schema(), key_version=key_version)


def without_erased(opened: Workspace, dataset: str, source: Source) -> Source:
    """A source without people who were erased; a ledger that is not there yet names nobody, and is not made.

    Raises:
        ErasureError, LedgerError: The suppression list cannot be used.
    """
    from airflow_veil.privacy.erasure.suppressing import suppressing

    kind, _, file = opened.settings.ledger.partition(":///")
    if opened.loaded.policy.erasure is None or (kind == "sqlite" and not Path(file).exists()):
        return source
    return suppressing(opened, dataset, source)


def datasets_of(loaded: LoadedPolicy, wanted: str | None) -> Iterable[str]:
    """The data set that was asked for, or all of them."""
    return loaded.policy.datasets if wanted is None else (wanted,)


def actor() -> str:
    """Who does it, for the evidence: the operating system's user."""
    return f"veil:{getpass.getuser()}"


def _database_url(conn_id: str) -> str:
    """The address behind an Airflow connection; only now is Airflow imported."""
    from airflow_veil.hooks.workspace import database_url

    return database_url(conn_id)


def _key_ring(conn_id: str) -> KeyRing:
    """The key ring behind an Airflow connection; only now is Airflow imported."""
    from airflow_veil.hooks.keys import KeyRingHook

    return KeyRingHook(conn_id).get_conn()
