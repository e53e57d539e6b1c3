"""Every operator of the suite appends to the log, through a real Airflow; and the log that comes of it holds."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import BaseOperator
from tests.airflow_home import AirflowHome, DagRun
from tests.system.shop import ROOT

from airflow_veil.plugins.provider import get_provider_info
from airflow_veil.privacy.audit import certificate, keyfile, record
from airflow_veil.privacy.audit.anchor import checkpoints
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.places import place
from airflow_veil.privacy.audit.verify import verify
from airflow_veil.privacy.erasure import requests
from airflow_veil.privacy.ledger.evidence import Entry
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).resolve().parent / "dags"
KEY = SigningKey.generate("example.com/veil")
READS_ONLY = {"BudgetSensor", "ErasureRequestsSensor"}
"""They look and change nothing; they would add an entry each time for as long as they wait."""
SHARED = {"after", "base", "log", "step"}
"""Modules of what operators share; nobody uses these classes themselves."""

POLICY = """\
version: 1
name: people
owner: data@example.com
datasets:
  people:
    source: {data}
    subject: id
    erasure: delete
    expectations: people
    anonymize: {{k: 2, suppress_at_most: 0.5, quasi_identifiers: {{born: born.csv, country: country.csv}}}}
    retention: {{after: P10Y, from: at, at_most: 0.5, backups_expire_after: P35D}}
    columns:
      id: {{class: direct_identifier, treat: {{token: {{domain: person}}}}}}
      email: {{class: direct_identifier, treat: {{token: {{domain: email, reversible: true, pad_to: 32}}}}}}
      phone: {{class: direct_identifier, treat: {{mask: {{keep_last: 2, length: 8}}}}}}
      born: {{class: quasi_identifier, type: date, treat: {{generalize: {{to: year}}}}}}
      country: {{class: quasi_identifier, type: string, treat: keep}}
      at: {{class: none, type: timestamp, treat: drop}}
release: {{destination: {releases}, run: stepwise, classify: true, expires_after: P1M, gate: {{deny: {{k: 1}}}}}}
models:
  country:
    artefact: country.skops
    trained_on: {{train: members.parquet, holdout: others.parquet}}
    features: [height, weight]
    target: country
    subject: id
    bounds: {{membership_tpr_max: 0.3, membership_tpr_strict_max: null, membership_advantage_max: 0.4}}
    destination: {models}
    licence: apache-2.0
    description: Tells the country of people.
    intended_use: For the test of all operators.
    limits: It was fitted on people of chance.
erasure: {{identifiers: [people.id], answers: {{exempt: the noise hides each person}}}}
differential_privacy:
  budgets: {{people: {{unit: people.id, rho: 1.0}}}}
  queries:
    born:
      dataset: people
      budget: people
      spend: {{rho: 0.1}}
      contribution: {{groups_per_unit: 1, rows_per_group: 1}}
      keys: {{country: {{values: [AT, FR], source: where the shop delivers to}}}}
      measures: {{people: count_distinct}}
synthetic:
  releases:
    made_up:
      method: faker
      tables:
        people:
          rows: 30
          columns:
            id: key
            country: {{categories: {{values: [AT, FR]}}}}
"""
JOBS = [
    {"dag_id": "stepwise", "logical_date": "2026-03-01"},
    {"dag_id": "stepwise", "logical_date": "2026-03-02"},
    {"dag_id": "fused", "logical_date": "2026-03-01"},
    {"dag_id": "others", "logical_date": "2026-03-02"},
    {"dag_id": "answers", "logical_date": "2026-03-01"},
    {"dag_id": "synthetic", "logical_date": "2026-03-01"},
    {"dag_id": "retention", "logical_date": "2026-03-03"},
    {"dag_id": "erasure", "logical_date": "2026-03-03"},
    {"dag_id": "veil_evidence", "logical_date": "2026-03-03"},
]


def people() -> pa.Table:
    """A fifth of them was here before their time was over."""
    rows = 50
    years = [2001 if number % 5 == 0 else 2026 for number in range(rows)]
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "email": [f"canary{number}@example.org" for number in range(rows)],
            "phone": [f"+43 1 canary {number:04d}" for number in range(rows)],
            "born": [datetime(1950 + number, 1, 1).date() for number in range(rows)],
            "country": [("AT", "FR")[number % 2] for number in range(rows)],
            "at": pa.array([datetime(year, 2, 1) for year in years], pa.timestamp("us")),
        }
    )


FIT = """
import sys
import pyarrow.parquet as pq
from skops import io
from sklearn.linear_model import LogisticRegression
people = pq.read_table(sys.argv[1] + "/members.parquet").to_pandas()
io.dump(LogisticRegression(C=0.01).fit(people[["height", "weight"]], people["country"]), sys.argv[1] + "/country.skops")
"""


def model(folder: Path) -> None:
    """A model of people whose country shows in their height, the people in it, and others.

    It is fitted where Airflow is not: skops looks through all modules, and Airflow's warn at that.
    """
    random = np.random.default_rng(7)
    for first, name in ((1_000, "members"), (2_000, "others")):
        country = random.integers(0, 2, 200)
        rows = {
            "id": pa.array(range(first, first + 200), pa.int64()),
            "height": 170 + 10 * country + random.normal(0, 8, 200),
            "weight": random.normal(70, 8, 200),
            "country": [("AT", "FR")[each] for each in country],
        }
        pq.write_table(pa.table(rows), folder / f"{name}.parquet")
    subprocess.run([sys.executable, "-c", FIT, str(folder)], check=True)


@dataclass(frozen=True)
class Ran:
    """The installation after all runs.

    Attributes:
        home: The installation.
        runs: The runs.
        entries: The evidence.
    """

    home: AirflowHome
    runs: list[DagRun]
    entries: tuple[Entry, ...]


@pytest.fixture(scope="module")
def ran(shared_home: Callable[..., AirflowHome]) -> Ran:
    home = shared_home("evidence")
    shutil.copy(DAGS / "all_operators.py", home.dags)
    data = home.path / "people.parquet"
    pq.write_table(people(), data)
    (home.policies / "people.yaml").write_text(
        POLICY.format(data=data, releases=home.path / "releases", models=home.path / "models")
    )
    model(home.policies)
    years = "\n".join(f"{year};{year // 10 * 10};*" for year in range(1950, 2000))
    (home.policies / "born.csv").write_text(years)
    (home.policies / "country.csv").write_text("AT;*\nFR;*\n")
    expectation = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
    (home.policies / "expectations").mkdir()
    suite = {"name": "people", "expectations": [expectation]}
    (home.policies / "expectations" / "people.json").write_text(json.dumps(suite))
    keyfile.create(home.veil / "audit.key", KEY)
    settings = Settings.from_env({"VEIL_HOME": str(home.veil)})
    with Workspace(loaded=checked(home.policies / "people.yaml"), settings=settings) as opened:
        requests.place(opened, {"people.id": "1"}, actor="test:engineer")
    runs, _ = home.run_dags(*JOBS)
    with Ledger.open(home.veil / "ledger.db") as ledger:
        return Ran(home, runs, ledger.evidence())


def operators() -> Iterator[str]:
    """Every operator of the suite, found in its folder."""
    for path in sorted((ROOT / "operators").glob("*.py")):
        if path.stem in SHARED | {"__init__"}:
            continue
        module = importlib.import_module(f"airflow_veil.operators.{path.stem}")
        for name, found in inspect.getmembers(module, inspect.isclass):
            ours = issubclass(found, BaseOperator) and found.__module__ == module.__name__
            if ours and not name.startswith("_"):
                yield name


class TestEveryOperator:
    def test_all_runs_succeed(self, ran: Ran) -> None:
        """What is looked at below was done."""
        assert [(run.dag_id, run.state) for run in ran.runs] == [(job["dag_id"], "success") for job in JOBS]

    def test_leaves_an_entry(self, ran: Ran) -> None:
        """Each time that it was used; a new operator fails here until it is used above and leaves one."""
        actors = {entry.actor for entry in ran.entries}
        left: dict[str, list[bool]] = defaultdict(list)
        for dag_id, run_id, task_id, operator in ran.home.select(
            "select dag_id, run_id, task_id, operator from task_instance where state = 'success'"
        ):
            left[operator].append(f"airflow:{dag_id}/{run_id}/{task_id}" in actors)

        assert left.keys() == set(operators())
        assert {name for name, told in left.items() if not all(told)} == READS_ONLY
        assert not any(any(left[name]) for name in READS_ONLY)

    def test_is_told_to_airflow(self) -> None:
        """The provider's list has every module with an operator, and no other."""
        (listed,) = get_provider_info()["operators"]
        modules = (
            {path.stem for path in (ROOT / "operators").glob("*.py")} - SHARED - {"__init__", "interval"}
        )

        assert set(listed["python-modules"]) == {f"airflow_veil.operators.{name}" for name in modules}

    def test_tells_nothing_of_the_rows(self, ran: Ran) -> None:
        """Entries hold names, counts and digests."""
        assert "canary" not in "".join(entry.payload or "" for entry in ran.entries)


class TestTheLog:
    def test_is_anchored_and_holds(self, ran: Ran) -> None:
        """All but what came after the checkpoint: that it was verified, and that certificates were proven."""
        anchored = checkpoints(place(ran.home.path / "checkpoints"), [KEY.verifier])
        with Ledger.open(ran.home.veil / "ledger.db") as ledger:
            report = verify(record.of_ledger(ledger), anchored)

        assert (report.size, report.anchored) == (len(ran.entries), len(ran.entries) - 2)
        assert [entry.kind for entry in ran.entries[-3:]] == [
            "evidence.anchoring",
            "evidence.verified",
            "certificates.proven",
        ]

    def test_shares_the_model_with_its_card(self, ran: Ran) -> None:
        """It stood its attacks: figures are in the evidence, outcome and counts in XCom; its time over, it is gone."""
        (told,) = ran.home.select("select value from xcom where dag_id = 'others' and task_id = 'model'")
        pushed = json.loads(told[0])
        pushed = json.loads(pushed) if isinstance(pushed, str) else pushed
        (entry,) = [entry for entry in ran.entries if entry.kind == "model.tested"]

        with Ledger.open(ran.home.veil / "ledger.db") as ledger:
            (release,) = ledger.list("people", "country")
        files = {file["name"] for file in (release.manifest or {})["output"]["files"]}
        assert files == {"country.skops", "README.md"}
        assert (pushed["outcome"], pushed["release_id"]) == ("passed", release.release_id)
        assert release.state is ReleaseState.EXPIRED
        assert list((ran.home.path / "models" / "country").iterdir()) == []
        assert (pushed["people_inside"], pushed["people_outside"]) == (200, 200)
        assert "membership" not in json.dumps(pushed)
        assert entry.content["tested"] == pushed["tested"]
        assert entry.content["attacks"]["shadows"] == 16

    def test_proves_the_certificate_of_the_night(self, ran: Ran) -> None:
        """It was filed by the run, and has its proof since the log was anchored; XCom has its name and digest."""
        (path,) = (ran.home.veil / "certificates").glob("retention-*.json")
        checked = certificate.check(json.loads(path.read_text()), [KEY.verifier])

        facts = checked.certificate
        assert facts.passed
        assert facts.done[0].rows_deleted == 10
        assert facts.backups.until is not None
        (told,) = ran.home.select("select value from xcom where dag_id = 'retention' and task_id = 'people'")
        pushed = json.loads(told[0])
        pushed = json.loads(pushed) if isinstance(pushed, str) else pushed
        assert pushed["certificate"] == {"file": path.name, "digest": facts.digest}
        assert "Anchored" in path.with_suffix(".html").read_text()
