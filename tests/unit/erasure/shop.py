"""A shop with customers, orders and lines, in files and in a database: who asks to be forgotten, and who stays."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from airflow_veil.privacy.erasure import batch, requests, service
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.erasures import Request
from airflow_veil.privacy.release import service as releasing
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

ACTOR = "test:engineer"
DATASETS = ("customers", "orders", "lines", "staff")

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  customers:
    source: customers
    subject: id
    erasure:
      rows: delete
      links: {agent: {to: staff.id, then: {mask: [agent]}}}
    columns:
      id: {class: direct_identifier, type: int64, treat: {token: {domain: customer}}}
      email: {class: direct_identifier, treat: drop}
      agent: {class: direct_identifier, treat: {token: {domain: staff}}}
  orders:
    source: orders.csv
    subject: {column: customer, references: customers.id}
    erasure: delete
    columns:
      number: {class: direct_identifier, treat: {token: {domain: order}}}
      customer: {class: direct_identifier, type: string, treat: {token: {domain: customer}}}
      paid: {class: none, type: float64, treat: keep}
  lines:
    source: {connection: shop, table: lines}
    subject: {column: order_number, references: orders.number}
    erasure: delete
    columns:
      order_number: {class: direct_identifier, treat: {token: {domain: order}}}
      sku: {class: none, treat: keep}
  staff:
    source: staff.parquet
    subject: id
    erasure: {exempt: "labour law: five years"}
    columns:
      id: {class: direct_identifier, treat: {token: {domain: staff}}}
      name: {class: direct_identifier, treat: drop}
release: {destination: releases, expires_after: P1M}
erasure: {identifiers: [customers.id, customers.email, staff.id], within: P1M, backups: P35D}
"""


def customer(number: int) -> int:
    """The number of a customer, long enough to be looked for in bytes."""
    return 70_481_516_234 + number


def order(number: int, nth: int) -> str:
    return f"order-{number:04d}-{nth}-canary"


def email(number: int) -> str:
    return f"customer{number:04d}@canary.example"


def agent(number: int) -> str:
    return f"agent-{number % 3:02d}-canary"


def customers(numbers: Iterable[int]) -> pa.Table:
    chosen = list(numbers)
    return pa.table(
        {
            "id": pa.array([customer(n) for n in chosen], pa.int64()),
            "email": [email(n) for n in chosen],
            "agent": [agent(n) for n in chosen],
        }
    )


@dataclass
class Shop:
    """An installation in a folder, without Airflow.

    Attributes:
        path: The folder.
        customers: How many customers it has; each has two orders of two lines.
        files: In how many files they are.
    """

    path: Path
    customers: int = 12
    files: int = 4
    _open: list[Workspace] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings.from_env({"VEIL_HOME": str(self.path / "home")})

    @property
    def database(self) -> Path:
        return self.path / "shop.db"

    @property
    def policy(self) -> Path:
        return self.path / "shop.yaml"

    def make(self, ledger: Path | None = None) -> Shop:
        """Write the policy, keys and sources."""
        (self.path / "home").mkdir(parents=True, exist_ok=True)
        if ledger is not None:
            shutil.copy(ledger, self.path / "home" / "ledger.db")
        KeyFile(self.settings.key_file).create()
        self.policy.write_text(POLICY)
        self.supply(range(self.customers))
        return self

    def supply(self, numbers: Iterable[int]) -> None:
        """Write the sources."""
        chosen = list(numbers)
        (self.path / "customers").mkdir(exist_ok=True)
        for file in range(self.files):
            part = customers(n for n in chosen if n % self.files == file)
            pq.write_table(part, self.path / "customers" / f"part-{file}.parquet", use_dictionary=["email"])
        orders = [(order(n, i), customer(n), 10.0 + i) for n in chosen for i in range(2)]
        lines = ["number,customer,paid", *(f"{a},{b},{c}" for a, b, c in orders), ""]
        (self.path / "orders.csv").write_text("\n".join(lines))
        self.database.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.database)) as database:
            database.execute("CREATE TABLE lines (order_number TEXT, sku TEXT)")
            rows = [(number, f"sku-{i}") for number, _, _ in orders for i in range(2)]
            database.executemany("INSERT INTO lines VALUES (?, ?)", rows)
            database.commit()
        staff = {"id": [agent(n) for n in range(3)], "name": [f"Agent {n}" for n in range(3)]}
        pq.write_table(pa.table(staff), self.path / "staff.parquet")

    def workspace(self) -> Workspace:
        opened = Workspace(
            loaded=checked(self.policy),
            settings=self.settings,
            connect=lambda _: f"sqlite:///{self.database}",
        )
        self._open.append(opened)
        return opened

    def ask(self, *numbers: int, **named: str) -> list[Request]:
        """Ask for customers by number, or for whoever is named."""
        asked: list[dict[str, str]] = [{"customers.id": str(customer(number))} for number in numbers]
        if named:
            asked.append({name.replace("__", "."): value for name, value in named.items()})
        return [requests.place(self.workspace(), each, actor=ACTOR) for each in asked]

    def run(self, only: str | None = None) -> batch.Concluded | None:
        return service.run(self.workspace(), actor=ACTOR, only=only)

    def release(self, night: int = 0) -> dict[str, str]:
        """Release all data sets of a night; returns data set to release."""
        start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=night)
        interval = Interval(key=f"{start:%Y%m%d}", start=start, end=start + timedelta(days=1))
        done = {}
        for dataset in DATASETS:
            workspace = self.workspace()
            begun = releasing.begin(workspace, dataset, interval, actor=ACTOR)
            staged = releasing.sanitize(workspace, begun, actor=ACTOR)
            done[dataset] = releasing.publish(workspace, staged.reference, actor=ACTOR).reference.release_id
        return done

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """The rows of a source."""
        source = self.workspace().source(dataset)
        names = source.schema().names
        return [row for batch in source.batches(names, batch_rows=1000) for row in batch.to_pylist()]

    def released(self, dataset: str) -> list[dict[str, Any]]:
        """The rows of the current release."""
        destination = self.workspace().destination
        current = destination.current(dataset)
        if current is None:
            return []
        source = destination.source(dataset, current)
        names = source.schema().names
        return [row for batch in source.batches(names, batch_rows=1000) for row in batch.to_pylist()]

    def holding(self, *texts: str) -> list[str]:
        """The files that hold one of some texts, in bytes."""
        looked_for = [text.encode() for text in texts]
        return sorted(
            str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.is_file() and any(text in path.read_bytes() for text in looked_for)
        )

    def close(self) -> None:
        for workspace in self._open:
            workspace.__exit__()
        self._open.clear()
