"""`veil risk`."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.conftest import CUSTOMERS, Installation


@pytest.fixture
def released(retail: Installation) -> Installation:
    """The shop with a release of its customers and orders."""
    retail.ok("run", retail.policy, "-d", "customers")
    retail.ok("run", retail.policy, "-d", "orders")
    return retail


class TestRisk:
    def test_each_and_joined(self, released: Installation) -> None:
        """Without a data set all are measured, and those of one people together; the join is no safer than each."""
        found = json.loads(released.ok("risk", released.policy, "--json"))

        assert found.keys() == {"customers", "orders", "customers + orders"}
        alone, joined = (
            found["customers"]["reidentification"],
            found["customers + orders"]["reidentification"],
        )
        assert joined["rows"] == CUSTOMERS
        assert joined["average_per_record"] >= alone["average_per_record"]
        assert found["customers"]["quasi_identifiers"] == ["birth_date", "postcode", "country"]

    def test_before(self, released: Installation) -> None:
        """The source is measured by what an attacker is said to know."""
        found = json.loads(
            released.ok(
                "risk",
                released.policy,
                "-d",
                "customers",
                "--before",
                "--json",
                "-k",
                "birth_date",
                "-k",
                "city",
            )
        )

        assert found["customers"]["quasi_identifiers"] == ["birth_date", "city"]

    def test_table(self, released: Installation) -> None:
        """The table names both averages, and shows no value of the data."""
        shown = released.ok("risk", released.policy, "-d", "customers", "--population", "100000")

        assert {"average per record", "average per class", "unique in the population"} <= {
            line.split("  ")[0].strip() for line in shown.splitlines()
        }
        assert "consumer" not in shown

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("--knows", "birth_date"), "--dataset"),
            (("-d", "customers", "--before", "--release", "x"), "--before"),
            (("-d", "strangers"), "no data set strangers"),
            (("-d", "customers"), "no release yet"),
        ],
    )
    def test_mistakes(self, retail: Installation, arguments: tuple[str, ...], told: str) -> None:
        """Options that do not fit, and what is not there, are told."""
        result = retail.veil("risk", retail.policy, *arguments)

        assert result.exit_code != 0
        assert told in result.output
