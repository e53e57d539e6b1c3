"""What parsing `dags/` costs on top of importing Airflow, done as Airflow's DAG processor does it.

A process imports Airflow, parses a DAG of Airflow's own classes and freezes its garbage collector; from then on it
forks. Each fork starts from the same memory, parses one folder (in turns: an empty one, and `dags/` with the policies
of `configs/`) and reports the processor time of the thread that parses. Bytecode is compiled beforehand, as an
installed package has it, into a folder of its own.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figure import Figure, figure

ROOT = Path(__file__).parents[1]
DAGS, POLICIES = ROOT / "dags", ROOT / "configs"
TURNS = 25
FLOOR, AIM = 0.3, 0.2

_PLAIN = """\
from datetime import datetime

from airflow.sdk import DAG, Asset, BaseOperator, TaskGroup, chain, conf, task


class Nothing(BaseOperator):
    def execute(self, context): ...


with DAG("plain", schedule="@daily", start_date=datetime(2026, 1, 1)):

    @task
    def told(before): ...

    with TaskGroup("group"):
        tasks = [Nothing(task_id=name, outlets=[Asset(name, uri=f"file:///{name}")]) for name in "ab"]
        chain(*tasks)
    told(tasks[-1].output)
"""
"""What `dags/` uses of Airflow, and nothing of the suite: `airflow.sdk` imports a name when it is first used."""


def run() -> list[Figure]:
    """Measure in a process of its own; takes some twenty seconds."""
    with TemporaryDirectory(prefix="veil-bench-") as folder:
        environment = _environment(Path(folder))
        _child(environment, folder, "1")  # compiles
        told = _child(environment, folder, str(TURNS))
    size = f"{told['dags']} DAGs, {told['tasks']} tasks"
    least, usual = (how(told["full"]) - how(told["empty"]) for how in (min, statistics.median))
    return [
        figure("Importing Airflow, parsing a plain DAG", told["airflow"], "s"),
        figure(f"Parsing dags/ on top, {size}", least, "s", floor=FLOOR, aim=AIM),
        figure("The same, median of the turns", usual, "s", floor=FLOOR, aim=AIM),
    ]


def _environment(folder: Path) -> dict[str, str]:
    """A new Airflow installation, and the policies of `configs/`."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "VEIL"))}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **inherited,
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "VEIL_HOME": str(folder / "veil"),
        "VEIL_POLICIES": str(POLICIES),
    }


def _child(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.bench_parse", *arguments]
    child = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(child.stdout.splitlines()[-1])


def measure(folder: Path, turns: int) -> dict[str, Any]:
    """The child: seconds of importing Airflow and, by turn, of parsing an empty folder and `dags/`."""
    plain, empty = folder / "plain", folder / "empty"
    for made in (plain, empty):
        made.mkdir(exist_ok=True)
    (plain / "plain.py").write_text(_PLAIN)
    _parse(plain)
    airflow = time.thread_time()
    gc.freeze()  # as airflow.dag_processing.manager does before it forks
    works = {"empty": partial(_parse, empty), "full": partial(_parse, DAGS)}
    told = [{name: _forked(work) for name, work in works.items()} for _ in range(turns)]
    seconds = {name: [turn[name]["seconds"] for turn in told] for name in works}
    return {**told[-1]["full"], **seconds, "airflow": airflow}


def _parse(folder: Path) -> dict[str, Any]:
    """Parse the files of a folder; seconds, and what was in them."""
    from airflow.dag_processing.dagbag import DagBag

    begin = time.thread_time()
    bag = DagBag(folder)
    seconds = time.thread_time() - begin
    if bag.import_errors:
        raise RuntimeError(f"{len(bag.import_errors)} files of {folder.name} do not import")
    return {
        "seconds": seconds,
        "dags": len(bag.dags),
        "tasks": sum(len(dag.tasks) for dag in bag.dags.values()),
    }


def _forked(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What some work returns, done in a fork of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(work, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError("a fork failed; its reason stands above")
    return json.loads(told)


def _answer(work: Callable[[], dict[str, Any]], writer: int) -> None:
    """Do the work of a fork and end it: nothing of its parent is to run in it."""
    try:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told and the fork ends
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
