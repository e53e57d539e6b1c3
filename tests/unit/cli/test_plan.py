"""`veil plan`."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Installation


class TestPlan:
    def test_shows_every_output_column(self, retail: Installation) -> None:
        """A line a column: class, treatment, key domain and version, what it promises."""
        out = retail.ok("plan", retail.policy, "--dataset", "customers")
        (email,) = [line for line in out.splitlines() if line.startswith("email ")]

        assert "direct_identifier" in email
        assert "token {domain: email, reversible: true, pad_to: 64}" in email
        assert "email v1" in email
        assert "deterministic, reversible, unique" in email
        assert "nulls kept" in email

    def test_tells_what_is_dropped(self, retail: Installation) -> None:
        """Dropped columns are told apart: decided by the policy, or not named in it."""
        out = retail.ok("plan", retail.policy, "--dataset", "customers")

        assert "dropped by the policy: street, city" in out
        assert "dropped because the policy does not name them: none" in out

    def test_all_data_sets(self, retail: Installation) -> None:
        """Without --dataset all are planned; JSON carries everything that the plan knows."""
        plans = json.loads(retail.ok("plan", retail.policy, "--json"))
        order = next(c for c in plans[2]["columns"] if c["name"] == "order_id")

        assert [plan["dataset"] for plan in plans] == ["customers", "orders", "order_lines"]
        assert all(len(plan["digest"]) == 64 for plan in plans)
        assert (order["key_domain"], order["key_version"]) == ("order", 1)
        assert order["properties"]["deterministic"] is True

    def test_needs_no_keys(self, bare: Installation) -> None:
        """Who has no key ring sees the plan without key versions, and is told so apart from it."""
        result = bare.veil("plan", bare.policy, "-d", "orders", "--json")
        (plan,) = json.loads(result.stdout)

        assert result.exit_code == 0
        assert {column["key_version"] for column in plan["columns"]} == {None}
        assert "shows no key versions" in result.stderr

    def test_reads_no_row_and_writes_nothing(self, retail: Installation) -> None:
        """The plan opens no ledger and shows no value."""
        before = sorted(retail.root.rglob("*"))
        out = retail.ok("plan", retail.policy)

        assert sorted(retail.root.rglob("*")) == before
        assert "@example" not in out

    def test_unknown_data_set(self, retail: Installation) -> None:
        """The known ones are named; the exit code is that of a policy that does not fit."""
        result = retail.veil("plan", retail.policy, "--dataset", "custommers")

        assert result.exit_code == 1
        assert "Traceback" not in result.output

    def test_a_policy_with_mistakes_is_not_planned(self, retail: Installation) -> None:
        """The mistakes are told instead."""
        retail.policy.write_text(retail.policy.read_text().replace("treat: {redact:", "treat: {redakt:"))
        result = retail.veil("plan", retail.policy)

        assert result.exit_code == 1
        assert "redakt" in result.stderr
