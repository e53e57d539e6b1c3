"""Fits over small tables, against every node of their lattices, and against the measures of risk."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.anonymize.tables import drawn

from airflow_veil.privacy.anonymize.criteria import Close, Criteria, Diverse, held
from airflow_veil.privacy.anonymize.fit import fit
from airflow_veil.privacy.anonymize.groups import Grouping
from airflow_veil.privacy.anonymize.levels import levels_of
from airflow_veil.privacy.anonymize.metrics import metric
from airflow_veil.privacy.anonymize.quality import Quality
from airflow_veil.privacy.anonymize.recoding import most_rows
from airflow_veil.privacy.anonymize.table import read
from airflow_veil.privacy.errors import SchemaError, TransformError
from airflow_veil.privacy.risk.report import assess

QUASI = ("age", "city", "sex")
CRITERIA = {
    "k": Criteria(k=4),
    "l": Criteria(k=3, l={"illness": Diverse(at_least=2)}),
    "entropy": Criteria(k=2, l={"illness": Diverse(at_least=1.8, by="entropy")}),
    "t": Criteria(k=2, t={"illness": Close(at_most=0.3)}),
    "ordered": Criteria(k=2, t={"illness": Close(at_most=0.25, ordered=True)}),
}


def every_node(
    table: pa.Table, levels: Any, criteria: Criteria, quality: Quality, limit: float, subject: str | None
) -> list[tuple[Any, ...]]:
    """The cost, the suppressed rows and the levels of each node that may be released, the best first.

    Each is made from the rows, with nothing rolled up.
    """
    coded = read(table, levels, criteria.sensitive, subject=subject)
    found = []
    for node in itertools.product(*(range(each.height + 1) for each in levels.values())):
        grouping = Grouping(coded.levels, coded.codes, coded.sensitive, coded.subject)
        groups = grouping.at(node)
        kept = held(criteria, grouping, groups).all
        suppressed = int(groups.sizes[~kept].sum())
        if suppressed <= most_rows(limit, len(coded)):
            cost = metric(quality, grouping, coded.counts()).cost(groups, kept)
            found.append((cost, suppressed, sum(node), node))
    return sorted(found)


class TestOptimum:
    @pytest.mark.parametrize("quality", get_args(Quality))
    @pytest.mark.parametrize("wanted", CRITERIA)
    @pytest.mark.parametrize("limit", [0.0, 0.1, 0.6])
    def test_no_node_is_better(self, quality: Quality, wanted: str, limit: float) -> None:
        """What the search finds is the best of all nodes, or there is none."""
        for seed in range(4):
            table, levels = drawn(seed)
            criteria = CRITERIA[wanted]
            nodes = every_node(table, levels, criteria, quality, limit, None)
            if not nodes:
                with pytest.raises(TransformError, match="no recoding of age, city, sex holds"):
                    fit(table, levels, criteria, suppress_at_most=limit, quality=quality)
                continue

            found = fit(table, levels, criteria, suppress_at_most=limit, quality=quality)

            assert (found.cost, found.suppressed, found.node) == (nodes[0][0], nodes[0][1], nodes[0][3])

    @pytest.mark.parametrize("wanted", CRITERIA)
    @pytest.mark.parametrize("limit", [0.0, 0.3])
    def test_people_count_once(self, wanted: str, limit: float) -> None:
        """Where a person has several rows, classes count people, and the search still finds the best."""
        table, levels = drawn(7)
        criteria = CRITERIA[wanted]
        nodes = every_node(table, levels, criteria, "loss", limit, "person")

        found = fit(table, levels, criteria, suppress_at_most=limit, subject="person")

        assert found.node == nodes[0][3]
        released = found.apply(table, levels)
        assert assess(released, QUASI, subject="person").reidentification.k >= criteria.k

    def test_looks_at_few_nodes(self) -> None:
        """Not every node is looked at."""
        table, levels = drawn(1)

        found = fit(table, levels, Criteria(k=4))

        assert found.evaluated < found.nodes == 24


class TestGuarantee:
    @pytest.mark.parametrize("local", [False, True], ids=["rows", "cells"])
    @pytest.mark.parametrize("limit", [0.0, 0.2, 0.6])
    def test_k_and_l_by_the_measures_of_risk(self, limit: float, local: bool) -> None:
        """The rows that leave are k-anonymous and l-diverse, as other code measures it."""
        for seed in range(6):
            table, levels = drawn(seed, rows=120)
            criteria = Criteria(k=4, l={"illness": Diverse(at_least=2)})
            found = fit(table, levels, criteria, suppress_at_most=limit, local=local)

            released = found.apply(table, levels)

            risk = assess(released, QUASI, ["illness"])
            assert risk.reidentification.k >= 4
            assert risk.diversity[0].distinct_l >= 2
            assert released.num_rows >= table.num_rows - found.suppressed >= (1 - limit) * table.num_rows
            if not local:
                assert released.num_rows == table.num_rows - found.suppressed
                assert risk.reidentification.k == found.after.k

    def test_what_is_asked_matters(self) -> None:
        """Without the recoding the same table does not hold what it is said to hold."""
        table, _ = drawn(3)

        assert assess(table, QUASI).reidentification.k == 1

    def test_coarser_is_safer_and_dearer(self) -> None:
        """No coarser node suppresses more for k, nor costs less where nothing is suppressed."""
        table, levels = drawn(5)
        coded = read(table, levels)
        grouping = Grouping(coded.levels, coded.codes, {}, None)
        cost = metric("loss", grouping, coded.counts())
        for node in itertools.product(range(4), range(3), range(2)):
            for which in range(3):
                coarser = tuple(level + (place == which) for place, level in enumerate(node))
                if coarser[which] > coded.levels[which].height:
                    continue
                one, other = grouping.at(node), grouping.at(coarser)
                small = [int(each.sizes[each.sizes < 4].sum()) for each in (one, other)]
                dear = [cost.cost(each, np.ones(len(each), bool)) for each in (one, other)]

                assert small[0] >= small[1]
                assert dear[0] <= dear[1]

    def test_nulls_are_a_value(self) -> None:
        """A null stays null on levels of several labels, and joins the others where there is one for all."""
        levels = {"sex": levels_of("sex", [["f", "*"], ["m", "*"]])}
        table = pa.table({"sex": ["f", "f", "m", "m", None]})

        found = fit(table, levels, Criteria(k=2))

        assert found.levels == {"sex": 1}
        assert found.apply(table, levels)["sex"].to_pylist() == ["*"] * 5
        fewer = fit(table, levels, Criteria(k=2), suppress_at_most=0.2)
        assert fewer.levels == {"sex": 0}
        assert fewer.apply(table, levels)["sex"].to_pylist() == ["f", "f", "m", "m"]


class TestLocalSuppression:
    def test_cells_go_in_place_of_rows(self) -> None:
        """With local suppression more rows leave, and each class is still large enough."""
        table, levels = drawn(2, rows=200)
        rows = fit(table, levels, Criteria(k=4), suppress_at_most=0.4)
        cells = fit(table, levels, Criteria(k=4), suppress_at_most=0.4, local=True)
        assert rows.suppressed > 0

        decision = cells.decide(table, levels)

        assert cells.node == rows.node
        assert decision.suppressed_rows < rows.suppressed
        assert decision.suppressed_cells > 0


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"criteria": Criteria(k=61)}, "no recoding of age, city, sex holds the criteria"),
            ({"suppress_at_most": 1.5}, "`suppress_at_most` is a share"),
            ({"quality": "beauty"}, "there is no such quality"),
            ({"hierarchies": {}}, "there is no quasi-identifier"),
        ],
        ids=["too much", "share", "word", "none"],
    )
    def test_what_cannot_be(self, change: dict[str, Any], match: str) -> None:
        """What cannot be fitted is refused."""
        table, levels = drawn(1)
        given: dict[str, Any] = {"hierarchies": levels, "criteria": Criteria(k=2), **change}

        with pytest.raises(TransformError, match=match):
            fit(table, given.pop("hierarchies"), given.pop("criteria"), **given)

    def test_no_rows(self) -> None:
        """Nothing is fitted on nothing."""
        table, levels = drawn(1)

        with pytest.raises(TransformError, match="there are no rows"):
            fit(table.slice(0, 0), levels, Criteria(k=2))

    def test_columns(self) -> None:
        """A column that is not there, or that is two things, is named."""
        table, levels = drawn(1)

        with pytest.raises(SchemaError, match="there is no column income"):
            fit(table, levels, Criteria(k=2, l={"income": Diverse(at_least=2)}))
        with pytest.raises(SchemaError, match="sex cannot be a quasi-identifier as well"):
            fit(table, levels, Criteria(k=2, l={"sex": Diverse(at_least=2)}))

    @pytest.mark.parametrize(
        ("criteria", "match"),
        [
            ({"k": 0}, "k: 0"),
            ({"k": 1, "l": {"a": Diverse(at_least=0.5)}}, "l of a: 0.5"),
            ({"k": 1, "t": {"a": Close(at_most=2)}}, "t of a: 2"),
        ],
    )
    def test_criteria_that_mean_nothing(self, criteria: dict[str, Any], match: str) -> None:
        """Limits outside of their range are refused."""
        with pytest.raises(TransformError, match=match):
            Criteria(**criteria)
