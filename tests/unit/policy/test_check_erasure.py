"""The rules of `erasure`: each finds its mistake, where it stands, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

GOOD = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  customers:
    source: customers.parquet
    subject: id
    erasure: {rows: delete, links: {agent: {to: agents.id, then: {mask: [agent]}}}}
    columns:
      id: {class: direct_identifier, treat: {token: {domain: customer}}}
      email: {class: direct_identifier, treat: drop}
      agent: {class: direct_identifier, treat: {token: {domain: agent}}}
  orders:
    source: orders.parquet
    subject: {column: customer, references: customers.id}
    erasure: {exempt: "tax law: invoices are kept for seven years"}
    columns:
      number: {class: direct_identifier, treat: {token: {domain: order}}}
      customer: {class: direct_identifier, treat: {token: {domain: customer}}}
  agents:
    source: agents.parquet
    subject: id
    erasure: delete
    columns:
      id: {class: direct_identifier, treat: {token: {domain: agent}}}
  totals:
    source: totals.parquet
    subject: {none: "sums over all customers of a day"}
    erasure: {recompute: "the DAG sales_daily makes it anew"}
    columns:
      day: {class: none, treat: keep}
release: {destination: out}
erasure: {identifiers: [customers.id, customers.email, agents.id], within: P1M, time_zone: Europe/Vienna}
"""


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


QUERY = """\
differential_privacy:
  budgets: {people: {unit: customers.id, epsilon: 1, delta: 1e-6}}
  queries:
    count:
      dataset: customers
      budget: people
      spend: {rho: 0.01}
      measures: {customers: count_distinct}
"""


class TestRules:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            GOOD.replace("{rows: delete, links", "{rows: {mask: [id]}, links"),
            GOOD.replace("within: P1M, ", ""),
            GOOD.replace("time_zone", "answers: {exempt: noise hides each person}, time_zone") + QUERY,
        ],
    )
    def test_good_ones_have_no_findings(self, tmp_path: Path, text: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert findings(tmp_path, text) == ()

    @pytest.mark.parametrize(
        ("old", "new", "rule", "path"),
        [
            ("    erasure: delete\n", "", "erasure-silent", "datasets.agents"),
            (
                "{rows: delete, links: {agent: {to: agents.id, then: {mask: [agent]}}}}",
                "delete",
                "erasure-silent",
                "datasets.customers.columns.agent",
            ),
            (
                '{recompute: "the DAG sales_daily makes it anew"}',
                "delete",
                "erasure-nobody",
                "datasets.totals.erasure",
            ),
            ("customers.email", "customers.mail", "erasure-identifier", "erasure.identifiers.1"),
            ("customers.email", "totals.day", "erasure-identifier", "erasure.identifiers.1"),
            (
                "agents.id], within",
                "customers.email], within",
                "erasure-population",
                "datasets.agents.erasure",
            ),
            ("links: {agent:", "links: {agnt:", "erasure-column", "datasets.customers.erasure.links.agnt"),
            ("links: {agent:", "links: {id:", "erasure-link", "datasets.customers.erasure.links.id"),
            ("to: agents.id", "to: agents.nr", "erasure-target", "datasets.customers.erasure.links.agent"),
            ("mask: [agent]", "mask: [agent, x]", "erasure-mask", "datasets.customers.erasure.links.agent"),
            ("mask: [agent]", "mask: [email]", "erasure-mask", "datasets.customers.erasure.links.agent"),
            ("within: P1M", "within: P0D", "erasure-period", "erasure.within"),
            ("Europe/Vienna", "Europe/Wien", "erasure-zone", "erasure.time_zone"),
        ],
    )
    def test_each_mistake_is_found(self, tmp_path: Path, old: str, new: str, rule: str, path: str) -> None:
        """The finding names the rule, and the place in the policy."""
        assert GOOD.count(old) >= 1
        found = findings(tmp_path, GOOD.replace(old, new))
        assert (rule, path) in [(each.rule, each.path) for each in found]

    def test_an_erasure_of_rows_without_one_of_the_policy(self, tmp_path: Path) -> None:
        """Nobody could be named."""
        text = GOOD[: GOOD.index("erasure: {identifiers")]
        assert {each.rule for each in findings(tmp_path, text)} == {"erasure-unnamed"}

    def test_answers_that_nobody_decided_about(self, tmp_path: Path) -> None:
        """A policy that asks queries says why their answers may stay."""
        assert [each.rule for each in findings(tmp_path, GOOD + QUERY)] == ["erasure-answers"]

    def test_a_circle_of_deletions(self, tmp_path: Path) -> None:
        """Where each table refers to the other there is no leaf to begin with."""
        links = "links: {agent: {to: agents.id, then: delete}}"
        text = GOOD.replace("links: {agent: {to: agents.id, then: {mask: [agent]}}}", links)
        text = text.replace(
            "    erasure: delete\n    columns:\n      id: {class: direct_identifier, treat: {token: {domain: agent}}}",
            "    erasure: {rows: delete, links: {helps: {to: customers.id, then: delete}}}\n    columns:\n"
            "      id: {class: direct_identifier, treat: {token: {domain: agent}}}\n"
            "      helps: {class: direct_identifier, treat: {token: {domain: customer}}}",
        )
        assert "erasure-circle" in {each.rule for each in findings(tmp_path, text)}
