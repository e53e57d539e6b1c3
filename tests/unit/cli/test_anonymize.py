"""`veil anonymize`."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.conftest import Installation


@pytest.fixture
def anonymous(retail: Installation) -> Installation:
    """The shop, whose customers leave in classes of three by country."""
    path = retail.root / "configs" / "anonymous.yaml"
    path.write_text(
        """\
version: 1
name: anonymous
owner: shop@example.com
datasets:
  customers:
    source: retail/customers.parquet
    subject: customer_id
    anonymize: {k: 3, suppress_at_most: 0.1, quasi_identifiers: {country: country.csv}}
    columns:
      customer_id: {class: direct_identifier, treat: {token: {domain: customer}}}
      country: {class: quasi_identifier, treat: keep}
release: {destination: anonymous}
"""
    )
    import pyarrow.parquet as pq

    countries = pq.read_table(retail.root / "data" / "retail" / "customers.parquet")["country"].unique()
    lines = [f"{each};*" for each in countries.to_pylist() if each is not None]
    (path.parent / "country.csv").write_text("\n".join(lines))
    return retail


class TestFit:
    def test_shows_the_optimum(self, anonymous: Installation) -> None:
        """Levels, cost and the risk before and after; nothing is written."""
        policy = anonymous.root / "configs" / "anonymous.yaml"

        shown = anonymous.ok("anonymize", "fit", policy, "-d", "customers")
        told = json.loads(anonymous.ok("anonymize", "fit", policy, "-d", "customers", "--json"))

        assert "the optimum of 2 recodings" in shown
        assert told["levels"].keys() == {"country"}
        assert told["after"]["k"] >= 3
        assert not (anonymous.root / "data" / "anonymous").exists()

    def test_a_run_anonymizes(self, anonymous: Installation) -> None:
        """`veil run` applies it, and leaves nothing in the staging area."""
        policy = anonymous.root / "configs" / "anonymous.yaml"

        anonymous.ok("run", policy, "-d", "customers")

        risk = json.loads(anonymous.ok("risk", policy, "-d", "customers", "--json"))
        assert risk["customers"]["reidentification"]["k"] >= 3
        assert not list((anonymous.root / "home").rglob("*.parquet"))

    def test_not_asked_for(self, anonymous: Installation) -> None:
        """A policy that does not ask is told what to write."""
        result = anonymous.veil("anonymize", "fit", anonymous.policy, "-d", "customers")

        assert result.exit_code != 0
        assert "anonymize: {k: 5" in result.output
