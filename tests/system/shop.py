"""Lays the demo shop out in an Airflow installation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml
from tests.airflow_home import AirflowHome

from airflow_veil.cli.demo import write_retail

ROOT = Path(__file__).resolve().parents[2]
DATASETS = ("customers", "orders", "order_lines")


def open_shop(
    home: AirflowHome, *, policy: str = "retail", run: str = "stepwise", customers: int = 200
) -> Path:
    """The demo's policy, suites, DAG file and data; returns the folder that the releases go to.

    Args:
        home: The installation.
        policy: The name to give to the policy.
        run: `stepwise` or `fused`.
        customers: How many; the data is made once an installation.
    """
    text = (ROOT / "configs" / "retail.yaml").read_text()
    for old, new in (
        ("name: retail", f"name: {policy}"),
        ("releases/retail", f"releases/{policy}"),
        ("run: stepwise", f"run: {run}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (home.policies / f"{policy}.yaml").write_text(text)
    shutil.copytree(ROOT / "configs" / "expectations", home.policies / "expectations", dirs_exist_ok=True)
    shutil.copy(ROOT / "dags" / "nightly_release.py", home.dags)
    data = home.path / "data"
    if not (data / "retail").exists():
        write_retail(data / "retail", customers=customers, seed=11)
    home.env["VEIL_DATA_ROOT"] = str(data)
    return data / "releases" / policy


def one_table(home: AirflowHome, policy: str, *, destination: Path | str, suite: str | None = None) -> None:
    """A policy for the shop's customers alone, released in one pass.

    Args:
        home: The installation.
        policy: The name to give to the policy.
        destination: Where its releases go.
        suite: The expectations that it names, if any.
    """
    said = yaml.safe_load((ROOT / "configs" / "retail.yaml").read_text())
    said["name"], said["datasets"] = policy, {"customers": said["datasets"]["customers"]}
    said["datasets"]["customers"]["expectations"] = suite
    said["release"] |= {"destination": str(destination), "run": "fused"}
    (home.policies / f"{policy}.yaml").write_text(yaml.safe_dump(said))


def bad_suite(home: AirflowHome, policy: str) -> None:
    """A policy for the shop's customers alone, whose expectations do not hold."""
    one_table(home, policy, destination=f"releases/{policy}", suite=policy)
    expectation = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "customer_id"}}
    suite = {"name": policy, "expectations": [expectation]}
    (home.policies / "expectations" / f"{policy}.json").write_text(json.dumps(suite))
