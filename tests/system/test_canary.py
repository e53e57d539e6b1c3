"""Canary values in every cell of the input: whatever happens to a night, none of them turns up anywhere else.

One installation runs a good night, a night of each kind of failure and two detokenizations, and a DAG that leaks on
purpose; then everything that was written anywhere is searched, at the most talkative log level.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from tests.airflow_home import AirflowHome, DagRun
from tests.postgres import PostgresServer
from tests.system import canary
from tests.system.canary import Canaries, Found
from tests.system.reaper import Reaper

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).resolve().parent / "dags"
ROWS, LARGE, BAD_ROW = 8_000, 300_000, 5_000

POLICY = """
version: 1
name: canary
owner: canary@example.com
datasets:
  people:
    source: input/people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, type: int64, treat: {token: {domain: person}}}
      name: {class: direct_identifier, treat: {fake: {provider: first_name}}}
      email: {class: direct_identifier, treat: {token: {domain: email, reversible: true, pad_to: 64}}}
      phone: {class: direct_identifier, treat: {mask: {keep_last: 2, length: 8}}}
      card: {class: direct_identifier, treat: {fpe: {domain: card, length: 16, keep_last: 4}}}
      born: {class: quasi_identifier, type: date, treat: {generalize: {to: year}}}
      seen: {class: quasi_identifier, type: timestamp_utc, treat: {date_shift: {max_days: 30}}}
      note: {class: free_text, treat: {redact: {names_from: [name]}}}
      salary: {class: sensitive, type: float64, treat: {generalize: {width: 25000}}}
      country: {class: quasi_identifier, treat: keep}
release:
  destination: releases
"""

FAILURES = {
    "misfit": ("people.sanitize", "id"),
    "bad_value": ("people.sanitize", "a value of column born is no date32"),
    "bad_card": ("people.sanitize", "people.card"),
    "full_disk": ("people.sanitize", "failed with E"),
    "killed": ("people.sanitize", "SIGKILL"),
    "expectations": ("people.validate", "1 of 1 expectations of countries do not hold"),
    "sqlite": ("people.sanitize", "column id"),
    "postgres_value": ("people.sanitize", "table public.people: reading failed with"),
    "postgres_table": ("people.sanitize", "there is no such table"),
    "detokenize": ("tampered", "tampered"),
}
"""Each failing run with the task that must fail, and what its log must say of it."""


@dataclass(frozen=True)
class Aftermath:
    """All that is left of the runs.

    Attributes:
        home: The installation.
        canaries: What stood in every cell of the input.
        control: What the leaky DAG let out.
        runs: What became of each run, by its case.
        console: All that was printed.
        killed: The process that was killed.
    """

    home: AirflowHome
    canaries: Canaries
    control: str
    runs: dict[str, DagRun]
    console: str
    killed: int | None

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Everywhere that something was written, but for the input and the rows that were released or turned back."""
        home = self.home.path
        rows = [
            *(home / "releases" / "good").rglob("data-*.parquet"),
            *map(home.joinpath, ("input", "turned_back", "tampered")),
        ]
        yield "the console", self.console.encode()
        yield from canary.files(home, but=rows)
        yield from canary.tables(self.home.database)
        yield from canary.tables(self.home.veil / "ledger.db")

    def log(self, case: str, task: str) -> str:
        """What a task of a run has logged."""
        folder = self.home.path / "logs" / f"dag_id=canary_{case}"
        return "".join(path.read_text() for path in folder.rglob(f"task_id={task}/*.log"))


@pytest.fixture(scope="module")
def aftermath(
    shared_home: Callable[..., AirflowHome], postgres_server: PostgresServer
) -> Iterator[Aftermath]:
    """Everything is run once."""
    home, canaries, control = shared_home("canary"), Canaries(), f"Control{secrets.token_hex(8)}"
    home.env |= {
        "CANARY_CONTROL": control,
        "VEIL_DATA_ROOT": str(home.path),
        "TMPDIR": str(home.path / "tmp"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    (home.path / "tmp").mkdir()
    _inputs(home, canaries)
    _databases(home, canaries, postgres_server.database())
    _policies(home)
    for name in ("canary.py", "bad_policy.py"):
        shutil.copy(DAGS / name, home.dags)
    cases = ("good", *FAILURES, "leaky")
    jobs = [{"dag_id": f"canary_{case}", "logical_date": "2026-03-01", "fork": True} for case in cases]
    with _small_disk(home), Reaper(home.path / "releases" / "killed" / "people") as reaper:
        runs, console = home.run_dags(*jobs)
        yield Aftermath(home, canaries, control, dict(zip(cases, runs, strict=True)), console, reaper.killed)


def _inputs(home: AirflowHome, canaries: Canaries) -> None:
    folder = home.path / "input"
    folder.mkdir()
    rows, bad = canaries.rows(ROWS), canaries.tokens["badvalue"]
    pq.write_table(rows, folder / "people.parquet")
    pq.write_table(canaries.rows(LARGE), folder / "large.parquet")
    pq.write_table(_with(rows, "id", rows.column("name")), folder / "misfit.parquet")
    pq.write_table(_with(rows, "card", _spoilt(rows, "card", bad)), folder / "bad_card.parquet")
    pyarrow.csv.write_csv(_with(rows, "born", _spoilt(rows, "born", bad)), folder / "bad_value.csv")


def _with(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, column)


def _spoilt(rows: pa.Table, name: str, bad: str) -> pa.Array:
    """The column as text, with one value that nobody can take."""
    values = list(map(str, rows.column(name).to_pylist()))
    values[BAD_ROW] = bad
    return pa.array(values, pa.string())


def _databases(home: AirflowHome, canaries: Canaries, url: str) -> None:
    """A SQLite table whose integers hold a text, and a PostgreSQL view that casts a text to a date."""
    rows, bad = canaries.rows(ROWS), canaries.tokens["badvalue"]
    named = {"sqlite": "id INTEGER", "postgres": "id bigint"}
    texts = rows.drop_columns(["id"])
    listed = list(zip(*(map(str, column.to_pylist()) for column in texts.columns), strict=True))
    others = ", ".join(f"{name} text" for name in texts.column_names)
    marks = len(texts.column_names)
    ids: list[int | str] = rows.column("id").to_pylist()

    file = home.path / "input" / "shop.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            f"CREATE TABLE people ({named['sqlite']}, {others.replace('born text', 'born DATE')})"
        )
        spoilt = [*ids[:BAD_ROW], bad, *ids[BAD_ROW + 1 :]]
        values = [(number, *row) for number, row in zip(spoilt, listed, strict=True)]
        database.executemany(f"INSERT INTO people VALUES ({', '.join('?' * (marks + 1))})", values)

    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TABLE raw ({named['postgres']}, {others})")
        with connection.cursor().copy("COPY raw FROM STDIN") as copy:
            for number, row in zip(ids, listed, strict=True):
                copy.write_row((number, *row))
        connection.execute("UPDATE raw SET born = %s WHERE id = %s", (bad, ids[BAD_ROW]))
        columns = ", ".join(name for name in texts.column_names if name not in ("born", "seen", "salary"))
        connection.execute(
            f"CREATE VIEW people AS SELECT id, {columns}, born::date, seen::timestamptz, salary::float8 FROM raw"
        )

    at = urlsplit(url)
    postgres = {"conn_type": "postgres", "host": at.hostname, "port": at.port, "login": at.username}
    home.env["AIRFLOW_CONN_CANARY_SQLITE"] = json.dumps({"conn_type": "sqlite", "host": str(file)})
    home.env["AIRFLOW_CONN_CANARY_POSTGRES"] = json.dumps({**postgres, "schema": at.path.strip("/")})


def _policies(home: AirflowHome) -> None:
    """The policy, read and run in different ways."""
    sources = {
        "sqlite": {"connection": "canary_sqlite", "table": "people"},
        "postgres_value": {"connection": "canary_postgres", "table": "people"},
        "postgres_table": {"connection": "canary_postgres", "table": "nobody"},
    }
    for name in ("stepwise", "fused", "expectations", "bad", *sources):
        said = yaml.safe_load(POLICY)
        people = said["datasets"]["people"]
        said["name"] = f"canary_{name}"
        said["release"] = {
            "destination": f"releases/{'good' if name == 'stepwise' else name}",
            "run": "stepwise" if name == "stepwise" else "fused",
        }
        if name in sources:
            people["source"] = sources[name]
        if name == "sqlite":
            # SQLite has no types for these.
            for column in ("seen", "salary"):
                del people["columns"][column]
        if name == "expectations":
            people["expectations"] = "countries"
        if name == "bad":
            people["columns"]["name"]["treat"] = "keep"
            people["columns"]["phone"]["treat"] = {"mash": {}}
        (home.policies / f"{name}.yaml").write_text(yaml.safe_dump(said))
    expectation = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "country", "value_set": ["GB", "FR"]},
    }
    (home.policies / "expectations").mkdir()
    (home.policies / "expectations" / "countries.json").write_text(
        json.dumps({"name": "countries", "expectations": [expectation]})
    )


@contextmanager
def _small_disk(home: AirflowHome) -> Iterator[None]:
    """A disk of two megabytes, where this user may mount one; a limit on the size of files stands in for it else."""
    folder = home.path / "small"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False, capture_output=True
        ).returncode
    )
    if mounted:
        home.env["CANARY_SMALL_DISK"] = str(folder)
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


class TestRuns:
    """The runs were what they were meant to be; else the search would have nothing to find."""

    def test_the_good_night_is_published(self, aftermath: Aftermath) -> None:
        """All steps succeed on the canaries."""
        assert aftermath.runs["good"].state == "success"
        assert set(aftermath.runs["good"].tasks.values()) == {"success"}
        released = pq.read_table(aftermath.home.path / "releases" / "good" / "people" / "current")
        assert released.num_rows == ROWS

    @pytest.mark.parametrize("case", FAILURES)
    def test_the_failure_is_the_one_that_was_meant(self, aftermath: Aftermath, case: str) -> None:
        """The task fails that should, for the reason that was provoked, and its log tells that reason."""
        task, said = FAILURES[case]
        run = aftermath.runs[case]

        assert run.state == "failed"
        assert run.tasks[task] == "failed"
        assert said in aftermath.log(case, task)

    @pytest.mark.parametrize("case", [case for case in FAILURES if case != "detokenize"])
    def test_a_failed_night_publishes_and_leaves_nothing(self, aftermath: Aftermath, case: str) -> None:
        """Nothing is current, and the teardown has removed what was staged, also that of a killed worker."""
        folder = aftermath.home.path / ("small" if case == "full_disk" else f"releases/{case}") / "people"

        assert aftermath.runs[case].tasks["people.publish"] == "upstream_failed"
        assert aftermath.runs[case].tasks["people.scrub"] == "success"
        assert not folder.exists() or not list(folder.iterdir())

    def test_a_worker_was_killed(self, aftermath: Aftermath) -> None:
        """A process was killed while it held a half-written file."""
        assert aftermath.killed is not None

    def test_a_bad_policy_is_an_import_error(self, aftermath: Aftermath) -> None:
        """Airflow shows the policy's mistakes, and has no DAG of it."""
        errors = dict(aftermath.home.select("select filename, stacktrace from import_error"))
        (told,) = [text for name, text in errors.items() if name.endswith("bad_policy.py")]

        assert "mash" in told
        assert len(errors) == 1

    def test_staging_is_empty(self, aftermath: Aftermath) -> None:
        """Nothing is left between tasks."""
        assert not [path for path in (aftermath.home.veil / "staging").rglob("*") if path.is_file()]


class TestNothingLeaks:
    def test_no_canary_is_anywhere(self, aftermath: Aftermath) -> None:
        """Console, logs, metadata, XCom, templates, lineage, ledger, manifests, temporary files: none is found."""
        found = canary.search(aftermath.canaries.spellings(), aftermath.places())

        assert not found, "\n".join(map(str, found))

    def test_the_release_holds_only_what_is_kept(self, aftermath: Aftermath) -> None:
        """Of all columns only the one with `keep` shows its values; a shifted time keeps its time of day."""
        folder = aftermath.home.path / "releases" / "good" / "people" / "current"
        found = canary.search(aftermath.canaries.spellings(), canary.released(folder))

        assert set(found) == {
            Found("country", "released column country"),
            Found("seen", "released column seen"),
        }

    def test_what_is_turned_back_is_the_owners(self, aftermath: Aftermath) -> None:
        """The one file that holds values again, for a reason that is evidence, can be read by its owner alone."""
        folder = aftermath.home.path / "turned_back"
        turned_back = pq.read_table(folder)

        assert turned_back.column("email").equals(aftermath.canaries.rows(ROWS).column("email"))
        assert turned_back.column("card").equals(aftermath.canaries.rows(ROWS).column("card"))
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert not list(aftermath.home.path.glob("never/*"))
        with Ledger.open(aftermath.home.veil / "ledger.db") as ledger:
            kinds = [entry.kind for entry in ledger.evidence() if entry.kind.startswith("detokenize")]
            ledger.verify_chain()
        assert sorted(kinds) == ["detokenize.begun", "detokenize.begun", "detokenize.done"]

    def test_lineage_holds_after_all_of_it(self, aftermath: Aftermath) -> None:
        """Failed nights do not break the proof of the good one; each failed task has told FAIL."""
        assert prove_files([aftermath.home.lineage]).holds
        failed = {e["job"]["name"] for e in aftermath.home.events() if e["eventType"] == "FAIL"}
        assert {f"canary_{case}.{task}" for case, (task, _) in FAILURES.items() if case != "killed"} <= failed


class TestTheSearchFinds:
    """Positive control: the same search over the same places finds what the leaky DAG let out."""

    @pytest.mark.parametrize(
        ("leak", "where"),
        [
            ("printed", "the console"),
            ("printed", "task_id=prints/attempt=1.log"),
            ("printed", "file airflow.db"),
            ("printed", "table rendered_task_instance_fields"),
            ("returned", "table xcom"),
            ("raised", "task_id=raises/attempt=1.log"),
            ("raised", "the console"),
        ],
    )
    def test_what_leaks(self, aftermath: Aftermath, leak: str, where: str) -> None:
        """A value that was printed, rendered, returned or raised is found where Airflow puts such things."""
        found = canary.search({leak: (f"{aftermath.control}{leak}".encode(),)}, aftermath.places())

        assert any(where in place.where for place in found), "\n".join(map(str, found))

    def test_every_column_of_the_input(self, aftermath: Aftermath) -> None:
        """The spellings are those that the input has, in text and in binary form."""
        spellings = aftermath.canaries.spellings()
        texts = aftermath.canaries.rows(8)
        found = canary.search(
            spellings,
            [
                (name, "\n".join(map(str, texts.column(name).to_pylist())).encode())
                for name in texts.column_names
            ],
        )
        assert {place.column for place in found} == spellings.keys() - {"badvalue"}
        raw = aftermath.home.path / "raw.parquet"
        pq.write_table(texts, raw, compression="none", use_dictionary=False)
        binary = canary.search(spellings, [("raw", raw.read_bytes())])
        raw.unlink()
        assert {"id", "salary", "email", "card"} <= {place.column for place in binary}
