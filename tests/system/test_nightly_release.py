"""The nightly release of the demo shop through a real Airflow, stepwise and fused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.airflow_home import AirflowHome

from airflow_veil.cli.demo import write_retail
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files

ROOT = Path(__file__).resolve().parents[2]
NIGHT = "2026-03-01"
DATASETS = ("customers", "orders", "order_lines")

pytestmark = pytest.mark.airflow


def _shop(home: AirflowHome, *, run: str, customers: int = 500) -> Path:
    """Lay the demo's policy, suites, DAG file and data out in an installation; returns the releases' folder."""
    text = (ROOT / "configs" / "retail.yaml").read_text()
    (home.policies / "retail.yaml").write_text(text.replace("run: stepwise", f"run: {run}"))
    shutil.copytree(ROOT / "configs" / "expectations", home.policies / "expectations", dirs_exist_ok=True)
    shutil.copy(ROOT / "dags" / "nightly_release.py", home.dags)
    data = home.path / "data"
    write_retail(data / "retail", customers=customers, seed=11)
    home.env["VEIL_DATA_ROOT"] = str(data)
    return data / "releases" / "retail"


@pytest.fixture(params=["stepwise", "fused"])
def nightly(
    request: pytest.FixtureRequest, airflow_home: Callable[..., AirflowHome]
) -> tuple[AirflowHome, Path]:
    """An installation after one night."""
    home = airflow_home()
    releases = _shop(home, run=request.param)
    done = home.test_dag("veil_retail", NIGHT)
    assert done.ok, done.output[-5000:]
    return home, releases


class TestNightlyRelease:
    def test_a_night(self, nightly: tuple[AirflowHome, Path]) -> None:
        """One night publishes every data set; rows join as before; staging is empty; lineage proves the masking."""
        home, releases = nightly
        states = home.states("veil_retail")
        source = home.path / "data" / "retail"

        assert set(states.values()) == {"success"}
        released = {name: pq.read_table(releases / name / "current") for name in DATASETS}
        original = {name: pq.read_table(source / f"{name}.parquet") for name in DATASETS}
        for name in DATASETS:
            assert released[name].num_rows == original[name].num_rows
        assert "street" not in released["customers"].column_names
        joined = released["orders"].join(released["customers"], "customer_id", join_type="inner")
        assert (
            joined.num_rows
            == original["orders"].join(original["customers"], "customer_id", join_type="inner").num_rows
        )

        staging = home.veil / "staging"
        assert not [path for path in staging.rglob("*") if path.is_file()]
        assert not list(releases.glob("*/.staging-*"))

        proof = prove_files([home.lineage])
        assert proof.holds, proof
        assert proof.paths_checked > 0

        with Ledger.open(home.veil / "ledger.db") as ledger:
            current = {release.dataset: release for release in ledger.list("retail")}
            assert set(current) == set(DATASETS)
            assert {release.state for release in current.values()} == {"current"}
            ledger.verify_chain()
        for name, release in current.items():
            manifest = json.loads((releases / name / "current" / "_manifest.json").read_text())
            assert manifest["release_id"] == release.release_id
            assert manifest["output"]["rows"] == released[name].num_rows
            assert manifest == release.manifest

    def test_the_same_night_again_is_the_same_release(self, nightly: tuple[AirflowHome, Path]) -> None:
        """A second run of the interval gives one release, not two, and leaves its bytes alone."""
        home, releases = nightly
        before = {path: path.stat().st_mtime_ns for path in releases.rglob("*.parquet")}

        again = home.test_dag("veil_retail", NIGHT)

        assert again.ok, again.output[-5000:]
        assert {path: path.stat().st_mtime_ns for path in releases.rglob("*.parquet")} == before
        with Ledger.open(home.veil / "ledger.db") as ledger:
            assert len(ledger.list("retail")) == len(DATASETS)

    def test_no_outside_socket_is_needed(
        self, airflow_home: Callable[..., AirflowHome], tmp_path: Path
    ) -> None:
        """Nothing phones home: with every socket beyond this machine refused, the night still succeeds."""
        home = airflow_home()
        _shop(home, run="fused", customers=50)
        wall = tmp_path / "wall"
        wall.mkdir()
        log = tmp_path / "refused.log"
        (wall / "sitecustomize.py").write_text(
            "import socket\n"
            "real, resolve = socket.socket.connect, socket.getaddrinfo\n"
            "def note(address):\n"
            f"    open({str(log)!r}, 'a').write(repr(address) + '\\n')\n"
            "    raise OSError('refused by the test')\n"
            "def connect(self, address):\n"
            "    if self.family != socket.AF_UNIX and address[0] not in ('127.0.0.1', '::1', 'localhost'):\n"
            "        note(address)\n"
            "    return real(self, address)\n"
            "def getaddrinfo(host, *args, **kwargs):\n"
            "    if host not in (None, '127.0.0.1', '::1', 'localhost', socket.gethostname()):\n"
            "        note((host,))\n"
            "    return resolve(host, *args, **kwargs)\n"
            "socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo\n"
        )

        done = home.test_dag("veil_retail", NIGHT, PYTHONPATH=os.pathsep.join([str(wall)]))

        assert done.ok, done.output[-5000:]
        assert not log.exists(), log.read_text()
