"""Differentially private synthetic rows of Adult: how far they are off, and how long a model takes.

The data is UCI's, and no part of the suite: `VEIL_SHARED_DATA` names the folder that has it under `adult/`. Of its
32,561 rows 13 columns are made up, four of them in twenty bins. The loss is that of epsilon 1 at delta 1e-9. An error
is the mean distance in L1 of the shares in all threes of columns, of as many sampled rows as real ones; columns by
themselves, without any noise, are the first row to compare with. Seconds are by the clock, from counting to the last
row, MBI's compiler included.
"""

from __future__ import annotations

import os
import time
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from benchmarks.figure import Figure, figure

RHO = Decimal("0.014973")
COLUMNS = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital", "occupation", "relationship", "race", "sex",
    "gain", "loss", "hours", "country", "income",
]  # fmt: skip
BOUNDS = {"age": (17, 90), "gain": (0, 100_000), "loss": (0, 4_400), "hours": (1, 99)}
SIX = ("age", "marital", "relationship", "sex", "income", "hours")


def run() -> list[Figure]:
    """Measure; takes one or two minutes."""
    path = Path(os.environ.get("VEIL_SHARED_DATA", "")) / "adult" / "adult.data"
    if not path.is_file():
        return [figure("UCI's Adult is not there: set VEIL_SHARED_DATA", 0, "models measured")]
    rows = _rows(path)
    every = [name for name in COLUMNS if name not in ("fnlwgt", "education-num")]
    rng = np.random.default_rng(0)
    mixed = [rng.permutation(rows.num_rows) for _ in every]
    apart = pa.table(
        {name: rows.column(name).take(pa.array(order)) for name, order in zip(every, mixed, strict=True)}
    )
    found = [figure("Independent columns, no noise: error of threes", _error(rows, every, apart), "L1")]
    for name, columns, method, floor, aim, seconds in (
        ("MST, 13 columns", every, "mst", 0.2, 0.17, 180),
        ("AIM of 20 rounds, 13 columns", every, {"aim": {"rounds": 20}}, 0.17, 0.13, 300),
        ("MST, 6 columns", SIX, "mst", 0.2, 0.19, 180),
        ("AIM of 10 rounds, 6 columns", SIX, {"aim": {"rounds": 10}}, 0.1, 0.08, 180),
    ):
        begin = time.perf_counter()
        fake = _made(rows, columns, method)
        found += [
            figure(f"{name}: seconds", time.perf_counter() - begin, "s", floor=seconds, aim=seconds / 3),
            figure(f"{name}: error of threes", _error(rows, columns, fake), "L1", floor=floor, aim=aim),
        ]
    return found


def _rows(path: Path) -> pa.Table:
    from pyarrow import csv

    return csv.read_csv(
        pa.BufferReader(path.read_bytes().replace(b", ", b",")),
        read_options=csv.ReadOptions(column_names=COLUMNS),
        convert_options=csv.ConvertOptions(strings_can_be_null=False),
    )


def _specification(rows: pa.Table, columns: Any, method: Any) -> Any:
    from airflow_veil.privacy.policy.differential_privacy import Spend
    from airflow_veil.privacy.policy.synthetic import Method, SyntheticColumn
    from airflow_veil.privacy.synthetic.specification import (
        ColumnSpecification,
        Specification,
        TableSpecification,
    )

    made = []
    for name in columns:
        if name in BOUNDS:
            said = SyntheticColumn.model_validate({"numbers": {"bounds": BOUNDS[name], "bins": 20}})
            made.append(ColumnSpecification(name, said, "int64"))
        else:
            # For a benchmark the list is looked up; a policy writes it.
            values = tuple(sorted(rows.column(name).unique().to_pylist()))
            said = SyntheticColumn.model_validate({"categories": {"values": values}})
            made.append(ColumnSpecification(name, said, "string", values))
    table = TableSpecification("adult", tuple(made), (), rows.num_rows)
    return Specification(
        name="adult", method=Method.model_validate(method), tables={"adult": table}, fit_rows=100_000, holdout=0.0,
        seed=0, spend=Spend(rho=RHO),
    )  # fmt: skip


def _made(rows: pa.Table, columns: Any, method: Any) -> pa.Table:
    from airflow_veil.privacy.synthetic.private import synthesizer

    made = synthesizer(_specification(rows, columns, method))
    model = made.draw(made.count(rows.to_batches()), progress=lambda _: None)
    return pa.Table.from_batches([batch for _, batch in model.sample(seed=1)])


def _error(real: pa.Table, columns: Any, fake: pa.Table) -> float:
    from airflow_veil.privacy.synthetic.private import synthesizer

    domains = synthesizer(_specification(real, columns, "mst")).domains
    coded = [
        [domain.encode(rows.column(domain.name).combine_chunks()).astype(np.int64) for domain in domains]
        for rows in (real, fake)
    ]
    errors = []
    for three in combinations(range(len(domains)), 3):
        shape = [domains[column].size for column in three]
        shares = [
            np.bincount(
                np.ravel_multi_index([codes[column] for column in three], shape), minlength=np.prod(shape)
            )
            / len(codes[0])
            for codes in coded
        ]
        errors.append(np.abs(shares[0] - shares[1]).sum())
    return float(np.mean(errors))
