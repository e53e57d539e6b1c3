"""A small shop that makes up its customers and orders: out of nothing, and after what a model learned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.unit.release.conftest import ACTOR, Shop, night

from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.models import ModelRecord
from airflow_veil.privacy.release import synthesize
from airflow_veil.privacy.release.synthetic_reference import Made

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    erasure: delete
    columns:
      id: {class: direct_identifier, type: int64, treat: drop}
      name: {class: direct_identifier, treat: drop}
      age: {class: quasi_identifier, type: int64, treat: drop}
      country: {class: quasi_identifier, type: string, treat: drop, values: [GB, FR, DE]}
      income: {class: sensitive, type: float64, treat: drop}
      tier: {class: sensitive, type: string, treat: drop, values: [gold, silver]}
  orders:
    source: orders.parquet
    subject: {column: person, references: people.id}
    erasure: delete
    columns:
      number: {class: direct_identifier, type: int64, treat: drop}
      person: {class: direct_identifier, type: int64, treat: drop}
      amount: {class: none, type: float64, treat: drop}
release:
  destination: releases
  expires_after: P1M
erasure:
  identifiers: [people.id, people.name]
synthetic:
  releases:
    nobody:
      method: faker
      tables:
        people:
          rows: 60
          columns:
            id: key
            name: {invented: {provider: name}}
            age: {numbers: {bounds: [18, 90]}}
            country: categories
        orders:
          columns:
            number: key
            person: {reference: {to: people.id}}
            amount: {numbers: {bounds: [0, 1000]}}
    someone:
      method: gaussian_copula
      tables:
        people:
          rows: 300
          columns:
            id: key
            name: {invented: {provider: name}}
            age: {numbers: {bounds: [18, 90]}}
            country: categories
            income: {numbers: {bounds: [0, 200000], decimals: 2}}
            tier: categories
      evaluate:
        holdout: 0.3
        bounds:
          singling_out_max: 0.9
          linkability_max: 0.9
          inference_max: 0.9
          matches_max: 0.9
"""
CANARY = "Ca{}nary"
"""The name of somebody in the source; no name is ever learned."""


def people(rows: int = 400, *, seed: int = 1) -> pa.Table:
    """Rows whose columns go together: who is older earns more."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    return pa.table(
        {
            "id": pa.array(range(1, rows + 1), pa.int64()),
            "name": [CANARY.format(number) for number in range(1, rows + 1)],
            "age": pa.array(age, pa.int64()),
            "country": rng.choice(["GB", "FR", "DE"], rows).tolist(),
            "income": np.round(np.clip(age * 1_000 + rng.normal(0, 9_000, rows), 0, 200_000), 2),
            "tier": np.where(age + rng.normal(0, 10, rows) > 50, "gold", "silver").tolist(),
        }
    )


def orders(rows: int = 800, people_rows: int = 400) -> pa.Table:
    """Orders of the people."""
    rng = np.random.default_rng(2)
    return pa.table(
        {
            "number": pa.array(range(1, rows + 1), pa.int64()),
            "person": pa.array(rng.integers(1, people_rows + 1, rows), pa.int64()),
            "amount": np.round(rng.uniform(0, 1_000, rows), 2),
        }
    )


def open_shop(folder: Path, empty_ledger: Path, policy: str = POLICY) -> Shop:
    """A shop in a folder of its own; close it."""
    shop = Shop(folder)
    (shop.path / "home").mkdir(parents=True)
    shutil.copy(empty_ledger, shop.path / "home" / "ledger.db")
    KeyFile(shop.settings.key_file).create()
    return stock(shop, policy)


def stock(shop: Shop, policy: str = POLICY) -> Shop:
    """Write the policy and the sources of a shop."""
    shop.write(policy)
    shop.supply(people())
    pq.write_table(orders(), shop.path / "orders.parquet")
    return shop


def silent(_: str) -> None:
    """Nobody looks."""


def run(shop: Shop, name: str = "nobody", number: int = 0, **how: Any) -> Made:
    """A whole release, as the DAG makes it; what the last step did."""
    return synthesize.run(shop.workspace(), name, night(number), actor=ACTOR, progress=silent, **how)[-1]


def published(shop: Shop, name: str) -> pa.Table:
    """What consumers read."""
    return pq.read_table(shop.releases / name / "current")


def models(shop: Shop) -> tuple[ModelRecord, ...]:
    """All models of the ledger."""
    return shop.ledger.models.listed()


def sealed(shop: Shop) -> list[Path]:
    """The files of models."""
    folder = shop.path / "home" / "models"
    return sorted(folder.iterdir()) if folder.exists() else []
