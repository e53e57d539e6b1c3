"""`veil demo run`: the nightly release of an invented shop, through a real Airflow, in one folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.settings import Settings

DAG_FILE = '''"""The demo's DAG: the nightly release of every policy in the folder beside this file."""

from pathlib import Path

from airflow_veil.pipelines.sanitized_release import sanitized_release_dag

for policy in sorted(Path(__file__).parent.glob("policies/*.yaml")):
    dag = sanitized_release_dag(policy)
    globals()[dag.dag_id] = dag
'''


def run(
    out: Annotated[Path, typer.Option(help="The folder to work in; made where it is missing.")] = Path(
        "demo"
    ),
    customers: Annotated[int, typer.Option(min=1, max=50_000_000, help="How many customers.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same people.")] = 7,
    configs: Annotated[Path, typer.Option(help="The folder that holds retail.yaml and its suites.")] = Path(
        "configs"
    ),
) -> None:
    """Run the nightly sanitized release of an invented shop through Airflow, and show what came of it.

    All of it stays in one folder: Airflow's home with SQLite, the key ring, the sources, the releases, lineage and the
    ledger. Remove the folder, and nothing is left.

    [bold]Examples[/bold]

    [green]veil demo run[/green]
    100,000 customers, in the folder demo.
    """
    began = time.monotonic()
    home = out.absolute()
    environment = _environment(home)
    _lay_out(home, configs.absolute())
    # Both take seconds and neither needs the other.
    with ThreadPoolExecutor() as pool:
        console.say("Preparing Airflow (SQLite).")
        migrate = ("airflow", "db", "migrate")
        prepared = pool.submit(_command, *migrate, environment=environment, log=home / "airflow.log")
        console.say(f"Inventing {customers:,} customers with their orders (seed {seed}).")
        _invent(home, environment, customers=customers, seed=seed)
        prepared.result()
    console.say("Running the DAG veil_retail: minimize, tokenize, mask, generalize, validate, publish.")
    _command("airflow", "dags", "test", "veil_retail", environment=environment, log=home / "airflow.log")
    _tell(home, environment)
    console.say(f"\nDone in {time.monotonic() - began:.0f} seconds. Look around in {home}.", style="green")


def _invent(home: Path, environment: Mapping[str, str], *, customers: int, seed: int) -> None:
    """The shop's data and, the first time, a key ring."""
    from airflow_veil.cli.demo import write_retail
    from airflow_veil.privacy.keys.file import KeyFile

    write_retail(home / "data" / "retail", customers=customers, seed=seed)
    keys = Settings.from_env(environment).key_file
    if not keys.exists():
        keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        KeyFile(keys).create()


def _environment(home: Path) -> dict[str, str]:
    """An Airflow of its own: nothing of the user's installation is read or changed."""
    foreign = ("AIRFLOW", "VEIL_", "OPENLINEAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "VEIL_HOME": str(home / "veil"),
        "VEIL_DATA_ROOT": str(home / "data"),
    }


def _lay_out(home: Path, configs: Path) -> None:
    """Put the DAG file and the policy with its suites where the demo's Airflow looks."""
    if not (configs / "retail.yaml").is_file():
        raise ReleaseError(
            "There is no retail.yaml",
            where=str(configs),
            fix="run in the project's folder, or name --configs",
        )
    policies = home / "dags" / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    (home / "dags" / "demo.py").write_text(DAG_FILE, encoding="utf-8")
    shutil.copy(configs / "retail.yaml", policies)
    shutil.copytree(configs / "expectations", policies / "expectations", dirs_exist_ok=True)


def _command(*command: str, environment: Mapping[str, str], log: Path) -> None:
    """Run a command; what it prints goes to a log, whose end is shown if it fails."""
    with log.open("a", encoding="utf-8") as output:
        code = subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode  # noqa: S603 - fixed words
    if code:
        for line in log.read_text(encoding="utf-8").splitlines()[-25:]:
            console.note(line)
        raise ReleaseError(
            f"`{' '.join(command)}` failed with code {code}", where=str(log), fix="read the log"
        )


def _tell(home: Path, environment: Mapping[str, str]) -> None:
    """What was published, what became of each column, and where lineage and evidence lie."""
    from airflow_veil.privacy.ledger.ledger import Ledger

    settings = Settings.from_env(environment)
    with Ledger.open(settings.ledger) as ledger:
        current = [release for release in ledger.list("retail") if release.state == "current"]
        rows = [
            (
                r.dataset,
                r.release_id,
                f"{r.rows_out or 0:,}",
                r.expires_at.date().isoformat() if r.expires_at else "never",
            )
            for r in current
        ]
        evidence = len(ledger.evidence())
    console.table("\nPublished", ("data set", "release", "rows", "expires"), rows, right=("rows",))
    columns = [
        (
            release.dataset,
            column["name"],
            column["class"],
            next(iter(column["treat"])),
            column["output_type"] or "does not leave",
        )
        for release in current
        for column in (release.manifest or {})["plan"]["columns"]
    ]
    console.table(
        "\nWhat became of each column", ("data set", "column", "class", "treatment", "leaves as"), columns
    )
    places = [
        ("releases", str(home / "data" / "releases" / "retail")),
        ("lineage", f"{settings.lineage}   (veil lineage prove {settings.lineage})"),
        ("evidence", f"{settings.ledger}   ({evidence} entries)"),
        ("Airflow's log", str(home / "airflow.log")),
    ]
    console.table("\nWhere things lie", ("what", "where"), places)
