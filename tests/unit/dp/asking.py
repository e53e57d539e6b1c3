"""A policy with one query and its table in a folder: asked through the public path, and read as a consumer reads."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from airflow_veil.privacy.dp.measurement import Measurement, measurements
from airflow_veil.privacy.dp.query import Query, compile_query
from airflow_veil.privacy.ledger.budget import Charge, Statement
from airflow_veil.privacy.release import dp_release
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

ACTOR = "test:analyst"
EPSILON: dict[str, Any] = {"epsilon": 1000, "delta": 0.01}
RHO: dict[str, Any] = {"rho": 500_000, "delta": 0.01}
SURE: dict[str, Any] = {"epsilon": 900}
"""So much that the answer shows the exact value: where a unit changes a statistic by thirty steps at most, and it is
the only one, noise is not zero once in e^30 draws."""


def tells(text: str, secret: str) -> bool:
    """Whether a text tells something: a number counts only where it stands by itself, and not in a digest or a time."""
    if not secret.isdigit():
        return secret in text
    return re.search(rf"(?<![\w.]){secret}(?!\w)", text) is not None


def night(number: int = 0) -> Interval:
    """The interval of a night."""
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)
    return Interval(key=f"{start:%Y%m%dT%H%M%SZ}", start=start, end=start + timedelta(days=1))


@dataclass
class House:
    """An installation whose policy has the query `q` on the data set `rows`, a row of which belongs to `unit`.

    Attributes:
        path: The folder.
        table: The rows.
        unit: The column of the privacy unit; None where each row is one.
    """

    path: Path
    table: pa.Table
    unit: str | None = "id"
    _open: list[Workspace] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supply(self.table)

    @property
    def policy(self) -> Path:
        return self.path / "house.yaml"

    @property
    def source(self) -> Path:
        return self.path / "rows.parquet"

    def supply(self, table: pa.Table) -> None:
        """Write the rows."""
        self.table = table
        self.path.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.source)

    def keys(self, count: int, name: str = "keys") -> dict[str, str]:
        """A public list of the numbers below `count`, in a file beside the policy."""
        with (self.path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["key"], *([number] for number in range(count))])
        return {"file": f"{name}.csv", "source": "numbers, one after the other"}

    def write(self, query: dict[str, Any], *, budget: dict[str, Any] | None = None, **more: Any) -> None:
        """Write the policy.

        Args:
            query: The query `q`, but for its data set and its budget.
            budget: The budget; one that pays for everything if left out.
            more: Further queries, by name.
        """
        columns = {
            name: {"class": "sensitive", "treat": "drop"}
            for name in self.table.column_names
            if name != self.unit
        }
        subject: Any = {"none": "each row is a unit of its own"}
        if self.unit:
            columns[self.unit] = {"class": "direct_identifier", "treat": "drop"}
            subject = self.unit
        kind = RHO if "rho" in query["spend"] else EPSILON
        unit = f"rows.{self.unit}" if self.unit else "rows"
        policy = {
            "version": 1,
            "name": "house",
            "owner": "data@example.com",
            "datasets": {"rows": {"source": "rows.parquet", "subject": subject, "columns": columns}},
            "release": {"destination": "releases"},
            "differential_privacy": {
                "budgets": {"people": {"unit": unit, **(budget or kind)}},
                "queries": {
                    name: {"dataset": "rows", "budget": "people", **each}
                    for name, each in {"q": query, **more}.items()
                },
            },
        }
        self.policy.write_text(yaml.safe_dump(policy, sort_keys=False))

    def workspace(self) -> Workspace:
        """The policy as it is now."""
        opened = Workspace(
            loaded=checked(self.policy), settings=Settings.from_env({"VEIL_HOME": str(self.path / "home")})
        )
        self._open.append(opened)
        return opened

    def release(self, name: str = "q", number: int = 0, **how: Any) -> Done:
        """Answer a query for a night."""
        return dp_release.release(self.workspace(), name, night(number), actor=ACTOR, **how)

    def published(self, name: str = "q") -> pd.DataFrame:
        """The answer that a consumer reads: rows in its order."""
        return pq.read_table(self.path / "releases" / name / "current").to_pandas()

    def ask(self, query: dict[str, Any] | None = None, number: int = 0, **how: Any) -> pd.DataFrame:
        """Write the policy if a query is given, answer it, and read what is published."""
        if query is not None:
            self.write(query)
        self.release(number=number, **how)
        answer = self.published()
        self.close()
        return answer

    def query(self, name: str = "q") -> Query:
        """The query, compiled."""
        return compile_query(self.workspace().loaded, name)

    def planned(self) -> tuple[Measurement, ...]:
        """What the query is answered by."""
        return measurements(self.query())

    def statement(self) -> Statement:
        """How the budget stands."""
        return self.workspace().ledger.budgets.statement("people")

    def spent(self) -> float:
        """What is spent: of epsilon, or of rho."""
        amounts = self.statement().spent.as_dict()
        return float(amounts["epsilon"] or amounts["rho"] or 0)

    def charges(self) -> tuple[Charge, ...]:
        """All charges."""
        return self.workspace().ledger.budgets.charges("people")

    def close(self) -> None:
        for workspace in self._open:
            workspace.__exit__()
        self._open.clear()


def cells(answer: pd.DataFrame, measure: str, part: str | None = None) -> pd.Series:
    """The values of one measure, in the answer's order."""
    chosen = answer["measure"] == measure
    if part is not None:
        chosen &= answer["part"] == part
    return answer.loc[chosen, "value"].reset_index(drop=True)
