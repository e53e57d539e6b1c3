"""`veil classify` and `veil init`."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Installation


class TestClassify:
    def test_a_source(self, bare: Installation) -> None:
        """A line a column, with evidence and without a value; nothing to compare with, so the exit code is 0."""
        out = bare.ok("classify", bare.root / "data" / "retail" / "customers.parquet")
        (email,) = [line for line in out.splitlines() if line.startswith("email ")]

        assert "direct_identifier" in email
        assert "user.contact.email" in email
        assert "e-mail address (100%)" in email
        assert "@" not in out

    def test_a_policy_that_says_so(self, bare: Installation) -> None:
        """The demo's policy declares all that is found."""
        looked = json.loads(bare.ok("classify", bare.policy, "--json"))

        assert [item["source"] for item in looked] == ["customers", "orders", "order_lines"]
        assert not any(item["discrepancies"] for item in looked)

    def test_personal_data_declared_none(self, bare: Installation) -> None:
        """The exit code is 1, and the column is named."""
        text = bare.policy.read_text()
        bare.policy.write_text(text.replace("country: {class: quasi_identifier,", "country: {class: none,"))

        result = bare.veil("classify", bare.policy, "--dataset", "customers")

        assert result.exit_code == 1
        assert "country looks like country" in result.output
        assert "is declared none" in result.output

    def test_how_many_rows(self, bare: Installation) -> None:
        """As many as asked for, or all; not both."""
        source = bare.root / "data" / "retail" / "customers.parquet"
        (few,) = json.loads(bare.ok("classify", source, "--rows", "10", "--json"))
        (every,) = json.loads(bare.ok("classify", source, "--all-rows", "--json"))

        assert few["columns"][0]["values"] == 10
        assert every["columns"][0]["values"] == 400
        assert bare.veil("classify", source, "--rows", "10", "--all-rows").exit_code == 2

    def test_a_source_that_is_not_there(self, bare: Installation) -> None:
        """The exit code is that of a source."""
        result = bare.veil("classify", bare.root / "nothing.parquet")

        assert result.exit_code == 4
        assert "Traceback" not in result.output


class TestInit:
    def test_its_policy_checks_and_runs(self, retail: Installation) -> None:
        """From a file to a release in four commands; the release tells no e-mail address."""
        stub = retail.ok("init", retail.root / "data" / "retail" / "customers.parquet", "--name", "mine")
        policy = retail.root / "mine.yaml"
        policy.write_text(stub.replace("releases/mine", str(retail.root / "releases")))

        retail.ok("check", policy, "--against-source")
        retail.ok("classify", policy)
        retail.ok("run", policy, "--dataset", "mine")

        files = [path for path in (retail.root / "releases").rglob("*.parquet") if path.is_file()]
        assert files
        assert not any(b"@example" in path.read_bytes() for path in files)

    def test_named_after_the_file(self, bare: Installation) -> None:
        """What stands before the first dot, as far as a name may hold it."""
        stub = bare.ok("init", bare.root / "data" / "retail" / "orders.parquet")

        assert "name: orders\n" in stub
        assert "subject: customer_id" in stub
