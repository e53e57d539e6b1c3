"""A year of retention of Online Retail through a real Airflow: backfills, catch-up, clocks that jump, a hold."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.airflow_home import AirflowHome, DagRun
from tests.openlineage_schemas import event_errors

from airflow_veil.privacy.audit.certificate import Certificate
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.retention import holds
from airflow_veil.privacy.settings import Settings

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAGS = Path(__file__).resolve().parent / "dags"
HELD = 17850
"""A customer with a lawsuit."""
BAD = [None, datetime(1970, 1, 1), datetime(1969, 7, 20), datetime(2099, 1, 1)]
APPROVE = {"partitioned": "ticket 4711: looked at", "flat": "ticket 4711: looked at"}


@dataclass(frozen=True)
class Night:
    """One run.

    Attributes:
        clock: What the wall clock says.
        date: The date that the run stands for.
        cut_off: From when on rows stay afterwards.
        succeeds: Whether the run does.
        approve: Whether somebody approves it.
    """

    clock: str
    date: str
    cut_off: str
    succeeds: bool = True
    approve: bool = False


NIGHTS = [
    Night("2011-07-01T03:00:00+00:00", "2026-03-01", "2011-01-01"),
    # The same night again, and two that were missed: a catch-up deletes by the same clock.
    Night("2011-07-01T03:00:00+00:00", "2026-03-02", "2011-01-01"),
    Night("2011-07-01T04:00:00+00:00", "2026-03-03", "2011-01-01"),
    # Backfills of long ago and of a time to come.
    Night("2011-08-01T03:00:00+00:00", "2011-03-01", "2011-02-01"),
    Night("2011-09-01T03:00:00+00:00", "2030-01-01", "2011-03-01"),
    # Half past eleven in the evening of UTC is October in London.
    Night("2011-09-30T23:30:00+00:00", "2026-03-04", "2011-04-01"),
    # A clock that goes back, and one that goes ahead.
    Night("2011-06-01T03:00:00+00:00", "2026-03-05", "2011-04-01", succeeds=False),
    Night("2015-06-01T03:00:00+00:00", "2026-03-06", "2011-04-01", succeeds=False),
    # Two months at once are more than one run may delete, until somebody has looked.
    Night("2011-12-01T03:00:00+00:00", "2026-03-07", "2011-04-01", succeeds=False),
    Night("2011-12-01T03:00:00+00:00", "2026-03-08", "2011-06-01", approve=True),
]


def policy_of(data: Path) -> dict[str, Any]:
    columns = {
        name: {"class": "none", "treat": "keep"}
        for name in ("Country", "InvoiceDate", "Quantity", "UnitPrice")
    }
    rule = {"after": "P6M", "from": "InvoiceDate", "time_zone": "Europe/London", "at_most": 0.12}
    dataset = {
        "subject": "CustomerID",
        "retention": rule,
        "columns": {"CustomerID": {"class": "direct_identifier", "treat": "drop"}, **columns},
    }
    return {
        "version": 1,
        "name": "invoices",
        "owner": "data-platform@example.com",
        "datasets": {
            "partitioned": {"source": str(data / "partitioned"), **dataset},
            "flat": {"source": str(data / "flat"), **dataset},
        },
        "release": {"destination": str(data / "releases"), "expires_after": "P1M"},
    }


def supply(shared: Path, data: Path) -> pa.Table:
    """Write the invoice lines by month, as hive partitions and as single files; a few have a bad time."""
    table = pq.read_table(shared / "online_retail" / "online_retail.parquet").replace_schema_metadata(None)
    bad = table.slice(0, len(BAD))
    times = pa.array(BAD, pa.timestamp("us")).cast(table.schema.field("InvoiceDate").type)
    bad = bad.set_column(table.schema.get_field_index("InvoiceDate"), "InvoiceDate", times)
    months = table.column("InvoiceDate").to_pandas().dt.to_period("M")
    for month in months.unique():
        part = table.filter(pa.array((months == month).to_numpy()))
        part = pa.concat_tables([part, bad]) if str(month) == "2010-12" else part
        for name in (
            f"partitioned/year={month.year}/month={month.month:02}/lines.parquet",
            f"flat/{month}.parquet",
        ):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part, data / name)
    return pa.concat_tables([bad, table])


def states(folder: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every file."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*.parquet"))
    }


@dataclass(frozen=True)
class Ran:
    """The installation after all nights.

    Attributes:
        home: The installation.
        all_rows: What there was.
        before: The files that there were.
        nights: The runs.
        output: All that was printed.
    """

    home: AirflowHome
    all_rows: pa.Table
    before: dict[str, tuple[str, int]]
    nights: list[DagRun]
    output: str

    @property
    def data(self) -> Path:
        return self.home.path / "data"

    def ledger(self) -> Ledger:
        return Ledger.open(self.home.veil / "ledger.db")


@pytest.fixture(scope="module")
def ran(shared_home: Callable[..., AirflowHome], shared_data: Path) -> Ran:
    home = shared_home("retention")
    shutil.copy(DAGS / "retention_nights.py", home.dags)
    data = home.path / "data"
    rows = supply(shared_data, data)
    policy = home.policies / "invoices.yaml"
    policy.write_text(yaml.safe_dump(policy_of(data)))
    assert KeyFile(home.veil / "keys.json").load()
    with Workspace(
        loaded=checked(policy), settings=Settings.from_env({"VEIL_HOME": str(home.veil)})
    ) as opened:
        holds.place(opened, "partitioned", reason="case 2026-17", actor="test:court", subjects=[str(HELD)])
    before = states(data)
    jobs = [
        {
            "dag_id": "retention_nights",
            "logical_date": night.date,
            "conf": {"clock": night.clock, **({"approve": APPROVE} if night.approve else {})},
        }
        for night in NIGHTS
    ]
    runs, output = home.run_dags(*jobs)
    return Ran(home, rows, before, runs, output)


def expected(rows: pa.Table, cut_off: str, *, held: int | None) -> pd.DataFrame:
    """What is to be left, by the definition."""
    frame = rows.to_pandas()
    when = frame["InvoiceDate"]
    stays = when.isna() | (when < "1970-01-02") | (when >= cut_off)
    if held is not None:
        stays |= frame["CustomerID"] == held
    return frame[stays]


def later(rows: pa.Table, clock: str) -> int:
    """How many rows are not yet, by a clock of London."""
    now = pd.Timestamp(clock).tz_convert("Europe/London").tz_localize(None)
    return int((rows.to_pandas()["InvoiceDate"] > now).sum())


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


class TestRetention:
    def test_runs_end_as_they_should(self, ran: Ran) -> None:
        """Whatever date a run stands for, its clock decides; one that jumps stops it, before anything is deleted."""
        for night, run in zip(NIGHTS, ran.nights, strict=True):
            rows = {run.tasks["partitioned"], run.tasks["flat"]}
            assert rows == {"success" if night.succeeds else "failed"}, night
            # Releases end in any case.
            assert run.tasks["expire_releases"] == "success"
        assert ran.output.count("it went backwards") == 2
        assert ran.output.count("it may have gone ahead") == 2

    @pytest.mark.parametrize(("dataset", "held"), [("partitioned", HELD), ("flat", None)])
    def test_the_rows_that_are_left(self, ran: Ran, dataset: str, held: int | None) -> None:
        """Exactly those of the definition, in every column."""
        found = pq.read_table(ran.data / dataset, partitioning=None).to_pandas()

        wanted = expected(ran.all_rows, NIGHTS[-1].cut_off, held=held)

        pd.testing.assert_frame_equal(ordered(found), ordered(wanted[found.columns]), check_dtype=False)

    @pytest.mark.parametrize(("dataset", "held"), [("partitioned", HELD), ("flat", None)])
    def test_what_each_run_deleted(self, ran: Ran, dataset: str, held: int | None) -> None:
        """In counts, and as evidence; a run that was refused left none."""
        with ran.ledger() as ledger:
            runs = sorted(ledger.retention.listed("invoices", dataset), key=lambda run: run.started_at)
            ledger.verify_chain()
        left, counts = len(ran.all_rows), []
        for night in NIGHTS:
            now = len(expected(ran.all_rows, night.cut_off, held=held))
            if night.succeeds:
                counts.append(left - now)
                left = now

        done = [run.done or {} for run in runs]

        assert [each["delete"] for each in done] == counts
        assert [each["quarantined"] for each in done] == [
            {"null": 1, "before_1970": 2, "future": later(ran.all_rows, night.clock)}
            for night in NIGHTS
            if night.succeeds
        ]
        assert {each["held"] > 0 for each in done} == {held is not None}
        assert [run.approval for run in runs if run.approval] == [APPROVE[dataset]]

    def test_each_run_has_its_certificate(self, ran: Ran) -> None:
        """Of what it deleted and kept, looked at a second time."""
        filed = [
            Certificate.of(json.loads(path.read_text()))
            for path in (ran.home.veil / "certificates").glob("*.json")
        ]
        with ran.ledger() as ledger:
            runs = {f"run {run.run_id}": run.done or {} for run in ledger.retention.listed("invoices")}

        assert {each.asked.reference for each in filed} == runs.keys()
        assert all(each.passed and not each.anchored for each in filed)
        for each in filed:
            done = runs[each.asked.reference]
            assert each.done[0].rows_deleted == done["delete"]
            kept = {row.word: row.rows for row in each.kept}
            assert kept.get("held", 0) == done["held"]
            assert each.verification[0].looked_at == done["rows"] - done["delete"]

    def test_months_that_stay_are_untouched(self, ran: Ran) -> None:
        """Their bytes and times are those of the first day; months that are over are gone, with their folders."""
        after = states(ran.data)
        kept = {
            name
            for name in ran.before
            if any(f"2011-{m:02}" in name or f"2011/month={m:02}" in name for m in range(6, 13))
        }

        assert len(kept) == 14
        assert {name: after[name] for name in kept} == {name: ran.before[name] for name in kept}
        flat = {Path(name).stem for name in after if name.startswith("flat/")}
        assert flat == {"2010-12", *(f"2011-{month:02}" for month in range(6, 13))}

    def test_whole_months_go_unread(self, ran: Ran) -> None:
        """By their footers, where nobody is held."""
        with ran.ledger() as ledger:
            runs = ledger.retention.listed("invoices", "flat")

        files = [(run.done or {})["files"] for run in runs]

        assert sum(each["unread"] for each in files) == sum(each["dropped"] for each in files) == 5
        assert sum(each["rewritten"] for each in files) == 1

    def test_xcom_holds_counts(self, ran: Ran) -> None:
        """And nothing of the rows."""
        found = ran.home.select("select value from xcom where task_id in ('flat', 'partitioned')")

        texts = [json.dumps(value[0]) for value in found]
        assert texts
        assert not [text for text in texts if str(HELD) in text or "United Kingdom" in text]

    def test_lineage_tells_of_the_deletion(self, ran: Ran) -> None:
        """The data set goes into itself, and was overwritten; no way of an identifier is opened by it."""
        events = ran.home.events()
        assert [error for event in events for error in event_errors(event)] == []
        done = [
            event
            for event in events
            if event["eventType"] == "COMPLETE" and event["job"]["name"].endswith(".flat")
        ]

        assert len(done) == sum(night.succeeds for night in NIGHTS)
        for event in done:
            (read,), (written,) = event["inputs"], event["outputs"]
            assert (read["name"], read["namespace"]) == (written["name"], written["namespace"])
            assert written["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
        assert not prove_files([ran.home.lineage]).counterexamples
