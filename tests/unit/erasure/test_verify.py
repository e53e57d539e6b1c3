"""Whoever is left is counted: in rows of any source, in cells, in bytes of any place; or it is told why not."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.erasure.graph import Edge, Graph
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.rows_left import cells_left, rows_left
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.erasure.verify import NOT_RECOMPUTED, Check, verify_bytes, verify_dataset
from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.ledger.holds import Held
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.policy.erasure import Action, Exempt, Mask, Recompute
from airflow_veil.privacy.policy.models import CsvFormat
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.settings import Settings
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource
from airflow_veil.privacy.storage.sql import SqlDestination, SqlSource

WANTED = ("customer-00017", "17", "2026-01-31", "2026-01-31T10:20:30.5", "2026-01-31T09:20:30Z")
NOON = datetime(2026, 1, 31, 10, 20, 30, 500_000)


def customers(numbers: list[int | None]) -> pa.Table:
    return pa.table(
        {
            "customer": [None if n is None else f"customer-{n:05d}" for n in numbers],
            "number": pa.array(numbers, pa.int64()),
            "note": [None if n is None or n % 2 else f"note {n}" for n in numbers],
        }
    )


NUMBERS = [1, 17, None, 18, 17, 170]


class TestParquetRows:
    def test_rows(self, tmp_path: Path) -> None:
        pq.write_table(customers(NUMBERS), tmp_path / "a.parquet")
        source = ParquetSource(tmp_path / "a.parquet")

        assert rows_left(source, "customer", WANTED) == 2
        assert rows_left(source, "number", WANTED) == 2
        assert rows_left(source, "note", WANTED) == 0
        assert rows_left(source, "customer", ()) == 0

    def test_all_files_of_the_set(self, tmp_path: Path) -> None:
        """Those that readers pass over are not rows of the source; `verify_bytes` looks at them."""
        for name in ("a.parquet", "deep/b.parquet", "_old/c.parquet", ".draft.parquet"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            pq.write_table(customers(NUMBERS), tmp_path / name)

        assert rows_left(ParquetSource(tmp_path), "customer", WANTED) == 4

    @pytest.mark.parametrize(
        "values",
        [
            pa.array(["17", "18", None]),
            pa.array(["17", "18", None]).dictionary_encode(),
            pa.array(["17", "18", None], pa.large_string()),
            pa.array([17, 18, None], pa.int8()),
            pa.array([17, 18, None], pa.uint64()),
            pa.array([17.0, 17.5, None]),
            pa.array([17.0, np.nan, None], pa.float32()),
            pa.array([Decimal("17.00"), Decimal("17.50"), None], pa.decimal128(6, 2)),
            pa.array([date(2026, 1, 31), date(2026, 2, 1), None]),
            pa.array([NOON, NOON.replace(second=1), None], pa.timestamp("ms")),
            pa.array([NOON, NOON.replace(second=1), None], pa.timestamp("ns")),
            pa.array(
                [datetime(2026, 1, 31, 9, 20, 30, tzinfo=UTC), None, None], pa.timestamp("us", "Asia/Tokyo")
            ),
        ],
        ids=lambda values: str(values.type),
    )
    def test_types(self, tmp_path: Path, values: pa.Array) -> None:
        """A person is the same in a column of any type."""
        pq.write_table(pa.table({"who": values}), tmp_path / "a.parquet")

        assert rows_left(ParquetSource(tmp_path), "who", WANTED) == 1

    def test_other_spellings_are_others(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"who": ["017", "17 ", "17.0", "Customer-00017"]}), tmp_path / "a.parquet")

        assert rows_left(ParquetSource(tmp_path), "who", WANTED) == 0

    @pytest.mark.parametrize("name", ["who=customer-00017", "who=17", "who=custom%65r-00017"])
    def test_partitions(self, tmp_path: Path, name: str) -> None:
        """The value is in the folder's name alone."""
        for folder, rows in ((name, 3), ("who=18", 4)):
            (tmp_path / folder).mkdir()
            pq.write_table(pa.table({"id": range(rows)}), tmp_path / folder / "a.parquet")
        source = ParquetSource(tmp_path)

        assert rows_left(source, "who", WANTED) == 3
        assert cells_left(source, "who", WANTED, ["id"]) == 3

    def test_cells(self, tmp_path: Path) -> None:
        pq.write_table(customers([17, 18, 16, None]), tmp_path / "a.parquet")
        source = ParquetSource(tmp_path)

        assert cells_left(source, "customer", ["customer-00016", "customer-00017"], ["note"]) == 1
        assert cells_left(source, "customer", ["customer-00017"], ["note", "number"]) == 1
        assert cells_left(source, "customer", ["customer-00017"], ["note"]) == 0

    def test_categorical_of_pandas(self, tmp_path: Path) -> None:
        """What is in the dictionary only is in no row."""
        frame = pd.DataFrame({"who": pd.Categorical(["customer-00017", "customer-00018"])})
        pq.write_table(pa.Table.from_pandas(frame)[1:], tmp_path / "a.parquet")

        assert rows_left(ParquetSource(tmp_path), "who", WANTED) == 0

    def test_errors_hold_no_values(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"flag": [True]}), tmp_path / "a.parquet")
        source = ParquetSource(tmp_path)

        with pytest.raises(SchemaError, match="there is no column who"):
            rows_left(source, "who", WANTED)
        with pytest.raises(SchemaError, match="no canonical spelling"):
            rows_left(source, "flag", WANTED)
        (tmp_path / "b.parquet").write_bytes(b"PAR1 customer-00017 PAR1")
        with pytest.raises(StorageError) as told:
            rows_left(source, "flag", WANTED)
        assert "customer-00017" not in str(told.value)


def no_ring() -> Any:
    raise AssertionError("nobody is held")


class TestAgreement:
    """What the eraser would touch and what verification would find are the same rows: else a request never ends."""

    CASES = (
        pa.array(["17", "017", "17.0", " 17", "customer-00017", "", None]),
        pa.array([17, 18, -17, None]),
        pa.array([17.0, 0.0, 3.0, None]),
        pa.array([Decimal("17.00"), Decimal("0.00"), None], pa.decimal128(6, 2)),
        pa.array([date(2026, 1, 31), date(1969, 12, 31), None]),
        pa.array([NOON, NOON.replace(microsecond=0), datetime(2026, 1, 31), None], pa.timestamp("us")),
        pa.array(
            [NOON.replace(tzinfo=UTC), datetime(2026, 1, 31, 9, 20, 30, tzinfo=UTC)],
            pa.timestamp("ms", "UTC"),
        ),
    )
    TEXTS = (
        *WANTED,
        "017",
        "0",
        "-0",
        "3.0",
        "",
        "1969-12-31",
        "2026-01-31T00:00:00",
        "2026-01-31 10:20:30.5",
    )

    @pytest.mark.parametrize("values", CASES, ids=lambda values: str(values.type))
    @pytest.mark.parametrize("kind", ["parquet", "csv", "sqlite", "postgresql"])
    def test_same_rows(
        self, tmp_path: Path, kind: str, values: pa.Array, request: pytest.FixtureRequest
    ) -> None:
        source = self._stored(kind, values, tmp_path, request)
        known = (
            Subjects().with_("d.who", pa.array(self.TEXTS), np.zeros(len(self.TEXTS), np.int32)).of("d.who")
        )
        edge = Edge("d", "who", "d.who", "delete", subject=True)
        matcher = Matcher([(edge, known)], Keeper(Held(everything=False), None, no_ring))

        touched = 0
        for batch in source.batches(["who"], batch_rows=100):
            touched += int(matcher({"who": batch.column("who")}, batch.num_rows).delete.sum())

        assert rows_left(source, "who", self.TEXTS) == touched
        assert touched or kind == "csv"

    def _stored(self, kind: str, values: pa.Array, path: Path, request: pytest.FixtureRequest) -> Any:
        table = pa.table({"n": range(len(values)), "who": values})
        if kind == "parquet":
            pq.write_table(table, path / "a.parquet")
            return ParquetSource(path / "a.parquet")
        if kind == "csv":
            csv.write_csv(table, path / "a.csv")
            return CsvSource(path / "a.csv", {"who": values.type})
        url = f"sqlite:///{path / 'a.db'}" if kind == "sqlite" else request.getfixturevalue("postgres")
        destination = SqlDestination(url)
        with destination.writer("d", "r", table.schema) as writer:
            for batch in table.to_batches():
                writer.write(batch)
        return destination.source("d", "r")


class TestCsvRows:
    def test_rows(self, tmp_path: Path) -> None:
        csv.write_csv(customers(NUMBERS), tmp_path / "a.csv")
        with gzip.open(tmp_path / "b.csv.gz", "wb") as file:
            csv.write_csv(customers(NUMBERS), file)
        source = CsvSource(tmp_path, {"number": pa.int64()})

        assert rows_left(source, "customer", WANTED) == 4
        assert rows_left(source, "number", WANTED) == 4

    def test_types(self, tmp_path: Path) -> None:
        """As text, 017 is nobody; as a number it is 17."""
        (tmp_path / "a.csv").write_text('who,at\n017,2026-01-31 10:20:30.500\n"17",2026-01-31\n')

        assert rows_left(CsvSource(tmp_path), "who", WANTED) == 1
        assert rows_left(CsvSource(tmp_path, {"who": pa.int64()}), "who", WANTED) == 2
        assert rows_left(CsvSource(tmp_path), "at", WANTED) == 1
        assert rows_left(CsvSource(tmp_path, {"at": pa.timestamp("us")}), "at", WANTED) == 1
        wanted = [*WANTED, "2026-01-31T00:00:00"]
        assert rows_left(CsvSource(tmp_path, {"at": pa.timestamp("us")}), "at", wanted) == 2
        assert rows_left(CsvSource(tmp_path, {"who": pa.int64()}), "who", ["017"]) == 0

    def test_formats(self, tmp_path: Path) -> None:
        """Delimiter, encoding, no header, quotes with line ends, spellings of null."""
        text = 'Müller;"a ""quoted""\nnote"\nMeier;x\nMüller;-\n'
        (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
        form = CsvFormat(delimiter=";", encoding="latin-1", header=("who", "note"), null_values=("-",))
        source = CsvSource(tmp_path, {}, form)

        assert rows_left(source, "who", ["Müller"]) == 2
        assert rows_left(source, "note", ['a "quoted"\nnote']) == 1
        assert cells_left(source, "who", ["Müller"], ["note"]) == 1

    def test_partitions(self, tmp_path: Path) -> None:
        (tmp_path / "who=17").mkdir()
        (tmp_path / "who=17" / "a.csv").write_text("\ufeffid,note\n1,\n2,x\n", encoding="utf-8")
        source = CsvSource(tmp_path)

        assert rows_left(source, "who", WANTED) == 2
        assert cells_left(source, "who", WANTED, ["note"]) == 1
        assert rows_left(source, "id", ["1"]) == 1

    def test_ragged_rows(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("id,who\n1\n")

        with pytest.raises(StorageError, match="IndexError"):
            rows_left(CsvSource(tmp_path), "who", WANTED)


class TestSqlite:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute(
                "CREATE TABLE t (who TEXT, number INTEGER, price REAL, amount DECIMAL(8,2), any_, at DATETIME, "
                "zoned TIMESTAMPTZ, note TEXT)"
            )
            connection.executemany(
                "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        "17",
                        17,
                        17.0,
                        "17.00",
                        17,
                        "2026-01-31 10:20:30.500",
                        "2026-01-31 10:20:30+01:00",
                        None,
                    ),
                    ("017", 18, 17.5, 17.0, "17", "2026-01-31", None, "x"),
                    ("17", None, 1e300, "17.5", b"17", None, None, "x"),
                ],
            )
            connection.execute("CREATE VIEW v AS SELECT who FROM t")
            connection.commit()
        return f"sqlite:///{tmp_path / 'a.db'}"

    @pytest.mark.parametrize(
        ("column", "rows"),
        [("who", 2), ("number", 1), ("price", 1), ("amount", 2), ("any_", 3), ("at", 1), ("zoned", 1)],
    )
    def test_rows(self, url: str, column: str, rows: int) -> None:
        assert rows_left(SqlSource(url, "t"), column, WANTED) == rows

    def test_cells_and_views(self, url: str) -> None:
        assert cells_left(SqlSource(url, "t"), "who", WANTED, ["note"]) == 1
        assert cells_left(SqlSource(url, "t"), "who", WANTED, ["note", "number"]) == 2
        assert rows_left(SqlSource(url, "v"), "who", WANTED) == 2

    def test_unknown_names(self, url: str, tmp_path: Path) -> None:
        """SQLite would take an unknown name for a text, and find nothing."""
        with pytest.raises(SchemaError, match="no column whom"):
            rows_left(SqlSource(url, "t"), "whom", WANTED)
        with pytest.raises(SchemaError):
            rows_left(SqlSource(url, "none"), "who", WANTED)
        with pytest.raises(StorageError, match="no such file"):
            rows_left(SqlSource(f"sqlite:///{tmp_path / 'b.db'}", "t"), "who", WANTED)

    def test_nothing_is_written(self, url: str, tmp_path: Path) -> None:
        before = (tmp_path / "a.db").read_bytes()
        rows_left(SqlSource(url, "t"), "who", [f"customer-{n}" for n in range(50_000)])

        assert (tmp_path / "a.db").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


class TestPostgres:
    @pytest.fixture
    def url(self, postgres: str) -> str:
        with psycopg.connect(postgres) as connection:
            connection.execute("CREATE DOMAIN customer_number AS integer")
            connection.execute(
                'CREATE TABLE t (who text, short char(8), number customer_number, "a%b" bigint, price float8, '
                "amount numeric(8,2), loose numeric, day date, at timestamp, zoned timestamptz, address inet, "
                "id uuid, note text)"
            )
            zoned, number = "2026-01-31 10:20:30+01", "00000000-0000-0000-0000-000000000017"
            day, at = "2026-01-31", "2026-01-31 10:20:30.5"
            rows = [
                ("17", "17", 17, 17, 17.0, "17.00", "17.000", day, at, zoned, "10.0.0.17", number, None),
                ("017", "18", None, 18, "NaN", "17.50", "NaN", "infinity", day, None, None, None, "x"),
                ("17", None, 17, 9, 9007199254740991.0, None, "1e3", None, None, None, None, None, "x"),
            ]
            marks = ", ".join(["%s"] * 13)
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO t VALUES ({marks})", rows)
            connection.execute("CREATE MATERIALIZED VIEW v AS SELECT who FROM t")
        return postgres

    @pytest.mark.parametrize(
        ("column", "rows"),
        list(
            {
                "who": 2,
                "short": 1,
                "number": 2,
                "a%b": 1,
                "price": 2,
                "amount": 1,
                "loose": 2,
                "day": 1,
                "at": 1,
                "zoned": 1,
                "address": 1,
                "id": 1,
            }.items()
        ),
    )
    def test_rows(self, url: str, column: str, rows: int) -> None:
        wanted = [*WANTED, "10.0.0.17", "00000000-0000-0000-0000-000000000017", "9007199254740991", "1000"]

        assert rows_left(SqlSource(url, "t"), column, wanted) == rows

    def test_cells_and_views(self, url: str) -> None:
        assert cells_left(SqlSource(url, "t"), "who", WANTED, ["note", "a%b"]) == 2
        assert cells_left(SqlSource(url, "public.t"), "who", WANTED, ["note"]) == 1
        assert rows_left(SqlSource(url, "v"), "who", WANTED) == 2

    def test_errors_hold_no_values(self, url: str) -> None:
        with pytest.raises(SchemaError, match="no column whom"):
            rows_left(SqlSource(url, "t"), "whom", WANTED)
        with pytest.raises(StorageError, match="SQLSTATE 42P01"):
            rows_left(SqlSource(url, "none"), "who", WANTED)
        with pytest.raises(StorageError, match="OperationalError"):
            rows_left(SqlSource("postgresql://nobody:secret@localhost:1/none", "t"), "who", WANTED)

    def test_many_texts(self, url: str) -> None:
        """Ten thousand texts against ten thousand rows are one hashed look-up a row."""
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE many AS SELECT n AS who FROM generate_series(1, 10000) n")

        assert rows_left(SqlSource(url, "many"), "who", [str(n) for n in range(0, 20_000, 2)]) == 5_000


POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  customers:
    source: {{uri: customers, format: parquet}}
    subject: customer
    columns:
      customer: {{class: direct_identifier, treat: drop}}
      note: {{class: none, treat: keep}}
{more}release: {{destination: releases}}
"""
VICTIM = "customer-00017"


class Place:
    """An installation without Airflow; a policy over one folder of customers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "home").mkdir(parents=True)
        Ledger.open(path / "home" / "ledger.db").close()
        self.write(NUMBERS)
        self.policy()

    def policy(self, more: str = "") -> None:
        (self.path / "shop.yaml").write_text(POLICY.format(more=more))

    def write(self, numbers: list[int | None], name: str = "customers/a.parquet", **options: Any) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(customers(numbers), path, **options)
        return path

    def workspace(self, **options: Any) -> Workspace:
        settings = Settings.from_env({"VEIL_HOME": str(self.path / "home")})
        return Workspace(loaded=checked(self.path / "shop.yaml"), settings=settings, **options)

    def rows(self, action: Action, **options: Any) -> tuple[Check, ...]:
        return verify_dataset(self.workspace(), "customers", SUBJECTS, graph(action), **options)

    def bytes(self, action: Action = "delete", **options: Any) -> dict[str, Check]:
        checks = verify_bytes(self.workspace(), SUBJECTS, graph(action), **options)
        return {f"{check.store}: {check.what}": check for check in checks}


SUBJECTS = Subjects().with_("customers.customer", pa.array([VICTIM]), np.zeros(1, np.int32))


def graph(action: Action) -> Graph:
    edge = Edge("customers", "customer", "customers.customer", action, subject=True)
    return Graph((edge,), ("customers.customer",))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "shop")


class TestDataset:
    def test_deleted(self, place: Place) -> None:
        (before,) = place.rows("delete")
        place.write([1, 18])
        (after,) = place.rows("delete")

        assert (before.found, before.looked_at, before.passed) == (2, 6, False)
        assert (after.found, after.looked_at, after.passed) == (0, 2, True)
        assert VICTIM not in repr((before, after))

    def test_held_rows_are_allowed(self, place: Place) -> None:
        (enough,) = place.rows("delete", allowed={"customers": 2})
        (more,) = place.rows("delete", allowed={"customers": 1, "orders": 9})

        assert enough.passed
        assert not more.passed

    def test_masked(self, place: Place) -> None:
        (kept,) = place.rows(Mask(mask=("number",)))
        (clean,) = place.rows(Mask(mask=("note",)))

        assert (kept.found, kept.passed, kept.what) == (
            2,
            False,
            "rows that name somebody in customer and have number",
        )
        assert clean.passed

    def test_exempt(self, place: Place) -> None:
        (check,) = place.rows(Exempt(exempt="kept for ten years by law"))

        assert (check.passed, check.looked_at) == (True, 0)
        assert "kept for ten years by law" in check.told

    def test_recomputed(self, place: Place) -> None:
        """All of it must be new, and name nobody."""
        action = Recompute(recompute="the DAG daily_totals")
        other = place.write([2, 3], "customers/b.parquet")
        since = place.workspace().source("customers").fingerprint()

        untouched, _ = place.rows(action, since=since)
        assert (untouched.found, untouched.told, untouched.passed) == (2, NOT_RECOMPUTED, False)

        place.write([1, 18])
        half, rows = place.rows(action, since=since)
        assert (half.found, half.passed, rows.passed) == (1, False, True)

        other.rename(other.with_name("c.parquet"))
        renamed, _ = place.rows(action, since=since)
        assert (renamed.found, renamed.passed) == (1, False)

        place.write([2, 17], "customers/c.parquet")
        unclean, rows = place.rows(action, since=since)
        assert (unclean.passed, rows.found, rows.passed) == (True, 1, False)

        place.write([2, 3], "customers/c.parquet")
        assert all(check.passed for check in place.rows(action, since=since))

    def test_recomputed_table(self, place: Place, postgres: str) -> None:
        place.policy(
            "  totals:\n    source: {connection: shop, table: totals}\n    subject: customer\n"
            "    columns: {customer: {class: direct_identifier, treat: drop}, sum: {class: none, treat: keep}}\n"
        )
        edge = Edge(
            "totals", "customer", "customers.customer", Recompute(recompute="the DAG totals"), subject=True
        )
        workspace = place.workspace(connect=lambda _: postgres)

        def look(since: Any) -> list[bool]:
            found = verify_dataset(workspace, "totals", SUBJECTS, Graph((edge,), ()), since=since)
            return [check.passed for check in found]

        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("CREATE TABLE totals AS SELECT 'customer-00018' AS customer, 1 AS sum")
            since = workspace.source("totals").fingerprint()
            assert look(since) == [False, True]
            connection.execute("UPDATE totals SET sum = 2")
            assert look(since) == [True, True]

    def test_unknown_before(self, place: Place) -> None:
        checks = place.rows(Recompute(recompute="the DAG daily_totals"))

        assert not checks[0].passed

    @pytest.mark.parametrize(
        "damage", [lambda path: shutil.rmtree(path.parent), lambda path: path.write_text(VICTIM)]
    )
    def test_out_of_reach(self, place: Place, damage: Any) -> None:
        """A store that cannot be read has not passed, whatever may be left in it."""
        since = place.workspace().source("customers").fingerprint()
        damage(place.path / "customers" / "a.parquet")

        for action in ("delete", Mask(mask=("note",)), Recompute(recompute="the DAG daily_totals")):
            for check in place.rows(action, since=since, allowed={"customers": 9}):
                assert not check.passed
                assert check.error.startswith("StorageError: ")
                assert VICTIM not in repr(check)


class TestBytes:
    def test_clean(self, place: Place) -> None:
        place.write([1, 18])
        checks = place.bytes()

        assert all(check.passed for check in checks.values())
        assert list(checks) == [
            "customers: bytes of the source",
            "customers: bytes of the releases",
            "staging: bytes of what is staged",
            "ledger: bytes of the ledger",
            "models: bytes of models, sealed",
            "lineage: bytes of lineage",
        ]
        assert checks["customers: bytes of the source"].looked_at > 500
        assert checks["ledger: bytes of the ledger"].looked_at > 10_000

    @pytest.mark.parametrize(
        ("name", "store"),
        [
            ("customers/a.parquet", "customers: bytes of the source"),
            ("customers/.retention-0123-a.parquet", "customers: bytes of the source"),
            ("customers/_old/a.parquet", "customers: bytes of the source"),
            ("releases/customers/2026-01-01/data-00000.parquet", "customers: bytes of the releases"),
            ("releases/customers/.attempt-1/data-00000.parquet", "customers: bytes of the releases"),
            ("home/staging/customers/1/tokenize/data-00000.parquet", "staging: bytes of what is staged"),
        ],
    )
    def test_left_somewhere(self, place: Place, name: str, store: str) -> None:
        place.write([1, 18])
        place.write(NUMBERS, name)

        checks = place.bytes()

        assert [key for key, check in checks.items() if not check.passed] == [store]
        assert checks[store].residues[0].place.endswith("column customer, row group 0")
        assert VICTIM not in repr(checks)

    def test_left_in_the_ledger_and_lineage(self, place: Place) -> None:
        place.write([1, 18])
        with closing(sqlite3.connect(place.path / "home" / "ledger.db")) as connection:
            connection.execute("CREATE TABLE notes AS SELECT ? AS note", (f"asked by {VICTIM}",))
            connection.commit()
        (place.path / "home" / "lineage.jsonl").write_text(f'{{"sql": "DELETE … = \'{VICTIM}\'"}}\n')

        checks = place.bytes(also=[place.path / "elsewhere"])

        failed = [key for key, check in checks.items() if not check.passed]
        assert failed == ["ledger: bytes of the ledger", "lineage: bytes of lineage"]

    def test_other_places(self, place: Place) -> None:
        place.write([1, 18])
        place.write(NUMBERS, "exports/a.parquet")

        checks = place.bytes(also=[place.path / "exports"])

        assert not checks[f"{place.path / 'exports'}: bytes"].passed

    def test_drafts_beside_a_file(self, place: Place) -> None:
        """Where the source is a file, what killed writers left lies beside it."""
        place.write([1, 18])
        place.write(NUMBERS, "customers/.draft-a.parquet")
        workspace = place.workspace(source_uri=str(place.path / "customers" / "a.parquet"))

        first, *_ = verify_bytes(workspace, SUBJECTS, graph("delete"))

        assert not first.passed

    def test_masked_rows_go_on_naming(self, place: Place) -> None:
        """They may name people where only other cells are lost; not where the name is one of them."""
        source = "customers: bytes of the source"

        assert place.bytes(Mask(mask=("note",)))[source].passed
        assert not place.bytes(Mask(mask=("customer", "note")))[source].passed

    def test_rows_that_may_stay(self, place: Place) -> None:
        source = "customers: bytes of the source"

        exempt = place.bytes(Exempt(exempt="kept for ten years by law"))[source]
        held = place.bytes(skipped={"customers": "2 rows are held"})[source]

        assert (exempt.passed, exempt.looked_at, exempt.told) == (True, 0, "not looked at: rows are exempt")
        assert (held.passed, held.looked_at, held.told) == (True, 0, "not looked at: 2 rows are held")

    def test_short_texts_are_told(self, place: Place) -> None:
        subjects = SUBJECTS.with_("customers.number", pa.array(["17"]), np.zeros(1, np.int32))

        first, *_ = verify_bytes(place.workspace(), subjects, graph("delete"))

        assert first.told == "1 texts are too short to be told from chance"

    def test_source_out_of_reach(self, place: Place) -> None:
        """A folder that is not mounted is not clean."""
        shutil.rmtree(place.path / "customers")
        (place.path / "home" / "ledger.db").unlink()

        checks = place.bytes()

        failed = [key for key, check in checks.items() if not check.passed]
        assert failed == ["customers: bytes of the source", "ledger: bytes of the ledger"]

    def test_opaque_parts(self, place: Place) -> None:
        place.write([1, 18])
        (place.path / "customers" / "_notes.orc").write_bytes(b"ORC" + bytes(100))

        check = place.bytes()["customers: bytes of the source"]

        assert not check.passed
        assert check.error.startswith("1 parts could not be looked into, the first: ")

    def test_databases(self, place: Place, postgres: str) -> None:
        """A file that two data sets share is looked at once; a server's files are out of reach, which is told."""
        url = f"sqlite:///{place.path / 'shop.db'}"
        place.policy(
            "".join(
                f"  {name}:\n    source: {{connection: {connection}, table: {name}}}\n    subject: customer\n"
                "    columns: {customer: {class: direct_identifier, treat: drop}, n: {class: none, treat: keep}}\n"
                for name, connection in (("orders", "file"), ("invoices", "file"), ("visits", "server"))
            )
        )
        with closing(sqlite3.connect(place.path / "shop.db")) as connection:
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("CREATE TABLE orders (customer TEXT, n INTEGER)")
            connection.execute("INSERT INTO orders VALUES (?, 1)", (VICTIM,))
            connection.commit()
            connection.execute("DELETE FROM orders")
            connection.commit()
        workspace = place.workspace(connect=lambda name: url if name == "file" else postgres)

        checks = {
            c.store: c for c in verify_bytes(workspace, SUBJECTS, graph("delete")) if "source" in c.what
        }

        assert not checks["orders, invoices"].passed
        assert checks["visits"].passed
        assert "out of reach" in checks["visits"].told
