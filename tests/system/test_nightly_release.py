"""The nightly release of the demo shop through a real Airflow, stepwise and fused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.airflow_home import AirflowHome
from tests.system.conftest import NIGHT, Night, Nights
from tests.system.shop import DATASETS, open_shop

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files

pytestmark = pytest.mark.airflow


class TestNightlyRelease:
    def test_a_night(self, night: Night) -> None:
        """One night publishes every data set; rows join as before; staging is empty; lineage proves the masking."""
        source = night.home.path / "data" / "retail"

        assert night.first.state == "success"
        assert set(night.first.tasks.values()) == {"success"}
        released = {name: pq.read_table(night.releases / name / "current") for name in DATASETS}
        original = {name: pq.read_table(source / f"{name}.parquet") for name in DATASETS}
        for name in DATASETS:
            assert released[name].num_rows == original[name].num_rows
        assert "street" not in released["customers"].column_names
        joined = released["orders"].join(released["customers"], "customer_id", join_type="inner")
        assert (
            joined.num_rows
            == original["orders"].join(original["customers"], "customer_id", join_type="inner").num_rows
        )

        staging = night.home.veil / "staging"
        assert not [path for path in staging.rglob("*") if path.is_file()]
        assert not [path for path in night.releases.glob("*/*") if path.name.startswith(".")]

        proof = prove_files([night.home.lineage])
        assert proof.holds, proof
        assert proof.paths_checked > 0

        with Ledger.open(night.home.veil / "ledger.db") as ledger:
            current = {release.dataset: release for release in ledger.list(night.policy)}
            assert set(current) == set(DATASETS)
            assert {release.state for release in current.values()} == {"current"}
            ledger.verify_chain()
        for name, release in current.items():
            manifest = json.loads((night.releases / name / "current" / "_manifest.json").read_text())
            assert manifest["release_id"] == release.release_id
            assert manifest["output"]["rows"] == released[name].num_rows
            assert manifest == release.manifest

    def test_the_same_night_again_is_the_same_release(self, night: Night) -> None:
        """A second run of the interval gives one release, not two, and leaves its bytes alone."""
        files = list(night.releases.rglob("*.parquet"))

        assert night.again.state == "success"
        assert set(night.again.tasks.values()) == {"success"}
        assert len({file.resolve() for file in files}) == len(DATASETS)
        assert all(file.stat().st_mtime < night.again.started for file in files)
        assert all(link.lstat().st_mtime < night.again.started for link in night.releases.glob("*/current"))
        with Ledger.open(night.home.veil / "ledger.db") as ledger:
            assert len(ledger.list(night.policy)) == len(DATASETS)

    def test_fused_and_stepwise_release_the_same_rows(self, nights: Nights) -> None:
        """How a night is run shows in nothing that is released."""
        for name in DATASETS:
            fused, stepwise = (
                pq.read_table(nights.ways[run].releases / name / "current") for run in ("fused", "stepwise")
            )
            assert fused.equals(stepwise)

    def test_no_outside_socket_is_needed(
        self, airflow_home: Callable[..., AirflowHome], tmp_path: Path
    ) -> None:
        """Nothing phones home: with every socket beyond this machine refused, the night still succeeds."""
        home = airflow_home()
        open_shop(home, run="fused", customers=50)
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
