"""Policies and tables that tests of synthesizers share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.load import LoadedPolicy, load
from airflow_veil.privacy.synthetic.specification import Specification, compiled
from airflow_veil.privacy.synthetic.synthesizer import Model, Synthesizer
from airflow_veil.privacy.synthetic.training import Training, read_training, subjects_of

NONE = {"class": "none", "treat": "drop"}
WHO = {"class": "direct_identifier", "treat": "drop"}
ADULT = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race", "sex",
    "gain", "loss", "hours", "country", "income",
)  # fmt: skip


def column(kind: str | None = None, **more: Any) -> dict[str, Any]:
    """A column of a data set that is nobody's name."""
    return {**NONE, **({} if kind is None else {"type": kind}), **more}


def numbers(low: float, high: float, **more: Any) -> dict[str, Any]:
    """A synthetic column of numbers."""
    return {"numbers": {"bounds": [low, high], **more}}


def categories(*values: str | int | bool, **more: Any) -> dict[str, Any]:
    """A synthetic column of categories."""
    return {"categories": {"values": list(values), **more}}


def dates(first: str, last: str) -> dict[str, Any]:
    """A synthetic column of dates."""
    return {"dates": {"bounds": [first, last]}}


def written(
    folder: Path, datasets: Mapping[str, Any], synthesis: Mapping[str, Any], **more: Any
) -> LoadedPolicy:
    """A policy file with one synthesis, `made`, loaded."""
    content = {
        "version": 1,
        "name": "shop",
        "owner": "shop@example.com",
        "datasets": {name: {"source": f"{name}.parquet", **data} for name, data in datasets.items()},
        "release": {"destination": "out"},
        "synthetic": {"releases": {"made": synthesis}},
        **more,
    }
    path = folder / "shop.yaml"
    path.write_text(json.dumps(content))
    return load(path)


def specified(folder: Path, datasets: Mapping[str, Any], synthesis: Mapping[str, Any]) -> Specification:
    """The specification of a policy's synthesis, which must check."""
    loaded = written(folder, datasets, synthesis)
    assert check(loaded) == ()
    return compiled(loaded.policy, "made")


def training(
    folder: Path,
    datasets: Mapping[str, Any],
    synthesis: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    *,
    seed: int = 0,
    batch_rows: int = 97,
) -> tuple[Specification, Training]:
    """What is learned from tables."""
    loaded = written(folder, datasets, synthesis)
    assert check(loaded) == ()
    specification = compiled(loaded.policy, "made")
    batches = {name: table.to_batches(max_chunksize=batch_rows) for name, table in tables.items()}
    subjects = subjects_of(loaded.policy, specification)
    return specification, read_training(specification, batches, subjects, seed=seed)


def fitted(synthesizer: Synthesizer, learned: Training, seed: int = 0) -> Model:
    """A model, without a word about it."""
    return synthesizer.fit(learned.fit, seed=seed, progress=lambda _: None)


def drawn(model: Model, *, seed: int = 0, **options: Any) -> dict[str, pa.Table]:
    """All tables that a model draws."""
    batches: dict[str, list[pa.RecordBatch]] = {}
    for name, batch in model.sample(seed=seed, **options):
        batches.setdefault(name, []).append(batch)
    return {name: pa.Table.from_batches(parts) for name, parts in batches.items()}


def one(model: Model, **options: Any) -> pa.Table:
    """The only table that a model draws."""
    (table,) = drawn(model, **options).values()
    return table


def adult(shared_data: Path, rows: int) -> pa.Table:
    """The first rows of UCI Adult, with a number for each person."""
    table = csv.read_csv(
        shared_data / "adult" / "adult.data", read_options=csv.ReadOptions(column_names=list(ADULT))
    ).slice(0, rows)
    columns = {
        name: pc.utf8_trim_whitespace(values) if pa.types.is_string(values.type) else values
        for name, values in zip(ADULT, table.columns, strict=True)
    }
    return pa.table({"person": [f"person-{number:06}" for number in range(rows)], **columns})


def adult_policy(rows: pa.Table, method: Any, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data set and the synthesis of all columns of Adult."""
    texts = [name for name in ADULT if pa.types.is_string(rows.schema.field(name).type)]
    bounds = {
        "age": (17, 90), "fnlwgt": (0, 2_000_000), "education_num": (1, 16), "gain": (0, 99_999), "loss": (0, 5_000),
        "hours": (1, 99),
    }  # fmt: skip
    made: dict[str, Any] = {"person": "key", **{name: numbers(*bounds[name]) for name in bounds}}
    made |= {name: categories(*pc.unique(rows.column(name)).to_pylist()) for name in texts}
    columns = {name: column("string" if name in texts else "int64") for name in ADULT}
    dataset = {"subject": "person", "columns": {"person": {**WHO, "type": "string"}, **columns}}
    return {"adult": dataset}, {
        "tables": {"adult": {"columns": made, **more.pop("table", {})}}, "method": method, "evaluate": {}, **more
    }  # fmt: skip


def kept_arrays(model: object, least: int) -> list[tuple[str, int]]:
    """Everything within an object that has many parts, by its place: what may be a row a part."""
    found, waiting, seen = [], [(type(model).__name__, model)], set()
    while waiting:
        place, part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if (length := _length(part)) >= least:
            found.append((place, length))
        waiting += [(f"{place}.{name}", inside) for name, inside in _parts(part)]
    return found


def _length(part: Any) -> int:
    """How many rows something may hold."""
    if hasattr(part, "shape"):
        return max(part.shape, default=0) if isinstance(part.shape, tuple) else 0
    return len(part) if isinstance(part, Mapping | list | tuple | set) else 0


def _parts(part: Any) -> list[tuple[Any, Any]]:
    if isinstance(part, Mapping):
        return list(part.items())
    if isinstance(part, list | tuple | set):
        return list(enumerate(part))
    return list(vars(part).items()) if hasattr(part, "__dict__") and not isinstance(part, type) else []
