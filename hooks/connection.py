"""Fetches an Airflow connection; one that is missing is an error that says how to add it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_veil.privacy.errors import VeilError

if TYPE_CHECKING:
    from airflow.sdk import Connection


class MissingConnectionError(VeilError):
    """An Airflow connection is missing or is not of the type that was expected."""


def fetch(conn_id: str, *, types: tuple[str, ...]) -> Connection:
    """The connection of that id.

    Args:
        conn_id: Its id.
        types: The connection types that fit.

    Raises:
        MissingConnectionError: There is none, or it is of another type.
    """
    connection = _lookup(conn_id)
    if connection is None:
        raise MissingConnectionError(
            "There is no such connection",
            where=f"connection {conn_id}",
            expected=f"an Airflow connection of type {' or '.join(types)}",
            fix=f"add it in Airflow (Admin, Connections), or set AIRFLOW_CONN_{conn_id.upper()}",
        )
    if connection.conn_type not in types:
        raise MissingConnectionError(
            f"The connection is of type {connection.conn_type}",
            where=f"connection {conn_id}",
            expected=" or ".join(types),
            fix="name a connection of that type",
        )
    return connection


def postgres_url(connection: Connection) -> str:
    """The PostgreSQL URL of a connection; it may hold a password."""
    from sqlalchemy import URL

    url = URL.create(
        "postgresql",
        connection.login,
        connection.password,
        connection.host,
        connection.port,
        connection.schema or None,
    )
    return url.render_as_string(hide_password=False)


def _lookup(conn_id: str) -> Connection | None:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except (AirflowNotFoundException, AirflowException):
        return None
