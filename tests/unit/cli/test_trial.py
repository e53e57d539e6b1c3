"""`veil trial`."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.conftest import CUSTOMERS, Installation


class TestTrial:
    def test_attacks_and_utility(self, retail: Installation) -> None:
        """Attacks are judged against the rows that became what is released; kept columns have lost nothing."""
        found = json.loads(
            retail.ok("trial", retail.policy, "-d", "customers", "--target", "segment", "--json")
        )

        assert found["rows"] == CUSTOMERS
        assert {"linkage, exact", "linkage, nearest", "frequency of customer_id"} <= found["attacks"].keys()
        columns = {each["column"]: each for each in found["utility"]["columns"]}
        assert (columns["country"]["loss"], columns["country"]["lost_bits"]) == (0, 0)
        assert columns["birth_date"]["loss"] > 0
        assert found["utility"]["score"]["target"] == "segment"

    def test_knowing_less_finds_fewer(self, retail: Installation) -> None:
        """Who knows the country alone links fewer people than who knows all quasi-identifiers."""
        rates = [
            json.loads(retail.ok("trial", retail.policy, "-d", "customers", "--json", *knows))["attacks"][
                "linkage, exact"
            ]["rate"]
            for knows in ((), ("--knows", "country"))
        ]

        assert rates[0] > rates[1]

    def test_shifted_dates(self, retail: Installation) -> None:
        """Dates are moved by a secret number of days: raw ones are looked for, and link hardly anybody exactly."""
        found = json.loads(retail.ok("trial", retail.policy, "-d", "orders", "--json", "--rows", "500"))

        assert found["attacks"]["linkage, exact"]["rate"] < 0.05

    def test_table(self, retail: Installation) -> None:
        """What is shown has no value."""
        shown = retail.ok("trial", retail.policy, "-d", "customers", "--target", "segment", "--rows", "300")

        assert "a model that tells segment is right in" in shown
        assert "consumer" not in shown

    def test_nights(self, retail: Installation) -> None:
        """Two releases are compared by their rows, as who kept the first can."""
        releases = []
        for _ in range(2):
            told = retail.ok("run", retail.policy, "-d", "customers", "--json")
            releases.append(json.loads(told)["release_id"])

        found = json.loads(
            retail.ok("trial", retail.policy, "-d", "customers", "--json", "--since", releases[0])
        )["attacks"]

        assert found["differencing, linked, by rows"]["tried"] == CUSTOMERS
        assert found["differencing, linked, by rows"]["rate"] > 0.1
        assert "differencing, left, by rows" not in found

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("--knows", "street"), "street does not leave"),
            (("--target", "street"), "no column street"),
            (("--since", "nothing"), "nothing"),
        ],
    )
    def test_mistakes(self, retail: Installation, arguments: tuple[str, ...], told: str) -> None:
        """Columns that do not leave, and releases that are not there, are told."""
        result = retail.veil("trial", retail.policy, "-d", "customers", *arguments)

        assert result.exit_code != 0
        assert told in result.output
