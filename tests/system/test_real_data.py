"""The shipped policies on real data through Airflow: counts, joins, intervals and formats survive; people do not."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import psycopg
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.airflow_home import AirflowHome, DagRun
from tests.postgres import PostgresServer
from tests.system.shop import ROOT

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).resolve().parent / "dags"
CHINOOK = {
    "customers": "Customer",
    "employees": "Employee",
    "invoices": "Invoice",
    "invoice_lines": "InvoiceLine",
}
SYNTHEA = {
    "patients": "synthea_ma108/patients.csv",
    "encounters": "synthea_ma108/encounters.csv.gz",
    "conditions": "synthea_ma108/conditions.csv",
}
SALES = """
SELECT c.CustomerId, count(*) FROM InvoiceLine l JOIN Invoice i USING (InvoiceId)
JOIN Customer c USING (CustomerId) JOIN Employee e ON e.EmployeeId = c.SupportRepId GROUP BY 1
"""
REPORTS = "SELECT e.EmployeeId FROM Employee e JOIN Employee m ON m.EmployeeId = e.ReportsTo"
TOKEN = r"h1_[A-Za-z0-9_-]{22}"

Tables = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Released:
    """The releases, and what they were made of.

    Attributes:
        home: The installation.
        source: The folder of the real data.
        postgres: The URL of the database with Chinook.
        runs: What became of each DAG, by the policy's name.
    """

    home: AirflowHome
    source: Path
    postgres: str
    runs: dict[str, DagRun]

    def current(self, policy: str, dataset: str) -> pd.DataFrame:
        """What a consumer reads."""
        frame: pd.DataFrame = pq.read_table(
            self.home.path / "releases" / policy / dataset / "current"
        ).to_pandas()
        return frame

    def csv(self, name: str) -> pd.DataFrame:
        """A source as text; an empty cell is null."""
        text = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(_header(self.source / name), "string"), strings_can_be_null=True
        )
        frame: pd.DataFrame = pyarrow.csv.read_csv(
            self.source / name,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=text,
        ).to_pandas()
        return frame


def _header(path: Path) -> list[str]:
    names: list[str] = pyarrow.csv.open_csv(path).schema.names
    return names


@pytest.fixture(scope="module")
def released(
    shared_home: Callable[..., AirflowHome], shared_data: Path, postgres_server: PostgresServer
) -> Released:
    """All of it in one start of Airflow."""
    database = shared_data / "chinook" / "Chinook_Sqlite.sqlite"
    postgres = postgres_server.database()
    _copy_chinook(database, postgres)
    at = urlsplit(postgres)
    server = {"conn_type": "postgres", "host": at.hostname, "port": at.port, "login": at.username}
    home = shared_home(
        "real_data",
        VEIL_DATA_ROOT=str(shared_data),
        SHIPPED_POLICIES=str(ROOT / "configs"),
        AIRFLOW_CONN_CHINOOK=f"sqlite:///{database}",
        AIRFLOW_CONN_CHINOOK_POSTGRES=json.dumps({**server, "schema": at.path.strip("/")}),
    )
    text = (ROOT / "configs" / "chinook.yaml").read_text()
    for old, new in (
        ("name: chinook", "name: chinook_postgres"),
        ("connection: chinook,", "connection: chinook_postgres,"),
        ("destination: releases/chinook", "destination: {connection: chinook_postgres, schema: safe}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (home.policies / "chinook_postgres.yaml").write_text(text)
    shutil.copy(DAGS / "real_data.py", home.dags)
    policies = ("online_retail", "synthea", "userdata", "chinook", "chinook_postgres")
    runs, _ = home.run_dags(*({"dag_id": f"veil_{name}", "logical_date": "2026-03-01"} for name in policies))
    return Released(home, shared_data, postgres, dict(zip(policies, runs, strict=True)))


def _copy_chinook(database: Path, url: str) -> None:
    """The same tables in PostgreSQL, with the types that their declarations mean there, and a schema for releases."""
    types = {"INTEGER": "integer", "DATETIME": "timestamp", "NUMERIC(10,2)": "numeric(10,2)"}
    with closing(sqlite3.connect(database)) as source, psycopg.connect(url) as target:
        target.execute("CREATE SCHEMA safe")
        for table in CHINOOK.values():
            columns = source.execute(f"PRAGMA table_info({table})").fetchall()
            declared = ", ".join(
                f'"{name}" {types.get(kind, kind.replace("NVARCHAR", "varchar"))}'
                for _, name, kind, *_ in columns
            )
            target.execute(f'CREATE TABLE "{table}" ({declared})')
            with target.cursor().copy(f'COPY "{table}" FROM STDIN') as copy:
                for row in source.execute(f"SELECT * FROM {table}"):
                    copy.write_row(row)


def _sizes(keys: pd.Series) -> Counter[int]:
    """How many groups of each size the keys make: what a join or a count by key depends on."""
    return Counter(keys.value_counts().tolist())


@pytest.fixture(scope="module")
def invoices(released: Released) -> Tables:
    """Online Retail: the source and the release."""
    path = released.source / "online_retail" / "online_retail.parquet"
    source = pq.read_table(path).to_pandas(integer_object_nulls=True)
    return source, released.current("online_retail", "invoices")


@pytest.fixture(scope="module")
def users(released: Released) -> Tables:
    """Userdata: the source and the release."""
    return released.csv("userdata/userdata1.csv"), released.current("userdata", "users")


class TestAll:
    @pytest.mark.parametrize(
        "policy", ["online_retail", "synthea", "userdata", "chinook", "chinook_postgres"]
    )
    def test_every_task_succeeds(self, released: Released, policy: str) -> None:
        """The shipped policy releases the real data."""
        assert released.runs[policy].state == "success"
        assert set(released.runs[policy].tasks.values()) == {"success"}

    def test_the_ledger_has_each_release(self, released: Released) -> None:
        """One current release of each data set, with a chain of evidence that verifies."""
        with Ledger.open(released.home.veil / "ledger.db") as ledger:
            releases = ledger.list()
            ledger.verify_chain()

        assert len(releases) == 1 + 3 + 1 + 2 * len(CHINOOK)
        assert {release.state for release in releases} == {"current"}

    def test_lineage_proves_the_masking(self, released: Released) -> None:
        """No direct identifier reaches a published column unmasked, in files or tables."""
        proof = prove_files([released.home.lineage])

        assert proof.holds, proof
        assert len(proof.published) == 1 + 3 + 1 + 2 * len(CHINOOK)


class TestOnlineRetail:
    """541,909 invoice lines in one pass."""

    def test_runs_fused(self, released: Released) -> None:
        """One task does all steps: nothing is staged between."""
        assert released.runs["online_retail"].tasks.keys() == {
            f"invoices.{task}" for task in ("sanitize", "validate", "risk", "publish", "scrub")
        }

    def test_rows_and_customers_are_counted_as_before(self, invoices: Tables) -> None:
        """Every line is there; each customer is one token, and nobody stays nobody."""
        source, release = invoices

        assert len(release) == len(source) == 541_909
        assert release.CustomerID.nunique() == source.CustomerID.nunique() == 4_372
        assert (release.CustomerID.isna() == source.CustomerID.isna()).all()
        assert _sizes(release.CustomerID) == _sizes(source.CustomerID)
        assert _sizes(release.InvoiceNo) == _sizes(source.InvoiceNo)
        assert release.CustomerID.dropna().str.fullmatch(TOKEN).all()
        assert release.InvoiceNo.str.fullmatch(TOKEN).all()

    def test_what_is_kept_is_unchanged(self, invoices: Tables) -> None:
        """Goods, quantities, prices and countries are the same, row for row."""
        source, release = invoices

        for name in ("StockCode", "Description", "Quantity", "UnitPrice", "Country"):
            pd.testing.assert_series_equal(source[name], release[name], check_dtype=False)

    def test_one_customer_is_one_token_in_every_line(self, invoices: Tables) -> None:
        """Tokens and customers belong to each other one to one."""
        source, release = invoices
        pairs = (
            pd.DataFrame({"raw": source.CustomerID, "token": release.CustomerID}).dropna().drop_duplicates()
        )

        assert len(pairs) == pairs.raw.nunique() == pairs.token.nunique()

    def test_visits_keep_their_distance(self, invoices: Tables) -> None:
        """All dates of a customer move by one number of whole days; a line without a customer loses its date."""
        source, release = invoices
        known = source.CustomerID.notna()
        moved = (release.InvoiceDate - source.InvoiceDate)[known]

        assert release.InvoiceDate[~known].isna().all()
        assert moved.groupby(source.CustomerID[known].astype("int64")).nunique().eq(1).all()
        days = moved.dt.total_seconds() / 86_400
        assert days.between(-14, 14).all()
        assert (days == days.round()).all()
        assert days.nunique() > 20


class TestSynthea:
    """Patients, their encounters and conditions."""

    KEYS = (
        ("patients", "Id", "encounters", "PATIENT"),
        ("patients", "Id", "conditions", "PATIENT"),
        ("encounters", "Id", "conditions", "ENCOUNTER"),
    )

    @pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key[2]}.{key[3]}")
    def test_joins_are_as_before(self, released: Released, key: tuple[str, str, str, str]) -> None:
        """Each key joins as many rows as before, in groups of the same sizes."""
        left, left_key, right, right_key = key
        sizes = []
        for read in (
            lambda name: released.csv(SYNTHEA[name]),
            lambda name: released.current("synthea", name),
        ):
            joined = read(left)[[left_key]].merge(
                read(right)[[right_key]], left_on=left_key, right_on=right_key
            )
            sizes.append((len(joined), _sizes(joined[right_key])))

        assert sizes[0] == sizes[1]
        assert sizes[0][0] > 0

    @pytest.mark.parametrize("dataset", SYNTHEA)
    def test_rows_are_as_many(self, released: Released, dataset: str) -> None:
        """No row is lost or made."""
        assert len(released.current("synthea", dataset)) == len(released.csv(SYNTHEA[dataset]))

    def test_a_patients_dates_move_together(self, released: Released) -> None:
        """One offset a patient, in encounters and conditions alike."""
        moved = []
        for dataset in ("encounters", "conditions"):
            source, release = released.csv(SYNTHEA[dataset]), released.current("synthea", dataset)
            days = pd.to_datetime(release.START, utc=True) - pd.to_datetime(source.START, utc=True)
            moved.append(pd.DataFrame({"patient": source.PATIENT, "days": days}))
        offsets = pd.concat(moved).groupby("patient").days.nunique()

        assert offsets.eq(1).all()
        assert len(offsets) > 50

    def test_who_they_are_is_gone(self, released: Released) -> None:
        """No name, number, address or full postcode of any patient is in any released column."""
        source, release = released.csv(SYNTHEA["patients"]), released.current("synthea", "patients")
        gone = ("SSN", "DRIVERS", "PASSPORT", "FIRST", "LAST", "MAIDEN", "ADDRESS", "CITY", "BIRTHPLACE")
        cells = set(release.astype("string").stack())

        assert not set(gone) & set(release.columns)
        for name in (*gone, "Id", "BIRTHDATE", "ZIP"):
            assert not set(source[name].dropna()) & cells, name
        assert set(release.ZIP.dropna().str.len()) == {3}


class TestUserdata:
    """A thousand messy sign-ups in CSV."""

    def test_rows_and_nulls(self, users: Tables) -> None:
        """All rows are there; what was missing is missing, and nothing else."""
        source, release = users

        assert len(release) == len(source) == 1_000
        assert "comments" not in release
        for name in release.columns:
            assert (release[name].isna() == source[name].isna()).all(), name

    def test_formats_stay(self, users: Tables) -> None:
        """Cards keep length and last four digits, addresses their network, e-mails their provider if they are one."""
        source, release = users
        cards = source.cc.dropna()

        assert (release.cc.dropna().str[-4:] == cards.str[-4:]).all()
        assert (release.cc.dropna().str.len() == cards.str.len()).all()
        assert (release.cc.dropna() != cards).mean() > 0.99
        emails = source.email.dropna()
        whole = emails.str.fullmatch(r"[^@\s]+@[^@\s]+")
        assert (
            release.email[whole.index][whole].str.partition("@")[2] == emails[whole].str.partition("@")[2]
        ).all()
        assert (release.email[whole.index][~whole] == "******@******").all()
        networks = source.ip_address.dropna().str.partition(".")[0] + ".0.0.0/8"
        assert (release.ip_address.dropna() == networks).all()

    def test_nobody_is_named(self, users: Tables) -> None:
        """No whole name, e-mail, address or birth date is left."""
        source, release = users
        for name in ("first_name", "last_name", "email", "ip_address", "birthdate"):
            left = set(release[name].dropna()) & {value for value in source[name].dropna() if len(value) > 1}
            assert not left, name
        assert release.id.nunique() == source.id.nunique()


class TestChinook:
    """A shop in SQLite, and the same shop in PostgreSQL from tables to tables."""

    @pytest.mark.parametrize(("dataset", "table"), CHINOOK.items(), ids=CHINOOK)
    def test_rows_are_as_many(self, released: Released, dataset: str, table: str) -> None:
        """Each table is released whole, from the connection, in batches."""
        with closing(sqlite3.connect(released.source / "chinook" / "Chinook_Sqlite.sqlite")) as database:
            (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()

        assert len(released.current("chinook", dataset)) == count > 0

    def test_joins_are_as_before(self, released: Released) -> None:
        """Lines, invoices, customers and their employees join as they did."""
        with closing(sqlite3.connect(released.source / "chinook" / "Chinook_Sqlite.sqlite")) as database:
            sales, reports = (database.execute(query).fetchall() for query in (SALES, REPORTS))
        tables = {name: released.current("chinook", name) for name in CHINOOK}
        joined = (
            tables["invoice_lines"]
            .merge(tables["invoices"], on="InvoiceId")
            .merge(tables["customers"], on="CustomerId")
            .merge(tables["employees"], left_on="SupportRepId", right_on="EmployeeId")
        )
        managed = tables["employees"].merge(tables["employees"], left_on="ReportsTo", right_on="EmployeeId")

        assert _sizes(joined.CustomerId) == Counter(count for _, count in sales)
        assert len(managed) == len(reports)

    @pytest.mark.parametrize("dataset", CHINOOK)
    def test_postgresql_releases_the_same(self, released: Released, dataset: str) -> None:
        """From the same rows in another database come the same rows: the view shows what the files hold."""
        files = released.current("chinook", dataset)
        with psycopg.connect(released.postgres) as connection:
            cursor = connection.execute(f'SELECT * FROM safe."{dataset}"')
            names = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall()

        assert names == list(files.columns)
        assert Counter(map(_plain, rows)) == Counter(map(_plain, files.itertuples(index=False, name=None)))

    def test_the_view_shows_one_release(self, released: Released) -> None:
        """What consumers read are views, each on the table of the release that the ledger calls current."""
        with psycopg.connect(released.postgres) as connection:
            views = dict(
                connection.execute(
                    "SELECT viewname::text, definition FROM pg_views WHERE schemaname = 'safe'"
                ).fetchall()
            )
        with Ledger.open(released.home.veil / "ledger.db") as ledger:
            for dataset in CHINOOK:
                current = ledger.current("chinook_postgres", dataset)
                assert current is not None
                (table,) = set(re.findall(r"\w+__veil_\w+", views[dataset]))
                assert table.startswith(f"{dataset}__veil_")
                assert current.destination.endswith("/safe")
        assert views.keys() == set(CHINOOK)

    def test_the_password_free_name_is_in_lineage(self, released: Released) -> None:
        """Tables are named by server, database, schema and table, as OpenLineage has it."""
        at = urlsplit(released.postgres)
        publish = next(
            event
            for event in released.home.events()
            if event["job"]["name"] == "veil_chinook_postgres.customers.publish"
            and event["eventType"] == "COMPLETE"
        )
        (output,) = publish["outputs"]

        assert output["namespace"] == f"postgres://{at.hostname}:{at.port}"
        assert output["name"] == f"{at.path.strip('/')}.safe.customers"


def _plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    """A row without what databases and files spell differently: numbers of either width, either null."""
    return tuple("" if value is None or value != value or value is pd.NaT else str(value) for value in row)
