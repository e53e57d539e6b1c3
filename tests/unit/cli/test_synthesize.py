"""`veil synthesize` and `veil synthesizers`: tables out of nothing and after a model, their models, and their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.unit.cli.conftest import Installation

from airflow_veil.cli.demo import write_retail


@pytest.fixture
def policy(retail: Installation) -> Path:
    """The demo's made-up shops; of a few hundred people attacks tell too little to let anything out."""
    write_retail(retail.root / "data" / "retail", customers=4_000, seed=5)
    return retail.root / "configs" / "retail_synthetic.yaml"


def made(retail: Installation, policy: Path, *args: str) -> dict[str, Any]:
    """What was published, by the command's JSON."""
    told: dict[str, Any] = json.loads(retail.ok("synthesize", policy, *args, "--json"))
    return told


def current(retail: Installation, name: str) -> Any:
    return pq.read_table(
        retail.root / "data" / "releases" / "retail_synthetic" / name / "current"
    ).to_pandas()


class TestSynthesize:
    def test_tables_out_of_nothing(self, retail: Installation, policy: Path) -> None:
        """As many rows as are asked for, and tables that fit together."""
        out = retail.ok("synthesize", policy, "test_shop", "--rows", "30")
        people, orders = (current(retail, f"test_shop_{name}") for name in ("customers", "orders"))

        assert "30 rows of test_shop_customers" in out
        assert len(people) == 30
        assert orders["customer_id"].isin(people["customer_id"]).all()

    def test_a_model_of_the_demo(self, retail: Installation, policy: Path) -> None:
        """The shipped policy goes through its evaluation; a part of given values is a release of its own."""
        charts = retail.root / "charts"
        first = made(
            retail, policy, "shoppers", "--rows", "2000", "--interval", "today", "--charts", str(charts)
        )
        again = made(
            retail,
            policy,
            "shoppers",
            "--interval",
            "today",
            "--rows",
            "2000",
            "--given",
            "country=FR",
            "--suffix",
            "french",
        )

        assert len(current(retail, "shoppers")) == 2_000
        assert again["model_id"] == first["model_id"]
        assert set(current(retail, "shoppers_french")["country"]) == {"FR"}
        kinds = ("distributions", "associations", "attacks")
        drawn = {f"customers-{kind}.{form}" for kind in kinds for form in ("svg", "png")}
        assert {file.name for file in charts.iterdir()} == drawn
        assert {file.stat().st_mode & 0o777 for file in charts.iterdir()} == {0o600}
        assert "singling out" in (charts / "customers-attacks.svg").read_text()

    def test_what_cannot_be_asked(self, retail: Installation, policy: Path) -> None:
        """A value without a suffix, of no column, or of no number; a name that is none."""
        for args in (
            ("shoppers", "--given", "country=FR"),
            ("shoppers", "--given", "nowhere=FR", "--suffix", "x"),
            ("test_shop", "--given", "customer_id=many", "--suffix", "x"),
        ):
            assert retail.veil("synthesize", policy, *args).exit_code == 2
        result = retail.veil("synthesize", policy, "nobody")
        assert result.exit_code == 1
        assert "shoppers, test_shop" in result.stderr


class TestModels:
    def test_list_show_and_destroy(self, retail: Installation, policy: Path) -> None:
        """What the ledger has, without what could test guesses; destroyed for a reason, once."""
        model = made(retail, policy, "test_shop", "--rows", "10")["model_id"]
        (listed,) = json.loads(retail.ok("synthesizers", "list", policy, "--json"))
        shown = json.loads(retail.ok("synthesizers", "show", model, "--json"))

        assert listed["model_id"] == shown["model_id"] == model
        assert (listed["state"], listed["method"]) == ("fitted", "faker")
        assert "data_version" not in listed
        assert model in retail.ok("synthesizers", "list")
        assert "faker" in retail.ok("synthesizers", "show", model)

        assert (
            retail.veil("synthesizers", "destroy", policy, model, "--reason", "short", "--yes").exit_code == 2
        )
        out = retail.ok("synthesizers", "destroy", policy, model, "--reason", "ticket 4711: test", "--yes")
        assert "its bytes are gone" in out
        assert list((retail.root / "home" / "models").iterdir()) == []

    def test_what_was_measured(self, retail: Installation, policy: Path) -> None:
        """The figures of the evaluation, from the evidence, for whoever may see the rows."""
        model = made(retail, policy, "shoppers", "--rows", "2000")["model_id"]
        (told,) = json.loads(retail.ok("synthesizers", "show", model, "--json"))["evaluations"]

        assert told["outcome"] == "allow"
        assert told["figures"]["fidelity"]
        assert "allow" in retail.ok("synthesizers", "show", model)

    def test_one_that_is_not_there(self, retail: Installation) -> None:
        """Is told as that."""
        result = retail.veil("synthesizers", "show", "nobody")
        assert result.exit_code == 1
        assert "no such model" in result.stderr
