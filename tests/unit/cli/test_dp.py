"""`veil dp`: what an answer costs, how good it gets, the answer, and the answer again."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.unit.cli.conftest import CUSTOMERS, Installation

FIXED = ("measure", "part", "value", "low", "high", "noise", "noise_scale")
QUERY = "customers_by_country"


@pytest.fixture
def policy(bare: Installation) -> Path:
    """The demo's statistics; they need no keys."""
    return bare.root / "configs" / "retail_statistics.yaml"


def planned(bare: Installation, policy: Path, *args: str) -> list[dict[str, Any]]:
    return json.loads(bare.ok("dp", "plan", policy, "--json", *args))


def answered(bare: Installation, policy: Path, *args: str) -> dict[str, Any]:
    return json.loads(bare.ok("dp", "run", policy, "-q", QUERY, "--json", *args))


def shown(bare: Installation, policy: Path, *args: str) -> dict[str, Any]:
    return json.loads(bare.ok("dp", "show", policy, "-q", QUERY, "--json", *args))


def left(bare: Installation, policy: Path) -> Decimal:
    """What is left of the budget, by the ledger."""
    (plan,) = planned(bare, policy, "-q", QUERY)
    return Decimal(plan["account"]["remaining"]["rho"])


class TestPlan:
    def test_tells_what_an_answer_costs_and_how_far_off_it_is(self, bare: Installation, policy: Path) -> None:
        """Unit, bounding, groups, measurements, errors, and how often the budget pays, on a screen."""
        out = bare.ok("dp", "plan", policy, "-q", "orders_by_month", "--size", "50", "--size", "5000")

        assert "orders, per customers.customer_id" in out
        assert "groups: month and status, 120 of them" in out
        assert "a unit counts in 6 of them at most, for 2 rows in each" in out
        assert re.search(r"^rows +discrete gaussian +4\.89898 +109\.545 +rho 0\.001 *$", out, re.MULTILINE)
        assert re.search(r"^measure +part +50 rows +5,000 rows", out, re.MULTILINE)
        assert re.search(r"^orders +±215 +±215", out, re.MULTILINE)
        assert "an answer costs rho 0.002" in out
        assert "it pays for 75 such answers" in out

    def test_all_queries_for_a_machine(self, bare: Installation, policy: Path) -> None:
        """The record that the answer is going to have, and what is foretold."""
        plans = planned(bare, policy)
        first, articles = plans[0], plans[-1]

        assert [p["query"] for p in plans] == [QUERY, "orders_by_month", "baskets", "articles"]
        assert first["groups"] == 16
        error = {"100": 44.0, "1000": 44.0, "10000": 44.0}
        assert first["expected"] == [
            {"measure": "customers", "part": None, "error": error, "reach": None},
        ]
        assert articles["groups"] is None
        assert articles["measurements"][0]["threshold"] > 100
        assert Decimal(articles["price"]["delta"]) > 0

    def test_intervals_of_quantiles(self, bare: Installation, policy: Path) -> None:
        """Both ends are measured, and how far they reach is told: by the scale, the candidates and the confidence."""
        out = bare.ok("dp", "plan", policy, "-q", "baskets")
        (plan,) = planned(bare, policy, "-q", "baskets")
        _, low, high = [m for m in plan["measurements"] if m["name"].startswith("ranks(unit_price) at 0.5")]
        (median,) = [one for one in plan["expected"] if one["part"] == "0.5"]

        assert [low["name"][-7:], high["name"][-8:]] == ["low end", "high end"]
        # Two hundred of the candidates can be wrong, at each of two ends; a row of rank is two steps of a score.
        assert low["aims_out"] == high["aims_out"] == math.ceil(float(low["scale"]) * math.log(200 / 0.025))
        assert median["reach"] == 2 * low["aims_out"] / 2
        assert re.search(r"^price +0\.5, interval +±20,885 in rank", out, re.MULTILINE)

    def test_what_is_left_is_the_ledgers(self, bare: Installation, policy: Path) -> None:
        """Before the first answer the policy's limits count; then what was spent in the period."""
        before = planned(bare, policy, "-q", QUERY)[0]["account"]
        answered(bare, policy)
        after = planned(bare, policy, "-q", QUERY)[0]["account"]

        assert (before["known_to_ledger"], after["known_to_ledger"]) == (False, True)
        assert before["answers"] == before["answers_in_all"] == 150
        assert before["remaining_after"] == after["remaining"]
        assert (after["answers"], after["answers_in_all"]) == (149, 150)

    def test_reads_no_data(self, bare: Installation, policy: Path) -> None:
        """The sources need not even be there."""
        for file in (bare.root / "data" / "retail").iterdir():
            file.unlink()

        assert len(planned(bare, policy)) == 4

    def test_an_unknown_query(self, bare: Installation, policy: Path) -> None:
        """The known ones are named."""
        result = bare.veil("dp", "plan", policy, "-q", "customers")

        assert result.exit_code == 1
        assert f"one of {QUERY}, orders_by_month" in result.stderr

    def test_a_policy_without_queries(self, bare: Installation) -> None:
        """It is told what is missing."""
        result = bare.veil("dp", "plan", bare.policy)

        assert result.exit_code == 1
        assert "differential_privacy" in result.stderr


class TestTune:
    def test_gives_the_line_for_the_policy(self, bare: Installation, policy: Path) -> None:
        """With the line in it, the plan keeps what was asked for."""
        out = bare.ok("dp", "tune", policy, "-q", "orders_by_month", "-m", "orders", "--within", "100")
        line = out.splitlines()[0]
        policy.write_text(policy.read_text().replace("spend: {rho: 0.002}", line))
        (plan,) = planned(bare, policy, "-q", "orders_by_month")

        assert re.fullmatch(r"spend: \{rho: 0\.\d+\}", line)
        assert plan["expected"][0]["error"]["1000"] <= 100
        assert f"it pays for {plan['account']['answers']} such answers" in out

    def test_keeps_the_delta(self, bare: Installation, policy: Path) -> None:
        """What unknown keys need stays in the line."""
        arguments = ("dp", "tune", policy, "-q", "articles", "-m", "customers", "--within", "50", "--json")

        assert json.loads(bare.ok(*arguments))["line"].endswith(", delta: 1e-8}")

    def test_tells_how_far_intervals_of_quantiles_reach(self, bare: Installation, policy: Path) -> None:
        """What is within the distance is the value; its interval is wider, and is paid for by the same loss."""
        arguments = ("dp", "tune", policy, "-q", "baskets", "-m", "price", "--within", "5000")
        out, told = bare.ok(*arguments), json.loads(bare.ok(*arguments, "--json"))
        before, after = policy.read_text().split("    baskets:")
        spends = after.replace("spend: {rho: 0.001}", told["line"], 1)
        policy.write_text(f"{before}    baskets:{spends}")
        (plan,) = planned(bare, policy, "-q", "baskets")

        quartiles = plan["expected"][1:]
        assert told["reach"] == {one["part"]: one["reach"] for one in quartiles}
        for one in quartiles:
            assert 0 < one["error"]["1000"] <= 5_000
            assert f"The interval of {one['part']} then reaches {round(one['reach']):,}" in out

    def test_out_of_reach(self, bare: Installation, policy: Path) -> None:
        """The exit code is that of budgets."""
        result = bare.veil(
            "dp", "tune", policy, "-q", "baskets", "-m", "pieces", "--within", "1e-9", "--size", "2"
        )

        assert result.exit_code == 6
        assert "no loss" in result.stderr


class TestRun:
    def test_the_same_interval_is_the_same_answer(self, bare: Installation, policy: Path) -> None:
        """It is drawn once and paid for once."""
        first = answered(bare, policy, "--interval", "2026-01-31")
        table, paid = shown(bare, policy), left(bare, policy)
        second = answered(bare, policy, "--interval", "2026-01-31")

        assert second == first
        assert shown(bare, policy) == table
        assert left(bare, policy) == paid

    def test_another_interval_is_another_answer(self, bare: Installation, policy: Path) -> None:
        """And so is a run that names none; each is paid for."""
        done = [
            answered(bare, policy, "--interval", "2026-01-30"),
            answered(bare, policy, "--interval", "2026-01-31"),
            answered(bare, policy),
        ]

        assert len({one["release_id"] for one in done}) == 3
        assert left(bare, policy) == Decimal("0.147")

    def test_again_for_a_reason(self, bare: Installation, policy: Path) -> None:
        """Asking anew is another answer under its label; with the same label it is the same one."""
        interval = ("--interval", "2026-01-31")
        again = ("--again", "fixed", "--reason", "ticket 4711: orders were missing")
        done = [answered(bare, policy, *interval, *more) for more in ((), again, again)]

        assert done[0]["release_id"] != done[1]["release_id"] == done[2]["release_id"]
        assert left(bare, policy) == Decimal("0.148")

    def test_is_near_the_truth(self, bare: Installation, policy: Path) -> None:
        """The sum over all groups is the number of customers, but for noise."""
        done = answered(bare, policy)
        rows = shown(bare, policy)["answer"]

        assert done["rows_out"] == len(rows) == 16
        assert abs(sum(row["value"] for row in rows) - CUSTOMERS) < 16 * 200
        assert all(row["low"] <= row["value"] <= row["high"] for row in rows)

    def test_elsewhere(self, bare: Installation, policy: Path) -> None:
        """Another source and another folder; the answer is Parquet for everybody."""
        source = bare.root / "today.parquet"
        pq.write_table(
            pq.read_table(bare.root / "data" / "retail" / "customers.parquet").slice(0, 50), source
        )
        out = bare.root / "answers"
        done = answered(bare, policy, "--source", str(source), "--output", str(out))
        (file,) = [p for p in out.rglob("*.parquet") if done["release_id"] in p.parts and p.is_file()]

        assert pq.read_table(file).num_rows == 16
        assert shown(bare, policy, "--output", str(out))["release_id"] == done["release_id"]

    def test_an_exhausted_budget(self, bare: Installation, policy: Path) -> None:
        """Nothing is read, nothing is released, and the exit code tells it."""
        policy.write_text(policy.read_text().replace("rho: 0.15", "rho: 0.0021"))
        answered(bare, policy, "--interval", "1")
        answered(bare, policy, "--interval", "2")
        result = bare.veil("dp", "run", policy, "-q", QUERY, "--interval", "3")

        assert result.exit_code == 6
        assert "Traceback" not in result.output
        assert answered(bare, policy, "--interval", "2")["published"] is True
        assert "it pays for 0 such answers" in bare.ok("dp", "plan", policy, "-q", QUERY)

    @pytest.mark.parametrize(
        "args",
        [
            pytest.param(("--again", "x"), id="again without a reason"),
            pytest.param(("--reason", "because it was wrong"), id="a reason without again"),
            pytest.param(("--interval", "../elsewhere"), id="an interval that is no key"),
        ],
    )
    def test_refuses(self, bare: Installation, policy: Path, args: tuple[str, ...]) -> None:
        """A usage error, before anything is opened."""
        assert bare.veil("dp", "run", policy, "-q", QUERY, *args).exit_code == 2

    def test_one_source_for_several_tables(self, bare: Installation, policy: Path) -> None:
        """Which of them it stands for is not said, so it is refused."""
        result = bare.veil("dp", "run", policy, "-q", "baskets", "--source", "lines.parquet")

        assert result.exit_code == 1
        assert "several data sets" in result.stderr


class TestShow:
    def test_a_table_with_intervals(self, bare: Installation, policy: Path) -> None:
        """A row a cell, in the order of the keys."""
        answered(bare, policy)
        out = bare.ok("dp", "show", policy, "-q", QUERY)
        lines = out.splitlines()

        assert lines[1].split() == ["country", "segment", *FIXED]
        assert [line.split()[:2] for line in lines[2:4]] == [["US", "consumer"], ["US", "corporate"]]
        assert all("discrete_gaussian" in line for line in lines[2:18])

    def test_before_the_first(self, bare: Installation, policy: Path) -> None:
        """The exit code is that of releases; it says how to get one."""
        result = bare.veil("dp", "show", policy, "-q", QUERY)

        assert result.exit_code == 5
        assert "veil dp run" in result.stderr
