"""`veil run`, `veil releases` and `veil detokenize`: a release from its source to publication and back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.cli.conftest import CUSTOMERS, Installation


@pytest.fixture
def plain(retail: Installation) -> Installation:
    """The installation without expectation suites, whose library takes seconds to import."""
    text = retail.policy.read_text()
    retail.policy.write_text(re.sub(r"^ +expectations: .*\n", "", text, flags=re.MULTILINE))
    return retail


def source(retail: Installation, name: str) -> pa.Table:
    return pq.read_table(retail.root / "data" / "retail" / f"{name}.parquet")


def run(retail: Installation, dataset: str, *args: str | Path) -> dict[str, Any]:
    return json.loads(retail.ok("run", retail.policy, "-d", dataset, "--json", *args))


def released(retail: Installation, dataset: str, release: dict[str, Any]) -> pa.Table:
    """The rows of a release, found by its id below the destination."""
    folders = [p for p in (retail.root / "data" / "releases").rglob(release["release_id"]) if p.is_dir()]
    (folder,) = [folder for folder in folders if dataset in folder.parts]
    return pq.read_table(sorted(folder.glob("*.parquet")))


def listed(retail: Installation, *args: str | Path) -> list[dict[str, Any]]:
    return json.loads(retail.ok("releases", "list", "--json", *args))


class TestRun:
    def test_publishes_what_the_plan_says(self, plain: Installation) -> None:
        """The release has the plan's columns, all rows, and no value of an identifier."""
        done = run(plain, "customers")
        table, raw = released(plain, "customers", done), source(plain, "customers")
        (plan,) = json.loads(plain.ok("plan", plain.policy, "-d", "customers", "--json"))

        assert (done["rows_in"], done["rows_out"], done["published"]) == (CUSTOMERS, CUSTOMERS, True)
        assert table.column_names == [c["name"] for c in plan["columns"] if c["output_type"] is not None]
        assert not set(table["card"].to_pylist()) & set(raw["card"].to_pylist())
        assert not set(table["email"].drop_null().to_pylist()) & set(raw["email"].drop_null().to_pylist())

    def test_tables_join_after_as_before(self, plain: Installation) -> None:
        """Customers, orders and lines, released one by one, join to the same counts as their sources."""
        tables = {
            name: released(plain, name, run(plain, name)) for name in ("customers", "orders", "order_lines")
        }
        counts = []
        for get in (tables.__getitem__, lambda name: source(plain, name)):
            joined = get("order_lines").join(get("orders"), "order_id").join(get("customers"), "customer_id")
            per_segment = joined.group_by("segment").aggregate([("quantity", "sum")]).sort_by("segment")
            counts.append(per_segment.to_pylist())

        assert counts[0] == counts[1]
        assert sum(row["quantity_sum"] for row in counts[0]) > 0

    def test_other_source_and_output(self, plain: Installation) -> None:
        """--source and --output go before the policy."""
        few = source(plain, "orders").slice(0, 10)
        pq.write_table(few, plain.root / "few.parquet")
        done = run(
            plain, "orders", "--source", plain.root / "few.parquet", "--output", plain.root / "elsewhere"
        )

        assert done["rows_out"] == 10
        assert list((plain.root / "elsewhere").rglob("*.parquet"))
        assert not (plain.root / "data" / "releases").exists()

    def test_without_keys(self, bare: Installation) -> None:
        """The exit code is that of keys; nothing is written."""
        result = bare.veil("run", bare.policy, "-d", "orders")

        assert result.exit_code == 3
        assert "veil keys init" in result.stderr
        assert not list((bare.root / "data").rglob("releases/**/*.parquet"))


class TestFailure:
    @pytest.fixture
    def failed(self, retail: Installation) -> tuple[Installation, str]:
        """A good release, then one whose expectations do not hold."""
        first = run(retail, "customers")
        raw = source(retail, "customers")
        other = pc.if_else(pc.equal(raw["segment"], "consumer"), "canary-segment", raw["segment"])
        changed = raw.set_column(raw.column_names.index("segment"), "segment", other)
        pq.write_table(changed, retail.root / "data" / "retail" / "customers.parquet")
        result = retail.veil("run", retail.policy, "-d", "customers")

        assert result.exit_code == 1, result.output
        assert "canary" not in result.output
        return retail, first["release_id"]

    def test_the_release_before_stays(self, failed: tuple[Installation, str]) -> None:
        """Failing expectations publish nothing: the current release is the one before."""
        retail, first = failed

        assert [r["release_id"] for r in listed(retail) if r["state"] == "current"] == [first]

    def test_nothing_is_left_staged(self, failed: tuple[Installation, str]) -> None:
        """What failed is removed from the disk and discarded in the ledger."""
        retail, first = failed
        states = {r["release_id"]: r["state"] for r in listed(retail)}
        files = list((retail.root / "data" / "releases").rglob("*.parquet"))

        assert sorted(states.values()) == ["current", "discarded"]
        assert files
        assert all(first in file.parts for file in files)


class TestReleases:
    def test_list_is_newest_first(self, plain: Installation) -> None:
        """The newest release is current, the one before superseded; --dataset and POLICY narrow the list."""
        first, second = run(plain, "orders"), run(plain, "orders")
        run(plain, "order_lines")
        found = listed(plain, plain.policy, "-d", "orders")

        assert [(r["release_id"], r["state"]) for r in found] == [
            (second["release_id"], "current"),
            (first["release_id"], "superseded"),
        ]
        assert len(listed(plain)) == 3
        assert len(listed(plain, "--limit", "1")) == 1

    def test_rollback_makes_the_one_before_current(self, plain: Installation) -> None:
        """The bad release is marked, the good one is current, and the reason is evidence."""
        first, _ = run(plain, "orders"), run(plain, "orders")
        out = plain.ok(
            "releases", "rollback", plain.policy, "-d", "orders", "--reason", "ticket 4711: wrong shift"
        )
        states = {r["release_id"]: r["state"] for r in listed(plain)}

        assert first["release_id"] in out
        assert states[first["release_id"]] == "current"
        assert "rolled_back" in states.values()

    def test_nothing_to_roll_back_to(self, plain: Installation) -> None:
        """The exit code is that of releases."""
        run(plain, "orders")
        result = plain.veil(
            "releases", "rollback", plain.policy, "-d", "orders", "--reason", "ticket 4711: wrong"
        )

        assert result.exit_code == 5

    def test_empty_ledger(self, bare: Installation) -> None:
        """A ledger without releases lists none."""
        assert listed(bare) == []


class TestDetokenize:
    def arguments(self, plain: Installation, column: str, reason: str) -> list[str | Path]:
        done = run(plain, "customers")
        folder = next(p for p in (plain.root / "data/releases").rglob(done["release_id"]) if p.is_dir())
        paths = ["--input", folder, "--output", plain.root / "answer"]
        return ["detokenize", plain.policy, "-d", "customers", "-c", column, *paths, "--reason", reason]

    def test_gives_values_back_for_a_reason(self, plain: Installation) -> None:
        """The source's values are in the new file, which its owner alone can read; none is on the screen."""
        out = plain.ok(*self.arguments(plain, "email", "ticket 4711: recall"), "--json")
        table = pq.read_table(sorted((plain.root / "answer").rglob("*.parquet")))
        raw = source(plain, "customers")["email"]

        assert table["email"].to_pylist() == raw.to_pylist()
        told = {"rows": CUSTOMERS, "values": CUSTOMERS - raw.null_count, "withheld": 0}
        assert json.loads(out) == told
        assert not [p for p in (plain.root / "answer").rglob("*") if p.stat().st_mode & 0o077]

    def test_evidence_holds_reason_and_counts(self, plain: Installation) -> None:
        """The ledger says who, why and how much, and no value."""
        from airflow_veil.privacy.ledger.ledger import Ledger

        plain.ok(*self.arguments(plain, "email", "ticket 4711: recall"))
        with Ledger.open(f"sqlite:///{plain.root / 'home' / 'ledger.db'}") as ledger:
            entries = [entry for entry in ledger.evidence() if entry.kind.startswith("detokenize")]

        assert json.loads(entries[0].payload)["reason"] == "ticket 4711: recall"
        assert all(entry.actor.startswith("veil:") for entry in entries)
        assert "@" not in str(entries)

    @pytest.mark.parametrize(
        ("column", "reason", "code"),
        [
            pytest.param("email", "because", 5, id="no reason"),
            pytest.param("customer_id", "ticket 4711: recall", 1, id="one-way"),
        ],
    )
    def test_refuses(self, plain: Installation, column: str, reason: str, code: int) -> None:
        """Without a reason, or for a one-way column, there is no file."""
        result = plain.veil(*self.arguments(plain, column, reason))

        assert result.exit_code == code
        assert not (plain.root / "answer").exists()

    def test_reason_is_required(self, plain: Installation) -> None:
        """Leaving --reason out is a usage error."""
        arguments = self.arguments(plain, "email", "x")

        assert plain.veil(*arguments[:-2]).exit_code == 2
