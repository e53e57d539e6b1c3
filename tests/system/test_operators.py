"""Operators through Airflow: rollback, detokenizing, retries, clears, kills, assets, and the example DAG files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.airflow_home import AirflowHome, DagRun
from tests.system.reaper import Reaper
from tests.system.shop import ROOT, one_table, open_shop

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import ReleaseRecord

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).resolve().parent / "dags"
FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
CUSTOMERS, MANY = 200, 200_000


@dataclass(frozen=True)
class Days:
    """What became of the runs, in their order.

    Attributes:
        home: The installation.
        nights: Three nights, and the third once more after its release was rolled back.
        rollback: The rollback, whose first try fails right after its work.
        detokenize: Two detokenizations, one of a column that is one-way.
        flaky: A night whose source comes late.
        killed_once: A night whose first worker is killed.
        composed: The example DAG that is composed by hand.
        killed: The process that was killed.
    """

    home: AirflowHome
    nights: tuple[DagRun, ...]
    rollback: DagRun
    detokenize: DagRun
    flaky: DagRun
    killed_once: DagRun
    composed: DagRun
    killed: int | None

    def ledger(self) -> Ledger:
        return Ledger.open(self.home.veil / "ledger.db")

    def releases(self, folder: str) -> list[ReleaseRecord]:
        """The releases at a destination, in the order in which they were begun."""
        with self.ledger() as ledger:
            return [
                release for release in reversed(ledger.list()) if release.destination.endswith(f"/{folder}")
            ]

    def current(self, folder: str) -> str:
        """The release that consumers read."""
        return (self.home.path / "releases" / folder / "customers" / "current").readlink().name


@pytest.fixture(scope="module")
def days(shared_home: Callable[..., AirflowHome]) -> Days:
    """All of it in one start of Airflow."""
    home = shared_home("operators")
    open_shop(home, run="stepwise", customers=CUSTOMERS)
    one_table(home, "customers", destination=home.path / "releases" / "customers", suite="retail_customers")
    one_table(home, "unchecked", destination=home.path / "releases" / "unchecked")
    shutil.copy(DAGS / "operators.py", home.dags)
    shutil.copy(ROOT / "dags" / "composed_release.py", home.dags)
    _multiply(home.path / "data" / "retail" / "customers.parquet", home.path / "data" / "large.parquet")
    jobs = [
        {"dag_id": "night", "logical_date": FIRST},
        {"dag_id": "night", "logical_date": SECOND},
        {"dag_id": "night", "logical_date": THIRD},
        {"dag_id": "rollback", "logical_date": THIRD, "conf": {"ticket": "4711"}, "retries": 1},
        {"dag_id": "night", "logical_date": THIRD},
        {"dag_id": "detokenize", "conf": {"ticket": "4712"}},
        {"dag_id": "flaky", "logical_date": FIRST, "retries": 1},
        {"dag_id": "killed_once", "logical_date": FIRST, "retries": 1, "fork": True},
        {"dag_id": "veil_composed_release", "logical_date": FIRST},
    ]
    with Reaper(home.path / "releases" / "killed_once" / "customers") as reaper:
        runs, _ = home.run_dags(*jobs)
    first, second, third, rolled, forward, *others = runs
    return Days(home, (first, second, third, forward), rolled, *others, reaper.killed)


def _multiply(source: Path, target: Path) -> None:
    """Enough rows for a worker to be caught at work."""
    table = pq.read_table(source)
    pq.write_table(pa.concat_tables([table] * (MANY // CUSTOMERS)), target)


class TestRollbackReleaseOperator:
    def test_the_release_before_is_current(self, days: Days) -> None:
        """The second night's release is current after the rollback, with the rendered reason in the evidence."""
        _first, second, _third = days.releases("customers")
        assert days.rollback.state == "success"
        with days.ledger() as ledger:
            entries = [entry for entry in ledger.evidence() if entry.kind == "release.rolled_back"]
        assert entries[0].subject.endswith(second.release_id)
        assert entries[0].content["reason"] == "ticket 4711"
        assert entries[0].actor == f"airflow:rollback/{days.rollback.run_id}/rollback"

    def test_a_second_try_goes_back_no_further(self, days: Days) -> None:
        """A try that follows one that was lost right after its work finds it done."""
        tries = days.home.select("select try_number from task_instance where dag_id = 'rollback'")

        assert tries == [(2,)]
        with days.ledger() as ledger:
            assert sum(entry.kind == "release.rolled_back" for entry in ledger.evidence()) == 1

    def test_the_night_can_be_run_again(self, days: Days) -> None:
        """The rolled back night, run once more, is current once more: one release, in folder and ledger."""
        *_, third = days.releases("customers")

        assert days.nights[-1].state == "success"
        assert third.state == "current"
        assert days.current("customers") == third.release_id

    def test_is_told_to_lineage(self, days: Days) -> None:
        """The rollback's event names what is read now, and which release it is."""
        events = [e for e in days.home.events() if e["job"]["name"] == "rollback.rollback"]
        (output,) = next(event for event in events if event["eventType"] == "COMPLETE")["outputs"]

        assert output["facets"]["version"]["datasetVersion"] == days.releases("customers")[1].release_id
        assert output["facets"]["veil_privacy"]["stage"] == "rollback"


class TestDetokenizeOperator:
    def test_turns_columns_back_for_the_owner(self, days: Days) -> None:
        """E-mails and cards are the source's again, in files of mode 0600."""
        folder = days.home.path / "turned_back" / "4712"
        source = pq.read_table(days.home.path / "data" / "retail" / "customers.parquet")

        assert days.detokenize.tasks["detokenize"] == "success"
        turned_back = pq.read_table(folder)
        for name in ("email", "card"):
            assert turned_back.column(name).equals(source.column(name))
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    def test_leaves_evidence_and_counts(self, days: Days) -> None:
        """Who, why and how many is in the evidence; XCom has counts."""
        with days.ledger() as ledger:
            begun, done = (e for e in ledger.evidence() if e.kind.startswith("detokenize"))
        pushed = days.home.select("select value from xcom where dag_id = 'detokenize'")

        assert begun.content["reason"] == "support case 4712"
        assert begun.actor == f"airflow:detokenize/{days.detokenize.run_id}/detokenize"
        assert done.content["rows"] == CUSTOMERS
        assert len(pushed) == 1
        told = json.loads(pushed[0][0])
        assert set(told if isinstance(told, dict) else json.loads(told)) == {"rows", "values", "withheld"}

    def test_one_way_stays_one_way(self, days: Days) -> None:
        """A column that cannot be turned back fails the task, and writes nothing."""
        assert days.detokenize.tasks["one_way"] == "failed"
        assert not (days.home.path / "never").exists()


class TestRetries:
    def test_a_second_try_succeeds(self, days: Days) -> None:
        """A source that was not there at the first try is released at the second."""
        (release,) = days.releases("flaky")

        assert days.flaky.state == "success"
        assert days.home.select(
            "select try_number from task_instance where dag_id = 'flaky' and task_id = 'customers.sanitize'"
        ) == [(2,)]
        assert (release.state, release.rows_out) == ("current", CUSTOMERS)

    def test_after_a_kill_there_is_one_release(self, days: Days) -> None:
        """A worker that was killed in the middle of its rows is followed by one that ends in one good release."""
        (release,) = days.releases("killed_once")
        folder = days.home.path / "releases" / "killed_once" / "customers"

        assert days.killed is not None
        assert days.killed_once.state == "success"
        assert (release.state, release.rows_out) == ("current", MANY)
        assert sorted(path.name for path in folder.iterdir()) == sorted(["current", release.release_id])
        assert pq.read_table(folder / "current").num_rows == MANY


class TestAssets:
    def test_a_publication_tells_its_asset(self, days: Days) -> None:
        """The asset's event carries the release's id and counts, for whoever is scheduled on it."""
        rows = days.home.select(
            "select asset.name, asset_event.extra from asset_event join asset on asset.id = asset_event.asset_id "
            "where source_dag_id = 'night' order by asset_event.id"
        )
        first, second, third = (release.release_id for release in days.releases("customers"))

        assert {name for name, _ in rows} == {"veil_customers_customers"}
        told = [json.loads(extra) for _, extra in rows]
        assert [extra["release_id"] for extra in told] == [first, second, third, third]
        assert {extra["rows_out"] for extra in told} == {CUSTOMERS}


class TestExampleDags:
    def test_the_composed_dag_runs(self, days: Days) -> None:
        """Operators composed by hand, with a task of one's own behind the publication."""
        assert days.composed.state == "success"
        assert days.composed.tasks.keys() == {
            *(
                "minimize",
                "tokenize",
                "mask",
                "generalize",
                "validate",
                "assess_risk",
                "publish",
                "scrub",
                "announce",
            )
        }
        assert not [path for path in (days.home.veil / "staging").rglob("*") if path.is_file()]

    def test_they_parse_without_errors_or_connections(self, airflow_home: Callable[..., AirflowHome]) -> None:
        """The files in `dags/` import, make their DAGs of the policies in `configs/`, and fetch no connection."""
        home = airflow_home()
        script = str(Path(__file__).with_name("parse_dags.py"))
        said = {"AIRFLOW__VEIL__POLICIES": str(ROOT / "configs"), "AIRFLOW__VEIL__ANCHORS": str(home.path)}
        done = home.run("python", script, str(ROOT / "dags"), **said)
        assert done.ok, done.output
        told = json.loads(done.output.strip().splitlines()[-1])

        assert told["errors"] == {}
        assert told["connections"] == []
        policies = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
        asked = {name for name in policies if name.endswith("_statistics")}
        made_up = {name for name in policies if name.endswith("_synthetic")}
        rows, answers = (
            {f"veil_{name}" for name in policies - asked - made_up},
            {f"veil_{name}_dp" for name in asked},
        )
        synthetic = {f"veil_{name}_synthetic" for name in made_up}
        # Those that say how long rows, or releases, are kept.
        kept = {
            f"veil_{name}_retention" for name in ("online_retail", "retail", "retail_synthetic", "synthea")
        }
        erasing = {f"veil_{name}_erasure" for name in ("chinook", "retail", "retail_synthetic", "synthea")}
        others = {"veil_composed_release", "veil_evidence"}
        assert told["dags"].keys() == rows | answers | synthetic | kept | erasing | others
