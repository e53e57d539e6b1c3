"""`veil check`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.cli.conftest import Installation


def spoil(policy: Path, old: str, new: str) -> int:
    """Change a policy and give the line of the change."""
    text = policy.read_text()
    assert old in text
    policy.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


class TestCheck:
    def test_good_policies_pass(self, bare: Installation) -> None:
        """All shipped policies check without data, keys or Airflow; the exit code is 0."""
        policies = sorted(bare.policy.parent.glob("*.yaml"))
        out = bare.ok("check", *policies)

        assert out == f"{len(policies)} policies checked, no mistakes\n"

    def test_a_mistake_has_place_and_fix(self, bare: Installation) -> None:
        """An unknown word is told with file, line, column and the nearest known word; the exit code is 1."""
        line = spoil(bare.policy, "phone: {class: direct_identifier", "phone: {clas: direct_identifier")
        result = bare.veil("check", bare.policy)

        assert result.exit_code == 1
        assert f"{bare.policy}:{line}:15: " in result.stdout
        assert "fix: write `class`" in result.stdout

    def test_all_mistakes_of_all_policies_are_told(self, bare: Installation) -> None:
        """One run shows everything, for a machine as well."""
        other = bare.policy.with_name("userdata.yaml")
        spoil(bare.policy, "subject: customer_id", "subjekt: customer_id")
        spoil(other, "comments: {class: free_text, treat: drop}", "comments: {class: free_text, treat: keep}")
        result = bare.veil("check", bare.policy, other, "--json")
        found = json.loads(result.stdout)

        assert result.exit_code == 1
        assert found["policies"] == 2
        assert {(Path(f["file"]).name, f["rule"]) for f in found["findings"]} == {
            ("retail.yaml", "unknown-word"),
            ("userdata.yaml", "kept-in-clear"),
        }
        assert all({"line", "column", "message", "fix"} <= set(finding) for finding in found["findings"])

    def test_missing_file_is_a_finding(self, bare: Installation) -> None:
        """A policy that is not there does not check."""
        result = bare.veil("check", bare.root / "nowhere.yaml")

        assert result.exit_code == 1
        assert "cannot be read" in result.stdout


class TestAgainstSource:
    def test_a_source_that_fits_passes(self, bare: Installation) -> None:
        """The demo's data fits the demo's policy."""
        assert "no mistakes" in bare.ok("check", bare.policy, "--against-source")

    @pytest.mark.parametrize("change", ["missing", "type", "new"])
    def test_a_changed_source_is_found(self, bare: Installation, change: str) -> None:
        """A column that is missing, of another type, or new where the policy says `fail`."""
        file = bare.root / "data" / "retail" / "customers.parquet"
        table = pq.read_table(file)
        changed = {
            "missing": lambda: table.drop_columns(["phone"]),
            "type": lambda: table.set_column(0, "customer_id", table["customer_id"].cast(pa.string())),
            "new": lambda: table.append_column("loyalty", table["segment"]),
        }[change]()
        pq.write_table(changed, file)
        result = bare.veil("check", bare.policy, "--against-source", "--json")
        (finding,) = json.loads(result.stdout)["findings"]

        assert result.exit_code == 1
        assert finding["rule"] == "source"
        assert {"missing": "phone", "type": "customer_id", "new": "loyalty"}[change] in finding["message"]

    def test_a_source_that_is_not_there(self, bare: Installation) -> None:
        """The exit code is that of storage, not that of a policy that does not check."""
        (bare.root / "data" / "retail" / "orders.parquet").unlink()

        assert bare.veil("check", bare.policy, "--against-source").exit_code == 4
