"""`veil diff`."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.cli.conftest import CUSTOMERS, Installation

from airflow_veil.cli import comparison


@pytest.fixture
def customers(retail: Installation) -> dict[str, Any]:
    found = json.loads(retail.ok("diff", retail.policy, "-d", "customers", "--json"))
    return {"rows": found["rows_out"], **{column["name"]: column for column in found["columns"]}}


class TestCounts:
    def test_kept_columns_are_unchanged(self, customers: dict[str, Any]) -> None:
        """A kept column has no changed row, and as many nulls and distinct values after as before."""
        segment = customers["segment"]

        assert customers["rows"] == CUSTOMERS
        assert segment["changed"] == 0
        assert segment["distinct"]["before"] == segment["distinct"]["after"] == {"count": 4, "exact": True}

    def test_tokens_change_every_value_and_keep_distinctness(
        self, customers: dict[str, Any], retail: Installation
    ) -> None:
        """Each value that is not null changes; nulls stay; as many are distinct as before."""
        nulls = pq.read_table(retail.root / "data/retail/customers.parquet")["email"].null_count
        email = customers["email"]

        assert nulls > 0
        assert email["nulls"] == {"before": nulls, "after": nulls}
        assert email["changed"] == CUSTOMERS - nulls == email["distinct"]["after"]["count"]

    def test_generalized_columns_have_fewer_values(self, customers: dict[str, Any]) -> None:
        """Many dates become few years."""
        distinct = customers["birth_date"]["distinct"]

        assert distinct["after"]["count"] < 80 < distinct["before"]["count"]

    def test_dropped_columns_have_no_after(self, customers: dict[str, Any]) -> None:
        """A dropped column is counted before, and all its rows change."""
        street = customers["street"]

        assert street["changed"] == CUSTOMERS
        assert street["nulls"]["after"] is None
        assert street["distinct"]["after"] is None

    def test_batches_do_not_matter(
        self, retail: Installation, customers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows that come in many batches give the same counts."""
        monkeypatch.setattr(comparison, "BATCH_ROWS", 37)
        again = json.loads(retail.ok("diff", retail.policy, "-d", "customers", "--json"))

        assert [customers[column["name"]] for column in again["columns"]] == again["columns"]

    def test_rows_limits(self, retail: Installation) -> None:
        """--rows looks at the first so many rows."""
        found = json.loads(retail.ok("diff", retail.policy, "-d", "orders", "--rows", "100", "--json"))

        assert (found["rows_in"], found["rows_out"]) == (100, 100)

    def test_filtered_rows_stay_aligned(self, retail: Installation) -> None:
        """Where rows are held back, the figures are over those that leave, each compared with itself."""
        text = retail.policy.read_text()
        retail.policy.write_text(
            text.replace("    expectations: retail_orders\n", "    sample: {fraction: 0.3}\n")
        )
        found = json.loads(retail.ok("diff", retail.policy, "-d", "orders", "--json"))
        columns = {column["name"]: column for column in found["columns"]}

        assert 0 < found["rows_out"] < found["rows_in"]
        assert columns["status"]["changed"] == 0
        assert columns["ordered_at"]["changed"] == found["rows_out"]


class TestValues:
    def test_no_value_is_shown(self, retail: Installation) -> None:
        """Neither table nor JSON holds a cell of the source."""
        table = pq.read_table(retail.root / "data/retail/customers.parquet")
        cells = {v for n in ("email", "card", "street", "phone") for v in table[n].drop_null().to_pylist()}
        out = retail.ok("diff", retail.policy, "-d", "customers")
        out += retail.ok("diff", retail.policy, "-d", "customers", "--json")

        assert not [cell for cell in cells if cell in out]

    def test_values_are_shown_when_asked_unsafely(self, retail: Installation) -> None:
        """--unsafe-show-values shows a few rows before and after, with a warning on standard error."""
        first = pq.read_table(retail.root / "data/retail/customers.parquet")["card"][0].as_py()
        result = retail.veil("diff", retail.policy, "-d", "customers", "--unsafe-show-values")

        assert result.exit_code == 0
        assert first in result.stdout
        assert "personal data" in result.stderr

    def test_values_are_not_for_machines(self, retail: Installation) -> None:
        """JSON with values is a usage error."""
        result = retail.veil("diff", retail.policy, "-d", "customers", "--unsafe-show-values", "--json")

        assert result.exit_code == 2

    def test_writes_nothing(self, retail: Installation) -> None:
        """A diff leaves no file, release or evidence."""
        before = sorted(retail.root.rglob("*"))
        retail.ok("diff", retail.policy, "-d", "customers")

        assert sorted(retail.root.rglob("*")) == before


class TestSpelled:
    def test_types_are_compared_by_their_text(self) -> None:
        """An integer that became the same text is unchanged: whoever reads it sees the same."""
        import pyarrow as pa

        left, right = (
            comparison.spelled(pa.array([1, 2, None])),
            comparison.spelled(pa.array(["1", "x", None])),
        )

        assert pc.equal(left, right).to_pylist() == [True, False, None]
