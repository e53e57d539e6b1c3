"""Totals against the plain ones, over all types, sources and ways of counting."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.dp.totals_support import Memory, axis, plain_totals, query, told, total

from airflow_veil.privacy.dp import totals as module
from airflow_veil.privacy.dp.query import Axis, Join
from airflow_veil.privacy.dp.statistic import Bins, Form, Ranks, Reading, Rows, Units
from airflow_veil.privacy.dp.totals import totals
from airflow_veil.privacy.errors import SchemaError, StorageError, TransformError, VeilError
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource
from airflow_veil.privacy.storage.sql import SqlSource

CANARY = "canary-7f3a"
TYPES = {"who": pa.int64(), "city": pa.string(), "day": pa.date32(), "paid": pa.float64(), "seen": pa.int32()}
SCHEMA = pa.schema(list(TYPES.items()))
CITIES = axis("city", "Rome", "Oslo", "", "Łódź")
MONTHS = Axis(name="month", column="day", to="month", labels=("2023-12", "2024-01", "2024-02"))
PAID = Reading(column="paid")
EVERYTHING = (
    Units(),
    Rows(),
    Rows(of=PAID),
    total("paid", -10, 10, "0.01"),
    total("paid", -3, 10, "0.001", Form.CENTRED, null=2.5, nan=-1.0),
    total("paid", 0, 9, "0.01", Form.SQUARED, clamp_infinite=False),
    Bins(of=PAID, edges=(-5.0, 0.0, 0.5, 5.0)),
    Bins(of=Reading(column="seen"), values=(3, 1, 2)),
    Ranks(of=PAID, candidates=(-1.0, 0.0, 2.0), quantiles=(Fraction(1, 2),)),
    total("seen", -100, 100),
)

ROW = st.fixed_dictionaries(
    {
        "who": st.none() | st.integers(-5, 5) | st.sampled_from([2**62, -(2**62)]),
        "city": st.sampled_from([None, "Rome", "Oslo", "", "Łódź", "rome", "Elsewhere"]),
        "day": st.none() | st.dates(date(2023, 11, 25), date(2024, 3, 5)),
        "paid": st.none() | st.floats(width=64) | st.sampled_from([-5.0, 0.0, 0.5, 5.0, -1.0, 2.0, 0.005]),
        "seen": st.none() | st.integers(-(2**31), 2**31 - 1) | st.integers(0, 4),
    }
)
ROWS = st.lists(ROW, max_size=40)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


def scanned(table: pa.Table, folder: str, files: int = 1) -> ParquetSource:
    for number in range(files):
        part = table.slice(
            number * len(table) // files, (number + 1) * len(table) // files - number * len(table) // files
        )
        pq.write_table(part, Path(folder) / f"{number}.parquet", row_group_size=7)
    return ParquetSource(Path(folder))


class TestByRow:
    @given(ROWS)
    @settings(max_examples=60, deadline=None)
    def test_batches_give_the_plain_totals(self, rows: list[dict[str, Any]]) -> None:
        """Over a source in batches, by public labels."""
        asked = query(*EVERYTHING, axes=(CITIES, MONTHS))

        found = totals(asked, Memory(table_of(rows)))

        assert told(found) == plain_totals(asked, rows)
        assert found.groups == 12
        assert [key.to_pylist() for key in found.keys] == [
            [city for city in CITIES.labels or () for _ in range(3)],
            [*(MONTHS.labels or ())] * 4,
        ]

    @given(ROWS, st.integers(1, 3))
    @settings(max_examples=40, deadline=None)
    def test_a_scan_gives_the_plain_totals(self, rows: list[dict[str, Any]], files: int) -> None:
        """Over Parquet files that Polars reads itself."""
        asked = query(*EVERYTHING, axes=(CITIES, MONTHS))

        with TemporaryDirectory() as folder:
            found = totals(asked, scanned(table_of(rows), folder, files))

        assert told(found) == plain_totals(asked, rows)

    @given(ROWS)
    @settings(max_examples=40, deadline=None)
    def test_unknown_keys_are_those_found(self, rows: list[dict[str, Any]]) -> None:
        """Beside public ones; in an order that is not the rows'."""
        asked = query(*EVERYTHING, axes=(MONTHS, axis("city"), axis("seen")))

        found = totals(asked, Memory(table_of(rows)))

        assert told(found) == plain_totals(asked, rows)
        turned = totals(asked, Memory(table_of(rows[::-1])))
        assert [key.to_pylist() for key in found.keys] == [key.to_pylist() for key in turned.keys]

    def test_without_keys_there_is_one_group(self, tmp_path: Path) -> None:
        """Of all rows, also where no column is read, and where there is no row."""
        rows = table_of([{"who": 1}, {"who": 2}])
        for source in (Memory(rows), scanned(rows, str(tmp_path))):
            assert told(totals(query(Rows(), Units()), source)) == {(): {Rows(): [2], Units(): [2]}}

        empty = totals(query(Rows()), Memory(rows.slice(0, 0)))
        assert (empty.groups, empty.cells[Rows()].tolist()) == (1, [[0]])

    def test_no_rows_give_zeros_or_no_groups(self) -> None:
        """Public groups are there whoever is in the table."""
        empty = Memory(table_of([]))
        for subject in (None, "who"):
            known = totals(query(*EVERYTHING, subject=subject, axes=(CITIES,)), empty)
            assert known.groups == 4
            assert all(not cells.any() and len(cells) == 4 for cells in known.cells.values())
            assert totals(query(*EVERYTHING, subject=subject, axes=(axis("city"),)), empty).groups == 0

    def test_neither_order_nor_batches_matter(self) -> None:
        """Sums of numbers that floating point would add up differently in another order."""
        numbers = [0.1, 1e16, -1e16, 0.3, 7e-9, 1 / 3] * 50
        asked = query(total("paid", -1e16, 1e16, "1e7"), total("paid", -1, 1, "1e-9"))
        rows = [{"paid": number} for number in numbers]

        found = [
            totals(asked, Memory(table_of(order), size))
            for order in (rows, rows[::-1])
            for size in (1, 7, 999)
        ]

        assert all(told(one) == told(found[0]) for one in found)


class TestByUnit:
    @given(ROWS, st.booleans())
    @settings(max_examples=60, deadline=None)
    def test_bounds_that_do_not_bind_give_the_plain_totals(
        self, rows: list[dict[str, Any]], known: bool
    ) -> None:
        """All of a unit's rows count, whatever batch they are in."""
        keys = (CITIES, MONTHS) if known else (MONTHS, axis("city"))
        asked = query(*EVERYTHING, subject="who", axes=keys, groups=1000, rows=1000)

        assert told(totals(asked, Memory(table_of(rows)))) == plain_totals(asked, rows)
        with TemporaryDirectory() as folder:
            assert told(totals(asked, scanned(table_of(rows), folder, 2))) == plain_totals(asked, rows)

    @given(ROWS)
    @settings(max_examples=30, deadline=None)
    def test_units_may_be_text(self, rows: list[dict[str, Any]]) -> None:
        """Told apart by all of it."""
        named = [{**row, "city": row["city"], "who": row["who"]} for row in rows]
        asked = query(Units(), Rows(), subject="city", axes=(MONTHS,), groups=1000, rows=1000)

        assert told(totals(asked, Memory(table_of(named)))) == plain_totals(asked, named)

    @pytest.mark.parametrize("kind", [pa.uint64(), pa.int64(), pa.int8(), pa.uint32(), pa.string()])
    def test_units_of_all_types_stay_apart(self, kind: pa.DataType) -> None:
        """Also at the ends of the type."""
        ends = {pa.uint64(): (0, 2**64 - 1), pa.int64(): (-(2**63), 2**63 - 1), pa.int8(): (-128, 127)}
        low, high = ends.get(kind, (0, 2**32 - 1))
        column = pa.array([low, high, low + 1, high - 1, high, None], pa.uint64() if low == 0 else pa.int64())
        source = Memory(pa.table({"who": column.cast(kind)}))

        found = totals(query(Units(), Rows(), subject="who", rows=9), source)

        assert told(found) == {(): {Units(): [4], Rows(): [5]}}

    def test_wide_units_and_many_groups_still_fit(self) -> None:
        """Numbers of pairs that would not fit 62 bits are made dense."""
        rows = [
            {"who": (-1) ** n * n * 10**12, "seen": n % 3, "day": date(2024, 1, 1 + n % 28)}
            for n in range(90)
        ]
        keys = (
            Axis(name="day", column="day", to="day", labels=tuple(f"2024-01-{d:02d}" for d in range(1, 32))),
        )
        asked = query(Units(), Rows(), subject="who", axes=(*keys, axis("seen")), groups=9, rows=9)
        many = query(
            Rows(),
            subject="who",
            axes=(axis("who"), axis("seen"), axis("day"), axis("paid_")),
            groups=9,
            rows=9,
        )
        table = table_of(rows).append_column("paid_", pa.array([n * 10**11 for n in range(90)]))

        assert told(totals(asked, Memory(table))) == plain_totals(asked, rows)
        assert totals(many, Memory(table)).groups == 90

    def test_wide_numbers_of_pairs_are_sorted_by_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where place and pair do not fit one number together."""
        monkeypatch.setattr(module, "_MOST_RANGE", 1 << 61)
        rows = [{"who": n % 7 * 2**57, "seen": n} for n in range(50)]
        asked = query(Units(), Rows(), total("seen", 0, 100), subject="who", rows=99)

        assert told(totals(asked, Memory(table_of(rows)))) == plain_totals(asked, rows)

    def test_beats_while_it_works(self) -> None:
        """For a lease that must not run out."""
        beats: list[int] = []
        totals(query(Rows(), subject="who"), Memory(table_of([{"who": 1}] * 9)), beat=lambda: beats.append(1))
        assert len(beats) > 3


class TestKeys:
    @pytest.mark.parametrize(
        ("values", "labels"),
        [
            (pa.array([1, 2, 2, None, 7], pa.int8()), (2, "1", 300)),
            (pa.array([2**62, -(2**62), 0]), (2**62, str(-(2**62)))),
            (pa.array([1, 2, 2, None], pa.uint16()), ("2", 1)),
            (pa.array([True, False, None, True]), (True, "false")),
            (pa.array([True, False, None, True]), (True,)),
            (
                pa.array([date(2024, 1, 1), date(1969, 12, 31), None], pa.date32()),
                ("1969-12-31", "2024-01-01"),
            ),
            (pa.array([date(2024, 1, 1), None], pa.date64()), ("2024-01-01",)),
            (pa.array(["a", "b", "b", None, "A"]), ("b", "a", "c")),
            (pa.array(["a", "b", "b"]).dictionary_encode(), ("b",)),
            (pa.array(["a", "b"], pa.large_string()), ("b",)),
            (pa.array(["1", "2", "01"]), (1, 2)),
        ],
    )
    @pytest.mark.parametrize("scan", [True, False])
    def test_labels_of_all_types(
        self, values: pa.Array, labels: tuple[Any, ...], scan: bool, tmp_path: Path
    ) -> None:
        """Labels are read as values of the column, and told as the policy spells them."""
        table = pa.table({"key": values})
        source: Source = scanned(table, str(tmp_path)) if scan else Memory(table)
        asked = query(Rows(), axes=(axis("key", *labels),))

        found = totals(asked, source)

        assert told(found) == plain_totals(asked, table.to_pylist())
        assert found.keys[0].type == pa.string()

    @pytest.mark.parametrize("to", ["year", "month", "day"])
    @pytest.mark.parametrize(
        "kind",
        [
            pa.date32(),
            *(
                pa.timestamp(unit, zone)
                for unit in ("s", "ms", "us", "ns")
                for zone in (None, "UTC", "+00:00")
            ),
        ],
    )
    @pytest.mark.parametrize("scan", [True, False])
    def test_the_calendar(self, to: Any, kind: pa.DataType, scan: bool, tmp_path: Path) -> None:
        """Years, months and days of dates and times, before 1970 and at both ends."""
        moments = [datetime(1969, 12, 31, 23, 59, 59), datetime(1970, 1, 1), datetime(1971, 2, 28, 12), None]
        moments += [datetime(1968, 12, 31, 23), datetime(1971, 12, 31, 23), datetime(1972, 1, 1)]
        if pa.types.is_date(kind):
            values = pa.array([m and m.date() for m in moments], kind)
        else:
            values = pa.array([m and (m.replace(tzinfo=UTC) if kind.tz else m) for m in moments], kind)
        labels = {
            "year": ("1969", "1970", "1971"),
            "month": tuple(f"{y}-{m:02d}" for y in (1969, 1970, 1971) for m in range(1, 13)),
            "day": tuple(date.fromordinal(d).isoformat() for d in range(718798, 719893)),
        }[to]
        table = pa.table({"at": values})
        source: Source = scanned(table, str(tmp_path)) if scan else Memory(table)
        asked = query(Rows(), axes=(Axis(name="when", column="at", to=to, labels=labels),))

        assert told(totals(asked, source)) == plain_totals(asked, [{"at": m} for m in moments])

    @pytest.mark.parametrize(
        "values", [[3, 1, None, 3], [True, None, False], [date(2024, 1, 2)], ["b", "a", "b"]]
    )
    def test_unknown_keys_of_all_types(self, values: list[Any]) -> None:
        """Told as text."""
        asked = query(Units(), Rows(), axes=(axis("key"),))
        by_unit = query(Units(), Rows(), subject="who", axes=(axis("key"),), groups=9, rows=9)
        rows = [{"key": value, "who": 1} for value in values]
        source = Memory(pa.Table.from_pylist(rows))

        assert told(totals(asked, source)) == plain_totals(asked, rows)
        assert told(totals(by_unit, source)) == plain_totals(by_unit, rows)

    def test_many_labels(self) -> None:
        """Two hundred thousand."""
        labels = tuple(range(0, 400_000, 2))
        table = pa.table({"key": pa.array(range(1000)), "name": pa.array([str(n) for n in range(1000)])})
        for one in (axis("key", *labels), axis("name", *map(str, labels))):
            found = totals(query(Rows(), axes=(one,)), Memory(table, 1000))
            assert found.groups == 200_000
            assert found.cells[Rows()][:501, 0].tolist() == [1] * 500 + [0]

    def test_names_that_look_like_patterns(self, tmp_path: Path) -> None:
        """A column is found by its whole name."""
        table = pa.table({"^a.*$": ["x", "y"], "*": [1.0, 2.0], "ab": ["z", "z"], "group": [5.0, 5.0]})
        asked = query(
            total("*", 0, 9), total("group", 0, 9), axes=(Axis(name="k", column="^a.*$", labels=("x", "y")),)
        )
        for source in (Memory(table), scanned(table, str(tmp_path))):
            assert told(totals(asked, source)) == plain_totals(asked, table.to_pylist())


class TestNumbers:
    @pytest.mark.parametrize(
        "kind",
        [pa.float32(), pa.float16(), pa.uint64(), pa.int8(), pa.decimal128(9, 2), pa.decimal256(50, 2)],
    )
    @pytest.mark.parametrize("scan", [True, False])
    def test_columns_of_all_types(self, kind: pa.DataType, scan: bool, tmp_path: Path) -> None:
        """Read as doubles."""
        values: list[Any] = [1, 2, None, 100, 7]
        if pa.types.is_decimal(kind):
            values = [value and Decimal(value) / 4 for value in values]
        if pa.types.is_float16(kind):
            values = [value and np.float16(value) for value in values]
        table = pa.table({"paid": pa.array(values, kind)})
        source: Source = scanned(table, str(tmp_path)) if scan else Memory(table)
        asked = query(
            Rows(of=PAID), total("paid", 0, 50, "0.25"), Ranks(of=PAID, candidates=(1.0, 7.0), quantiles=())
        )

        assert told(totals(asked, source)) == plain_totals(asked, table.to_pylist())

    def test_null_nan_and_infinities_each_count_as_the_reading_says(self) -> None:
        """Also where a null counts as another number than NaN."""
        values = [None, float("nan"), float("inf"), float("-inf"), 1.0]
        rows = [{"paid": value} for value in values]
        readings = [
            {"null": null, "nan": nan, "clamp_infinite": clamp}
            for null in (None, 3.0, 1e9)
            for nan in (None, -2.0)
            for clamp in (True, False)
        ]
        asked = query(
            *(total("paid", -5, 5, **reading) for reading in readings),
            *(Rows(of=Reading(column="paid", **reading)) for reading in readings),
            *(Bins(of=Reading(column="paid", **reading), edges=(-5.0, 0.0, 3.0)) for reading in readings),
            *(
                Ranks(of=Reading(column="paid", **reading), candidates=(0.0, 3.0), quantiles=())
                for reading in readings
            ),
        )

        assert told(totals(asked, Memory(table_of(rows)))) == plain_totals(asked, rows)

    def test_nulls_of_any_column_are_counted_out(self) -> None:
        """`count` of a column of text."""
        asked = query(Rows(of=Reading(column="city")))
        assert told(totals(asked, Memory(table_of([{"city": "a"}, {"city": None}])))) == {
            (): {Rows(of=Reading(column="city")): [1]}
        }

    @pytest.mark.parametrize(("null", "cells"), [(None, [1, 1]), (2.0, [1, 2]), (2.5, [1, 1])])
    def test_nulls_among_values(self, null: float | None, cells: list[int]) -> None:
        """A null that counts as a value is in its bin."""
        bins = Bins(of=Reading(column="seen", null=null), values=(1, 2))
        table = table_of([{"seen": 1}, {"seen": 2}, {"seen": None}, {"seen": 5}])
        assert totals(query(bins), Memory(table)).cells[bins].tolist() == [cells]

    def test_the_greatest_steps_add_up(self) -> None:
        """Numbers of 31 bits in sums of 64."""
        most = 2**31 - 1
        of = total("paid", -most, most)
        table = table_of([{"paid": 1e300, "who": 1}] * 5000)
        assert totals(query(of), Memory(table, 5000)).cells[of].tolist() == [[5000 * most]]
        bounded = query(of, subject="who", rows=3)
        assert totals(bounded, Memory(table, 5000)).cells[of].tolist() == [[3 * most]]


class TestWhere:
    @given(ROWS)
    @settings(max_examples=30, deadline=None)
    def test_rows_that_do_not_match_are_dropped(self, rows: list[dict[str, Any]]) -> None:
        """By the expression's own rules: null is not true."""
        asked = query(Units(), Rows(), axes=(CITIES,), where="seen >= 1 and city != 'Rome'")
        kept = [row for row in rows if row["seen"] is not None and row["seen"] >= 1 and row["city"] != "Rome"]
        with TemporaryDirectory() as folder:
            for source in (Memory(table_of(rows)), scanned(table_of(rows), folder)):
                assert told(totals(asked, source)) == plain_totals(asked, kept)

    def test_what_does_not_fit_fails_before_a_row_is_read(self) -> None:
        """Text is not compared with numbers."""
        with pytest.raises(TransformError, match="where"):
            totals(query(Rows(), where="city > 5"), Memory(table_of([])))


class TestSources:
    ROWS: ClassVar = [
        {
            "who": n % 5,
            "city": ("Rome", "Oslo", None)[n % 3],
            "day": date(2024, 1 + n % 2, 3),
            "paid": n / 4,
            "seen": n,
        }
        for n in range(40)
    ]
    ASKED = query(*EVERYTHING, subject="who", axes=(CITIES, MONTHS), groups=99, rows=99)

    def test_csv(self, tmp_path: Path) -> None:
        """Several files, with declared types."""
        for number in range(2):
            part = table_of(self.ROWS[number * 20 : number * 20 + 20])
            pyarrow.csv.write_csv(part, tmp_path / f"{number}.csv")
        assert told(totals(self.ASKED, CsvSource(tmp_path, TYPES))) == plain_totals(self.ASKED, self.ROWS)

    def test_sqlite(self, tmp_path: Path) -> None:
        """By its declared types."""
        with sqlite3.connect(tmp_path / "data.db") as db:
            db.execute("create table visits (who integer, city text, day date, paid double, seen integer)")
            values = [(*row.values(),) for row in ({**row, "day": str(row["day"])} for row in self.ROWS)]
            db.executemany("insert into visits values (?, ?, ?, ?, ?)", values)
        source = SqlSource(f"sqlite:///{tmp_path}/data.db", "visits")
        assert told(totals(self.ASKED, source)) == plain_totals(self.ASKED, self.ROWS)

    def test_hive_partitions(self, tmp_path: Path) -> None:
        """A key that is in folders' names."""
        for city in ("Rome", "Oslo"):
            (tmp_path / f"city={city}").mkdir()
            part = table_of([row for row in self.ROWS if row["city"] == city]).drop(["city"])
            pq.write_table(part, tmp_path / f"city={city}" / "0.parquet")
        assert told(totals(self.ASKED, ParquetSource(tmp_path))) == plain_totals(self.ASKED, self.ROWS)

    def test_parquet_files_that_store_one_type_in_two_ways(self, tmp_path: Path) -> None:
        """A dictionary here, wide text there, columns in another order."""
        table = table_of(self.ROWS)
        column = table.column("city").combine_chunks()
        for name, city in (("a", column.dictionary_encode()), ("b", column.cast(pa.large_string()))):
            stored = table.set_column(1, "city", city)
            pq.write_table(
                stored.select(stored.column_names[:: 1 if name == "a" else -1]), tmp_path / f"{name}.parquet"
            )
        assert told(totals(self.ASKED, ParquetSource(tmp_path))) == plain_totals(self.ASKED, self.ROWS * 2)

    def test_a_glob_in_a_path_is_its_name(self, tmp_path: Path) -> None:
        """Stars and brackets are characters."""
        pq.write_table(table_of(self.ROWS), tmp_path / "a[1]*.parquet")
        assert told(totals(self.ASKED, ParquetSource(tmp_path / "a[1]*.parquet")))

    def test_a_damaged_file_tells_no_value(self, tmp_path: Path) -> None:
        """Polars' own texts stay inside."""
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"city": [CANARY] * 1000}), path, compression="none", use_dictionary=False)
        source = ParquetSource(path)
        source.schema()
        data = bytearray(path.read_bytes())
        data[10:400] = b"\xff" * 390
        path.write_bytes(data)
        for asked in (query(Rows(), axes=(axis("city"),)), query(Rows(), subject="city", rows=3)):
            with pytest.raises(StorageError) as caught:
                totals(asked, source)
            assert CANARY not in str(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__

    def test_text_that_is_none_tells_no_value(self, tmp_path: Path) -> None:
        """Bytes that are no UTF-8."""
        path = tmp_path / "a.parquet"
        pq.write_table(
            pa.table({"city": [CANARY + "xyz"] * 9}), path, compression="none", use_dictionary=False
        )
        path.write_bytes(path.read_bytes().replace(b"xyz", b"\xff\xfe\xfd"))
        with pytest.raises(StorageError) as caught:
            totals(query(Rows(), axes=(axis("city"),)), ParquetSource(path))
        assert CANARY not in str(caught.value)


class TestJoins:
    LINES: ClassVar = [{"order_id": n % 12, "paid": float(n), "city": "Rome"} for n in range(60)]
    ASKED = query(
        Units(),
        Rows(),
        total("paid", 0, 100),
        subject="order_id",
        axes=(axis("city", "Rome"),),
        rows=1000,
        joins=(Join(dataset="orders", key="order_id", column="customer_id"),),
    )

    def joined(self, orders: list[dict[str, Any]], **more: Memory) -> dict[str, Source]:
        return {"orders": Memory(pa.Table.from_pylist(orders)), **more}

    def test_rows_belong_to_the_unit_behind_the_reference(self) -> None:
        """References that lead nowhere, or to nobody, are dropped; a key may come twice with the same unit."""
        orders = [{"order_id": n, "customer_id": n % 3 if n != 4 else None} for n in range(10)] * 2
        belongs = {order["order_id"]: order["customer_id"] for order in orders}
        rows = [{**line, "order_id": belongs.get(line["order_id"])} for line in self.LINES]

        found = totals(self.ASKED, Memory(pa.Table.from_pylist(self.LINES)), joined=self.joined(orders))

        assert told(found) == plain_totals(self.ASKED, rows)

    def test_all_rows_of_a_unit_are_bounded_together(self) -> None:
        """However many references lead to it."""
        orders = [{"order_id": n, "customer_id": "one"} for n in range(12)]
        asked = query(Units(), Rows(), subject="order_id", rows=2, joins=self.ASKED.joins)

        found = totals(asked, Memory(pa.Table.from_pylist(self.LINES)), joined=self.joined(orders))

        assert told(found) == {(): {Units(): [1], Rows(): [2]}}

    def test_two_steps(self) -> None:
        """Lines to orders to customers to households."""
        orders = [{"order_id": n, "customer_id": f"c{n % 5}"} for n in range(12)]
        customers = Memory(pa.table({"id": [f"c{n}" for n in range(5)], "household": [0, 0, 1, 1, None]}))
        joins = (*self.ASKED.joins, Join(dataset="customers", key="id", column="household"))
        asked = query(*self.ASKED.statistics, subject="order_id", rows=1000, joins=joins)
        household = [0, 0, 1, 1, None]
        rows = [{**line, "order_id": household[line["order_id"] % 5]} for line in self.LINES]

        found = totals(
            asked, Memory(pa.Table.from_pylist(self.LINES)), joined=self.joined(orders, customers=customers)
        )

        assert told(found) == plain_totals(asked, rows)

    @pytest.mark.parametrize("rows", [1, 100])
    def test_a_key_of_two_units_is_an_error(self, rows: int) -> None:
        """Also where they stand in two batches."""
        orders = pa.table({"order_id": [1, 2, 1], "customer_id": [CANARY, CANARY, "other"]})
        with pytest.raises(SchemaError, match="more than one unit") as caught:
            totals(
                self.ASKED, Memory(pa.Table.from_pylist(self.LINES)), joined={"orders": Memory(orders, rows)}
            )
        assert CANARY not in str(caught.value)

    def test_what_leads_nowhere_by_type_is_an_error(self) -> None:
        """Text does not lead to numbers; a source must be given, with its columns."""
        lines = Memory(pa.Table.from_pylist(self.LINES))
        with pytest.raises(SchemaError, match="reference has the type int64"):
            totals(self.ASKED, lines, joined=self.joined([{"order_id": "1", "customer_id": 1}]))
        with pytest.raises(SchemaError, match="not given"):
            totals(self.ASKED, lines)
        with pytest.raises(SchemaError, match="no column customer_id"):
            totals(self.ASKED, lines, joined=self.joined([{"order_id": 1}]))
        with pytest.raises(SchemaError, match="double"):
            totals(self.ASKED, lines, joined=self.joined([{"order_id": 1, "customer_id": 1.5}]))

    def test_nobody_is_there(self) -> None:
        """Without rows in the joined data set no row belongs to anybody."""
        orders = Memory(
            pa.table({"order_id": pa.array([], pa.int64()), "customer_id": pa.array([], pa.string())})
        )
        found = totals(self.ASKED, Memory(pa.Table.from_pylist(self.LINES)), joined={"orders": orders})
        assert told(found) == {}


class TestRefusals:
    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            (query(total("city", 0, 1)), "column city: the column has the type string"),
            (query(Ranks(of=Reading(column="day"), candidates=(1.0, 2.0), quantiles=())), "date32"),
            (query(Bins(of=Reading(column="city"), edges=(1.0, 2.0))), "numbers"),
            (query(Bins(of=PAID, values=(1, 2))), "double"),
            (query(Bins(of=Reading(column="city", null=1.0), values=("a",))), "count as a number"),
            (query(Rows(), axes=(axis("paid", 1, 2),)), "for a key"),
            (query(Rows(), axes=(axis("paid"),)), "for a key"),
            (query(Rows(), axes=(axis("who", "1", "x"),)), "label 2"),
            (query(Rows(), axes=(axis("who", True),)), "label 1"),
            (query(Rows(), axes=(axis("who", str(2**63)),)), "label 1"),
            (query(Rows(), axes=(axis("day", "2024-02-30"),)), "label 1"),
            (query(Rows(), axes=(axis("city", True),)), "label 1"),
            (query(Rows(), axes=(axis("who", 1, "01"),)), "the same value"),
            (
                query(Rows(), axes=(Axis(name="m", column="city", to="month", labels=("2024-01",)),)),
                "calendar",
            ),
            (query(Rows(), axes=(axis("nowhere"),)), "no column nowhere"),
            (query(Rows(), subject="paid"), "tell units by"),
            (query(total("paid", 0, 2**31)), "too many steps"),
            (query(total("paid", -(2**31), 0)), "too many steps"),
            (query(total("paid", 0, 2**16, form=Form.SQUARED, step="1/4")), "too many steps"),
            (query(total("paid", -1e200, 1e200, "1e399", form=Form.SQUARED)), "too many steps"),
            (query(Rows(), axes=(axis("who", *range(10**4)), axis("seen", *range(10**5)))), "too many cells"),
            (query(Rows(), axes=tuple(axis("who", *range(10**4)) for _ in range(4))), "too many groups"),
        ],
    )
    def test_what_does_not_fit_fails_before_a_row_is_read(self, asked: Any, says: str) -> None:
        """The error names column, type and what was expected."""

        class Unread(Memory):
            def batches(self, columns: Any, *, batch_rows: int) -> Any:
                raise AssertionError("a row was read")

        with pytest.raises(VeilError) as caught:
            totals(asked, Unread(table_of([])))
        assert isinstance(caught.value, SchemaError)
        assert says in str(caught.value)

    def test_times_elsewhere_have_no_day_of_their_own(self) -> None:
        """A day in Berlin is not one in UTC."""
        table = pa.table({"at": pa.array([datetime(2024, 1, 1)], pa.timestamp("us", "Europe/Berlin"))})
        with pytest.raises(SchemaError, match="in UTC"):
            totals(
                query(Rows(), axes=(Axis(name="d", column="at", to="day", labels=("2024-01-01",)),)),
                Memory(table),
            )

    def test_the_greatest_bounds_that_fit(self) -> None:
        """One step less than what is refused."""
        of = total("paid", 0, 2**31 - 1)
        assert told(totals(query(of), Memory(table_of([{"paid": 2e9}]))))

    def test_totals_tell_nothing_by_their_repr(self) -> None:
        """Not even by accident in a log."""
        found = totals(query(Rows(), axes=(axis("city"),)), Memory(table_of([{"city": CANARY}])))
        assert CANARY not in repr(found)
