"""Nothing of the private table is told beside the answer: not by errors, logs, manifests, lineage, XCom or evidence."""

from __future__ import annotations

import json
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.unit.dp.asking import ACTOR, House, night, tells

from airflow_veil.privacy.errors import (
    BudgetExhaustedError,
    SchemaError,
    StorageError,
    TransformError,
    VeilError,
)
from airflow_veil.privacy.release import dp_release
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

CANARY = "canary-7f3a9"
NUMBER = 471_100_815
"""A canary that is a number."""
PEOPLE, ORDERS = 2_741, 6_173
"""Sizes that are found nowhere else."""


def people(**changed: Any) -> pa.Table:
    rows = {"id": [f"{CANARY}-{n}" for n in range(PEOPLE)], "name": [f"{CANARY} {n}" for n in range(PEOPLE)]}
    return pa.table(rows | changed)


def orders(**changed: Any) -> pa.Table:
    rows = {
        "person": [f"{CANARY}-{n % PEOPLE}" for n in range(ORDERS)],
        "city": [f"{CANARY}-city-{n % 7}" for n in range(ORDERS)],
        "code": pa.array([NUMBER + n % 3 for n in range(ORDERS)], pa.int64()),
        "paid": np.full(ORDERS, float(NUMBER)),
        "day": [f"{CANARY}-day"] * ORDERS,
    }
    return pa.table(rows | changed)


QUERY: dict[str, Any] = {
    "dataset": "orders",
    "budget": "people",
    "spend": {"epsilon": 0.5, "delta": 1e-9},
    "contribution": {"groups_per_unit": 2, "rows_per_group": 3},
    "keys": {"city": "unknown", "code": {"values": [1, 2], "source": "made up"}},
    "measures": {
        "n": "count",
        "s": {"sum": {"column": "paid", "bounds": [0, 10]}},
        "q": {"quantiles": {"column": "paid", "quantiles": [0.5], "candidates": [1, 2, 3]}},
    },
}
PUBLIC: dict[str, Any] = {
    **QUERY,
    "spend": {"epsilon": 0.5},
    "keys": {"code": {"values": [1, 2, NUMBER // 3], "source": "made up"}},
}


class Shop:
    """Orders of people, who are behind references; every cell is a canary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        pq.write_table(people(), path / "people.parquet")
        pq.write_table(orders(), path / "orders.parquet")

    def write(self, query: dict[str, Any], budget: dict[str, Any]) -> None:
        drop = {"class": "direct_identifier", "treat": "drop"}
        sensitive = {"class": "sensitive", "treat": "drop"}
        policy = {
            "version": 1,
            "name": "shop",
            "owner": "data@example.com",
            "datasets": {
                "people": {
                    "source": "people.parquet",
                    "subject": "id",
                    "columns": dict.fromkeys(["id", "name"], drop),
                },
                "orders": {
                    "source": "orders.parquet",
                    "subject": {"column": "person", "references": "people.id"},
                    "columns": {**dict.fromkeys(orders().column_names, sensitive), "person": drop},
                },
            },
            "release": {"destination": "releases"},
            "differential_privacy": {
                "budgets": {"people": {"unit": "people.id", **budget}},
                "queries": {"q": query},
            },
        }
        (self.path / "shop.yaml").write_text(yaml.safe_dump(policy))

    def release(self, number: int = 0) -> Done:
        settings = Settings.from_env({"VEIL_HOME": str(self.path / "home")})
        with Workspace(loaded=checked(self.path / "shop.yaml"), settings=settings) as workspace:
            return dp_release.release(workspace, "q", night(number), actor=ACTOR)

    def ledger(self) -> str:
        """All that the ledger holds, as text."""
        connection = sqlite3.connect(self.path / "home" / "ledger.db")
        try:
            return "\n".join(connection.iterdump())
        finally:
            connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is logged or printed that is a cell, at any level."""
    caplog.set_level(logging.DEBUG)
    yield
    said = capsys.readouterr()
    for text in (caplog.text, said.out, said.err):
        assert CANARY not in text
        assert str(NUMBER) not in text


def shown(error: BaseException) -> str:
    """All that a task's log may show of an error: with its causes and contexts, and every frame's source line."""
    parts = traceback.TracebackException.from_exception(error, capture_locals=False)
    return "".join(parts.format()) + repr(error) + str(error.__dict__)


FAILURES: dict[str, tuple[dict[str, Any], dict[str, pa.Table]]] = {
    "text where numbers are asked": (PUBLIC, {"orders": orders(paid=[f"{CANARY} {NUMBER}"] * ORDERS)}),
    "labels of another type": (
        {**PUBLIC, "keys": {"code": {"values": ["one"], "source": "made up"}}},
        {},
    ),
    "a missing column": (PUBLIC, {"orders": orders().drop_columns(["paid"])}),
    "units that are no names": (PUBLIC, {"orders": orders(person=np.full(ORDERS, float(NUMBER)))}),
    "a condition on another type": ({**PUBLIC, "where": "day > 3"}, {}),
    "keys that are no labels": (
        {**QUERY, "keys": {"paid": "unknown"}},
        {},
    ),
}


class TestErrors:
    @pytest.mark.parametrize("failure", FAILURES)
    def test_no_cell_in_an_error(self, shop: Shop, failure: str) -> None:
        """Whatever does not fit, the error names columns and types."""
        query, tables = FAILURES[failure]
        shop.write(query, {"epsilon": 10, "delta": 1e-6})
        for name, table in tables.items():
            pq.write_table(table, shop.path / f"{name}.parquet")

        with pytest.raises((SchemaError, TransformError)) as caught:
            shop.release()

        self.silent(shop, caught.value)

    def test_a_key_of_two_units(self, shop: Shop, tmp_path: Path) -> None:
        """References lead through another data set, where a key has two people behind it."""
        deep = tmp_path / "deep"
        deep.mkdir()
        pq.write_table(pa.table({"id": [f"{CANARY}-1", f"{CANARY}-2"]}), deep / "people.parquet")
        accounts = {"number": [f"{CANARY}-a"] * 2, "owner": [f"{CANARY}-1", f"{CANARY}-2"]}
        pq.write_table(pa.table(accounts), deep / "accounts.parquet")
        pq.write_table(pa.table({"account": [f"{CANARY}-a"] * 3}), deep / "payments.parquet")
        drop = {"class": "direct_identifier", "treat": "drop"}
        owner = {"column": "owner", "references": "people.id"}
        account = {"column": "account", "references": "accounts.number"}
        policy = {
            "version": 1,
            "name": "bank",
            "owner": "data@example.com",
            "datasets": {
                "people": {"source": "people.parquet", "subject": "id", "columns": {"id": drop}},
                "accounts": {
                    "source": "accounts.parquet",
                    "subject": owner,
                    "columns": {"number": drop, "owner": drop},
                },
                "payments": {"source": "payments.parquet", "subject": account, "columns": {"account": drop}},
            },
            "release": {"destination": "releases"},
            "differential_privacy": {
                "budgets": {"people": {"unit": "people.id", "epsilon": 10}},
                "queries": {
                    "q": {
                        "dataset": "payments",
                        "budget": "people",
                        "spend": {"epsilon": 1},
                        "measures": {"n": "count"},
                    }
                },
            },
        }
        (deep / "shop.yaml").write_text(yaml.safe_dump(policy))
        bank = Shop.__new__(Shop)
        bank.path = deep

        with pytest.raises(SchemaError, match="more than one unit") as caught:
            bank.release()

        self.silent(bank, caught.value)

    def test_broken_files(self, shop: Shop) -> None:
        """A file that is damaged in the middle."""
        shop.write(PUBLIC, {"epsilon": 10})
        raw = bytearray((shop.path / "orders.parquet").read_bytes())
        raw[200:600] = f"{CANARY}{NUMBER}".encode() * 16
        (shop.path / "orders.parquet").write_bytes(bytes(raw))

        with pytest.raises(StorageError) as caught:
            shop.release()

        self.silent(shop, caught.value)

    def test_an_empty_purse(self, shop: Shop) -> None:
        """That the budget is spent is told in amounts."""
        shop.write(PUBLIC, {"epsilon": 0.75})
        shop.release()

        with pytest.raises(BudgetExhaustedError) as caught:
            shop.release(1)

        assert "epsilon 0.25" in str(caught.value)
        self.silent(shop, caught.value)

    def silent(self, shop: Shop, error: VeilError) -> None:
        told = shown(error)
        assert CANARY not in told
        assert str(NUMBER) not in told
        assert not any(tells(told, str(size)) for size in (PEOPLE, ORDERS))
        kept = shop.ledger() if (shop.path / "home" / "ledger.db").exists() else ""
        assert CANARY not in kept
        assert str(NUMBER) not in kept


class TestAnswers:
    @pytest.fixture
    def done(self, shop: Shop) -> Done:
        shop.write(PUBLIC, {"epsilon": 10})
        return shop.release()

    @pytest.fixture
    def manifest(self, shop: Shop, done: Done) -> str:
        return (shop.path / "releases" / "q" / done.reference.release_id / "_manifest.json").read_text()

    def test_no_size_and_no_version_of_the_source(self, shop: Shop, done: Done, manifest: str) -> None:
        """Manifest, lineage, XCom and summary hold no exact number of the table: no rows, bytes, times or digests."""
        told = [
            manifest,
            json.dumps(done.lineage.as_dict()),
            json.dumps(done.reference.as_xcom()),
            done.summary,
        ]
        settings = Settings.from_env({"VEIL_HOME": str(shop.path / "home")})
        with Workspace(loaded=checked(shop.path / "shop.yaml"), settings=settings) as workspace:
            (charge,) = workspace.ledger.budgets.charges("people")
            stored = workspace.ledger.budgets.answer(charge.answer_id)
            prints = [workspace.source(name).fingerprint() for name in ("orders", "people")]
        assert stored is not None
        secret = [
            str(PEOPLE),
            str(ORDERS),
            str(ORDERS - PEOPLE),
            CANARY,
            stored.data_version,
            charge.answer_id,
        ]
        secret += [
            str(found) for found in _leaves(prints) if len(str(found)) > 3 and "parquet" not in str(found)
        ]
        assert len(secret) > 8

        for text in told:
            assert not [found for found in secret if tells(text, found)]
        assert done.reference.rows_in == 0
        assert done.lineage is not None
        assert done.lineage.input.rows is None
        assert done.lineage.input.bytes is None

    def test_files_hold_the_answer_alone(self, shop: Shop, done: Done) -> None:
        """What is published has no metadata of the table, and no more columns than the answer has."""
        folder = shop.path / "releases" / "q" / done.reference.release_id
        (data,) = folder.glob("*.parquet")
        schema = pq.read_schema(data)

        assert schema.names == ["code", "measure", "part", "value", "low", "high", "noise", "noise_scale"]
        for path in folder.iterdir():
            raw = path.read_bytes()
            assert CANARY.encode() not in raw
            assert b"veil_record" not in raw or path.suffix == ".json"

    def test_evidence_holds_names_and_amounts(self, shop: Shop, done: Done) -> None:
        """Entries say who, what, when and how much; the version of the data is in none."""
        settings = Settings.from_env({"VEIL_HOME": str(shop.path / "home")})
        with Workspace(loaded=checked(shop.path / "shop.yaml"), settings=settings) as workspace:
            entries = workspace.ledger.evidence()
            (charge,) = workspace.ledger.budgets.charges("people")
            stored = workspace.ledger.budgets.answer(charge.answer_id)

        kinds = {entry.kind for entry in entries}
        assert {
            "budget.opened",
            "budget.charged",
            "budget.drawn",
            "answer.stored",
            "release.published",
        } <= kinds
        assert stored is not None
        for entry in entries:
            for secret in (CANARY, str(PEOPLE), str(ORDERS), stored.data_version):
                assert not tells(entry.payload, secret)

    def test_the_ledger_holds_no_cell(self, shop: Shop, done: Done) -> None:
        assert CANARY not in shop.ledger()

    def test_suppressed_keys_are_nowhere(self, shop: Shop) -> None:
        """Keys below the threshold are in no file of the release and not in the ledger."""
        cities = [f"{CANARY}-{n}" for n in range(ORDERS)]
        pq.write_table(orders(city=cities, code=[1] * ORDERS), shop.path / "orders.parquet")
        shop.write(QUERY, {"epsilon": 10, "delta": 1e-6})

        done = shop.release()

        assert done.reference.rows_out == 0
        assert CANARY not in shop.ledger()
        for path in (shop.path / "releases").rglob("*"):
            assert not path.is_file() or CANARY.encode() not in path.read_bytes()


def test_house_is_silent_too(tmp_path: Path) -> None:
    """A unit that is a row, told by nothing: the same holds."""
    house = House(tmp_path, pa.table({"name": [CANARY] * 3_571, "x": [float(NUMBER)] * 3_571}), unit=None)
    house.write({"spend": {"epsilon": 0.1}, "measures": {"s": {"sum": {"column": "x", "bounds": [0, 1]}}}})

    done = house.release()
    house.close()

    told = json.dumps(
        [done.reference.as_xcom(), done.lineage.as_dict() if done.lineage else None, done.summary]
    )
    for secret in (CANARY, str(NUMBER), "3571"):
        assert not tells(told, secret)


def _leaves(value: Any) -> Iterator[Any]:
    """All values of nested facts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
