"""`veil budget`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Installation
from tests.unit.ledger.budgeting import (
    ACTOR,
    WHY,
    account,
    answered,
    claimed,
    limits,
    measurement,
    monthly,
    request,
)

from airflow_veil.privacy.dp.loss import Limits, Loss
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.release.workspace import own_ledger
from airflow_veil.privacy.settings import Settings


def ledger_of(installation: Installation) -> Ledger:
    return own_ledger(Settings.from_env(installation.env))


@pytest.fixture
def spending(tmp_path: Path) -> Installation:
    """An installation whose ledger has budgets that were drawn on."""
    installation = Installation(tmp_path)
    with ledger_of(installation) as ledger:
        budgets = ledger.budgets
        budgets.open(account(), actor=ACTOR)
        budgets.open(account("reports", limits=limits("0.5")), actor=ACTOR)
        budgets.open(monthly("months", limits=Limits(rho=Decimal("0.5"))), actor=ACTOR)
        answered(budgets, request("2026-03-01"))
        answered(budgets, request("2026-03-01", again="2", reason=WHY))
        claimed(budgets, request("2026-02-01", "0.125", query="by_age"))
        cost = Loss.zcdp(Decimal("0.125"))
        gaussian = claimed(budgets, request(budget="months", loss=cost))
        budgets.drawing(gaussian, [measurement(cost, noise="gaussian", scale="2")])
        budgets.store(gaussian, b"answer")
    return installation


class TestList:
    def test_tells_what_is_spent_and_left(self, spending: Installation) -> None:
        """A line a budget, in its own terms."""
        lines = spending.ok("budget", "list").splitlines()

        assert [line.split()[0] for line in lines[1:]] == ["months", "people", "reports"]
        assert "epsilon 0.625" in lines[2]
        assert "epsilon 0.375" in lines[2]
        assert "rho 0.375" in lines[1]

    def test_as_json(self, spending: Installation) -> None:
        """Amounts are decimal texts: a float would not be exact."""
        months, people, _ = json.loads(spending.ok("budget", "list", "--json"))

        assert people["remaining"] == {"epsilon": "0.375", "rho": None, "delta": None}
        assert (people["answers"], people["unanswered"]) == (2, 1)
        assert months["period"]["key"] == months["period"]["start"][:10]


class TestShow:
    def test_by_data_set_query_and_interval(self, spending: Installation) -> None:
        """How it stands, then each charge, with the reason for asking again."""
        shown = spending.ok("budget", "show", "people")

        assert shown.startswith("people allows epsilon 1 in all for each customers.id: spent epsilon 0.625, ")
        assert shown.index("by_age") < shown.index("by_region")
        assert WHY in shown

    def test_as_json(self, spending: Installation) -> None:
        """The claim's token is not shown: it is the right to draw."""
        shown = json.loads(spending.ok("budget", "show", "people", "--json"))

        assert [charge["state"] for charge in shown["charges"]] == ["reserved", "stored", "stored"]
        assert not any("claim" in charge for charge in shown["charges"])

    def test_what_is_not_there_has_its_exit_code(self, spending: Installation) -> None:
        """6: the budget does not allow it."""
        result = spending.veil("budget", "show", "nobody")

        assert result.exit_code == 6
        assert "veil budget list" in result.stderr


class TestChange:
    def test_changes_the_limit(self, spending: Installation) -> None:
        """The evidence says who and why."""
        said = spending.ok("budget", "change", "people", "--epsilon", "2.5", "--reason", WHY)

        assert said == "people allows epsilon 2.5.\n"
        with ledger_of(spending) as ledger:
            entry = ledger.evidence()[-1]
        assert (entry.kind, entry.actor[:5], entry.content["reason"]) == ("budget.changed", "veil:", WHY)

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (("--epsilon", "2"), 2),
            (("--reason", WHY), 2),
            (("--epsilon", "two", "--reason", WHY), 2),
            (("--epsilon", "2", "--reason", "because"), 6),
            (("--rho", "2", "--reason", WHY), 6),
            (("--delta", "1e-9", "--reason", WHY), 6),
        ],
        ids=["no reason", "no amount", "no number", "no sentence", "another kind", "with a delta"],
    )
    def test_refuses(self, spending: Installation, options: tuple[str, ...], code: int) -> None:
        """Nothing is changed."""
        assert spending.veil("budget", "change", "people", *options).exit_code == code
        with ledger_of(spending) as ledger:
            assert ledger.budgets.statement("people").account == account()


class TestTransfer:
    def test_moves_an_amount(self, spending: Installation) -> None:
        """Both new limits are told, for the policies."""
        said = spending.ok("budget", "transfer", "people", "reports", "--epsilon", "0.25", "--reason", WHY)

        assert said == "people allows epsilon 0.75; reports allows epsilon 0.75.\n"

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ((), 2),
            (("--epsilon", "0.1", "--rho", "0.1"), 2),
            (("--rho", "0.1"), 2),
            (("--epsilon", "0.5"), 6),
            (("--epsilon", "-0.5"), 6),
        ],
        ids=["nothing", "both", "another kind", "more than remains", "backwards"],
    )
    def test_refuses(self, spending: Installation, options: tuple[str, ...], code: int) -> None:
        """Nothing is moved."""
        result = spending.veil("budget", "transfer", "people", "reports", "--reason", WHY, *options)

        assert result.exit_code == code
        with ledger_of(spending) as ledger:
            assert ledger.budgets.statement("people").account == account()


class TestEvents:
    def test_are_what_another_accountant_needs(self, spending: Installation) -> None:
        """Noise, sensitivity, scale, unit and window of each draw."""
        drawn = json.loads(spending.ok("budget", "events", "people", "--json"))

        assert len(drawn) == 2
        assert {"noise": "laplace", "sensitivity": "1", "scale": "4", "unit": "customers.id"}.items() <= (
            drawn[0].items()
        )
        assert drawn[0]["loss"] == {"epsilon": "0.25", "rho": "0.03125", "delta": "0"}
        assert drawn[0]["window_start"] == "2026-03-01T00:00:00+00:00"

    def test_of_all_budgets_as_a_table(self, spending: Installation) -> None:
        """The oldest first; none from the future."""
        assert [line.split()[0] for line in spending.ok("budget", "events").splitlines()] == [
            "budget",
            "people",
            "people",
            "months",
        ]
        assert json.loads(spending.ok("budget", "events", "--since", "2999-01-01", "--json")) == []


class TestReaccount:
    def test_is_shown_beside_what_was_charged(self, spending: Installation) -> None:
        """All draws of all periods; what is charged stays."""
        found = json.loads(spending.ok("budget", "reaccount", "--delta", "1e-6", "--json"))
        months, people, reports = found

        assert (people["draws"], people["charged"], people["charged_epsilon"]) == (2, "epsilon 0.625", 0.625)
        assert 0 < people["epsilon"] <= 0.5 + 1e-9
        assert months["charged"] == "rho 0.125"
        assert months["epsilon"] == pytest.approx(months["charged_epsilon"], rel=1e-3)
        assert (reports["draws"], reports["epsilon"]) == (0, 0)
        assert json.loads(spending.ok("budget", "list", "--json"))[1]["spent"]["epsilon"] == "0.625"

    def test_as_a_table(self, spending: Installation) -> None:
        """With a delta of 0, Gaussian noise has no bound."""
        shown = spending.ok("budget", "reaccount", "months", "--delta", "0")

        assert shown.splitlines()[0].strip() == "At delta 0"
        assert "no bound" in shown
