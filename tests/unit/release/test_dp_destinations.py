"""Answers go wherever rows go: Parquet, CSV, tables of SQLite and PostgreSQL; the same cells everywhere."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pyarrow as pa
import pytest
import yaml
from tests.postgres import PostgresServer
from tests.unit.dp.asking import ACTOR, House, night

from airflow_veil.privacy.release import dp_release, service
from airflow_veil.privacy.release.stored import from_bytes
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

QUERY: dict[str, Any] = {
    "spend": {"rho": 0.5},
    "keys": {"town": {"values": ["Graz", "Linz, upper", "Wien"], "source": "an atlas"}},
    "measures": {
        "people": "count_distinct",
        "mean_age": {"mean": {"column": "age", "bounds": [0, 100]}},
        "ages": {"histogram": {"column": "age", "edges": [0, 50, 100]}},
    },
    "consistency": "in_bounds",
}
TABLE = pa.table(
    {"id": range(90), "town": ["Graz", "Linz, upper", "Wien"] * 30, "age": [float(n) for n in range(90)]}
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path, TABLE)
    made.write(QUERY)
    return made


def asked(house: House, destination: Any, url: str = "") -> tuple[Workspace, pd.DataFrame]:
    """Answer for two nights at a destination; the workspace, and the stored answer of the second."""
    said = yaml.safe_load(house.policy.read_text())
    said["release"] = {"destination": destination}
    house.policy.write_text(yaml.safe_dump(said, sort_keys=False))
    workspace = Workspace(
        loaded=checked(house.policy),
        settings=Settings.from_env({"VEIL_HOME": str(house.path / "home")}),
        connect=lambda _: url,
    )
    for number in (0, 1):
        dp_release.release(workspace, "q", night(number), actor=ACTOR)
    query = house.query()
    request = dp_release.request_of(workspace, query, night(1))
    stored = workspace.ledger.budgets.answer(request.answer_id)
    assert stored is not None
    return workspace, from_bytes(stored.answer)[0].to_pandas()


class TestDestinations:
    def test_csv(self, house: House) -> None:
        """Numbers survive text; labels with commas and bins with brackets are quoted."""
        _, stored = asked(house, {"uri": "releases", "format": "csv"})
        (file,) = (house.path / "releases" / "q" / "current").glob("*.csv")

        read = pd.read_csv(file)

        pd.testing.assert_frame_equal(read.convert_dtypes(), stored.convert_dtypes(), check_dtype=False)
        assert len(read) == 3 * 4

    def test_sqlite(self, house: House) -> None:
        """The view under the query's name is the newest answer; the one before can be made current again."""
        path = house.path / "answers.db"
        with closing(sqlite3.connect(path)):
            pass
        workspace, stored = asked(house, {"connection": "answers"}, f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as database:
            read = pd.read_sql_query("SELECT * FROM q", database)
            pd.testing.assert_frame_equal(read, stored, check_dtype=False)

            service.rollback(workspace, "q", release_id=None, reason="ticket 4711: too noisy", actor=ACTOR)

            before = pd.read_sql_query("SELECT * FROM q", database)
        assert not before["value"].equals(stored["value"])
        assert before["town"].equals(stored["town"])

    def test_postgresql(self, house: House, postgres_server: PostgresServer) -> None:
        """A team's answers lie in its warehouse."""
        url = postgres_server.database()
        _, stored = asked(house, {"connection": "answers"}, url)
        with psycopg.connect(url) as database:
            found = database.execute("SELECT * FROM q").fetchall()

        read = pd.DataFrame(found, columns=stored.columns)
        order = ["town", "measure", "part"]
        pd.testing.assert_frame_equal(
            read.sort_values(order, ignore_index=True),
            stored.sort_values(order, ignore_index=True),
            check_dtype=False,
        )
