"""A data set of visits with times, in any kind of source, and a policy that keeps them for a year."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.retention import service
from airflow_veil.privacy.settings import Settings

ACTOR = "test:engineer"
NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
CUT = date(2025, 3, 1)
"""A year before `NOW`."""
APPROVED = service.Approval(by="test:officer", reason="ticket 4711: looked at")

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  visits:
    source: {source}
    subject: customer
    retention: {{{rule}}}
    columns:
      customer: {{class: direct_identifier, treat: drop}}
      at: {{class: none, type: timestamp, treat: keep}}
      note: {{class: none, treat: keep}}
release: {{destination: releases, expires_after: P1M}}
"""
RULE = "after: P1Y, from: at, at_most: 1.0"


def visits(days: list[date | None], *, first: int = 1) -> pa.Table:
    """A visit at noon of each day, by a customer of its own."""
    times = [None if day is None else datetime(day.year, day.month, day.day, 12) for day in days]
    numbers = range(first, first + len(days))
    return pa.table(
        {
            "customer": pa.array([f"customer-{n:05d}" for n in numbers]),
            "at": pa.array(times, pa.timestamp("us")),
            "note": pa.array([f"canary-{n:05d}-note" for n in numbers]),
        }
    )


def days_around(before: int, after: int) -> list[date | None]:
    """Days before the cut-off, and from it on."""
    return [CUT + timedelta(days=offset) for offset in range(-before, after)]


@dataclass
class Place:
    """An installation in a folder, without Airflow."""

    path: Path
    _open: list[Workspace] = field(default_factory=list)

    @property
    def policy(self) -> Path:
        return self.path / "shop.yaml"

    @property
    def settings(self) -> Settings:
        return Settings.from_env({"VEIL_HOME": str(self.path / "home")})

    def write(self, source: str = "visits", rule: str = RULE) -> None:
        self.policy.write_text(POLICY.format(source=source, rule=rule))

    def file(self, name: str, table: pa.Table, **options: Any) -> Path:
        """Write a Parquet file of the source."""
        path = self.path / "visits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **options)
        return path

    def workspace(self, **overrides: Any) -> Workspace:
        opened = Workspace(loaded=checked(self.policy), settings=self.settings, **overrides)
        self._open.append(opened)
        return opened

    @property
    def ledger(self) -> Ledger:
        return self.workspace().ledger

    def plan(self, now: datetime = NOW, **overrides: Any) -> service.RetentionPlan:
        return service.plan(self.workspace(**overrides), "visits", now)

    def enforce(
        self, now: datetime = NOW, approval: service.Approval | None = None, **overrides: Any
    ) -> service.Enforced:
        return service.enforce(self.workspace(**overrides), "visits", actor=ACTOR, now=now, approval=approval)

    def left(self) -> list[str]:
        """The notes that are still there, in order of the files."""
        rows = []
        for batch in self.workspace().source("visits").batches(["note"], batch_rows=1000):
            rows += batch.column("note").to_pylist()
        return rows

    def close(self) -> None:
        for workspace in self._open:
            workspace.__exit__()


@pytest.fixture
def make_place(tmp_path: Path, empty_ledger: Path) -> Iterator[Callable[..., Place]]:
    """Makes installations, each in a folder of its own."""
    made: list[Place] = []

    def make(name: str = "shop") -> Place:
        place = Place(tmp_path / name)
        (place.path / "home").mkdir(parents=True)
        shutil.copy(empty_ledger, place.path / "home" / "ledger.db")
        KeyFile(place.settings.key_file).create()
        place.write()
        made.append(place)
        return place

    yield make
    for place in made:
        place.close()


@pytest.fixture
def place(make_place: Callable[..., Place]) -> Place:
    """An installation without rows."""
    return make_place()
