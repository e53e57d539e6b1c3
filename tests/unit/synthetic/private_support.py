"""Small tables that the tests of private synthesizers share."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from airflow_veil.privacy.policy.differential_privacy import Spend
from airflow_veil.privacy.policy.synthetic import Method, SyntheticColumn
from airflow_veil.privacy.synthetic.private import PrivateSynthesizer
from airflow_veil.privacy.synthetic.private_model import PrivateModel
from airflow_veil.privacy.synthetic.specification import (
    ColumnSpecification,
    Specification,
    TableSpecification,
)

ADULT = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital", "occupation", "relationship", "race", "sex",
    "gain", "loss", "hours", "country", "income",
]  # fmt: skip
"""The columns of UCI's Adult."""
RHO = Decimal("0.014973")
"""The rho of epsilon 1 at delta 1e-9, rounded down."""


def quiet(_: str) -> None:
    """Nobody wants to know how far it is."""


def specification(columns: dict[str, dict[str, Any]], method: Any, **more: Any) -> Specification:
    """A synthesis of one table; each column is its word, its type, and more."""
    made = []
    for name, said in columns.items():
        kind = said["type"]
        declared = SyntheticColumn.model_validate(
            {word: value for word, value in said.items() if word != "type"}
        )
        values = () if declared.categories is None else tuple(declared.categories.values or ())
        if declared.categories is not None and declared.categories.other is not None:
            values = tuple(dict.fromkeys([*values, declared.categories.other]))
        made.append(ColumnSpecification(name, declared, kind, values))
    table = TableSpecification(
        name="people",
        columns=tuple(made),
        constraints=more.get("constraints", ()),
        rows=more.get("rows", 1000),
    )
    return Specification(
        name="made", method=Method.model_validate(method), tables={"people": table}, fit_rows=100_000, holdout=0.0,
        seed=0, spend=more.get("spend"),
    )  # fmt: skip


def synthesizer(
    columns: dict[str, dict[str, Any]], method: Any = "mst", rho: Any = None, epsilon: Any = None, **more: Any
) -> PrivateSynthesizer:
    """A synthesizer of one table."""
    spend = Spend(rho=rho, epsilon=epsilon) if rho or epsilon else Spend(rho=Decimal(1))
    given = {word: more.pop(word) for word in ("rows_per_unit", "drawing") if word in more}
    return PrivateSynthesizer(specification(columns, method, spend=spend, **more), **given)


def categories(size: int) -> dict[str, Any]:
    """A column of a few whole numbers from 0 on."""
    return {"categories": {"values": list(range(size))}, "type": "int64"}


def batch(**columns: Any) -> pa.RecordBatch:
    """A batch of whole numbers."""
    return pa.record_batch({name: pa.array(np.asarray(values)) for name, values in columns.items()})


def fitted(made: PrivateSynthesizer, *batches: pa.RecordBatch, unit: str | None = None) -> PrivateModel:
    """A model of some batches."""
    return made.draw(made.count(batches, unit=unit), progress=quiet)


def drawn(model: PrivateModel, seed: int = 0, **more: Any) -> pa.Table:
    """The rows of a model."""
    return pa.Table.from_batches([rows for _, rows in model.sample(seed=seed, **more)])


def adult(shared_data: Path) -> pa.Table:
    """Adult: 32,561 rows of 15 columns."""
    return pyarrow.csv.read_csv(
        pa.BufferReader((shared_data / "adult" / "adult.data").read_bytes().replace(b", ", b",")),
        read_options=pyarrow.csv.ReadOptions(column_names=ADULT),
        convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False),
    )


def adult_columns(rows: pa.Table, names: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """The columns of Adult as a policy may declare them: 13 of them, four in twenty bins."""
    bounds = {"age": [17, 90], "gain": [0, 100_000], "loss": [0, 4_400], "hours": [1, 99]}
    told: dict[str, dict[str, Any]] = {}
    for name in names or [one for one in ADULT if one not in ("fnlwgt", "education-num")]:
        if name in bounds:
            told[name] = {"numbers": {"bounds": bounds[name], "bins": 20}, "type": "int64"}
        else:
            values = sorted(rows.column(name).unique().to_pylist())
            told[name] = {"categories": {"values": values}, "type": "string"}
    return told


def error(made: PrivateSynthesizer, real: pa.Table, fake: pa.Table, ways: int) -> float:
    """The mean L1 distance of the shares in all marginals of so many columns, over their cells."""
    tables = [
        [domain.encode(rows.column(domain.name).combine_chunks()).astype(np.int64) for domain in made.domains]
        for rows in (real, fake)
    ]
    sizes = [domain.size for domain in made.domains]
    errors = []
    for clique in combinations(range(len(sizes)), ways):
        shape = [sizes[column] for column in clique]
        left, right = (
            np.bincount(
                np.ravel_multi_index([codes[column] for column in clique], shape), minlength=np.prod(shape)
            )
            / len(codes[0])
            for codes in tables
        )
        errors.append(np.abs(left - right).sum())
    return float(np.mean(errors))
