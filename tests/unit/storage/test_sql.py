"""Tables of SQLite and PostgreSQL, as sources and as destinations."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import ReleaseError, SchemaError, StorageError
from airflow_veil.privacy.storage import sql as sql_module
from airflow_veil.privacy.storage.base import Destination, Source, Writer
from airflow_veil.privacy.storage.sql import SqlDestination, SqlSource

CANARY = "canary-7f3a"
Execute = Callable[..., list[tuple]]


def read(source: Source, *columns: str, batch_rows: int = 1000) -> list[dict]:
    names = list(columns) or source.schema().names
    return [row for batch in source.batches(names, batch_rows=batch_rows) for row in batch.to_pylist()]


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data.db"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind."""
    url: str = request.getfixturevalue(request.param)
    return url


@contextlib.contextmanager
def connected(url: str) -> Iterator:
    connect = sqlite3.connect if url.startswith("sqlite") else psycopg.connect
    with contextlib.closing(connect(url.removeprefix("sqlite:///"))) as connection:
        yield connection
        connection.commit()


def execute(url: str, *statements: str) -> list[tuple]:
    """Run statements, and give the rows of the last one."""
    with connected(url) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


class TestSqlSource:
    def test_is_a_source(self, sqlite: str) -> None:
        """The class keeps the protocol."""
        assert isinstance(SqlSource(sqlite, "t"), Source)

    def test_reads_the_same_from_both(self, database: str) -> None:
        """Declared types become Arrow types without a row being read; nulls stay null."""
        execute(
            database,
            "CREATE TABLE t (n bigint, f double precision, t varchar(9), b boolean, d date, s timestamp,"
            " p numeric(10,2))",
            "INSERT INTO t VALUES (1, 1.5, 'x', true, '2024-02-29', '2024-02-29 12:00:00.5', 0.99)",
            "INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        )
        source = SqlSource(database, "t")

        assert source.schema() == pa.schema(
            [
                ("n", pa.int64()),
                ("f", pa.float64()),
                ("t", pa.string()),
                ("b", pa.bool_()),
                ("d", pa.date32()),
                ("s", pa.timestamp("us")),
                ("p", pa.decimal128(10, 2)),
            ]
        )
        assert read(source) == [
            {
                "n": 1,
                "f": 1.5,
                "t": "x",
                "b": True,
                "d": date(2024, 2, 29),
                "s": datetime(2024, 2, 29, 12, 0, 0, 500_000),
                "p": Decimal("0.99"),
            },
            dict.fromkeys("nftbdsp"),
        ]

    @pytest.mark.parametrize("columns", [[], ["b"], ["b", "a"]], ids=str)
    def test_gives_the_projection_in_batches(self, database: str, columns: list[str]) -> None:
        """At most so many rows at a time, also where no column is asked."""
        execute(database, "CREATE TABLE t (a int, b text)", "INSERT INTO t VALUES (1,'x'),(2,'y'),(3,'z')")

        batches = list(SqlSource(database, "t").batches(columns, batch_rows=2))

        assert [batch.num_rows for batch in batches] == [2, 1]
        assert all(batch.schema.names == columns for batch in batches)

    def test_streams_many_rows_in_order(self, database: str) -> None:
        """More than one fetch, the same rows in the same order each time."""
        rows = (
            "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 50000) SELECT n FROM g"
        )
        execute(database, "CREATE TABLE t (n bigint)", f"INSERT INTO t {rows}")

        assert [row["n"] for row in read(SqlSource(database, "t"), batch_rows=20_000)] == list(
            range(1, 50_001)
        )

    def test_names_are_quoted(self, database: str) -> None:
        """Whatever a table or a column is called, it is a name and no SQL."""
        hostile = 'x"; DROP TABLE t; --'
        quoted = hostile.replace('"', '""')
        execute(
            database,
            f'CREATE TABLE "{quoted}" ("select" int, "{quoted}" text)',
            f"INSERT INTO \"{quoted}\" VALUES (1, 'a')",
        )

        assert read(SqlSource(database, hostile)) == [{"select": 1, hostile: "a"}]

    @pytest.mark.parametrize(
        ("table", "column"), [("missing", "n"), ("t", "missing")], ids=["table", "column"]
    )
    def test_what_is_missing_is_named(self, database: str, table: str, column: str) -> None:
        """Missing tables and columns are errors of the schema."""
        execute(database, "CREATE TABLE t (n int)")

        with pytest.raises(SchemaError, match="missing"):
            read(SqlSource(database, table), column)

    def test_reads_views(self, database: str) -> None:
        """A view is a table to read."""
        execute(
            database,
            "CREATE TABLE t (n bigint)",
            "INSERT INTO t VALUES (7)",
            "CREATE VIEW v AS SELECT n FROM t",
        )

        assert read(SqlSource(database, "v")) == [{"n": 7}]
        assert SqlSource(database, "v").fingerprint()["rows"] == 1

    def test_fingerprint_stays_and_changes_with_the_table(self, database: str) -> None:
        """Reading changes nothing; an insert, an update and a delete each do."""
        execute(database, "CREATE TABLE t (n bigint)", "INSERT INTO t VALUES (1), (2)")
        source = SqlSource(database, "t")
        seen = [source.fingerprint()]
        read(source)
        assert source.fingerprint() == seen[0]

        for change in (
            "INSERT INTO t VALUES (3)",
            "UPDATE t SET n = 9 WHERE n = 3",
            "DELETE FROM t WHERE n = 9",
        ):
            execute(database, change)
            seen.append(source.fingerprint())

        assert all(before != after for before, after in itertools.pairwise(seen))

    def test_other_tables_do_not_change_a_fingerprint(self, postgres: str) -> None:
        """In PostgreSQL; SQLite has versions of the whole file only."""
        execute(postgres, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)", "CREATE TABLE other (n int)")
        before = SqlSource(postgres, "t").fingerprint()

        execute(postgres, "INSERT INTO other VALUES (1)")

        assert SqlSource(postgres, "t").fingerprint() == before

    def test_the_password_is_in_no_text(self, postgres: str) -> None:
        """Neither repr nor errors show it, whoever refuses the connection."""
        url = postgres.replace("postgres@", f"nobody:{CANARY}@")
        source = SqlSource(url, "t")

        with pytest.raises(StorageError) as raised:
            source.schema()

        assert CANARY not in repr(source) + str(raised.value) + repr(source.identity) + repr(
            SqlDestination(url)
        )
        assert CANARY not in SqlDestination(url).name
        with pytest.raises(StorageError) as raised:
            SqlDestination(url).current("people")
        assert CANARY not in str(raised.value)
        assert raised.value.__cause__ is None

    @pytest.mark.parametrize(
        "url", [f"mysql://u:{CANARY}@h/d", f"nonsense {CANARY}", "sqlite://", "sqlite:///:memory:"]
    )
    def test_other_databases_are_an_error(self, url: str) -> None:
        """Before anything is opened, and without the URL."""
        with pytest.raises(StorageError) as raised:
            SqlSource(url, "t").schema()

        assert CANARY not in str(raised.value)

    @pytest.mark.parametrize("table", ["a.b.c", "", ".t", "s."], ids=repr)
    def test_other_table_names_are_an_error(self, sqlite: str, table: str) -> None:
        """`table` or `schema.table`."""
        with pytest.raises(StorageError, match=r"table or schema\.table"):
            SqlSource(sqlite, table).schema()

    def test_identities_follow_openlineage(self, tmp_path: Path) -> None:
        """Server and qualified table; no user, no password."""
        postgres = SqlSource("postgres://u:secret@db.example:5433/shop", "crm.people").identity
        assert (postgres.namespace, postgres.name) == ("postgres://db.example:5433", "shop.crm.people")
        assert SqlSource("postgresql+psycopg://h/d", "t").identity.name == "d.public.t"
        sqlite = SqlSource(f"sqlite:///{tmp_path}/x.db", "t").identity
        assert (sqlite.namespace, sqlite.name) == (f"sqlite://{tmp_path}/x.db", "t")


class TestSqliteSource:
    @pytest.mark.parametrize(
        ("declared", "arrow"),
        [
            ("INTEGER", pa.int64()),
            ("nvarchar(160)", pa.string()),
            ("BLOB", pa.binary()),
            ("FLOAT", pa.float64()),
            ("DATETIME", pa.timestamp("us")),
            ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC")),
            ("TIME", pa.time64("us")),
            ("DECIMAL(8)", pa.decimal128(8, 0)),
            ("NUMERIC", pa.string()),
            ("", pa.string()),
            ("GEOMETRY", pa.string()),
        ],
        ids=repr,
    )
    def test_declared_types_become_arrow_types(self, sqlite: str, declared: str, arrow: pa.DataType) -> None:
        """What a declaration does not tell is text."""
        execute(sqlite, f"CREATE TABLE t (c {declared})")

        assert SqlSource(sqlite, "t").schema().field("c").type == arrow

    def test_the_policy_tells_where_the_declaration_does_not(self, sqlite: str) -> None:
        """And only there."""
        execute(sqlite, "CREATE TABLE t (a NUMERIC, b INTEGER)", "INSERT INTO t VALUES (1.5, 2)")

        source = SqlSource(sqlite, "t", {"a": pa.float64(), "b": pa.float64()})

        assert read(source) == [{"a": 1.5, "b": 2}]
        assert read(SqlSource(sqlite, "t"), "a") == [{"a": "1.5"}]

    @pytest.mark.parametrize(
        ("declared", "bad"),
        [
            ("INTEGER", f"'{CANARY}'"),
            ("INTEGER", "1.5"),
            ("REAL", f"'{CANARY}'"),
            ("BOOLEAN", "7777777"),
            ("DATE", "'29.02.2024'"),
            ("DATE", "20240229"),
            ("DATETIME", "1709208000"),
            ("TEXT", "x'00ff'"),
            ("DECIMAL(4,1)", "1.25"),
        ],
    )
    def test_value_of_another_type_is_an_error(self, sqlite: str, declared: str, bad: str) -> None:
        """SQLite keeps it; the error counts it and does not show it."""
        execute(sqlite, f"CREATE TABLE t (c {declared})", f"INSERT INTO t VALUES (NULL), ({bad}), ({bad})")

        with pytest.raises(StorageError, match="2 of 3 values of column c are no") as raised:
            read(SqlSource(sqlite, "t"))

        assert bad.strip("'") not in str(raised.value)
        assert raised.value.__cause__ is None
        assert not raised.value.retryable

    def test_undecodable_text_is_an_error(self, sqlite: str) -> None:
        """Python's driver would show it."""
        execute(
            sqlite,
            "CREATE TABLE t (c TEXT)",
            f"INSERT INTO t VALUES (CAST(x'{CANARY.encode().hex()}ff' AS TEXT))",
        )

        with pytest.raises(StorageError) as raised:
            read(SqlSource(sqlite, "t"))

        assert CANARY not in str(raised.value)

    def test_decimals_have_no_noise(self, sqlite: str) -> None:
        """0.1 + 0.2 is 0.30: a double's last digits are not the data's."""
        execute(sqlite, "CREATE TABLE t (p NUMERIC(10,2))", "INSERT INTO t VALUES (0.1 + 0.2), (3), (NULL)")

        assert [row["p"] for row in read(SqlSource(sqlite, "t"))] == [Decimal("0.30"), Decimal("3.00"), None]

    def test_never_writes(self, tmp_path: Path) -> None:
        """A file that is not there is not made."""
        with pytest.raises(StorageError, match="no such file"):
            SqlSource(f"sqlite:///{tmp_path}/none.db", "t").schema()

        assert list(tmp_path.iterdir()) == []

    def test_a_file_of_another_kind_is_an_error(self, tmp_path: Path) -> None:
        """By the name of SQLite's error."""
        (tmp_path / "x.db").write_text(CANARY * 100)

        with pytest.raises(StorageError, match="SQLITE_NOTADB"):
            SqlSource(f"sqlite:///{tmp_path}/x.db", "t").schema()

    @pytest.mark.parametrize(("table", "rows"), [("Customer", 59), ("Invoice", 412), ("InvoiceLine", 2240)])
    def test_reads_chinook(self, shared_data: Path, table: str, rows: int) -> None:
        """All columns of real tables, with their dates and prices."""
        source = SqlSource(f"sqlite:///{shared_data}/chinook/Chinook_Sqlite.sqlite", table)

        assert len(read(source, batch_rows=100)) == rows


class TestPostgresSource:
    def test_other_types_are_the_text_that_the_server_shows(self, postgres: str) -> None:
        """Arrow has no such type: uuid, json, enums, arrays, unbounded numerics, padded text."""
        execute(
            postgres,
            "CREATE TYPE mood AS ENUM ('glad')",
            "CREATE DOMAIN zip AS varchar(5)",
            "CREATE DOMAIN age AS int",
            "CREATE TABLE t (u uuid, j jsonb, m mood, a int[], n numeric, z zip, g age, c char(5), i inet)",
            "INSERT INTO t VALUES ('7b3d1f0e-8f5f-4d5e-9f0a-0a0b0c0d0e0f', '{\"a\": 1}', 'glad', '{1,2}', 1.123456789,"
            " '01234', 7, 'x', '10.0.0.1')",
        )

        assert read(SqlSource(postgres, "public.t")) == [
            {
                "u": "7b3d1f0e-8f5f-4d5e-9f0a-0a0b0c0d0e0f",
                "j": '{"a": 1}',
                "m": "glad",
                "a": "{1,2}",
                "n": "1.123456789",
                "z": "01234",
                "g": 7,
                "c": "x",
                "i": "10.0.0.1",
            }
        ]
        assert SqlSource(postgres, "t").schema().field("g").type == pa.int32()
        assert read(SqlSource(postgres, "t", {"n": pa.float64()}), "n") == [{"n": 1.123456789}]

    def test_reads_times_with_and_without_zones(self, postgres: str) -> None:
        """The instant counts, whatever zone the session has."""
        execute(
            postgres,
            "CREATE TABLE t (s timestamp, z timestamptz, b bytea, i smallint, r real)",
            "INSERT INTO t VALUES ('2024-01-01 00:00', '2024-01-01 00:00+02', '\\x00ff', 3, 1.5)",
        )

        (row,) = read(SqlSource(postgres, "t"))

        assert row["s"] == datetime(2024, 1, 1)
        assert row["z"] == datetime(2023, 12, 31, 22, tzinfo=UTC)
        assert (row["b"], row["i"], row["r"]) == (b"\x00\xff", 3, 1.5)

    @pytest.mark.parametrize("value", ["infinity", "-infinity"])
    @pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
    def test_infinite_times_are_an_error(self, postgres: str, kind: str, value: str) -> None:
        """The driver would turn them into a date long before Christ."""
        execute(
            postgres,
            f"CREATE TABLE t (c {kind})",
            f"INSERT INTO t VALUES ('{value}'), ('4713-01-01 BC'), (NULL)",
        )

        with pytest.raises(StorageError, match="1 of 3 values of column c"):
            list(SqlSource(postgres, "t").batches(["c"], batch_rows=9))

    def test_numbers_that_are_none_are_an_error(self, postgres: str) -> None:
        """NaN is a numeric to PostgreSQL, and no decimal."""
        execute(postgres, "CREATE TABLE t (c numeric(9,2))", "INSERT INTO t VALUES ('NaN'), (1)")

        with pytest.raises(StorageError, match="1 of 2 values of column c are no decimal128"):
            read(SqlSource(postgres, "t"))

    def test_errors_while_reading_hold_no_value(self, postgres: str) -> None:
        """The server quotes what it cannot cast; the SQLSTATE is what is kept."""
        execute(
            postgres,
            "CREATE TABLE t (c text)",
            f"INSERT INTO t VALUES ('{CANARY}')",
            "CREATE VIEW v AS SELECT c::int AS n FROM t",
        )

        with pytest.raises(StorageError) as raised:
            read(SqlSource(postgres, "v"))

        assert CANARY not in str(raised.value)
        assert raised.value.__cause__ is None

    def test_one_read_is_one_snapshot(self, postgres: str) -> None:
        """Rows that others commit meanwhile are of the next version."""
        execute(
            postgres,
            "CREATE TABLE t (n bigint, x text)",
            "INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 50000) n",
        )

        batches = SqlSource(postgres, "t").batches(["n"], batch_rows=1000)
        first = next(batches)
        execute(postgres, "DELETE FROM t WHERE n > 10", "INSERT INTO t VALUES (-1, '')")

        assert first.num_rows + sum(batch.num_rows for batch in batches) == 50_000


SCHEMA = pa.schema(
    [
        ("i8", pa.int8()),
        ("u32", pa.uint32()),
        ("n", pa.int64()),
        ("f32", pa.float32()),
        ("f", pa.float64()),
        ("b", pa.bool_()),
        ("t", pa.large_string()),
        ("d", pa.date32()),
        ("s", pa.timestamp("s")),
        ("z", pa.timestamp("us", "UTC")),
        ("p", pa.decimal128(9, 2)),
        ("x", pa.binary()),
        ("k", pa.time64("us")),
    ]
)
ROW = (
    -7,
    2**32 - 1,
    2**53 + 1,
    0.5,
    0.1,
    True,
    'é "x"',
    date(2024, 2, 29),
    datetime(2024, 1, 1, 1),
    datetime(2024, 1, 1, tzinfo=UTC),
)


def full_batch() -> pa.RecordBatch:
    row = (*ROW, Decimal("1234567.89"), b"\x00\xff", datetime(2024, 1, 1, 1, 2, 3, 4).time())
    return pa.record_batch(
        [pa.array([v, None], f.type) for v, f in zip(row, SCHEMA, strict=True)], schema=SCHEMA
    )


NUMBERS = pa.schema([("n", pa.int64()), ("t", pa.string())])


def batch(*values: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.int64()), pa.array([str(v) for v in values])], schema=NUMBERS)


def stage(destination: SqlDestination, release: str, *values: int) -> None:
    with destination.writer("people", release, NUMBERS) as writer:
        writer.write(batch(*values))


def publish(destination: SqlDestination, release: str, *values: int) -> bool:
    stage(destination, release, *values)
    return destination.commit("people", release, manifest={"release": release, "who": "é"})


def shown(url: str) -> list[int]:
    """What a consumer sees under the data set's name."""
    return [row[0] for row in execute(url, "SELECT n FROM people ORDER BY n")]


def tables(url: str) -> set[str]:
    catalogue = "sqlite_master WHERE type = 'table'"
    if url.startswith("postgres"):
        catalogue = "(SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public') AS c"
    return {row[0] for row in execute(url, f"SELECT name FROM {catalogue}")} - {"veil_releases"}


KILLED = """
import os, signal, sys
import pyarrow as pa
from airflow_veil.privacy.storage.release_table import ReleaseTable
from airflow_veil.privacy.storage.sql import SqlDestination

url, moment = sys.argv[1:]
point = ReleaseTable.point

def deadly(*args):
    if moment == "after the view":
        point(*args)
    os.kill(os.getpid(), signal.SIGKILL)

ReleaseTable.point = deadly
batch = pa.record_batch([pa.array([2]), pa.array(["2"])], names=["n", "t"])
with SqlDestination(url).writer("people", "r2", batch.schema) as writer:
    writer.write(batch)
    if moment == "while writing":
        deadly()
SqlDestination(url).commit("people", "r2", manifest={})
"""


class TestSqlDestination:
    def test_is_a_destination(self, sqlite: str) -> None:
        """Classes keep the protocols."""
        assert isinstance(SqlDestination(sqlite), Destination)
        assert isinstance(SqlDestination(sqlite).writer("people", "r1", NUMBERS), Writer)

    def test_publishes_what_was_staged(self, database: str) -> None:
        """A view shows the release only once it is committed."""
        destination = SqlDestination(database)
        stage(destination, "r1", 1, 2)
        assert destination.current("people") is None
        assert destination.releases("people") == ()
        assert [row["n"] for row in read(destination.source("people", "r1"))] == [1, 2]

        assert destination.commit("people", "r1", manifest={"rows": 2})

        assert shown(database) == [1, 2]
        assert (destination.current("people"), destination.releases("people")) == ("r1", ("r1",))
        assert destination.manifest("people", "r1") == {"rows": 2}

    def test_every_type_comes_back(self, database: str) -> None:
        """With the very schema it was written with, nulls included."""
        destination = SqlDestination(database)
        with destination.writer("people", "r1", SCHEMA) as writer:
            writer.write(full_batch())
        assert writer.close().rows == 2

        source = destination.source("people", "r1")

        assert source.schema() == SCHEMA
        assert list(source.batches(SCHEMA.names, batch_rows=9)) == [full_batch()]

    @pytest.mark.parametrize(
        "arrow",
        [pa.list_(pa.int8()), pa.timestamp("ns"), pa.decimal128(30, 2), pa.month_day_nano_interval()],
        ids=str,
    )
    def test_a_type_that_would_lose_is_an_error(self, sqlite: str, arrow: pa.DataType) -> None:
        """Before a row is written; nothing is left."""
        with pytest.raises(SchemaError, match="cannot keep column c"):
            SqlDestination(sqlite).writer("people", "r1", pa.schema([("c", arrow)]))

        assert SqlDestination(sqlite).sweep("people", -1) == 0

    def test_nanoseconds_are_not_cut_off(self, postgres: str) -> None:
        """The driver would cut them in silence; what is exact in microseconds goes."""
        schema = pa.schema([("s", pa.timestamp("ns"))])
        destination = SqlDestination(postgres)
        with destination.writer("people", "r1", schema) as writer:
            writer.write(pa.record_batch([pa.array([1000], pa.timestamp("ns"))], schema=schema))
        lossy = pa.record_batch([pa.array([1001], pa.timestamp("ns"))], schema=schema)

        with (
            pytest.raises(StorageError, match="cannot be kept exactly"),
            destination.writer("people", "r2", schema) as writer,
        ):
            writer.write(lossy)

    def test_a_second_commit_changes_nothing(self, database: str) -> None:
        """A retry gives one release: the first."""
        destination = SqlDestination(database)
        assert publish(destination, "r1", 1)
        assert not publish(destination, "r1", 2)
        assert not destination.commit("people", "r1", manifest={})

        assert shown(database) == [1]
        assert destination.manifest("people", "r1")["release"] == "r1"
        assert len(tables(database)) == 1

    def test_commits_at_once_give_one_release(self, database: str) -> None:
        """Threads stand for tasks: exactly one publishes, the others find it done."""
        stage(SqlDestination(database), "r1", 1, 2)

        def commit(_: int) -> bool:
            return SqlDestination(database).commit("people", "r1", manifest={})

        with ThreadPoolExecutor(6) as pool:
            published = list(pool.map(commit, range(6)))

        assert sorted(published) == [False] * 5 + [True]
        assert shown(database) == [1, 2]

    @pytest.mark.parametrize("moment", ["before the view", "after the view", "while writing"])
    def test_a_kill_leaves_the_release_before(self, database: str, moment: str) -> None:
        """SIGKILL within the transaction that publishes, or while rows are sent; the next run publishes."""
        destination = SqlDestination(database)
        publish(destination, "r1", 1)

        killed = subprocess.run(
            [sys.executable, "-c", KILLED, database, moment], capture_output=True, check=False
        )

        assert killed.returncode == -9, killed.stderr
        assert (shown(database), destination.current("people")) == ([1], "r1")
        assert publish(destination, "r2", 2)
        assert shown(database) == [2]
        destination.sweep("people", -10)
        assert len(tables(database)) == 2

    def test_switches_back_and_forth(self, database: str) -> None:
        """A rollback points the view elsewhere."""
        destination = SqlDestination(database)
        publish(destination, "r1", 1)
        publish(destination, "r2", 2)

        destination.switch("people", "r1")

        assert (shown(database), destination.current("people")) == ([1], "r1")
        with pytest.raises(ReleaseError, match="no release r9"):
            destination.switch("people", "r9")

    def test_columns_may_change_between_releases(self, database: str) -> None:
        """The view has the columns of the release that it shows."""
        destination = SqlDestination(database)
        publish(destination, "r1", 1)
        schema = pa.schema([("other", pa.string())])
        with destination.writer("people", "r2", schema) as writer:
            writer.write(pa.record_batch([pa.array(["x"])], schema=schema))
        destination.commit("people", "r2", manifest={})

        assert execute(database, "SELECT * FROM people") == [("x",)]
        destination.switch("people", "r1")
        assert shown(database) == [1]

    def test_grants_outlive_a_release(self, postgres: str) -> None:
        """Whoever may read the view may read it tomorrow."""
        destination = SqlDestination(postgres)
        publish(destination, "r1", 1)
        execute(postgres, "CREATE ROLE reader_of_people", "GRANT SELECT ON people TO reader_of_people")
        publish(destination, "r2", 2)

        granted = execute(postgres, "SELECT has_table_privilege('reader_of_people', 'people', 'SELECT')")
        execute(postgres, "DROP OWNED BY reader_of_people", "DROP ROLE reader_of_people")
        assert granted == [(True,)]

    @pytest.mark.parametrize(
        "kind", ["TABLE people (n int)", "VIEW people AS SELECT 1 AS n"], ids=["table", "view"]
    )
    def test_never_replaces_what_is_not_ours(self, database: str, kind: str) -> None:
        """Neither when it is there before nor when it comes between staging and commit."""
        destination = SqlDestination(database)
        stage(destination, "r1", 1)
        execute(database, f"CREATE {kind}")
        before = execute(database, "SELECT * FROM people")

        with pytest.raises(StorageError, match="not ours"):
            destination.writer("people", "r2", NUMBERS)
        with pytest.raises(StorageError, match="not ours"):
            destination.commit("people", "r1", manifest={})

        assert execute(database, "SELECT * FROM people") == before
        assert destination.current("people") is None

    def test_a_failed_attempt_leaves_nothing(self, database: str) -> None:
        """And what an earlier attempt staged stays."""
        destination = SqlDestination(database)
        stage(destination, "r1", 1)

        with pytest.raises(StorageError), destination.writer("people", "r1", NUMBERS) as writer:
            list(map(writer.write, [batch(2), pa.record_batch({"other": [1]})]))

        assert [row["n"] for row in read(destination.source("people", "r1"))] == [1]
        assert len(tables(database)) == 1

    def test_discards_what_is_staged(self, database: str) -> None:
        """But no attempt that is being written."""
        destination = SqlDestination(database)
        stage(destination, "r1", 1)
        living = destination.writer("people", "r1", NUMBERS)
        living.write(batch(7))

        assert (destination.discard("people", "r1"), destination.discard("people", "r1")) == (1, 0)
        living.close()
        assert [row["n"] for row in read(destination.source("people", "r1"))] == [7]

    def test_sweeps_what_is_old(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A writer that lives says so; releases stay."""
        destination = SqlDestination(database)
        publish(destination, "r0", 0)
        stage(destination, "r1", 1)
        living = destination.writer("people", "r2", NUMBERS)
        execute(database, "UPDATE veil_releases SET touched = touched - 1000")
        monkeypatch.setattr(sql_module, "TOUCH_SECONDS", -1.0)
        living.write(batch(2))

        assert destination.sweep("people", 500) == 1
        living.close()
        assert destination.releases("people") == ("r0",)
        assert [row["n"] for row in read(destination.source("people", "r2"))] == [2]
        with pytest.raises(ReleaseError):
            destination.source("people", "r1")

    def test_a_swept_attempt_cannot_be_staged(self, database: str) -> None:
        """Its rows may be gone."""
        destination = SqlDestination(database)
        writer = destination.writer("people", "r1", NUMBERS)
        writer.write(batch(1))
        destination.sweep("people", -10)

        with pytest.raises(StorageError):
            writer.write(batch(2)), writer.close()
        writer.abort()

    def test_drops_all_but_the_current_release(self, database: str) -> None:
        """With its table."""
        destination = SqlDestination(database)
        publish(destination, "r1", 1)
        publish(destination, "r2", 2)

        with pytest.raises(ReleaseError, match="current"):
            destination.drop("people", "r2")
        destination.drop("people", "r1")

        assert destination.releases("people") == ("r2",)
        assert len(tables(database)) == 1

    def test_long_names_stay_apart(self, database: str) -> None:
        """PostgreSQL cuts names off without a word."""
        destination = SqlDestination(database)
        stem = "2026-01-01T00:00:00+00:00-" + "x" * 60
        publish(destination, f"{stem}1", 1)
        publish(destination, f"{stem}2", 2)

        assert destination.releases("people") == (f"{stem}1", f"{stem}2")
        assert all(len(name) <= 63 for name in tables(database))
        with pytest.raises(StorageError, match="63 at most"):
            destination.writer("p" * 64, "r1", NUMBERS)

    def test_errors_while_writing_hold_no_value(self, postgres: str) -> None:
        """NUL is text to Arrow and an error to PostgreSQL."""
        destination = SqlDestination(postgres)
        bad = pa.record_batch([pa.array([1]), pa.array([f"{CANARY}\x00"])], schema=NUMBERS)

        with pytest.raises(StorageError) as raised, destination.writer("people", "r1", NUMBERS) as writer:
            writer.write(bad)

        assert CANARY not in str(raised.value)
        assert raised.value.__cause__ is None
        assert tables(postgres) == set()

    def test_lives_in_a_schema(self, postgres: str) -> None:
        """Tables, view and memory are all in it; a schema that is not there is an error."""
        execute(postgres, "CREATE SCHEMA safe")
        destination = SqlDestination(postgres, schema="safe")
        publish(destination, "r1", 1)

        assert execute(postgres, "SELECT n FROM safe.people") == [(1,)]
        assert tables(postgres) == set()
        assert destination.identity("people").name.endswith(".safe.people")
        with pytest.raises(StorageError, match=r"InvalidSchemaName \(3F000\)"):
            SqlDestination(postgres, schema="none").current("people")
