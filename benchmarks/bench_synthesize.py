"""Fitting and drawing by our synthesizers against SDV called directly, on the same rows of Adult.

The data is UCI's, and is not part of the suite: `VEIL_SHARED_DATA` names the folder that has it under `adult/`. SDV
gets the rows as a pandas frame with its own metadata and defaults; ours get them as Arrow, as `training` gives them,
and give Arrow. Both in one process, in turns; seconds are of processor time of all threads, the least of some rounds.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figure

NAMES = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race", "sex",
    "gain", "loss", "hours", "country", "income",
)  # fmt: skip
BOUNDS = {
    "age": (17, 90), "fnlwgt": (0, 2_000_000), "education_num": (1, 16), "gain": (0, 99_999), "loss": (0, 5_000),
    "hours": (1, 99),
}  # fmt: skip
MOST = 1.1
"""How many times as long as SDV's ours may take."""
COPULA_ROWS, CTGAN_ROWS, EPOCHS, DRAWN = 10_000, 1_000, 5, 50_000


def run() -> list[Figure]:
    """Measure both; takes some minutes, nearly all of it SDV's."""
    folder = Path(os.environ.get("VEIL_SHARED_DATA", "")) / "adult"
    if not folder.is_dir():
        return [figure("Adult is not there: set VEIL_SHARED_DATA", 0, "synthesizers measured")]
    return [
        *_compared(folder, "gaussian_copula", {}, rows=COPULA_ROWS, repeats=3),
        *_compared(folder, "ctgan", {"epochs": EPOCHS}, rows=CTGAN_ROWS, repeats=2),
    ]


def _compared(
    folder: Path, word: str, parameters: dict[str, Any], *, rows: int, repeats: int
) -> list[Figure]:
    from airflow_veil.privacy.synthetic.methods import synthesizer_for

    table = _adult(folder, rows)
    specification = _specification(table, {word: parameters})
    learned = table.select(specification.only.read)
    ours = synthesizer_for(specification)

    def direct() -> Any:
        synthesizer = _direct(word, parameters)
        synthesizer.fit({"adult": table.to_pandas()})
        return synthesizer

    def fit() -> Any:
        return ours.fit({"adult": learned}, seed=0, progress=lambda _: None)

    (mine, model), (its, synthesizer) = _least_in_turns(fit, direct, repeats=repeats)
    drawing, drawing_its = _least_in_turns(
        lambda: sum(batch.num_rows for _, batch in model.sample(seed=0, rows=DRAWN)),
        lambda: len(synthesizer.sample(DRAWN)["adult"]),
        repeats=repeats,
    )
    if drawing[1] != DRAWN or drawing_its[1] != DRAWN:
        raise RuntimeError("the two did not draw the same number of rows")
    return [
        figure(f"{word}: fit, ours / SDV", mine / its, "x", floor=MOST, aim=1.0),
        figure(f"{word}: fit, {rows:,} rows", rows / mine, "rows/s"),
        figure(f"{word}: draw, ours / SDV", drawing[0] / drawing_its[0], "x", floor=MOST, aim=1.0),
        figure(f"{word}: draw, {DRAWN:,} rows", DRAWN / drawing[0], "rows/s"),
    ]


def _least_in_turns(*works: Callable[[], Any], repeats: int) -> list[tuple[float, Any]]:
    """The least processor time of each, and what it gave the last time."""
    least = [(float("inf"), None)] * len(works)
    for _ in range(repeats):
        for number, work in enumerate(works):
            start = time.process_time()
            result = work()
            least[number] = (min(least[number][0], time.process_time() - start), result)
    return least


def _adult(folder: Path, rows: int) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as csv

    table = csv.read_csv(folder / "adult.data", read_options=csv.ReadOptions(column_names=list(NAMES)))
    columns = [
        pc.utf8_trim_whitespace(values) if pa.types.is_string(values.type) else values
        for values in table.columns
    ]
    return pa.table(columns, list(NAMES)).slice(0, rows)


def _specification(table: Any, method: dict[str, Any]) -> Any:
    import pyarrow.compute as pc

    from airflow_veil.privacy.policy.load import load
    from airflow_veil.privacy.synthetic.specification import compiled

    treated = {"class": "none", "treat": "drop"}
    columns = {name: {**treated, "type": "int64" if name in BOUNDS else "string"} for name in NAMES}
    made = {
        name: {"numbers": {"bounds": BOUNDS[name]}}
        if name in BOUNDS
        else {"categories": {"values": pc.unique(table.column(name)).to_pylist()}}
        for name in NAMES
    }
    content = {
        "version": 1, "name": "bench", "owner": "bench@example.com",
        "datasets": {"adult": {"source": "adult.parquet", "subject": {"none": "published rows"}, "columns": columns}},
        "synthetic": {"releases": {
            "made": {"tables": {"adult": {"columns": made}}, "method": method, "evaluate": {}},
        }},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(json.dumps(content))
        return compiled(load(path).policy, "made")


def _direct(word: str, parameters: dict[str, Any]) -> Any:
    from sdv.metadata import Metadata
    from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer

    columns = {name: {"sdtype": "numerical" if name in BOUNDS else "categorical"} for name in NAMES}
    metadata = Metadata.load_from_dict(
        {"METADATA_SPEC_VERSION": "V1", "tables": {"adult": {"columns": columns}}}
    )
    if word == "ctgan":
        return CTGANSynthesizer(metadata, enable_gpu=False, **parameters)
    return GaussianCopulaSynthesizer(metadata)
