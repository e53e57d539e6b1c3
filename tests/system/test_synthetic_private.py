"""Differentially private synthetic releases of Adult through Airflow: paid for once, until nothing is left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from tests.airflow_home import AirflowHome, DagRun
from tests.system.test_synthetic_data import ADULT

from airflow_veil.privacy.ledger.budget import ChargeState
from airflow_veil.privacy.ledger.ledger import Ledger

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).resolve().parent / "dags"
RHO = Decimal("0.01")
"""Epsilon 0.8 at delta 1e-9, for each model."""
METHODS: dict[str, Any] = {"tree": "mst", "chosen": {"aim": {"rounds": 2}}}
VALUES = {"sex": ["Female", "Male"], "income": ["<=50K", ">50K"]}
NIGHT, NEXT = "2026-03-01", "2026-03-08"


def policy(shared: Path, folder: Path) -> dict[str, Any]:
    """Few columns of all people, a model by each method, and money for one night."""
    options = pyarrow.csv.ReadOptions(column_names=ADULT)
    table = pyarrow.csv.read_csv(shared / "adult" / "adult.data", read_options=options)
    frame = table.select(["age", *VALUES]).to_pandas()
    frame["person"] = range(len(frame))
    for name in VALUES:
        frame[name] = frame[name].str.strip()
    frame.to_parquet(folder / "adult.parquet", index=False)
    columns = {
        "person": {"class": "direct_identifier", "type": "int64", "treat": "drop"},
        "age": {"class": "quasi_identifier", "type": "int64", "treat": "drop"},
        **{
            name: {"class": "sensitive", "type": "string", "treat": "drop", "values": values}
            for name, values in VALUES.items()
        },
    }
    made = {"age": {"numbers": {"bounds": [17, 90], "bins": 8}}, **dict.fromkeys(VALUES, "categories")}
    tables = {"people": {"rows": 2_000, "columns": made}}
    paid = {"budget": "people", "spend": {"rho": float(RHO)}, "tables": tables}
    return {
        "version": 1,
        "name": "paid",
        "owner": "data@example.com",
        "datasets": {
            "people": {"source": str(folder / "adult.parquet"), "subject": "person", "columns": columns}
        },
        "release": {"destination": str(folder / "releases"), "expires_after": "P30D"},
        "differential_privacy": {
            "budgets": {"people": {"unit": "people.person", "rho": float(RHO * len(METHODS))}}
        },
        "synthetic": {"releases": {name: {"method": method, **paid} for name, method in METHODS.items()}},
    }


@dataclass(frozen=True)
class Ran:
    """The installation after a night, the same night once more, and a night when nothing is left.

    Attributes:
        home: The installation.
        nights: The three runs.
        printed: All that was printed.
    """

    home: AirflowHome
    nights: tuple[DagRun, DagRun, DagRun]
    printed: str

    def current(self, name: str) -> Path:
        """What a consumer reads."""
        return self.home.path / "releases" / name / "current"


@pytest.fixture(scope="module")
def ran(shared_home: Callable[..., AirflowHome], shared_data: Path) -> Ran:
    """All of it in one start of Airflow."""
    home = shared_home("paid")
    shutil.copy(DAGS / "synthetic_private.py", home.dags)
    (home.policies / "paid.yaml").write_text(yaml.safe_dump(policy(shared_data, home.path), sort_keys=False))
    jobs = [
        {"dag_id": "veil_paid_synthetic", "logical_date": date, "retries": 1} for date in (NIGHT, NIGHT, NEXT)
    ]
    (first, again, late), printed = home.run_dags(*jobs, OMP_NUM_THREADS="1")
    return Ran(home, (first, again, late), printed)


class TestPaidOnce:
    def test_until_nothing_is_left(self, ran: Ran) -> None:
        """A night and the same night once more succeed; the next one fails, and says what to do."""
        first, again, late = ran.nights
        assert (first.state, again.state) == ("success", "success"), ran.printed[-3_000:]
        assert late.state == "failed"
        for name in METHODS:
            assert late.tasks[f"{name}.fit"] == "failed"
            assert late.tasks[f"{name}.publish"] == "upstream_failed"
        assert ran.printed.count("Fix: raise the limit with `veil budget change people") == len(METHODS)

    def test_the_ledger_is_charged_once(self, ran: Ran) -> None:
        """Neither the tries that were lost nor the second run paid again; what was drawn is what was charged."""
        with Ledger.open(ran.home.veil / "ledger.db") as ledger:
            statement = ledger.budgets.statement("people")
            charges = ledger.budgets.charges("people")
            drawn = sum(event.measurement.loss.rho for event in ledger.budgets.events("people"))
            records = ledger.models.listed("paid")
            ledger.verify_chain()
        stored = [charge for charge in charges if charge.state is ChargeState.STORED]
        assert len(stored) == len(records) == len(METHODS)
        assert drawn == statement.spent.rho > 0
        # Shares are rounded down to whole units: a hair may be left.
        assert Decimal(0) <= (statement.remaining.rho or Decimal(0)) < RHO

    def test_a_row_is_read_only_where_it_is_paid_for(self, ran: Ran) -> None:
        """Rows were counted once a model: neither for the second run nor where nothing was left."""
        assert ran.printed.count("Counting rows") == len(METHODS)

    @pytest.mark.parametrize("name", METHODS)
    def test_the_current_release_stays(self, ran: Ran, name: str) -> None:
        """There is one, of the first night, and it is like the people: who earns more is a man more often."""
        with Ledger.open(ran.home.veil / "ledger.db") as ledger:
            (release,) = ledger.list("paid", name)
        manifest = json.loads((ran.current(name) / "_manifest.json").read_text())
        rows = pq.read_table(ran.current(name)).to_pandas()

        assert manifest["release_id"] == release.release_id
        assert len(rows) == 2_000
        assert abs((rows["sex"] == "Male").mean() - 0.67) < 0.05
        rich = rows["income"] == ">50K"
        assert (rows["sex"][rich] == "Male").mean() > (rows["sex"][~rich] == "Male").mean() + 0.1
