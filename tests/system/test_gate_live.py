"""The gate with all of Airflow around it: scheduler, triggerer, API server; a person answers by Airflow's own API."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.airflow_home import AirflowHome

from airflow_veil.privacy.ledger.ledger import Ledger

pytestmark = pytest.mark.airflow

PATIENCE = 300
"""Seconds that anything is waited for: a machine may be slow."""
THINKING = 8
"""Seconds that a person takes to answer at least."""
POLICY = """\
version: 1
name: {name}
owner: data@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {{class: direct_identifier, type: int64, treat: drop}}
      country: {{class: quasi_identifier, treat: keep}}
release:
  destination: releases/{name}
  schedule: null
  gate: {{approve: {{k: 5}}}}
"""
DAGS = """\
from airflow_veil.pipelines.sanitized_release import sanitized_release_dag

for name in ("yes", "no"):
    dag = sanitized_release_dag("{policies}/" + name + ".yaml", is_paused_upon_creation=False)
    globals()[dag.dag_id] = dag
"""


@dataclass
class Running:
    """A whole Airflow, and a token for it."""

    home: AirflowHome
    url: str
    token: str = ""

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=60) as answer:
            return json.load(answer)

    def until(self, look: Callable[[], Any]) -> Any:
        """What is found, as soon as it is there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
            except (urllib.error.URLError, ConnectionError, FileNotFoundError):
                pass
            time.sleep(1)
        raise AssertionError((self.home.path / "standalone.log").read_text()[-4000:])

    def log_in(self) -> bool:
        passwords = json.loads((self.home.path / "simple_auth_manager_passwords.json.generated").read_text())
        told = {"username": "admin", "password": passwords["admin"]}
        self.token = self.call("POST", "/auth/token", told)["access_token"]
        return True

    def start(self, dag_id: str) -> str:
        """Trigger a DAG, as soon as Airflow knows it."""
        told = self.until(lambda: self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None}))
        return str(told["dag_run_id"])

    def answer(self, dag_id: str, run: str, option: str, reason: str) -> None:
        """Answer what the gate asks, as soon as it asks."""
        asked = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/people.gate/-1/hitlDetails"
        self.until(lambda: self.call("GET", asked))
        # Airflow takes a task for lost that is answered before its scheduler has seen that it waits.
        time.sleep(THINKING)
        given = {"chosen_options": [option], "params_input": {"reason": reason}}
        self.call("PATCH", asked, given)

    def ended(self, dag_id: str, run: str) -> str:
        """How a run ended."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}"
        state = self.until(
            lambda: found if (found := self.call("GET", path)["state"]) in ("success", "failed") else None
        )
        return str(state)


@pytest.fixture
def airflow(airflow_home: Callable[..., AirflowHome]) -> Iterator[Running]:
    """`airflow standalone` on a free port, with a DAG whose release is approved and one whose is not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    home = airflow_home(
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="False",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin",
        AIRFLOW__CORE__PARALLELISM="2",
        AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL="5",
    )
    for name in ("yes", "no"):
        (home.policies / f"{name}.yaml").write_text(POLICY.format(name=name))
    people = {"id": pa.array(range(12), pa.int64()), "country": ["GB"] * 10 + ["FR"] * 2}
    pq.write_table(pa.table(people), home.policies / "people.parquet")
    (home.dags / "gated.py").write_text(DAGS.format(policies=home.policies))
    with (home.path / "standalone.log").open("w") as log:
        process = subprocess.Popen(
            ["airflow", "standalone"],
            env=home.environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home.path,
        )
    running = Running(home, url)
    try:
        running.until(running.log_in)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


class TestGate:
    def test_a_person_answers(self, airflow: Running) -> None:
        """Approved, the release is published, and who approved it and why is evidence; rejected, nothing goes out."""
        yes, no = airflow.start("veil_yes"), airflow.start("veil_no")
        airflow.answer("veil_yes", yes, "Approve", "ticket 4711")
        airflow.answer("veil_no", no, "Reject", "too few people")

        assert airflow.ended("veil_yes", yes) == "success"
        airflow.ended("veil_no", no)

        with Ledger.open(airflow.home.veil / "ledger.db") as ledger:
            (published,), (held,) = ledger.list("yes"), ledger.list("no")
            told = {entry.kind: entry for entry in ledger.evidence()}
        assert published.state == "current"
        approval = told["release.approved"].content
        assert (approval["by"], approval["reason"]) == ("admin", "ticket 4711")
        assert approval["at"] < approval["until"]
        assert told["release.rejected"].content["reason"] == "too few people"
        assert held.published_at is None
        releases = airflow.home.policies / "releases"
        assert pq.read_table(releases / "yes" / "people" / "current").num_rows == 12
        assert not (releases / "no" / "people" / "current").exists()
        assert airflow.home.states("veil_no")["people.publish"] == "skipped"
