"""The rules of `differential_privacy`: each finds its mistake, where it stands, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.policy.dp_policy import GOOD

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.check_dp_columns import RESERVED
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

SUM = "paid: {sum: {column: paid, bounds: [0, 500]}}"
CANDIDATES = "candidates: {first: 0, last: 500, step: 5}"
MONTH = "{column: ordered, to: month, first: 2024-01, last: 2024-12}"


@pytest.fixture(autouse=True)
def _beside_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative sources start at the policy's folder, whatever this machine's environment says."""
    monkeypatch.delenv("VEIL_DATA_ROOT", raising=False)


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


def place(text: str, word: str) -> tuple[int, int]:
    """Line and column, from 1, of the last place where a word stands in a policy."""
    before = text[: text.rindex(word)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


class TestCheck:
    def test_a_good_policy_has_no_findings(self, tmp_path: Path) -> None:
        """Nothing is found where nothing is wrong."""
        assert findings(tmp_path, GOOD) == ()

    @pytest.mark.parametrize(
        ("old", "new", "rule", "at"),
        [
            pytest.param(
                "dataset: orders", "dataset: order", "dp-dataset", "dataset: order\n", id="data set"
            ),
            pytest.param("budget: people", "budget: peeple", "dp-budget", "budget: peeple", id="budget"),
            pytest.param(
                "unit: customers.id", "unit: clients.id", "dp-unit", "unit: c", id="unit's data set"
            ),
            pytest.param(
                "unit: customers.id", "unit: customers.nr", "dp-unit", "unit: c", id="unit's column"
            ),
            pytest.param(
                "unit: customers.id", "unit: customers", "dp-unit-path", "dataset: orders", id="another row"
            ),
            pytest.param("    by_month:", "    Orders:", "dp-name", "Orders:", id="named as a data set"),
            pytest.param("    by_month:", "    BY_Country:", "dp-name", "by_country:", id="named as a query"),
            pytest.param(
                "column: paid, bounds", "column: payd, bounds", "dp-input", "column: payd", id="sum of"
            ),
            pytest.param("column: ordered", "column: order", "dp-input", "column: order,", id="calendar of"),
            pytest.param("status != ", "state != ", "dp-input", "where:", id="where"),
            pytest.param(
                "column: premium, values: [true, false]",
                "column: name, values: [Ann]",
                "dp-identifier",
                "column: name",
                id="identifiers in bins",
            ),
            pytest.param(
                "country: unknown",
                "notes: unknown",
                "dp-identifier",
                "notes: unknown",
                id="free text as keys",
            ),
            pytest.param(
                "column: paid, quantiles",
                "column: customer, quantiles",
                "dp-identifier",
                "column: customer",
                id="identifiers as candidates",
            ),
            pytest.param(
                "values: [placed, shipped]", "file: gone.csv", "dp-keys-file", "file:", id="no file of keys"
            ),
            pytest.param(
                "values: [placed, shipped]",
                "file: orders.parquet",
                "dp-private-keys",
                "file:",
                id="the private table as keys",
            ),
            pytest.param(
                "[placed, shipped]", "[placed, placed]", "dp-duplicate", "values: [pl", id="key twice"
            ),
            pytest.param(
                "quantiles: [0.5]", "quantiles: [0.5, 0.50]", "dp-duplicate", "quantiles: [", id="twice"
            ),
            pytest.param(
                "release: {destination: releases}\n",
                "",
                "dp-destination",
                "differential_",
                id="no destination",
            ),
            pytest.param(
                "{epsilon: 0.1, delta: 1e-8}", "{epsilon: 0.1}", "dp-delta", "spend: {e", id="no delta"
            ),
            pytest.param(
                "{epsilon: 0.5}", "{epsilon: 0.5, delta: 1e-9}", "dp-unneeded", "delta: 1e-9", id="no use"
            ),
            pytest.param("      delta: 1e-6\n", "", "dp-kind", "spend: {epsilon: 0.1", id="no delta to pay"),
            pytest.param(
                "{epsilon: 0.5}", "{epsilon: 10.5}", "dp-overspent", "spend: {epsilon: 10.5", id="too dear"
            ),
            pytest.param(
                "{epsilon: 0.1, delta: 1e-8}",
                "{epsilon: 0.1, delta: 6e-7}",
                "dp-overspent",
                "spend: {epsilon: 0.1",
                id="too great a delta",
            ),
            pytest.param("{epsilon: 0.5}", "{rho: 9}", "dp-overspent", "spend: {rho", id="too dear in rho"),
            pytest.param(
                "epsilon: 10\n", "epsilon: 1001\n", "dp-amount", "people:\n      u", id="no privacy"
            ),
            pytest.param(
                "{epsilon: 0.5}", "{epsilon: 1e-7}", "dp-amount", "spend: {epsilon: 1e-7", id="crumbs"
            ),
            pytest.param(
                "to: month, first: 2024-01, last: 2024-12",
                "to: day, first: 1001-01-01, last: 9999-12-31",
                "dp-size",
                "keys:\n        month",
                id="too many cells",
            ),
            pytest.param(
                "column: paid, bounds", "column: status, bounds", "dp-type", "column: status, b", id="text"
            ),
            pytest.param("column: ordered", "column: paid", "dp-type", "column: paid, to", id="no dates"),
            pytest.param(
                "country: unknown", "country: {unknown: true, column: id2}", "dp-input", "column: id2", id="u"
            ),
            pytest.param(
                "status: {values: [placed, shipped]",
                "serial: {values: [1]",
                "dp-type",
                "serial: {v",
                id="uint64",
            ),
            pytest.param("[placed, shipped]", "[0123]", "dp-labels", "values: [0123", id="a number as text"),
            pytest.param("[true, false]", "['yes']", "dp-labels", "values: ['yes", id="text as a boolean"),
            pytest.param(
                "status: {values: [placed, shipped]",
                "pieces: {values: ['1']",
                "dp-labels",
                "values: ['1",
                id="text as a number",
            ),
            pytest.param(
                "month: {column", "value: {column", "dp-name", "value: {column", id="a column of answers"
            ),
            pytest.param(
                "first: 2024-01", "first: 2024", "dp-calendar", "first: 2024,", id="a year for a month"
            ),
            pytest.param("last: 2024-12", "last: 2024-13", "dp-calendar", "last: 2024-13", id="no month"),
            pytest.param("last: 2024-12", "last: 2023-12", "dp-calendar", "first: 2024-01", id="backwards"),
            pytest.param(SUM, SUM[:-2] + ", granularity: 1e-7}}", "dp-steps", "granularity", id="too fine"),
            pytest.param(SUM, SUM[:-2] + ", granularity: 2000}}", "dp-steps", "granularity", id="too coarse"),
            pytest.param("step: 5", "step: 0.01", "dp-candidates", "candidates", id="too many candidates"),
            pytest.param("last: 500", "last: -500", "dp-candidates", "candidates", id="no candidates"),
        ],
    )
    def test_a_mistake_is_found_where_it_stands(
        self, tmp_path: Path, old: str, new: str, rule: str, at: str
    ) -> None:
        """Each rule finds its mistake and nothing else is found; it is placed, and has a fix."""
        text = changed(old, new)

        found = findings(tmp_path, text)

        assert [(f.rule, f.line, f.column) for f in found] == [(rule, *place(text, at))], list(
            map(str, found)
        )
        assert found[0].fix

    def test_nearest_names_are_suggested(self, tmp_path: Path) -> None:
        """Who mistypes a name is told the one that is there."""
        fixes = {
            findings(tmp_path, changed(old, new))[0].fix
            for old, new in (
                ("dataset: orders", "dataset: order"),
                ("budget: people", "budget: peeple"),
                ("unit: customers.id", "unit: custommers.id"),
            )
        }

        assert fixes == {"write `orders`", "write `people`", "write `customers`"}


class TestKinds:
    @pytest.mark.parametrize(
        ("budget", "spend", "rules"),
        [
            pytest.param("epsilon: 10", "{epsilon: 1}", [], id="pure pays epsilon"),
            pytest.param("epsilon: 10", "{rho: 0.1}", ["dp-kind"], id="pure does not pay rho"),
            pytest.param("epsilon: 10\n      delta: 1e-6", "{rho: 0.1}", [], id="approximate pays rho"),
            pytest.param("rho: 1", "{rho: 0.1}", [], id="rho pays rho"),
            pytest.param("rho: 1", "{epsilon: 1}", [], id="rho pays epsilon"),
            pytest.param("rho: 1", "{epsilon: 2}", ["dp-overspent"], id="an epsilon of 2 is a rho of 2"),
            pytest.param("rho: 1", "{rho: 1}", [], id="all of it"),
            pytest.param("rho: 1", "{rho: 1.000001}", ["dp-overspent"], id="a bit more than all of it"),
        ],
    )
    def test_a_budget_pays_its_kind(self, tmp_path: Path, budget: str, spend: str, rules: list[str]) -> None:
        """By the counting of the ledger; nothing is drawn to find out."""
        text = changed("epsilon: 10\n      delta: 1e-6", budget).replace("{epsilon: 0.5}", spend)
        text = text[: text.index("    by_country:")]

        assert [f.rule for f in findings(tmp_path, text)] == rules


class TestUnits:
    def test_a_row_as_the_unit(self, tmp_path: Path) -> None:
        """A row is in one group once: there is nothing to bound, and who bounds is told."""
        text = changed("unit: customers.id", "unit: orders")
        text = text[: text.index("    by_country:")]

        found = findings(tmp_path, text)
        free = findings(
            tmp_path, text.replace("      contribution: {groups_per_unit: 3, rows_per_group: 2}\n", "")
        )

        assert [f.rule for f in found] == ["dp-unneeded"]
        assert free == ()

    def test_two_budgets_of_the_same_people(self, tmp_path: Path) -> None:
        """Splitting a budget hides the sum, so somebody has to say why."""
        more = "    others:\n      unit: customers.id\n      rho: 1\n"
        text = changed("  queries:\n", more + "  queries:\n")
        why = more + "      shares_unit: the press office has an amount of its own\n"

        found = findings(tmp_path, text)

        assert [(f.rule, f.line, f.column) for f in found] == [("dp-shared-unit", *place(text, "others:"))]
        assert findings(tmp_path, text.replace(more, why)) == ()

    def test_a_reason_without_a_second_budget(self, tmp_path: Path) -> None:
        """An excuse without a need hides the next mistake."""
        text = changed("      epsilon: 10\n", "      epsilon: 10\n      shares_unit: there is another one\n")

        assert [f.rule for f in findings(tmp_path, text)] == ["dp-unneeded"]

    def test_a_mistake_of_the_subject_is_told_once(self, tmp_path: Path) -> None:
        """Where references lead nowhere, that is the mistake, and not what follows of it."""
        text = changed("references: customers.id", "references: clients.id")

        assert [f.rule for f in findings(tmp_path, text)] == ["subject-reference"]


class TestKeys:
    @pytest.mark.parametrize(
        "values", ["[NO, 2010-12-01]", "['0123', '42']", "[on, off, 'true', y]"], ids=lambda value: value
    )
    def test_texts_stay_texts(self, tmp_path: Path, values: str) -> None:
        """What YAML elsewhere reads as a boolean or a date is a text here; digits are in quotes."""
        assert findings(tmp_path, changed("[placed, shipped]", values)) == ()

    def test_labels_of_two_kinds(self, tmp_path: Path) -> None:
        """Where no type is declared, labels are at least of one kind."""
        text = changed("status: {class: none, type: string", "status: {class: none").replace(
            "[placed, shipped]", "[placed, 7]"
        )

        assert [f.rule for f in findings(tmp_path, text)] == ["dp-labels"]

    def test_a_csv_column_without_a_type_is_text(self, tmp_path: Path) -> None:
        """So that a sum of it is refused, with the way out."""
        text = changed("orders.parquet", "orders.csv").replace("type: float64, ", "")
        found = findings(tmp_path, text)

        assert [f.rule for f in found] == ["dp-type", "dp-type"]
        assert "CSV" in found[0].fix

    @pytest.mark.parametrize("year", ["2024", "'2024'"])
    def test_a_bare_year(self, tmp_path: Path, year: str) -> None:
        """YAML reads a year as a number; it works."""
        assert (
            findings(tmp_path, changed(MONTH, f"{{column: ordered, to: year, first: {year}, last: 2025}}"))
            == ()
        )

    def test_a_file_of_keys(self, tmp_path: Path) -> None:
        """It is read anew each time, since it may change while the policy does not."""
        text = changed("values: [placed, shipped]", "file: states.csv")
        missing = findings(tmp_path, text)
        (tmp_path / "states.csv").write_text("state\nplaced\nshipped\n")
        good = findings(tmp_path, text)
        (tmp_path / "states.csv").write_text("state\nplaced\nplaced\n")
        doubled = findings(tmp_path, text)

        assert [[f.rule for f in found] for found in (missing, good, doubled)] == [
            ["dp-keys-file"],
            [],
            ["dp-duplicate"],
        ]

    def test_keys_in_the_folder_of_a_private_table(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A data set may be a folder; what lies in it is private, wherever the data root is."""
        monkeypatch.setenv("VEIL_DATA_ROOT", str(tmp_path / "data"))
        (tmp_path / "data" / "orders").mkdir(parents=True)
        (tmp_path / "data" / "orders" / "part.csv").write_text("status\nplaced\n")
        text = changed("source: orders.parquet", "source: {uri: orders, format: csv}").replace(
            "values: [placed, shipped]", "file: data/orders/part.csv"
        )

        assert [f.rule for f in findings(tmp_path, text)] == ["dp-private-keys"]

    def test_reserved_names_are_those_of_answers(self) -> None:
        """What a key cannot be called is what answers call their own columns."""
        from airflow_veil.privacy.dp.answer import FIXED, IN_BOUNDS

        assert set(RESERVED) == {*FIXED, IN_BOUNDS}


class TestForm:
    """Mistakes of form in the section: told once, of what was meant, with the word to write."""

    @pytest.mark.parametrize(
        ("old", "new", "rule", "fix"),
        [
            pytest.param("sum: {column", "sume: {column", "unknown-word", "write `sum`", id="measure"),
            pytest.param("source: the shop", "sorce: the shop", "unknown-word", "write `source`", id="keys"),
            pytest.param("first: 2024-01", "frst: 2024-01", "unknown-word", "write `first`", id="calendar"),
            pytest.param("first: 0", "fist: 0", "unknown-word", "write `first`", id="candidates"),
            pytest.param(
                "groups_per_unit", "group_per_unit", "unknown-word", "`groups_per_unit`", id="bounding"
            ),
            pytest.param("country: unknown", "country: unkown", "keys", "`unknown`", id="bare keys"),
            pytest.param(
                "{epsilon: 0.5}", "{epsilon: 1, rho: 1}", "budget-amount", "`rho: …`", id="two amounts"
            ),
            pytest.param(
                "      epsilon: 10", "      epsilon: 10\n      per: P1Y", "budget-period", "renew", id="per"
            ),
            pytest.param(
                "orders: count\n", "orders: {count: {}, sum: {}}\n", "measure-count", "one", id="two words"
            ),
            pytest.param("[0, 500]}", "[500, 0]}", "ascending", "rising", id="bounds that fall"),
            pytest.param(CANDIDATES, "candidates: [2, 1]", "ascending", "rising", id="candidates that fall"),
            pytest.param(
                "{column: premium, values: [true, false]}",
                "{column: premium}",
                "bins",
                "`edges: […]`",
                id="bins",
            ),
            pytest.param(
                SUM, "paid: sum", "missing", "add `bounds:`", id="a bare word that needs parameters"
            ),
        ],
    )
    def test_is_told_with_what_to_write(
        self, tmp_path: Path, old: str, new: str, rule: str, fix: str
    ) -> None:
        found = [f for f in findings(tmp_path, changed(old, new)) if f.rule == rule and fix in f.fix]

        assert len(found) == 1
        assert [f for f in findings(tmp_path, changed(old, new)) if "schema" in f.fix] == []
