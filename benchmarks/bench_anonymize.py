"""Optimal recodings of Adult by nine quasi-identifiers: the lattice of 12,960 nodes that ARX is measured by.

The data and the hierarchies are ARX's, and are not part of the suite: `VEIL_SHARED_DATA` names the folder that has them
under `arx/`. Each optimum has to be the published one, or nothing is told. Seconds are of processor time; the least of
several repetitions. Reading and coding the table is part of them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figure

REPEATS = 3
MOST_SECONDS = 3.0
QUALITIES: dict[str, dict[str, Any]] = {
    "loss, k 5, 4 %": {"k": 5, "limit": 0.04, "quality": "loss", "cost": 0.26611081915757495},
    "loss, k 5, 0 %": {"k": 5, "limit": 0.0, "quality": "loss", "cost": 0.5731509655590044},
    "loss, k 10, 50 %": {"k": 10, "limit": 0.5, "quality": "loss", "cost": 0.261394038912103},
    "entropy, k 5, 4 %": {"k": 5, "limit": 0.04, "quality": "entropy", "cost": 255559.85455731067},
    "discernibility, k 5, 4 %": {"k": 5, "limit": 0.04, "quality": "discernibility", "cost": 7220555.0},
}


def run() -> list[Figure]:
    """Measure; takes half a minute."""
    folder = Path(os.environ.get("VEIL_SHARED_DATA", "")) / "arx"
    if not (folder / "adult.csv").is_file():
        return [figure("ARX's Adult is not there: set VEIL_SHARED_DATA", 0, "recodings measured")]
    from pyarrow import csv

    from airflow_veil.privacy.anonymize.criteria import Criteria
    from airflow_veil.privacy.anonymize.fit import fit
    from airflow_veil.privacy.anonymize.levels import read_levels

    table = csv.read_csv(folder / "adult.csv", parse_options=csv.ParseOptions(delimiter=";"))
    levels = {name: read_levels(name, folder / f"adult_hierarchy_{name}.csv") for name in table.column_names}
    rows = []
    for name, asked in QUALITIES.items():
        seconds, found = [], None
        for _ in range(REPEATS):
            begin = time.process_time()
            found = fit(
                table,
                levels,
                Criteria(k=asked["k"]),
                suppress_at_most=asked["limit"],
                quality=asked["quality"],
            )
            seconds.append(time.process_time() - begin)
        if found is None or abs(found.cost[0] / asked["cost"] - 1) > 1e-12:
            message = f"{name}: not the published optimum"
            raise AssertionError(message)
        rows.append(
            figure(f"{name}: {found.evaluated:,} nodes", min(seconds), "s", floor=MOST_SECONDS, aim=1.0)
        )
    return rows
