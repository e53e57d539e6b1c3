"""Peak memory of synthetic tables: it must grow neither with the rows that are drawn nor with the source.

Each measurement is a process of its own that fits and stages, as the tasks of a DAG do, and reports the largest
resident set it had. Fitting takes most of it; drawing is in the figure only as far as it goes beyond that.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import people
from benchmarks.bench_memory import AIM, FLOOR, KIB_PER_MIB, peak_kib
from benchmarks.figure import Figure, figure

FEW_DRAWN, MANY_DRAWN = 200_000, 2_000_000
SMALL, LARGE = 100_000, 1_000_000
"""Rows of the source."""
COLUMNS = ("customer_id", "joined", "country", "segment", "orders", "spent")
POLICY = """\
version: 1
name: benchmark
owner: benchmarks@example.com
datasets:
  people:
    source: people.parquet
    subject: customer_id
    columns:
      customer_id: {{class: direct_identifier, type: int64, treat: drop}}
      joined: {{class: quasi_identifier, type: date, treat: drop}}
      country: {{class: quasi_identifier, type: string, treat: drop, values: [DE, FR, GB, IN, JP, KE, SE, US]}}
      segment: {{class: none, type: string, treat: drop, values: [new, regular, loyal, lapsed]}}
      orders: {{class: none, type: int32, treat: drop}}
      spent: {{class: sensitive, type: float64, treat: drop}}
release: {{destination: releases}}
{budget}
synthetic:
  releases:
    made:
      method: {method}
      fit_rows: 20000
      tables:
        people:
          rows: {rows}
          columns:
            joined: {{dates: {{bounds: [2010-01-01, 2030-01-01]}}}}
            country: categories
            segment: categories
            orders: {{numbers: {{bounds: [0, 50]}}}}
            spent: {{numbers: {{bounds: [0, 10000], decimals: 2}}}}
"""
BUDGET = "differential_privacy: {budgets: {people: {unit: people.customer_id, rho: 1}}}"
METHODS = {
    "gaussian_copula": "gaussian_copula\n      evaluate: {}",
    "mst": "mst\n      budget: people\n      spend: {rho: 0.1}",
}


def run() -> list[Figure]:
    """Measure all; takes some minutes."""
    rows = []
    with TemporaryDirectory(prefix="veil-bench-") as folder:
        for method in METHODS:
            few = peak(Path(folder), method, source=SMALL, drawn=FEW_DRAWN)
            drawn = peak(Path(folder), method, source=SMALL, drawn=MANY_DRAWN)
            learned = peak(Path(folder), method, source=LARGE, drawn=FEW_DRAWN)
            rows += [
                figure(f"{method}: peak memory, {SMALL:,} rows learned, {FEW_DRAWN:,} drawn", few, "MiB"),
                figure(
                    f"{method}: peak memory, ten times the rows drawn", drawn / few, "x", floor=FLOOR, aim=AIM
                ),
                figure(
                    f"{method}: peak memory, ten times the source", learned / few, "x", floor=FLOOR, aim=AIM
                ),
            ]
    return rows


def peak(folder: Path, method: str, *, source: int, drawn: int) -> float:
    """The peak resident set of fitting a model of a table and staging rows of it, in MiB."""
    with TemporaryDirectory(dir=folder) as place:
        people.write(Path(place) / "people.parquet", source, columns=COLUMNS)
        (Path(place) / "policy.yaml").write_text(
            POLICY.format(method=METHODS[method], budget=BUDGET if method == "mst" else "", rows=drawn)
        )
        command = [sys.executable, "-m", "benchmarks.bench_synthetic_memory", place]
        child = subprocess.run(
            command, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True
        )
    return float(child.stdout.splitlines()[-1])


def synthesize(folder: Path) -> None:
    """Fit, draw and stage, with a ledger and a key ring in the same folder."""
    from airflow_veil.privacy.keys.file import KeyFile
    from airflow_veil.privacy.release import synthesize as steps
    from airflow_veil.privacy.release.interval import Interval
    from airflow_veil.privacy.release.workspace import Workspace, checked
    from airflow_veil.privacy.settings import Settings

    settings = Settings.from_env({"VEIL_HOME": str(folder / "home")})
    night = Interval(key=f"{datetime.now(UTC):%Y%m%d}")
    with Workspace(loaded=checked(folder / "policy.yaml"), settings=settings) as workspace:
        settings.home.mkdir()
        KeyFile(settings.key_file).create()
        told = {"actor": "benchmark", "progress": lambda _: None}
        fitted = steps.fit(workspace, "made", night, **told)
        steps.sample(workspace, fitted.reference, night, **told)


if __name__ == "__main__":
    synthesize(Path(sys.argv[1]))
    print(peak_kib() / KIB_PER_MIB)
