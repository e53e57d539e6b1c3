"""Compiling a query: what is read, how it is grouped, what is measured; one digest for one question."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from tests.unit.policy.dp_policy import GOOD

from airflow_veil.privacy.dp.query import Join, Query, candidates_of, compile_query, unit_path
from airflow_veil.privacy.dp.statistic import Bins, Form, Ranks, Rows, Total, Units
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.differential_privacy import Quantiles
from airflow_veil.privacy.policy.load import load

SUM = "paid: {sum: {column: paid, bounds: [0, 500]}}"
MEASURES = GOOD[GOOD.index("        orders: count\n") : GOOD.index("    by_country:")]
CHAIN = """\
version: 1
name: shop
owner: data@example.com
datasets:
  people: {source: p.parquet, subject: id, columns: {id: {class: none, treat: drop}}}
  orders:
    source: o.parquet
    subject: {column: person, references: people.id}
    columns: {order: {class: none, treat: drop}, person: {class: none, treat: drop}}
  lines:
    source: l.parquet
    subject: {column: order, references: orders.order}
    columns: {order: {class: none, treat: drop}}
  shops: {source: s.parquet, subject: {none: they are the company's own}, columns: {id: {class: none, treat: drop}}}
"""


def compiled(tmp_path: Path, text: str = GOOD, name: str = "by_month") -> Query:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    return compile_query(load(path), name)


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


class TestCompile:
    def test_what_is_read_and_measured(self, tmp_path: Path) -> None:
        """Columns, groups, and each statistic once, in the order of the measures."""
        query = compiled(tmp_path)
        kinds = [type(statistic) for statistic in query.statistics]

        assert query.columns == ("ordered", "status", "paid", "customer")
        assert (query.groups, query.reach, query.rows_per_group) == (24, 3, 2)
        assert kinds == [Rows, Units, Total, Ranks]
        assert (query.noise, str(query.spend), query.unknown_keys) == ("laplace", "0.5", False)

    def test_unknown_keys_are_decided_by_units(self, tmp_path: Path) -> None:
        """Their number comes first, once, whether or not it is a measure, too."""
        query = compiled(tmp_path, name="by_country")
        without = compiled(
            tmp_path, changed("customers: count_distinct\n        premium", "premium"), "by_country"
        )

        assert [type(s) for s in query.statistics] == [Units, Bins] == [type(s) for s in without.statistics]
        assert (query.groups, query.reach) == (None, 1)

    def test_statistics_are_shared(self, tmp_path: Path) -> None:
        """A mean and a variance of one column need three, and a count of its rows none of its own."""
        bounds = "{column: paid, bounds: [0, 500]}"
        text = GOOD.replace(
            MEASURES,
            f"        n: {{count: {{column: paid}}}}\n        m: {{mean: {bounds}}}\n"
            f"        v: {{variance: {bounds}}}\n",
        )
        forms = [s.form for s in compiled(tmp_path, text).statistics if isinstance(s, Total)]

        assert len(compiled(tmp_path, text).statistics) == 3
        assert forms == [Form.CENTRED, Form.SQUARED]

    def test_a_row_as_the_unit_bounds_nothing(self, tmp_path: Path) -> None:
        """It is in one group once, whatever the policy says."""
        query = compiled(tmp_path, changed("unit: customers.id", "unit: orders"))

        assert (query.subject, query.by_row, query.reach, query.rows_per_group) == (None, True, 1, 1)

    def test_no_more_groups_than_there_are(self, tmp_path: Path) -> None:
        """A unit cannot be in more: so no noise is added for them."""
        assert compiled(tmp_path, changed("groups_per_unit: 3", "groups_per_unit: 1000")).reach == 24

    def test_no_such_query(self, tmp_path: Path) -> None:
        """The known ones are named."""
        with pytest.raises(SchemaError, match="by_month, by_country"):
            compiled(tmp_path, name="by_moon")


class TestDigest:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            pytest.param("epsilon: 0.5", "epsilon: 0.6", id="what is spent"),
            pytest.param("{epsilon: 0.5}", "{rho: 0.5}", id="the kind of noise"),
            pytest.param("epsilon: 0.5", "epsilon: 0.5, delta: 1e-9", id="delta"),
            pytest.param("groups_per_unit: 3", "groups_per_unit: 4", id="groups"),
            pytest.param("rows_per_group: 2", "rows_per_group: 3", id="rows"),
            pytest.param("cancelled", "returned", id="where"),
            pytest.param("last: 2024-12", "last: 2025-01", id="calendar"),
            pytest.param("[placed, shipped]", "[shipped, placed]", id="order of keys"),
            pytest.param("[placed, shipped]", "[placed, 'shipped ']", id="keys"),
            pytest.param("bounds: [0, 500]", "bounds: [0, 501]", id="bounds"),
            pytest.param("bounds: [0, 500]", "bounds: [0, 500], granularity: 0.25", id="granularity"),
            pytest.param("bounds: [0, 500]", "bounds: [0, 500], null: 0", id="nulls"),
            pytest.param("bounds: [0, 500]", "bounds: [0, 500], nan: 0", id="nan"),
            pytest.param("bounds: [0, 500]", "bounds: [0, 500], infinite: drop", id="infinities"),
            pytest.param("quantiles: [0.5]", "quantiles: [0.25]", id="quantile"),
            pytest.param("step: 5", "step: 10", id="candidates"),
            pytest.param("orders: count\n", "n: count\n", id="a measure's name"),
            pytest.param("orders: count\n", "orders: {count: {column: paid}}\n", id="what is counted"),
            pytest.param("      measures:\n", "      confidence: 0.9\n      measures:\n", id="confidence"),
            pytest.param(
                "      measures:\n", "      consistency: in_bounds\n      measures:\n", id="consistency"
            ),
            pytest.param("unit: customers.id", "unit: orders", id="unit"),
            pytest.param("budget: people", "budget: folk", id="budget"),
        ],
    )
    def test_every_word_that_the_answer_depends_on_is_in_it(self, tmp_path: Path, old: str, new: str) -> None:
        """Another question is another answer, and is paid for."""
        text = changed(old, new).replace(
            "    people:\n", "    folk: {unit: orders, epsilon: 1}\n    people:\n"
        )

        assert compiled(tmp_path, text).digest != compiled(tmp_path).digest

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            pytest.param(
                "      dataset: orders\n",
                "      dataset: orders\n      description: For the board.\n",
                id="d",
            ),
            pytest.param("epsilon: 10\n", "epsilon: 20\n", id="the budget's limit"),
            pytest.param("name: shop", "name: store", id="the policy's name"),
            pytest.param("    by_month:", "    # a comment\n    by_month:", id="a comment"),
            pytest.param(
                "spend: {epsilon: 0.1, delta: 1e-8}", "spend: {epsilon: 0.2, delta: 1e-8}", id="another query"
            ),
        ],
    )
    def test_nothing_else_is_in_it(self, tmp_path: Path, old: str, new: str) -> None:
        """The same question, however it is commented, is the same answer."""
        assert compiled(tmp_path, changed(old, new)).digest == compiled(tmp_path).digest

    def test_it_stays_the_same(self, tmp_path: Path) -> None:
        """Answers are found again by it, after an upgrade, too: whoever changes this makes all answers anew."""
        assert compiled(tmp_path).digest == compiled(tmp_path).digest
        assert len(compiled(tmp_path).digest) == 64

    def test_a_file_of_keys_counts_by_what_is_in_it(self, tmp_path: Path) -> None:
        """The same labels are the same question, wherever they are written."""
        (tmp_path / "states.csv").write_text("state\nplaced\nshipped\n")
        text = changed("values: [placed, shipped]", "file: states.csv")
        same = compiled(tmp_path, text).digest
        (tmp_path / "states.csv").write_text("state\nplaced\nshipped\nlost\n")

        assert same == compiled(tmp_path).digest
        assert compiled(tmp_path, text).digest != same


class TestUnitPath:
    @pytest.mark.parametrize(
        ("dataset", "unit", "column", "joins"),
        [
            pytest.param("people", "people.id", "id", (), id="the population itself"),
            pytest.param("orders", "people.id", "person", (), id="a reference names the unit itself"),
            pytest.param(
                "lines",
                "people.id",
                "order",
                (Join(dataset="orders", key="order", column="person"),),
                id="one step",
            ),
            pytest.param(
                "lines", "orders.order", "order", (), id="half of the way: an order is hidden, not a person"
            ),
            pytest.param("lines", "lines", None, (), id="a row"),
        ],
    )
    def test_leads_from_rows_to_units(
        self, tmp_path: Path, dataset: str, unit: str, column: str | None, joins: tuple[Join, ...]
    ) -> None:
        """Over the subjects' references, as far as they go."""
        path = tmp_path / "shop.yaml"
        path.write_text(CHAIN)

        assert unit_path(load(path).policy, dataset, unit) == (column, joins)

    @pytest.mark.parametrize(
        ("dataset", "unit"),
        [
            pytest.param("people", "orders.order", id="away from it"),
            pytest.param("orders", "orders.order", id="a column that is nobody's subject"),
            pytest.param("lines", "orders", id="a row of another table"),
            pytest.param("shops", "people.id", id="nobody's rows"),
        ],
    )
    def test_or_does_not(self, tmp_path: Path, dataset: str, unit: str) -> None:
        """Then no query of it can be paid by that budget."""
        path = tmp_path / "shop.yaml"
        path.write_text(CHAIN)

        with pytest.raises(SchemaError, match="do not lead to"):
            unit_path(load(path).policy, dataset, unit)


class TestCalendar:
    @pytest.mark.parametrize(
        ("to", "first", "last", "count", "some"),
        [
            pytest.param("year", "1999", "2001", 3, "2000", id="years"),
            pytest.param("month", "2023-11", "2024-02", 4, "2024-01", id="months over the turn of a year"),
            pytest.param("day", "2024-02-28", "2024-03-01", 3, "2024-02-29", id="a leap day"),
            pytest.param("day", "2023-02-28", "2023-03-01", 2, "2023-03-01", id="no leap day"),
            pytest.param("day", "2024-01-01", "2024-01-01", 1, "2024-01-01", id="one day"),
        ],
    )
    def test_both_ends_are_in_it(
        self, tmp_path: Path, to: str, first: str, last: str, count: int, some: str
    ) -> None:
        """All between two ends, in order, none left out."""
        text = changed("to: month, first: 2024-01, last: 2024-12", f"to: {to}, first: {first}, last: {last}")
        labels = compiled(tmp_path, text).axes[0].labels
        assert labels is not None

        assert (labels[0], labels[-1], len(labels)) == (first, last, count)
        assert some in labels
        assert list(labels) == sorted(set(labels), key=str)


class TestSteps:
    @pytest.mark.parametrize(
        ("words", "step", "most"),
        [
            pytest.param(
                "bounds: [0, 500]", "1/10000", 5_000_000, id="a power of ten, a million steps at least"
            ),
            pytest.param("bounds: [-3, 1]", "1/1000000", 3_000_000, id="the farther end counts"),
            pytest.param(
                "bounds: [0, 500], granularity: 0.25", "1/4", 2_000, id="as fine as the policy says"
            ),
            pytest.param("bounds: [0, 0.3], granularity: 0.1", "1/10", 3, id="decimals are exact"),
            pytest.param("bounds: [0, 5e8]", "100", 5_000_000, id="great numbers"),
        ],
    )
    def test_values_are_whole_steps(self, tmp_path: Path, words: str, step: str, most: int) -> None:
        """The sensitivity is in whole steps, so nothing is rounded after it is known."""
        text = changed("bounds: [0, 500]", words.replace("5e8", "500000000"))
        (total,) = [s for s in compiled(tmp_path, text).statistics if isinstance(s, Total)]

        assert total.step == Fraction(step)
        assert max(map(abs, total.steps)) == most
        assert total.per_group(3) == 3 * most

    @pytest.mark.parametrize(
        ("candidates", "found"),
        [
            pytest.param(
                {"first": 0, "last": 0.3, "step": 0.1}, (0.0, 0.1, 0.2, 0.3), id="decimals are exact"
            ),
            pytest.param(
                {"first": 0, "last": 1, "step": 0.4}, (0.0, 0.4, 0.8), id="the last may lie between"
            ),
            pytest.param({"first": -2, "last": 2, "step": 2}, (-2.0, 0.0, 2.0), id="below zero"),
            pytest.param([1, 2, 5], (1.0, 2.0, 5.0), id="one by one"),
        ],
    )
    def test_candidates_at_equal_distances(self, candidates: object, found: tuple[float, ...]) -> None:
        """Steps are counted in decimals, not added up in floats."""
        of = Quantiles.model_validate({"column": "paid", "quantiles": [0.5], "candidates": candidates})

        assert candidates_of(of) == found
