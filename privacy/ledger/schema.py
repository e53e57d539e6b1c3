"""Brings the ledger's tables to the version that this code knows, whoever comes first."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from airflow_veil.privacy.ledger.database import name_of, reading, writing
from airflow_veil.privacy.ledger.fault import permanent
from airflow_veil.privacy.ledger.tables import VERSION_TABLE

VERSION = "0008"
"""The newest migration: the version of the tables that this code reads and writes."""

# Alembic's `op` is a global of the process.
_alembic = threading.Lock()


def upgrade(engine: Engine) -> None:
    """Bring the tables to `VERSION`; does nothing where they are.

    Any number of processes may do this at once: one migrates, in one transaction that holds the writer's
    lock, the others wait and find it done. A kill in between leaves the tables as they were.

    Raises:
        LedgerError: The tables are newer than this code, or the database refuses.
    """
    with reading(engine) as connection:
        if _version(engine, connection) == VERSION:
            return
    with _alembic, writing(engine) as connection:
        if _version(engine, connection) != VERSION:
            _migrate(connection)


def check(engine: Engine) -> None:
    """See that the tables have `VERSION`; nothing is changed.

    Raises:
        LedgerError: They are older or newer than this code, or the database refuses.
    """
    with reading(engine) as connection:
        found = _version(engine, connection)
    if found != VERSION:
        raise permanent(
            f"the ledger has version {found or 'none'} of its tables, and this airflow-veil reads {VERSION}",
            where=f"ledger {name_of(engine)}",
            fix="run a task or a command of this airflow-veil, which brings them up to date",
        )


def _version(engine: Engine, connection: Connection) -> str | None:
    """The version of the tables; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    # Versions are numbers of four digits, so that older code can tell a newer one.
    if version is not None and version > VERSION:
        raise permanent(
            f"the ledger has version {version} of its tables, and this airflow-veil knows {VERSION} at most",
            where=f"ledger {name_of(engine)}",
            fix="upgrade airflow-veil here to the version that the others use",
        )
    return version


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    folder = Path(__file__).with_name("migrations")
    # A per cent sign begins a reference in this format.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, VERSION)
