# ruff: noqa: E501 - a case a line
"""The rules of `synthetic`: each finds its mistake, where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

METHOD = "method: gaussian_copula"
EVALUATE = "evaluate: {target: ill, protected: sex, knows: [age], secrets: [ill]}"
AGE = "age: {numbers: {bounds: [0, 120]}}"
ILL = "ill: {categories: {values: [flu, cold]}}"
COLUMNS = f"{{id: key, name: {{invented: {{provider: name}}}}, {AGE}, sex: categories, {ILL}, day: DAY, until: DAY}}".replace(
    "DAY", "{dates: {bounds: ['2020-01-01', '2020-12-31']}}"
)
GOOD = f"""\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {{class: direct_identifier, treat: drop}}
      name: {{class: direct_identifier, treat: drop}}
      notes: {{class: free_text, treat: drop}}
      age: {{class: quasi_identifier, type: int16, treat: drop}}
      sex: {{class: quasi_identifier, treat: drop, values: [f, m]}}
      ill: {{class: sensitive, treat: drop}}
      day: {{class: none, type: date, treat: drop}}
      until: {{class: none, type: date, treat: drop}}
      pay: {{class: sensitive, type: float64, treat: drop}}
  visits:
    source: visits.parquet
    subject: {{column: person, references: people.id}}
    columns:
      person: {{class: direct_identifier, treat: drop}}
      ward: {{class: none, treat: drop, values: [a, b]}}
release: {{destination: out}}
differential_privacy:
  budgets:
    people: {{unit: people.id, rho: 0.5}}
    pure: {{unit: people.id, epsilon: 1, shares_unit: for a test of kinds}}
  queries:
    how_many: {{dataset: people, budget: people, spend: {{rho: 0.1}}, measures: {{n: count}}}}
synthetic:
  releases:
    made:
      tables:
        people: {{columns: {COLUMNS}}}
      {METHOD}
      {EVALUATE}
"""
RELATED = f"""\
        people: {{columns: {COLUMNS}}}
        visits: {{columns: {{person: {{reference: {{to: people.id}}}}, ward: categories}}}}
      method: hma
"""
ONE = f"""\
        people: {{columns: {COLUMNS}}}
      {METHOD}
"""
WARDS = "  wards: {source: w.csv, subject: {column: person, references: visits.person}, columns: {nr: COLUMN, person: COLUMN}}\n"
OF_OWNERS = GOOD.replace("subject: id\n", "subject: {column: id, references: wards.nr}\n").replace(
    "release: {dest", WARDS.replace("COLUMN", "{class: direct_identifier, treat: drop}") + "release: {dest"
)
PRIVATE = "method: mst\n      budget: people\n      spend: {rho: 0.1}"
PAR = "method: {par: {sequence: id, order: day, context: [sex]}}"


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


def bounded(bounds: str) -> str:
    """The policy with bounds on its evaluation."""
    return GOOD.replace(EVALUATE, f"{EVALUATE[:-1]}, bounds: {{{bounds}}}}}")


def private(text: str) -> str:
    """The policy with a private method, and how many rows it makes."""
    return text.replace(METHOD, PRIVATE).replace("people: {columns", "people: {rows: 9, columns")


class TestGood:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            GOOD.replace(METHOD, "method: {ctgan: {epochs: 3}}"),
            GOOD.replace(EVALUATE, "evaluate:"),
            bounded("usefulness_min: 0.5, fairness_gap_max: 0.1, detection_max: 0.9, membership_tpr_max: 0.1"),
            bounded("usefulness_min: 0.5").replace("target: ill, protected: sex", "target: age"),
            GOOD.replace(METHOD, PAR),
            GOOD.replace(ONE, RELATED),
            private(GOOD),
            private(GOOD).replace(EVALUATE, ""),
            private(GOOD).replace("method: mst", "method: {mst: {rows_per_unit: 3}}"),
            private(GOOD).replace("  queries:\n    how_many", "  # queries:\n  #  how_many"),
            GOOD.replace(METHOD, "method: faker").replace("people: {columns", "people: {rows: 9, columns").replace(EVALUATE, ""),
            GOOD.replace(AGE, "age: {numbers: {bounds: [0, 120], edges: [0, 18, 120]}, nulls: true}"),
            GOOD.replace(ILL, "ill: {categories: {values: [flu], other: rest}, nulls: true}"),
            GOOD.replace(COLUMNS + "}", COLUMNS + ", constraints: [{combinations: [sex, ill]}]}"),
            GOOD.replace(COLUMNS + "}", COLUMNS + ", constraints: [{inequality: {low: day, high: until}}]}"),
        ],
    )  # fmt: skip
    def test_good_ones_have_no_findings(self, tmp_path: Path, text: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert findings(tmp_path, text) == ()


class TestColumns:
    @pytest.mark.parametrize(
        ("old", "new", "rule", "message"),
        [
            ("        people: {columns", "        persons: {columns", "synthetic-dataset", "no data set persons"),
            (AGE, AGE.replace("age", "aged"), "synthetic-column", "no column aged"),
            ("name: {invented: {provider: name}}", "name: {categories: {values: [x]}}", "synthetic-identifier", "direct identifier"),
            (AGE, "notes: {categories: {values: [x]}}", "synthetic-identifier", "free text"),
            ("type: int16, ", "", "synthetic-type", "declares no type for age"),
            ("type: int16", "type: string", "synthetic-type", "declares the type string"),
            ("ill: {class: sensitive", "ill: {type: float32, class: sensitive", "synthetic-type", "text, whole numbers or booleans"),
            (ILL, "ill: categories", "synthetic-values", "not listed"),
            ("[flu, cold]", "[flu, flu]", "synthetic-values", "listed twice"),
            ("[flu, cold]", "[flu, 1]", "synthetic-values", "not of its type"),
            ("sex: categories", "sex: {categories: {values: [f, x]}}", "synthetic-values", "does not declare"),
            ("['2020-01-01', '2020-12-31']", "['2020-12-31', '2020-01-01']", "synthetic-bounds", "first day"),
            ("[0, 120]", "[0, 40000]", "synthetic-bounds", "does not hold all numbers"),
            ("[0, 120]", "[0.2, 0.8]", "synthetic-bounds", "no whole number"),
            ("[0, 120]}", "[0, 120], edges: [0, 100]}", "synthetic-bounds", "from bound to bound"),
            ("[0, 120]}", "[0, 120], decimals: 1}", "synthetic-unneeded", "no decimals"),
            (AGE, "pay: {numbers: {bounds: [0.25, 9], decimals: 1}}", "synthetic-bounds", "more decimals"),
            (AGE, "age: key", "synthetic-key", "has a key already"),
            ("{provider: name}}", "{provider: name}, nulls: true}", "synthetic-unneeded", "never empty"),
            ("provider: name", "provider: nonsense", "synthetic-provider", "does not invent nonsense"),
            ("provider: name", "provider: name, locale: xx_XX", "synthetic-provider", "xx_XX"),
            (ILL, ILL + ", pay: {reference: {to: people.id}}", "synthetic-reference", "itself"),
            (ILL, ILL + ", pay: {reference: {to: visits.id}}", "synthetic-reference", "no table visits"),
        ],
    )  # fmt: skip
    def test_mistakes(self, tmp_path: Path, old: str, new: str, rule: str, message: str) -> None:
        """The rule is named, what is wrong is told, and a fix given."""
        assert old in GOOD

        found = [one for one in findings(tmp_path, GOOD.replace(old, new)) if one.rule == rule]

        assert any(message in one.message for one in found), found
        assert all(one.fix and one.path.startswith("synthetic.releases.made") for one in found)

    @pytest.mark.parametrize(
        ("constraint", "message"),
        [
            ("{inequality: {low: nothing, high: day}}", "nothing is no column of numbers or dates"),
            ("{inequality: {low: sex, high: day}}", "sex is no column of numbers or dates"),
            ("{inequality: {low: age, high: day}}", "nothing to compare"),
            ("{inequality: {low: day, high: day}}", "nothing to compare"),
            ("{inequality: {low: day, high: until, strict: true}}", "no room above"),
            ("{inequality: {low: day, high: until}}, {inequality: {low: until, high: day}}", "circle"),
            ("{combinations: [sex, age]}", "age is no column of categories"),
            ("{combinations: [sex, sex]}", "named twice"),
        ],
    )
    def test_constraints(self, tmp_path: Path, constraint: str, message: str) -> None:
        """They are about learned columns of one kind, and leave room."""
        text = GOOD.replace(COLUMNS + "}", f"{COLUMNS}, constraints: [{constraint}]}}")

        found = [one for one in findings(tmp_path, text) if one.rule == "synthetic-constraint"]

        assert any(message in one.message for one in found), found

    def test_combinations_are_not_for_private_methods(self, tmp_path: Path) -> None:
        """Which there are in the data is nothing that is paid for."""
        text = private(GOOD).replace(COLUMNS + "}", COLUMNS + ", constraints: [{combinations: [sex, ill]}]}")

        assert [one.rule for one in findings(tmp_path, text)] == ["synthetic-constraint"]


class TestMethods:
    @pytest.mark.parametrize(
        ("text", "rule", "message"),
        [
            (GOOD.replace("    made:", "    People:"), "synthetic-name", "data set people"),
            (GOOD.replace("    made:", "    how_many:"), "synthetic-name", "query how_many"),
            (GOOD.replace("release: {destination: out}\n", ""), "synthetic-destination", "where synthetic tables go"),
            (GOOD.replace(ONE, RELATED.replace("hma", "tvae")), "synthetic-method", "makes one table"),
            (GOOD.replace(METHOD, "method: hma"), "synthetic-method", "this is one"),
            (GOOD.replace(ONE, RELATED.replace("person: {reference: {to: people.id}}, ", "")), "synthetic-method", "refers to no table"),
            (GOOD.replace(COLUMNS, "{id: key}"), "synthetic-nothing", "nothing of table people"),
            (GOOD.replace(ONE, RELATED.replace("people.id", "people.age")), "synthetic-reference", "not the key"),
            (GOOD.replace(METHOD, PAR.replace("sequence: id", "sequence: age")), "synthetic-sequence", "not the key"),
            (GOOD.replace(METHOD, PAR.replace("order: day", "order: sex")), "synthetic-sequence", "numbers or dates"),
            (GOOD.replace(METHOD, PAR.replace("[sex]", "[day]")), "synthetic-sequence", "beside the order"),
            (GOOD.replace(METHOD, PAR.replace("[sex]", "[sex, age, ill, until]")), "synthetic-sequence", "nothing changes"),
            (OF_OWNERS, "synthetic-people", "only wards says whose"),
            (GOOD.replace(METHOD, PRIVATE), "synthetic-rows", "would tell of them"),
            (GOOD.replace(METHOD, "method: faker").replace(EVALUATE, ""), "synthetic-rows", "none are read"),
            (GOOD.replace(ONE, RELATED.replace("visits: {", "visits: {rows: 5, ")), "synthetic-unneeded", "remove `rows`"),
            (private(GOOD).replace("      budget: people\n", ""), "synthetic-budget", "`budget` is missing"),
            (private(GOOD).replace("\n      spend: {rho: 0.1}", ""), "synthetic-budget", "`spend` is missing"),
            (private(GOOD).replace("      budget: people", "      budget: persons"), "synthetic-budget", "no budget persons"),
            (private(GOOD).replace("      budget: people", "      budget: pure"), "synthetic-budget", "of this kind"),
            (private(GOOD).replace("      spend: {rho: 0.1}", "      spend: {rho: 0.6}"), "synthetic-budget", "more than all"),
            (private(GOOD).replace("unit: people.id, rho", "unit: visits, rho"), "synthetic-unit", ""),
            (GOOD.replace(METHOD, METHOD + "\n      budget: people"), "synthetic-unneeded", "no budget makes it so"),
            (GOOD.replace(EVALUATE, ""), "synthetic-evaluate", "guarantees them nothing"),
            (GOOD.replace(METHOD, "method: faker"), "synthetic-unneeded", "nothing is learned"),
            (GOOD.replace("target: ill", "target: name"), "synthetic-evaluated", "name is no learned column"),
            (GOOD.replace("knows: [age]", "knows: [id]"), "synthetic-evaluated", "id is no learned column"),
            (GOOD.replace("target: ill, ", ""), "synthetic-evaluated", "no `target`"),
            (private(GOOD).replace("method: mst", "method: {aim: {rows_per_unit: 2}}").replace("unit: people.id, rho", "unit: people, rho"), "synthetic-unneeded", "a row of people"),
            (bounded("usefulness_min: 0.5").replace("target: ill, protected: sex, ", ""), "synthetic-bound", "there is no `target`"),
            (bounded("fairness_gap_max: 0.1").replace("protected: sex, ", ""), "synthetic-bound", "there is no `protected`"),
            (bounded("fairness_gap_max: 0.1").replace("target: ill", "target: age"), "synthetic-bound", "told as numbers"),
            (bounded("membership_tpr_max: 0.1").replace(METHOD, PRIVATE), "synthetic-bound", "would have to be paid"),
            (bounded("membership_tpr_max: 0.1").replace(ONE, RELATED), "synthetic-bound", "one table only"),
            (GOOD.replace(EVALUATE, EVALUATE + "\n      model_expires_after: P0D"), "synthetic-period", "P0D"),
            (GOOD.replace("  queries:\n    how_many", "  # queries:\n  #  how_many"), "dp-queries", "nothing is asked"),
        ],
    )  # fmt: skip
    def test_mistakes(self, tmp_path: Path, text: str, rule: str, message: str) -> None:
        """A method that fits the tables, who pays, and how it is looked at."""
        assert text != GOOD

        found = [one for one in findings(tmp_path, text) if one.rule == rule]

        assert any(message in one.message or message in one.fix for one in found), findings(tmp_path, text)

    def test_circles(self, tmp_path: Path) -> None:
        """Two tables that refer to one another end nowhere."""
        circle = RELATED.replace("id: key", "id: key, pay: {reference: {to: visits.ward}}").replace(
            "ward: categories", "ward: key"
        )

        found = findings(tmp_path, GOOD.replace(ONE, circle))

        assert "synthetic-circle" in {one.rule for one in found}
