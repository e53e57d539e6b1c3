"""A music shop of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.erasure.music import Music, make

from airflow_veil.privacy.ledger.ledger import Ledger


@pytest.fixture(scope="session")
def bare_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with its tables; copied, for making one takes a moment."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    Ledger.open(path).close()
    return path


@pytest.fixture
def music(tmp_path: Path, bare_ledger: Path) -> Iterator[Music]:
    """A music shop before anybody was erased."""
    made = make(tmp_path / "music", bare_ledger)
    yield made
    made.close()
