"""The runs of the canary test: a good night, one for each kind of failure, and one that leaks on purpose."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

from airflow_veil.operators.detokenize import DetokenizeOperator
from airflow_veil.pipelines.sanitized_release import EPOCH, sanitized_release_dag

HOME = Path(os.environ["AIRFLOW_HOME"])
POLICIES = HOME / "policies"
INPUT = HOME / "input"
CONTROL = os.environ["CANARY_CONTROL"]
QUIET = {"default_args": {"retries": 0}}


def night(case: str, policy: str = "fused", **arguments: Any) -> DAG:
    """A nightly DAG of a policy that reads or writes somewhere else."""
    return sanitized_release_dag(
        POLICIES / f"{policy}.yaml", dag_id=f"canary_{case}", schedule=None, **QUIET, **arguments
    )


def elsewhere(case: str, source: Path) -> DAG:
    """One that reads another file, and releases to a folder of its own."""
    folder = str(HOME / "releases" / case)
    return night(case, source={"people": str(source)}, destination=folder)


good = night("good", "stepwise")
misfit = elsewhere("misfit", INPUT / "misfit.parquet")
bad_value = elsewhere("bad_value", INPUT / "bad_value.csv")
bad_card = elsewhere("bad_card", INPUT / "bad_card.parquet")
killed = elsewhere("killed", INPUT / "large.parquet")
expectations = night("expectations", "expectations")
sqlite = night("sqlite", "sqlite")
postgres_value = night("postgres_value", "postgres_value")
postgres_table = night("postgres_table", "postgres_table")

full_disk = night(
    "full_disk",
    source={"people": str(INPUT / "large.parquet")},
    destination=os.environ.get("CANARY_SMALL_DISK", str(HOME / "releases" / "full_disk")),
)
if "CANARY_SMALL_DISK" not in os.environ:
    # Where nothing can be mounted: the same failure of the same call, for the task's own process.
    full_disk.get_task("people.sanitize").pre_execute = lambda context: resource.setrlimit(
        resource.RLIMIT_FSIZE, (4 << 20, 4 << 20)
    )

with DAG("canary_detokenize", schedule=None, start_date=EPOCH, **QUIET):

    @task
    def tamper() -> None:
        """Change a character in the middle of a token of the good night."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(HOME / "releases" / "good" / "people" / "current")
        index = table.column_names.index("email")
        first, *others = table.column("email").to_pylist()
        middle = len(first) // 2
        changed = first[:middle] + ("A" if first[middle] != "A" else "B") + first[middle + 1 :]
        (HOME / "tampered").mkdir()
        pq.write_table(
            table.set_column(index, "email", pa.array([changed, *others])), HOME / "tampered" / "rows.parquet"
        )

    def turn_back(task_id: str, tokens: str, output: str) -> DetokenizeOperator:
        return DetokenizeOperator(
            task_id=task_id,
            policy=str(POLICIES / "stepwise.yaml"),
            dataset="people",
            input_path=str(HOME / tokens),
            output_path=str(HOME / output),
            columns=["email", "card"],
            reason="the canary test looks whether a value gets out",
        )

    turn_back("allowed", "releases/good/people/current", "turned_back")
    tamper() >> turn_back("tampered", "tampered", "never")

with DAG("canary_leaky", schedule=None, start_date=EPOCH, **QUIET):
    BashOperator(task_id="prints", bash_command=f"echo found {CONTROL}printed")

    @task
    def returns() -> str:
        """Hand a value on by XCom."""
        return f"{CONTROL}returned"

    @task
    def raises() -> None:
        """Fail with a value in the message."""
        raise ValueError(f"{CONTROL}raised is no number")

    returns()
    raises()
