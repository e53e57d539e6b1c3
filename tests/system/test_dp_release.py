"""Sixty nights of answers about the customers of Online Retail through a real Airflow, until the budget is spent."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from tests.airflow_home import AirflowHome, DagRun
from tests.openlineage_schemas import event_errors

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAGS = Path(__file__).resolve().parent / "dags"
FIRST = date(2026, 3, 1)
NIGHTS = 60
AGAIN = (FIRST + timedelta(3), FIRST + timedelta(30), FIRST + timedelta(59))
"""Nights whose runs are cleared and run once more."""
RHO = Decimal("0.002")
QUERIES = ("sales", "baskets")
COUNTRIES = ["United Kingdom", "Germany", "France", "EIRE", "Spain"]


def policy_of(shared: Path, releases: Path) -> dict[str, Any]:
    """Per customer, by country and month: a budget that pays for sixty nights of both queries and not for one more."""
    columns = {
        name: {"class": "none", "treat": "drop"}
        for name in ("Country", "InvoiceDate", "Quantity", "UnitPrice")
    }
    keys = {
        "Country": {"values": COUNTRIES, "source": "the countries that the shop delivers to"},
        "month": {"column": "InvoiceDate", "to": "month", "first": "2010-12", "last": "2011-12"},
    }
    asked = {"dataset": "lines", "budget": "customers", "spend": {"rho": float(RHO)}}
    return {
        "version": 1,
        "name": "nights",
        "owner": "data-platform@example.com",
        "datasets": {
            "lines": {
                "source": str(shared / "online_retail" / "online_retail.parquet"),
                "subject": "CustomerID",
                "columns": {"CustomerID": {"class": "direct_identifier", "treat": "drop"}, **columns},
            }
        },
        "release": {"destination": str(releases)},
        "differential_privacy": {
            "budgets": {"customers": {"unit": "lines.CustomerID", "rho": float(RHO * NIGHTS * len(QUERIES))}},
            "queries": {
                "sales": {
                    **asked,
                    "contribution": {"groups_per_unit": 3, "rows_per_group": 10},
                    "keys": keys,
                    "measures": {
                        "customers": "count_distinct",
                        "lines": "count",
                        "items": {"sum": {"column": "Quantity", "bounds": [0, 50]}},
                    },
                },
                "baskets": {
                    **asked,
                    "where": "Quantity > 0",
                    "contribution": {"rows_per_group": 5},
                    "measures": {"price": {"mean": {"column": "UnitPrice", "bounds": [0, 20]}}},
                },
            },
        },
    }


@dataclass(frozen=True)
class Ran:
    """The installation after all nights.

    Attributes:
        home: The installation.
        nights: The runs of the nights, then of those that were run once more.
        late: A night when nothing is left, and the same where exhausted budgets skip.
        output: All that was printed.
    """

    home: AirflowHome
    nights: list[DagRun]
    late: list[DagRun]
    output: str


@pytest.fixture(scope="module")
def ran(shared_home: Callable[..., AirflowHome], shared_data: Path) -> Ran:
    home = shared_home("dp")
    shutil.copy(DAGS / "dp_nights.py", home.dags)
    policy = policy_of(shared_data, home.path / "releases")
    (home.policies / "nights.yaml").write_text(yaml.safe_dump(policy))
    dates = [*(FIRST + timedelta(night) for night in range(NIGHTS)), *AGAIN]
    late = FIRST + timedelta(NIGHTS)
    jobs = [{"dag_id": "dp_nights", "logical_date": str(each), "retries": 1} for each in dates]
    jobs += [{"dag_id": dag, "logical_date": str(late)} for dag in ("dp_nights", "dp_skipping")]
    runs, output = home.run_dags(*jobs)
    return Ran(home, runs[:-2], runs[-2:], output)


class TestSixtyNights:
    def test_every_night_succeeds_until_nothing_is_left(self, ran: Ran) -> None:
        """Retries and runs once more are answered; the night after the last fails, or skips, as it was told to."""
        assert {run.state for run in ran.nights} == {"success"}
        exhausted, skipped = ran.late
        assert exhausted.state == "failed"
        assert set(exhausted.tasks.values()) == {"failed"}
        assert set(skipped.tasks.values()) == {"skipped"}
        assert ran.output.count("Fix: raise the limit with `veil budget change customers") == 2 * len(QUERIES)

    def test_the_ledger_is_what_was_drawn(self, ran: Ran) -> None:
        """One draw a query and night, whatever was retried and run again; the sum of the draws is what is spent."""
        draws = Counter((ran.home.path / "draws.txt").read_text().split())
        assert draws == dict.fromkeys(QUERIES, NIGHTS)
        with Ledger.open(ran.home.veil / "ledger.db") as ledger:
            statement = ledger.budgets.statement("customers")
            events = ledger.budgets.events("customers")
            ledger.verify_chain()
        assert statement.answers == NIGHTS * len(QUERIES)
        assert statement.unanswered == 0
        by_charge: dict[str, int] = {}
        for event in events:
            by_charge[event.charge_id] = by_charge.get(event.charge_id, 0) + event.measurement.loss.rho
        assert len(by_charge) == sum(draws.values())
        assert sum(by_charge.values()) == statement.spent.rho
        # Shares are rounded down to whole units, so a hair may be left; not enough for anything.
        assert Decimal(0) <= (statement.remaining.rho or Decimal(0)) < RHO

    def test_answers_are_published(self, ran: Ran) -> None:
        """The newest night is current; all are there; what was run again kept its bytes."""
        for query in QUERIES:
            releases = ran.home.path / "releases" / query
            found = [each for each in releases.iterdir() if not each.is_symlink()]
            assert len(found) == NIGHTS
            assert not [each for each in found if each.name.startswith(".")]
            current = pq.read_table(releases / "current").to_pandas()
            manifest = json.loads((releases / "current" / "_manifest.json").read_text())
            assert manifest["interval"]["key"].startswith("202604")
            assert manifest["output"]["rows"] == len(current)
            told = manifest["differential_privacy"]
            assert told["library"].startswith("opendp")
            assert Decimal(told["loss"]["rho"]) <= RHO
            assert {"product", "dp_flavor", "privacy_loss", "accounting"} <= told["deployment"].keys()

    def test_answers_are_near_the_truth(self, ran: Ran, shared_data: Path) -> None:
        """Averaged over sixty nights the noise is gone: what is left is what bounding left of the table."""
        lines = pd.read_parquet(shared_data / "online_retail" / "online_retail.parquet").dropna(
            subset=["CustomerID"]
        )
        lines["month"] = lines["InvoiceDate"].dt.strftime("%Y-%m")
        uk = lines[(lines["Country"] == "United Kingdom") & (lines["month"] == "2011-11")]
        pairs = lines[lines["Country"].isin(COUNTRIES)][["CustomerID", "Country", "month"]].drop_duplicates()
        groups = pairs.groupby("CustomerID").size().rename("groups")
        here = pairs[(pairs["Country"] == "United Kingdom") & (pairs["month"] == "2011-11")].join(
            groups, on="CustomerID"
        )
        # Each customer is in three of their groups, drawn by lot.
        expected = (3 / here["groups"].clip(lower=3)).sum()
        assert len(here) == uk["CustomerID"].nunique()
        values = []
        for release in (ran.home.path / "releases" / "sales").iterdir():
            if not release.is_symlink():
                table = pq.read_table(release).to_pandas()
                rows = table[(table["Country"] == "United Kingdom") & (table["month"] == "2011-11")]
                values.append(rows[rows["measure"] == "customers"]["value"].item())
        scale = rows[rows["measure"] == "customers"]["noise_scale"].item()
        # Seven standard errors of the mean of sixty answers; drawing lots adds less than the root of the number does.
        assert abs(sum(values) / NIGHTS - expected) < 7 * ((scale**2 + expected) / NIGHTS) ** 0.5
        assert len(set(values)) > NIGHTS // 2

    def test_nothing_private_is_told(self, ran: Ran, shared_data: Path) -> None:
        """No exact number of the table is in logs, XCom, lineage, manifests or evidence."""
        rows = pq.read_metadata(shared_data / "online_retail" / "online_retail.parquet").num_rows
        assert rows == 541_909
        size = (shared_data / "online_retail" / "online_retail.parquet").stat().st_size
        told = [ran.output, ran.home.lineage.read_text()]
        told += [str(value) for (value,) in ran.home.select("select value from xcom")]
        told += [path.read_text() for path in (ran.home.path / "releases").rglob("_manifest.json")]
        with Ledger.open(ran.home.veil / "ledger.db") as ledger:
            told += [entry.payload for entry in ledger.evidence()]
        for text in told:
            for secret in (rows, size):
                assert str(secret) not in text

    def test_lineage_is_true(self, ran: Ran) -> None:
        """Every event is as OpenLineage says, and every way from a customer to an answer is masked by noise."""
        events = [event for event in ran.home.events() if "dp_nights" in event["job"]["name"]]
        complete = [event for event in events if event["eventType"] == "COMPLETE" and event["outputs"]]
        assert len(complete) >= NIGHTS * len(QUERIES)
        for event in (*complete[:4], *complete[-4:]):
            assert event_errors(event) == []
        edges = complete[0]["outputs"][0]["facets"]["columnLineage"]
        assert "rowCount" not in json.dumps(complete[0]["inputs"])
        assert {
            transformation["masking"]
            for field in edges["dataset"]
            for transformation in field["transformations"]
        } == {True}
        proof = prove_files([ran.home.lineage])
        assert proof.holds, proof
        assert proof.paths_checked > 0
