"""Runs through a real Airflow, each in an installation of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.airflow_home import AirflowHome, DagRun, make_home
from tests.system.shop import bad_suite, open_shop

NIGHT = "2026-03-01"


@pytest.fixture(scope="session")
def airflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the migrated metadata database lies: made by the first installation, copied by the others."""
    return tmp_path_factory.getbasetemp() / "airflow_template.db"


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
def nights(shared_home: Callable[..., AirflowHome]) -> Nights:
    """All of it in one start of Airflow."""
    home = shared_home("nights")
    policies = {"stepwise": "retail", "fused": "retail_fused"}
    for run, policy in policies.items():
        open_shop(home, policy=policy, run=run, customers=300)
    bad_suite(home, "retail_bad")
    jobs = [{"dag_id": f"veil_{policy}", "logical_date": NIGHT} for policy in policies.values()]
    runs, _ = home.run_dags(*jobs, {"dag_id": "veil_retail_bad", "logical_date": NIGHT}, *jobs)
    ways = zip(policies.items(), runs[:2], runs[3:], strict=True)
    return Nights(
        home, {run: Night(home, policy, first, again) for (run, policy), first, again in ways}, runs[2]
    )


@pytest.fixture(params=["stepwise", "fused"])
def night(request: pytest.FixtureRequest, nights: Nights) -> Night:
    """One of the two ways."""
    return nights.ways[request.param]
