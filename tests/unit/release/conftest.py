"""A small shop: a policy, a source of a few people, a key ring and a ledger; releases go to a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings
from airflow_veil.privacy.storage.folder import FolderDestination
from airflow_veil.privacy.transforms.base import Step

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, type: int64, treat: {token: {domain: person}}}
      name: {class: direct_identifier, treat: drop}
      email: {class: direct_identifier, treat: {token: {domain: email, reversible: true, pad_to: 32}}}
      phone: {class: direct_identifier, treat: {mask: {keep_last: 2, length: 8}}}
      born: {class: quasi_identifier, type: date, treat: {generalize: {to: year}}}
      country: {class: quasi_identifier, treat: keep}
release:
  destination: releases
  expires_after: P1M
"""

ACTOR = "test:engineer"


def people(rows: int = 50, *, first: int = 1) -> pa.Table:
    """Rows of the shop's source; `secret` is not named by the policy."""
    ids = list(range(first, first + rows))
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "name": [f"Name{i} Canary" for i in ids],
            "email": [None if i % 10 == 0 else f"person{i}@example.org" for i in ids],
            "phone": [f"+44 20 7946 {i:04d}" for i in ids],
            "born": [datetime(1950 + i % 50, 1 + i % 12, 1 + i % 28).date() for i in ids],
            "country": [("GB", "FR", "DE")[i % 3] for i in ids],
            "secret": [f"secret {i}" for i in ids],
        }
    )


def night(number: int) -> Interval:
    """The interval of a night."""
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)
    end = start + timedelta(days=1)
    return Interval(key=f"{start:%Y%m%dT%H%M%SZ}_{end:%Y%m%dT%H%M%SZ}", start=start, end=end)


@dataclass
class Shop:
    """An installation in a folder, without Airflow.

    Attributes:
        path: The folder.
    """

    path: Path
    _open: list[Workspace] = field(default_factory=list)

    @property
    def policy(self) -> Path:
        return self.path / "shop.yaml"

    @property
    def people(self) -> Path:
        return self.path / "people.parquet"

    @property
    def releases(self) -> Path:
        return self.path / "releases"

    @property
    def settings(self) -> Settings:
        return Settings.from_env({"VEIL_HOME": str(self.path / "home")})

    def write(self, text: str = POLICY) -> None:
        """Write the policy."""
        self.policy.write_text(text)

    def supply(self, table: pa.Table) -> None:
        """Write the source."""
        pq.write_table(table, self.people)

    def suite(self, *expectations: dict[str, Any]) -> None:
        """Write the suite `people`, and let the policy name it."""
        folder = self.path / "expectations"
        folder.mkdir(exist_ok=True)
        suite = {"name": "people", "expectations": list(expectations)}
        (folder / "people.json").write_text(json.dumps(suite))
        self.write(POLICY.replace("subject: id\n", "subject: id\n    expectations: people\n"))

    def workspace(self, **overrides: Any) -> Workspace:
        """The policy as it is now."""
        opened = Workspace(loaded=checked(self.policy), settings=self.settings, **overrides)
        self._open.append(opened)
        return opened

    def stage(self, interval: Interval, *, steps: bool = False) -> Done:
        """Begin a release and stage its rows: in one pass, or step by step."""
        workspace = self.workspace()
        reference = service.begin(workspace, "people", interval, actor=ACTOR)
        if not steps:
            return service.sanitize(workspace, reference, actor=ACTOR)
        for step in Step:
            done = service.run_step(workspace, reference, step, actor=ACTOR)
            reference = done.reference
        return done

    def release(self, interval: Interval, *, steps: bool = False) -> Reference:
        """A whole night: what the nightly DAG does for the data set."""
        staged = self.stage(interval, steps=steps).reference
        valid = service.validate(self.workspace(), staged, actor=ACTOR).reference
        published = service.publish(self.workspace(), valid, actor=ACTOR).reference
        service.scrub(self.workspace(), "people", interval, orphans_after=0, actor=ACTOR)
        return published

    @property
    def ledger(self) -> Ledger:
        return self.workspace().ledger

    @property
    def destination(self) -> FolderDestination:
        return FolderDestination(self.releases)

    def current(self) -> pa.Table:
        """What a consumer reads."""
        return pq.read_table(self.releases / "people" / "current")

    def staged(self) -> list[Path]:
        """What lies in staging, and beside the published releases."""
        between = [path for path in (self.path / "home" / "staging").rglob("*") if path.is_file()]
        return between + [path for path in self.releases.rglob("*") if path.name.startswith(".")]

    def close(self) -> None:
        for workspace in self._open:
            workspace.__exit__()


@pytest.fixture
def make_shop(tmp_path: Path, empty_ledger: Path) -> Iterator[Callable[..., Shop]]:
    """Makes shops, each in a folder of its own."""
    made: list[Shop] = []

    def make(name: str = "shop") -> Shop:
        shop = Shop(tmp_path / name)
        (shop.path / "home").mkdir(parents=True)
        shutil.copy(empty_ledger, shop.path / "home" / "ledger.db")
        KeyFile(shop.settings.key_file).create()
        shop.write()
        shop.supply(people())
        made.append(shop)
        return shop

    yield make
    for shop in made:
        shop.close()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """A shop before its first night."""
    return make_shop()
