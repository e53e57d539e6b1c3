"""A throw-away Airflow for tests: its own home, metadata database, DAG folder, ledger, keys and lineage."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_veil.privacy.keys.file import KeyFile

BIN = Path(sys.executable).parent
SYSTEM = Path(__file__).resolve().parent / "system"


@dataclass
class Run:
    """What a command did."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class DagRun:
    """What became of one run of a DAG.

    Attributes:
        dag_id: The DAG.
        run_id: The run.
        state: How it ended.
        started: When it was started, in seconds since 1970.
        tasks: The state of each task.
    """

    dag_id: str
    run_id: str
    state: str
    started: float
    tasks: dict[str, str]


@dataclass
class AirflowHome:
    """One Airflow installation in a folder.

    Attributes:
        path: The folder: `dags/`, `policies/`, `veil/` and whatever Airflow makes.
        env: What is set for every command besides the environment of the tests.
    """

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def dags(self) -> Path:
        return self.path / "dags"

    @property
    def policies(self) -> Path:
        return self.path / "policies"

    @property
    def veil(self) -> Path:
        return self.path / "veil"

    @property
    def database(self) -> Path:
        return self.path / "airflow.db"

    @property
    def lineage(self) -> Path:
        return self.veil / "lineage.jsonl"

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "VEIL_", "OPENLINEAGE"))
        }
        return {
            **kept,
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__VEIL__POLICIES": str(self.policies),
            "VEIL_HOME": str(self.veil),
            "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}",
            **self.env,
        }

    def run(self, *command: str, timeout: int = 300, **env: str) -> Run:
        """Run a command in this installation; its standard output and error together."""
        done = subprocess.run(
            [*command],
            env={**self.environment(), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.path,
        )
        return Run(done.returncode, done.stdout)

    def test_dag(self, dag_id: str, logical_date: str | None = None, **env: str) -> Run:
        """Run a DAG through Airflow, task after task, as `airflow dags test` does."""
        date = [logical_date] if logical_date else []
        return self.run("airflow", "dags", "test", dag_id, *date, **env)

    def run_dags(self, *jobs: dict[str, Any], timeout: int = 500, **env: str) -> tuple[list[DagRun], str]:
        """Run DAGs one after another in one process; see `system/run_dags.py`.

        Returns:
            What became of each, and all that was printed.
        """
        results = self.path / "results.json"
        results.unlink(missing_ok=True)
        executor = {
            "PYTHONPATH": str(SYSTEM),
            "AIRFLOW__CORE__EXECUTOR": "forking_executor.ForkingExecutor",
            # How long the supervisor waits for a child whose end it has missed.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        }
        script = str(SYSTEM / "run_dags.py")
        done = self.run(
            sys.executable, script, json.dumps(jobs), str(results), timeout=timeout, **executor, **env
        )
        (self.path / "runs.log").write_text(done.output)
        assert done.ok, done.output[-5000:]
        return self.results(), done.output

    def results(self) -> list[DagRun]:
        """What became of the DAGs that were run last."""
        return [DagRun(**result) for result in json.loads((self.path / "results.json").read_text())]

    def states(self, dag_id: str) -> dict[str, str]:
        """The state of each task of a DAG's newest run."""
        return dict(
            self.select(
                "select task_id, state from task_instance where dag_id = ? and run_id = "
                "(select run_id from dag_run where dag_id = ? order by id desc limit 1)",
                dag_id,
                dag_id,
            )
        )

    def select(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the metadata database."""
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(query, parameters).fetchall()

    def events(self) -> list[dict[str, Any]]:
        """The lineage events so far."""
        return (
            [json.loads(line) for line in self.lineage.read_text().splitlines()]
            if self.lineage.exists()
            else []
        )


def make_home(template: Path, path: Path, **env: str) -> AirflowHome:
    """A fresh installation.

    Args:
        template: A migrated metadata database to copy; made where it is missing, which takes a while.
        path: The installation's folder.
        env: What to set for each of its commands.
    """
    home = AirflowHome(path, env)
    for folder in (home.dags, home.policies, home.veil):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(template):
        if not template.exists():
            done = home.run("airflow", "db", "migrate")
            assert done.ok, done.output[-3000:]
            shutil.copyfile(home.database, template)
    shutil.copyfile(template, home.database)
    KeyFile(home.veil / "keys.json").create()
    return home


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of a path against the other processes of a test session."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def failed_tasks(output: str) -> list[str]:
    """The tasks that a `dags test` run reports as failed."""
    return re.findall(r"Task failed; task_id=(\S+)", output)
