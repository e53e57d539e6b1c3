"""What tests of every area share: the real test data, a real PostgreSQL, an object store."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.postgres import PostgresMissingError, PostgresServer

if TYPE_CHECKING:
    from tests.object_store import ObjectStore

REPOSITORY = Path(__file__).resolve().parent.parent

# Before anything imports Airflow: the tests never read or change the user's own installation.
_HOME = tempfile.mkdtemp(prefix="veil-tests-")
os.environ.update(
    AIRFLOW_HOME=f"{_HOME}/airflow", AIRFLOW__CORE__LOAD_EXAMPLES="False", VEIL_HOME=f"{_HOME}/veil"
)
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# The same commit has the same examples, however busy the machine: `--hypothesis-profile default` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data sets and test vectors; see its INDEX.md."""
    folder = Path(os.environ.get("VEIL_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"NO TEST DATA: {folder} is not there; set VEIL_SHARED_DATA to the folder of the real data sets"
        )
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole session."""
    try:
        server = PostgresServer()
    except PostgresMissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI must test against PostgreSQL: {missing}")
        pytest.skip(f"NO POSTGRESQL: {missing}")
    with server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One object store for the whole session."""
    # Here, since the server is only for the few tests that keep something in one.
    from tests.object_store import ObjectStore

    with ObjectStore() as store:
        yield store


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> str:
    """The URL of a fresh, empty PostgreSQL database."""
    return postgres_server.database()
