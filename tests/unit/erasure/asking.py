"""A shop whose customers are named by a number, an address and the day that they were born."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  customers:
    source: customers.parquet
    subject: number
    erasure: delete
    columns:
      number: {class: direct_identifier, treat: drop}
      email: {class: direct_identifier, treat: drop}
      born: {class: quasi_identifier, treat: drop}
      plan: {class: none, treat: keep}
release: {destination: releases, expires_after: P1M}
erasure:
  identifiers: [customers.number, customers.email, customers.born]
  within: P1M
  time_zone: Europe/Vienna
"""


def installed(folder: Path) -> Path:
    """Put the shop into a folder; gives its policy."""
    table = pa.table(
        {
            "number": pa.array([4711, 4712], pa.int64()),
            "email": ["canary-one@example.com", "canary-two@example.com"],
            "born": pa.array([date(1970, 1, 2), date(1980, 3, 4)], pa.date32()),
            "plan": ["a", "b"],
        }
    )
    (folder / "data").mkdir(parents=True)
    pq.write_table(table, folder / "data" / "customers.parquet")
    (folder / "home").mkdir()
    KeyFile(folder / "home" / "keys.json").create()
    (folder / "shop.yaml").write_text(POLICY)
    return folder / "shop.yaml"


def workspace(folder: Path) -> Workspace:
    """The workspace of the shop in a folder."""
    settings = Settings.from_env({"VEIL_HOME": str(folder / "home"), "VEIL_DATA_ROOT": str(folder / "data")})
    return Workspace(loaded=checked(folder / "shop.yaml"), settings=settings)
