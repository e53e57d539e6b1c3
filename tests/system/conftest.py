"""Runs through a real Airflow, each in an installation of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.airflow_home import AirflowHome, DagRun, alone, make_home
from tests.system.shop import bad_suite, open_shop

NIGHT = "2026-03-01"


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes of the session, where several share the tests."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def airflow_template(session_folder: Path) -> Path:
    """Where the migrated metadata database lies: made by the first installation, copied by the others."""
    return session_folder / "airflow_template.db"


@pytest.fixture
def airflow_home(tmp_path: Path, airflow_template: Path) -> Callable[..., AirflowHome]:
    """Makes a fresh Airflow installation."""

    def make(name: str = "airflow", **env: str) -> AirflowHome:
        return make_home(airflow_template, tmp_path / name, **env)

    return make


@pytest.fixture(scope="session")
def shared_home(
    tmp_path_factory: pytest.TempPathFactory, airflow_template: Path
) -> Callable[..., AirflowHome]:
    """Makes an installation that several tests look at after one start of Airflow."""

    def make(name: str, **env: str) -> AirflowHome:
        return make_home(airflow_template, tmp_path_factory.mktemp(name) / "airflow", **env)

    return make


@dataclass(frozen=True)
class Night:
    """The demo shop's night, and the same night once more, in one of the two ways of running it.

    Attributes:
        home: The installation.
        policy: The policy's name: `retail`, or `retail_fused`.
        first: The first run.
        again: The second run of the same interval.
    """

    home: AirflowHome
    policy: str
    first: DagRun
    again: DagRun

    @property
    def releases(self) -> Path:
        return self.home.path / "data" / "releases" / self.policy


@dataclass(frozen=True)
class Nights:
    """The demo shop after one night run twice in both ways, and a night that failed.

    Attributes:
        home: The installation.
        ways: `stepwise` and `fused`.
        failed: The run of a policy whose expectations do not hold.
    """

    home: AirflowHome
    ways: dict[str, Night]
    failed: DagRun


@pytest.fixture(scope="session")
def nights(session_folder: Path, airflow_template: Path) -> Nights:
    """All of it in one start of Airflow, also where several processes share the tests."""
    policies = {"stepwise": "retail", "fused": "retail_fused"}
    folder = session_folder / "nights"
    with alone(folder):
        home = AirflowHome(folder) if folder.exists() else _run_nights(airflow_template, folder, policies)
    runs = home.results()
    ways = zip(policies.items(), runs[:2], runs[3:], strict=True)
    return Nights(
        home, {run: Night(home, policy, first, again) for (run, policy), first, again in ways}, runs[2]
    )


def _run_nights(template: Path, folder: Path, policies: dict[str, str]) -> AirflowHome:
    home = make_home(template, folder)
    for run, policy in policies.items():
        open_shop(home, policy=policy, run=run, customers=300)
    bad_suite(home, "retail_bad")
    jobs = [{"dag_id": f"veil_{policy}", "logical_date": NIGHT} for policy in policies.values()]
    home.run_dags(*jobs, {"dag_id": "veil_retail_bad", "logical_date": NIGHT}, *jobs)
    return home


@pytest.fixture(params=["stepwise", "fused"])
def night(request: pytest.FixtureRequest, nights: Nights) -> Night:
    """One of the two ways."""
    return nights.ways[request.param]
