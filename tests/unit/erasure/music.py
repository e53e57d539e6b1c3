"""A music shop: customers with invoices and their lines, and support tickets that also name who referred them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.erasure.suppression import suppress
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings
from airflow_veil.privacy.transforms.base import Step

ACTOR = "test:officer"
CANARY = "canary"
"""Stands in all that must not be seen."""

POLICY = """\
version: 1
name: music
owner: music@example.com
datasets:
  customers:
    source: customers.parquet
    subject: CustomerId
    erasure: delete
    columns:
      CustomerId: {class: direct_identifier, type: int64, treat: {token: {domain: customer}}}
      Email: {class: direct_identifier, treat: {token: {domain: email, reversible: true, pad_to: 64}}}
      Phone: {class: direct_identifier, treat: {token: {domain: phone, reversible: true, pad_to: 32}}}
      Country: {class: quasi_identifier, treat: keep}
  invoices:
    source: invoices.parquet
    subject: {column: CustomerId, references: customers.CustomerId}
    erasure: delete
    columns:
      InvoiceId: {class: none, type: int64, treat: keep}
      CustomerId: {class: direct_identifier, treat: drop}
      Total: {class: none, treat: keep}
  lines:
    source: lines.parquet
    subject: {column: InvoiceId, references: invoices.InvoiceId}
    erasure: delete
    columns:
      InvoiceId: {class: direct_identifier, treat: drop}
      Track: {class: none, treat: keep}
      Quantity: {class: none, type: int64, treat: keep}
  tickets:
    source: tickets.parquet
    subject: {column: customer, references: customers.CustomerId}
    erasure:
      rows: delete
      links:
        referrer: {to: customers.CustomerId, then: {mask: [referrer, words]}}
        author: {to: customers.CustomerId, then: delete}
    columns:
      ticket: {class: none, type: int64, treat: keep}
      customer: {class: direct_identifier, treat: drop}
      author: {class: direct_identifier, treat: drop}
      referrer: {class: direct_identifier, treat: keep, unsafe_reason: "a test looks at what is left of it"}
      words: {class: free_text, treat: keep, unsafe_reason: "a test looks at what is left of it"}
release:
  destination: releases
keys: {file: keys.json}
erasure:
  identifiers: [customers.CustomerId, customers.Email]
  answers: {exempt: "answers are noisy, and nobody can be told from them"}
"""

QUERIES = """\
differential_privacy:
  budgets:
    people: {unit: customers.CustomerId, epsilon: 1000}
  queries:
    sold:
      dataset: lines
      budget: people
      spend: {epsilon: 400}
      keys: {Track: {values: [a, b], source: made up}}
      measures: {n: count}
      contribution: {groups_per_unit: 2, rows_per_group: 50}
"""


def tables(customers: int = 20) -> dict[str, pa.Table]:
    """All rows: customers from 1 on, two invoices each from 100 on, three lines each, and a ticket each."""
    ids = list(range(1, customers + 1))
    invoices = [(100 + 2 * (i - 1) + k, i) for i in ids for k in range(2)]
    lines = [(invoice, "ab"[k % 2], k + 1) for invoice, _ in invoices for k in range(3)]
    return {
        "customers": pa.table(
            {
                "CustomerId": pa.array(ids, pa.int64()),
                "Email": [f"{CANARY}{i}@example.org" for i in ids],
                "Phone": [f"{CANARY}-{i:05d}" for i in ids],
                "Country": [("GB", "FR", "DE")[i % 3] for i in ids],
            }
        ),
        "invoices": pa.table(
            {
                "InvoiceId": pa.array([number for number, _ in invoices], pa.int64()),
                "CustomerId": pa.array([owner for _, owner in invoices], pa.int32()),
                "Total": pa.array([float(number) for number, _ in invoices]),
            }
        ),
        "lines": pa.table(
            {
                "InvoiceId": pa.array([number for number, _, _ in lines], pa.int64()),
                "Track": [track for _, track, _ in lines],
                "Quantity": pa.array([quantity for _, _, quantity in lines], pa.int64()),
            }
        ),
        # Here customers are text, and some tickets are nobody's.
        "tickets": pa.table(
            {
                "ticket": pa.array(ids, pa.int64()),
                "customer": [None if i % 5 == 0 else str(i) for i in ids],
                "author": [None if i != 9 else "3" for i in ids],
                "referrer": [None if i == 1 else str(i - 1) for i in ids],
                "words": [f"{CANARY} words of {i}" for i in ids],
            }
        ),
    }


def night(number: int) -> Interval:
    """The interval of a night."""
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)
    return Interval(key=f"{start:%Y%m%dT%H%M%SZ}", start=start, end=start + timedelta(days=1))


def subjects(**values: list[str]) -> Subjects:
    """The people of two requests in turns; a domain is written `customers__Email`."""
    found = Subjects()
    for name, texts in values.items():
        owners = np.arange(len(texts), dtype=np.int32) % 2
        found = found.with_(name.replace("__", "."), pa.array(texts, pa.string()), owners)
    return found


@dataclass
class Music:
    """An installation in a folder, without Airflow."""

    path: Path
    _open: list[Workspace] = field(default_factory=list)

    @property
    def policy(self) -> Path:
        return self.path / "music.yaml"

    @property
    def keys(self) -> KeyFile:
        return KeyFile(self.path / "keys.json")

    def write(self, text: str = POLICY) -> None:
        self.policy.write_text(text)

    def supply(self, **more: pa.Table) -> None:
        """Write the sources."""
        for name, table in (tables() | more).items():
            pq.write_table(table, self.path / f"{name}.parquet")

    def workspace(self, **overrides: Any) -> Workspace:
        settings = Settings.from_env({"VEIL_HOME": str(self.path / "home")})
        opened = Workspace(loaded=checked(self.policy), settings=settings, **overrides)
        self._open.append(opened)
        return opened

    @property
    def ledger(self) -> Ledger:
        return self.workspace().ledger

    def erase(self, people: Subjects, *, batch: str = "b1", requests: tuple[str, ...] = ("r1", "r2")) -> int:
        """Put people on the suppression list; the sources stay as they are, as if upstream sent them again."""
        return suppress(self.workspace(), people, batch_id=batch, requests=requests, actor=ACTOR)

    def stage(self, dataset: str, number: int = 0, *, steps: bool = False) -> list[Done]:
        """Begin a release and stage its rows: in one pass, or step by step."""
        workspace = self.workspace()
        reference = service.begin(workspace, dataset, night(number), actor=ACTOR)
        if not steps:
            return [service.sanitize(workspace, reference, actor=ACTOR)]
        done = []
        for step in Step:
            done.append(service.run_step(workspace, reference, step, actor=ACTOR))
            reference = done[-1].reference
        return done

    def release(self, dataset: str, number: int = 0, *, steps: bool = False) -> list[Done]:
        """A whole night of a data set."""
        done = self.stage(dataset, number, steps=steps)
        valid = service.validate(self.workspace(), done[-1].reference, actor=ACTOR).reference
        done.append(service.publish(self.workspace(), valid, actor=ACTOR))
        service.scrub(self.workspace(), dataset, night(number), actor=ACTOR, orphans_after=0)
        return done

    def current(self, dataset: str) -> pa.Table:
        """What a consumer reads."""
        return pq.read_table(self.path / "releases" / dataset / "current")

    def manifest(self, dataset: str) -> str:
        return (self.path / "releases" / dataset / "current" / "_manifest.json").read_text()

    def close(self) -> None:
        for workspace in self._open:
            workspace.__exit__()
        self._open.clear()


def make(path: Path, ledger: Path) -> Music:
    """A shop before anybody was erased."""
    (path / "home").mkdir(parents=True)
    shutil.copy(ledger, path / "home" / "ledger.db")
    music = Music(path)
    music.keys.create()
    music.write()
    music.supply()
    return music
