"""Tables that the tests of recodings share: ARX's Adult, and small ones drawn at random."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from airflow_veil.privacy.anonymize.levels import Levels, levels_of, read_levels

COLUMNS = (
    "sex",
    "age",
    "race",
    "marital-status",
    "education",
    "native-country",
    "workclass",
    "occupation",
    "salary-class",
)
"""The quasi-identifiers of ARX's Adult, in the order of its tests."""


@cache
def adult(shared_data: Path) -> pa.Table:
    """The 30,162 rows of Adult that ARX tests with."""
    return csv.read_csv(
        shared_data / "arx" / "adult.csv", parse_options=csv.ParseOptions(delimiter=";")
    ).select(COLUMNS)


@cache
def adult_levels(shared_data: Path) -> dict[str, Levels]:
    """ARX's hierarchies of Adult."""
    folder = shared_data / "arx"
    return {name: read_levels(name, folder / f"adult_hierarchy_{name}.csv") for name in COLUMNS}


def drawn(seed: int, *, rows: int = 60) -> tuple[pa.Table, dict[str, Levels]]:
    """A small table with three quasi-identifiers, a sensitive column and people with several rows."""
    rng = np.random.default_rng(seed)
    table = pa.table(
        {
            "age": rng.integers(20, 36, rows),
            "city": [f"{'ab'[i % 2]}{i}" for i in rng.integers(0, 6, rows)],
            "sex": rng.choice(["f", "m"], rows),
            "illness": rng.choice(["flu", "cold", "gout"], rows),
            "person": rng.integers(0, rows // 2, rows),
        }
    )
    levels = {
        "age": levels_of("age", [[str(a), str(a // 2), str(a // 8), "*"] for a in range(20, 36)]),
        "city": levels_of("city", [[f"{'ab'[i % 2]}{i}", "ab"[i % 2], "*"] for i in range(6)]),
        "sex": levels_of("sex", [["f", "*"], ["m", "*"]]),
    }
    return table, levels
