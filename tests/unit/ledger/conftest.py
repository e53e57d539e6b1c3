"""A fresh ledger, on each database that it runs on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.postgres import PostgresServer

from airflow_veil.privacy.ledger.ledger import Ledger


@pytest.fixture(scope="session")
def ledger_database(postgres_server: PostgresServer) -> str:
    """The URL of a PostgreSQL database for all ledgers of the session."""
    return postgres_server.database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a ledger in it; on PostgreSQL a schema, which is fast to make."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    database: str = request.getfixturevalue("ledger_database")
    schema = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{database}?options=-csearch_path%3D{schema}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger."""
    with Ledger.open(url) as ledger:
        yield ledger
