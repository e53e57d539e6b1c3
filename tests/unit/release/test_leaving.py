"""Which rows a model learns from: those that a nightly release of the data set would let leave, and no others."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest
from tests.unit.release.conftest import Shop
from tests.unit.release.synthesis import POLICY, people, stock

from airflow_veil.privacy.engine.treated import TreatedSource
from airflow_veil.privacy.errors import SchemaError, SyntheticError
from airflow_veil.privacy.lineage.model import Subtype
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.plan.stage import fused
from airflow_veil.privacy.release.synthesize import planned_fit
from airflow_veil.privacy.release.synthetic_names import digest_of
from airflow_veil.privacy.release.synthetic_sources import (
    learned_batches,
    learned_from,
    sources_of,
    training_of,
)
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.synthetic.specification import compiled
from airflow_veil.privacy.synthetic.training import Training


@pytest.fixture
def made(shop: Shop) -> Shop:
    """A shop that makes up rows."""
    return stock(shop)


def held_back(rows: str) -> str:
    """A policy of whose people not all may leave."""
    return POLICY.replace("    subject: id\n", f"    subject: id\n    {rows}\n")


class TestRowsThatMayLeave:
    @staticmethod
    def learned(shop: Shop, name: str = "someone") -> Training:
        workspace = shop.workspace()
        specification = compiled(workspace.loaded.policy, name)
        return training_of(workspace, specification, sources_of(workspace, specification))

    def test_where(self, made: Shop) -> None:
        """A model learns of no row that the data set holds back, and has none as a hold-out; nulls are held back."""
        source = people()
        ages = pc.if_else(pc.equal(source["age"], 70), None, source["age"])
        made.supply(source.set_column(2, "age", ages))
        with pytest.raises(SyntheticError, match="empty values"):
            self.learned(made)
        made.write(held_back("where: age >= 50 and tier != 'silver'"))
        found = self.learned(made)

        expected = pc.and_(pc.greater_equal(ages, 50), pc.not_equal(source["tier"], "silver"))
        sides = (found.fit["people"], found.holdout["people"])
        assert sum(side.num_rows for side in sides) == pc.sum(expected).as_py()
        for side in sides:
            assert side.num_rows > 20
            assert pc.min(side["age"]).as_py() >= 50
            assert set(side["tier"].to_pylist()) == {"gold"}

    def test_where_by_a_column_that_is_not_made(self, made: Shop) -> None:
        """It is read to decide, and not handed on; people who are held back are so in the table that refers to them."""
        made.write(held_back("where: name == 'Ca5nary' or name == 'Ca7nary'"))
        workspace = made.workspace()
        sources = sources_of(workspace, compiled(workspace.loaded.policy, "someone"))

        batches = list(learned_from(workspace, sources)["people"].batches(["id"], batch_rows=100))

        assert [batch.schema.names for batch in batches] == [["id"]] * 4
        assert [number for batch in batches for number in batch["id"].to_pylist()] == [5, 7]

    def test_sample_is_that_of_the_nightly_release(self, made: Shop) -> None:
        """The same people as a nightly release lets leave: neither others, nor another share."""
        made.write(
            held_back("sample: {fraction: 0.4}").replace(
                "age: {class: quasi_identifier, type: int64, treat: drop}",
                "age: {class: quasi_identifier, type: int64, treat: keep}",
            )
        )
        workspace = made.workspace()
        sources = sources_of(workspace, compiled(workspace.loaded.policy, "someone"))
        keys = workspace.keys
        stage = fused(
            bind(workspace.loaded, "people", workspace.source("people").schema(), key_version=keys.current)
        )
        nightly = TreatedSource(stage, workspace.source("people"), keys)

        def ages(source: Source) -> list[int]:
            return [
                age for batch in source.batches(["age"], batch_rows=90) for age in batch["age"].to_pylist()
            ]

        assert ages(learned_from(workspace, sources)["people"]) == ages(nightly)
        assert 100 < len(ages(nightly)) < 220

    def test_a_private_model_counts_no_others(self, made: Shop) -> None:
        """What noise is drawn for is counted of the same rows."""
        paid = "differential_privacy:\n  budgets: {people: {unit: people.id, rho: 3.0}}\nsynthetic:\n"
        private = held_back("where: age >= 50").replace("synthetic:\n", paid)
        private = private.replace(
            "method: gaussian_copula", "method: mst\n      budget: people\n      spend: {rho: 1}"
        )
        made.write(private)
        workspace = made.workspace()
        specification = compiled(workspace.loaded.policy, "someone")
        sources = sources_of(workspace, specification)

        ages = [
            age
            for batch in learned_batches(workspace, specification, sources, "id")
            for age in batch["age"].to_pylist()
        ]

        there = pc.sum(pc.greater_equal(people()["age"], 50)).as_py()
        assert min(ages) >= 50
        assert there * 0.5 < len(ages) < there, "but for those who are kept from it"

    def test_another_where_is_another_model(self, made: Shop) -> None:
        """A model of rows that may no longer leave is not drawn from; the same words find the same model."""
        digests = set()
        for rows in (
            "",
            "where: age >= 50",
            "where: age >= 40",
            "where: age >= 40",
            "sample: {fraction: 0.4}",
        ):
            made.write(held_back(rows) if rows else POLICY)
            workspace = made.workspace()
            digests.add(digest_of(workspace, compiled(workspace.loaded.policy, "someone")))

        assert len(digests) == 4

    def test_a_column_that_is_not_there(self, made: Shop) -> None:
        """Which rows leave cannot be decided: nothing is learned."""
        made.supply(people().drop_columns(["name"]))
        made.write(held_back("where: name is not null"))

        with pytest.raises(SchemaError, match="no column name, by which it is decided"):
            self.learned(made)


class TestLineage:
    def test_tells_what_decides(self, made: Shop) -> None:
        """A fit reads the columns that rows are chosen by, also those that no model learns."""
        made.write(held_back("where: age >= 50 and name is not null"))
        record = planned_fit(made.workspace(), "someone")

        assert "name" in {field.name for field in record.input.fields}
        filters = {edge.source: edge.masking for edge in record.edges if edge.subtype is Subtype.FILTER}
        assert filters == {"age": False, "name": True}
