"""Totals of real data, against Polars' own aggregates where no bound binds, and within the bounds where they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.dp.totals_support import axis, plain_totals, query, told, total

from airflow_veil.privacy.dp.query import Axis
from airflow_veil.privacy.dp.statistic import Bins, Form, Reading, Rows, Units
from airflow_veil.privacy.dp.totals import totals
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource

COUNTRIES = axis("Country", "United Kingdom", "Germany", "France", "EIRE", "Spain", "Atlantis")
MONTHS = Axis(
    name="month",
    column="InvoiceDate",
    to="month",
    labels=("2010-12", *(f"2011-{month:02d}" for month in range(1, 13))),
)
QUANTITY = total("Quantity", -100, 100)
SPENT = total("UnitPrice", 0, 20, "0.01")


def rows_of(source: Source) -> list[dict[str, Any]]:
    names = source.schema().names
    return [row for batch in source.batches(names, batch_rows=1 << 16) for row in batch.to_pylist()]


class TestOnlineRetail:
    @pytest.fixture
    def retail(self, shared_data: Path) -> ParquetSource:
        return ParquetSource(shared_data / "online_retail" / "online_retail.parquet")

    @staticmethod
    def plain(retail: ParquetSource, *also: pl.Expr) -> pl.DataFrame:
        """By country and month; for each group, units, rows, quantities and prices."""
        return (
            pl.scan_parquet(retail.path)
            .filter(*also, pl.col("Country").is_in(list(COUNTRIES.labels or ())))
            .group_by("Country", pl.col("InvoiceDate").dt.strftime("%Y-%m").alias("month"))
            .agg(
                pl.col("CustomerID").drop_nulls().n_unique().alias("units"),
                pl.len().cast(pl.Int64).alias("rows"),
                pl.col("Quantity").clip(-100, 100).sum().alias("quantity"),
                (pl.col("UnitPrice").clip(0, 20) / 0.01).round().cast(pl.Int64).sum().alias("spent"),
            )
            .collect()
        )

    def test_lines_by_country_and_month(self, retail: ParquetSource) -> None:
        """Half a million rows, each a unit."""
        asked = query(Rows(), QUANTITY, SPENT, axes=(COUNTRIES, MONTHS))

        found = told(totals(asked, retail))

        assert found == {
            (country, month): {Rows(): [rows], QUANTITY: [quantity], SPENT: [spent]}
            for country, month, _, rows, quantity, spent in self.plain(retail).iter_rows()
        }

    def test_customers_by_country_and_month(self, retail: ParquetSource) -> None:
        """Rows without a customer are nobody's."""
        asked = query(
            Units(),
            Rows(),
            QUANTITY,
            SPENT,
            subject="CustomerID",
            axes=(COUNTRIES, MONTHS),
            groups=100,
            rows=10**5,
        )

        found = told(totals(asked, retail))

        assert found == {
            (country, month): {Units(): [units], Rows(): [rows], QUANTITY: [quantity], SPENT: [spent]}
            for country, month, units, rows, quantity, spent in self.plain(
                retail, pl.col("CustomerID").is_not_null()
            ).iter_rows()
        }

    def test_customers_within_bounds(self, retail: ParquetSource) -> None:
        """Three months of each, twenty lines a month; keys that are found in the table."""
        bins = Bins(of=Reading(column="Quantity"), edges=(1.0, 2.0, 10.0, 100.0))
        axes = (Axis(name="country", column="Country"), MONTHS)
        asked = query(Units(), Rows(), QUANTITY, bins, subject="CustomerID", axes=axes, groups=3, rows=20)
        own = pl.scan_parquet(retail.path).filter(pl.col("CustomerID").is_not_null())
        pairs = (
            own.group_by("CustomerID", "Country", pl.col("InvoiceDate").dt.truncate("1mo")).len().collect()
        )
        customers = pairs.group_by("CustomerID").len()["len"].clip(upper_bound=3).sum()

        found = totals(asked, retail)

        cells = {statistic: table[:, 0] for statistic, table in found.cells.items()}
        assert cells[Units()].sum() == customers
        assert cells[Units()].min() >= 1
        assert (cells[Rows()] <= 20 * cells[Units()]).all()
        assert (cells[Rows()] >= cells[Units()]).all()
        assert (np.abs(cells[QUANTITY]) <= 100 * cells[Rows()]).all()
        assert (found.cells[bins].sum(axis=1) <= 20 * cells[Units()]).all()

    def test_real_csv_files(self, shared_data: Path) -> None:
        """A day a file, packed, as they were delivered."""
        types = {"Quantity": pa.int64(), "UnitPrice": pa.float64()}
        source = CsvSource(shared_data / "online_retail" / "by_day", types)
        subject = next(name for name in source.schema().names if name.lower().startswith("customer"))
        asked = query(Units(), Rows(), QUANTITY, subject=subject, axes=(COUNTRIES,), groups=9, rows=10**5)

        assert told(totals(asked, source)) == plain_totals(asked, rows_of(source))


class TestPums:
    def test_duplicated_persons(self, shared_data: Path) -> None:
        """A person in several rows is one, and counts once where a row is what it has."""
        kinds = {name: pa.int64() for name in ("age", "sex", "educ", "race", "married", "pid")}
        source = CsvSource(shared_data / "opendp" / "PUMS_dup.csv", {**kinds, "income": pa.float64()})
        income = total("income", 0, 100_000, "1", Form.CENTRED, null=0.0)
        axes = (axis("sex", 0, 1), axis("educ", *range(1, 17)))
        rows = rows_of(source)
        wide = query(Units(), Rows(), income, subject="pid", axes=axes, groups=99, rows=99)
        narrow = query(Units(), Rows(), income, subject="pid", axes=axes)

        assert told(totals(wide, source)) == plain_totals(wide, rows)
        found = totals(narrow, source)
        assert found.cells[Units()].sum() == len({row["pid"] for row in rows if row["educ"] is not None})
        assert found.cells[Rows()].tolist() == found.cells[Units()].tolist()


class TestRestaurant:
    def test_visitors_by_day(self, shared_data: Path) -> None:
        """Visitors come on several days; three of them count."""
        types = {"VisitorId": pa.int32(), "Day": pa.int8(), "Money spent (euros)": pa.int64()}
        source = CsvSource(shared_data / "restaurant_visits" / "week_data.csv", types)
        spent = total("Money spent (euros)", 0, 50)
        days = axis("Day", *(str(day) for day in range(1, 8)))
        rows = rows_of(source)
        wide = query(Units(), Rows(), spent, subject="VisitorId", axes=(days,), groups=7, rows=9)
        narrow = query(Units(), spent, subject="VisitorId", axes=(days,), groups=3)
        per_visitor = [
            len({row["Day"] for row in rows if row["VisitorId"] == one})
            for one in {r["VisitorId"] for r in rows}
        ]

        assert told(totals(wide, source)) == plain_totals(wide, rows)
        found = totals(narrow, source)
        assert found.cells[Units()].sum() == sum(min(3, days) for days in per_visitor)
        assert found.cells[spent].sum() <= 50 * found.cells[Units()].sum()
