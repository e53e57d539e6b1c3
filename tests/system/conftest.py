"""Runs through a real Airflow, each in an installation of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.airflow_home import AirflowHome, make_home


@pytest.fixture
def airflow_home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AirflowHome]:
    """Makes a fresh Airflow installation; the database is migrated once a session and then copied."""
    template = tmp_path_factory.getbasetemp() / "airflow_template.db"

    def make(name: str = "airflow", **env: str) -> AirflowHome:
        return make_home(template, tmp_path / name, **env)

    return make
