"""The lineage of differentially private answers: what they are made of, and that noise hides it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.openlineage_schemas import event_errors
from tests.unit.lineage.cases import event

from airflow_veil.privacy.dp.answer import schema_of
from airflow_veil.privacy.dp.query import compile_query
from airflow_veil.privacy.lineage.answer import of_answer
from airflow_veil.privacy.lineage.model import LineageRecord, Subtype
from airflow_veil.privacy.lineage.prove import prove
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.storage.base import DatasetIdentity

POLICY = """
version: 1
name: shop
owner: data-platform@example.com
datasets:
  customers:
    source: customers.parquet
    subject: customer_id
    columns: {customer_id: {class: direct_identifier, treat: drop}}
  orders:
    source: orders.parquet
    subject: {column: customer_id, references: customers.customer_id}
    columns:
      order_id: {class: direct_identifier, treat: drop}
      customer_id: {class: direct_identifier, treat: drop}
  lines:
    source: lines.parquet
    subject: {column: order_id, references: orders.order_id}
    columns:
      order_id: {class: direct_identifier, treat: drop}
      sku: {class: none, treat: drop}
      price: {class: sensitive, treat: drop}
      status: {class: quasi_identifier, treat: drop}
release: {destination: releases}
differential_privacy:
  budgets:
    people: {unit: customers.customer_id, epsilon: 1, delta: 1.0e-6}
    rows: {unit: lines, epsilon: 1}
  queries:
    revenue:
      dataset: lines
      budget: people
      spend: {rho: 0.01, delta: 1.0e-9}
      where: "status == 'PLANTED'"
      keys: {sku: unknown}
      measures: {revenue: {sum: {column: price, bounds: [0, 100]}}, buyers: count_distinct}
      consistency: in_bounds
    lines_in_all: {dataset: lines, budget: rows, spend: {epsilon: 0.1}, measures: {lines: count}}
"""
PLACES = {name: DatasetIdentity("file", f"/data/{name}.parquet") for name in ("customers", "orders", "lines")}


def record(folder: Path, query: str) -> LineageRecord:
    """What a query's task tells when it is done."""
    path = folder / "shop.yaml"
    path.write_text(POLICY)
    loaded = load(path)
    compiled = compile_query(loaded, query)
    schema = schema_of(compiled, [pa.string()] * len(compiled.axes))
    made = of_answer(loaded, compiled, PLACES, DatasetIdentity("file", f"/releases/{query}"), schema, rows=4)
    assert made.output is not None
    return replace(made, output=replace(made.output, published=True))


class TestOfAnswer:
    def test_tells_what_numbers_are_made_of(self, tmp_path: Path) -> None:
        """Measured columns arrive added up; keys, references, `where` and the subject decide; all of it is masked."""
        made = record(tmp_path, "revenue")
        edges = {(edge.source, edge.target, edge.subtype) for edge in made.edges}

        assert {edge.masking for edge in made.edges} == {True}
        for number in ("value", "low", "high", "value_in_bounds"):
            assert ("price", number, Subtype.AGGREGATION) in edges
        assert ("sku", "sku", Subtype.GROUP_BY) in edges
        assert ("status", None, Subtype.FILTER) in edges
        assert ("order_id", None, Subtype.GROUP_BY) in edges
        joined = {(edge.source, edge.table) for edge in made.edges if edge.subtype is Subtype.JOIN}
        assert joined == {("order_id", PLACES["orders"]), ("customer_id", PLACES["orders"])}
        assert [table.identity for table in made.others] == [PLACES["orders"]]

    def test_never_tells_how_many_rows_were_read(self, tmp_path: Path) -> None:
        """The number of rows of a private table is not for lineage; nor are the words of `where`."""
        told = event(record(tmp_path, "revenue"))

        assert "rowCount" not in str(told["inputs"])
        assert "PLANTED" not in str(told)

    @pytest.mark.parametrize("query", ["revenue", "lines_in_all"])
    def test_events_are_valid_and_prove(self, tmp_path: Path, query: str) -> None:
        """OpenLineage's schemas hold, and every way from an identifier is masked, also where only rows are counted."""
        told = event(record(tmp_path, query))

        assert event_errors(told) == []
        proof = prove([told])
        assert proof.holds, proof
        assert LineageRecord.from_dict(record(tmp_path, query).as_dict()) == record(tmp_path, query)

    @pytest.mark.parametrize("facet", ["columnLineage", "lineage"])
    def test_an_edge_that_is_not_masked_is_found(self, tmp_path: Path, facet: str) -> None:
        """The proof of an answer is no formality."""
        told = _edited(event(record(tmp_path, "revenue")), _unmask)

        assert not prove([told]).holds
        assert facet in told["outputs"][0]["facets"]

    def test_a_constant_with_an_input_is_none(self, tmp_path: Path) -> None:
        """Who calls a column a constant and tells of an input is not believed."""

        def forge(facets: dict[str, Any]) -> None:
            for column in facets["veil_privacy"]["columns"]:
                column["treatment"] = "constant"
            facets["lineage"]["fields"]["value"]["inputs"] = []

        assert not prove([_edited(event(record(tmp_path, "revenue")), forge)]).holds


def _unmask(facets: dict[str, Any]) -> None:
    for item in facets["columnLineage"]["dataset"]:
        item["transformations"][0]["masking"] = False
    for item in facets["lineage"]["inputs"]:
        for told in item.get("transformations") or ():
            told["masking"] = False


def _edited(told: dict[str, Any], edit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    other = copy.deepcopy(told)
    edit(other["outputs"][0]["facets"])
    return other
