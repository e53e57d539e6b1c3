"""What unit tests of several areas share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with its tables; copied, for making one takes a moment."""
    from airflow_veil.privacy.ledger.ledger import Ledger

    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    Ledger.open(path).close()
    return path
