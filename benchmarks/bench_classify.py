"""How fast columns are classified, and how well: side by side with presidio-structured on columns of known content.

The peer runs in an environment of its own (`.venv-peers`). Its analyzer takes names of people and places from a spaCy
model: name one that is installed there, by name or path, in `VEIL_PEER_MODEL`; without one, only its pattern
recognizers take part, and the row says so.

Both sides get the same values, at most 40 of a column, of the scored half of `classification.py`; the peer does
not look at names of columns, so ours are scored with and without. An answer is right if the kind, or a kind
that the peer's entity can stand for, is what the column holds. Only columns that hold something that the peer
has an entity for count for recall; a false alarm is any answer to a column that holds no personal data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figure

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
MODEL = "VEIL_PEER_MODEL"
DATA = "VEIL_SHARED_DATA"
SAMPLED = 40
ROWS = 131_072
BATCHES = 8
REPEATS = 3
MILLION = 1e6
STRATEGIES = ("most_common", "highest_confidence", "mixed")

PLACES = ("city", "country", "region", "street")
ENTITIES = {
    "EMAIL_ADDRESS": ("email",), "PHONE_NUMBER": ("phone",), "CREDIT_CARD": ("credit_card",),
    "IBAN_CODE": ("bank_account",), "US_BANK_NUMBER": ("bank_account",), "US_SSN": ("us_ssn", "national_id"),
    "US_ITIN": ("us_ssn", "national_id"), "UK_NHS": ("national_id",), "IP_ADDRESS": ("ip_address",), "URL": ("url",),
    "PERSON": ("name", "first_name", "last_name"), "LOCATION": PLACES, "DATE_TIME": ("birth_date", "event_date", "age"),
    "NRP": ("nationality", "ethnicity", "religion"), "US_DRIVER_LICENSE": ("drivers_license",),
    "US_PASSPORT": ("passport",), "MEDICAL_LICENSE": ("health_id",),
}  # fmt: skip
"""What an entity of the peer can stand for."""
KNOWN = frozenset(kind for kinds in ENTITIES.values() for kind in kinds)

Column = dict[str, Any]


def run() -> list[Figure]:
    """Measure speed, then both sides on the same columns; a minute or two."""
    rows = _speed()
    columns = _columns()
    if columns is None:
        return [*rows, figure(f"no test data: set {DATA}", 0, "columns scored")]
    for name, named in (("ours, names hidden", False), ("ours, with names", True)):
        seconds, told = _ours(columns, named=named)
        rows += _scored(name, columns, told, seconds)
    peer = _peer(columns)
    if peer is None:
        return [
            *rows,
            figure("presidio-structured is not there: `make bench` installs it", 0, "peers measured"),
        ]
    for strategy in STRATEGIES:
        name = f"presidio-structured, {peer['model']}, {strategy}"
        rows += _scored(
            name, columns, [{*ENTITIES.get(e, ())} if e else None for e in peer[strategy]], peer["seconds"]
        )
    return rows


def _speed() -> list[Figure]:
    """Cells a second of processor time over whole columns, the best of some repetitions."""
    import numpy as np
    import pyarrow as pa
    from benchmarks import bench_masks, people

    from airflow_veil.privacy.classify.tally import Tally

    table = pa.Table.from_batches(list(people.batches(ROWS)))
    random = np.random.default_rng(20260102)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    columns |= {"e-mails": bench_masks.emails(random), "16 digits": bench_masks.digits(random, 16)}
    columns = {name: column.slice(0, ROWS) for name, column in columns.items()}

    def seconds(chosen: dict[str, Any]) -> float:
        begin = time.process_time()
        for column in chosen.values():
            tally = Tally(column.type)
            for _ in range(BATCHES):
                tally.add(column)
        return time.process_time() - begin

    seconds({name: column.slice(0, 100) for name, column in columns.items()})  # reads the dictionaries
    rates = {}
    for name, chosen in {
        "a table of people": columns,
        **{name: {name: columns[name]} for name in columns},
    }.items():
        cells = BATCHES * sum(len(column) for column in chosen.values())
        rates[name] = cells / min(seconds(chosen) for _ in range(REPEATS))
    slowest = min((name for name in columns), key=lambda name: rates[name])
    return [
        figure(
            f"All columns of {len(columns)}, {BATCHES} batches",
            rates["a table of people"] / MILLION,
            "M cells/s",
            floor=1.0,
            aim=2.0,
        ),
        figure(f"Its slowest column ({slowest})", rates[slowest] / MILLION, "M cells/s", floor=0.3),
        figure("E-mail addresses", rates["e-mails"] / MILLION, "M cells/s", floor=0.5),
        figure("16 digits, as text", rates["16 digits"] / MILLION, "M cells/s", floor=0.5),
    ]


def _columns() -> list[Column] | None:
    """At most so many values of each scored column, evenly spaced, as text; None where there is no data."""
    from benchmarks.classification import columns

    data = Path(os.environ.get(DATA, ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        return None
    found = []
    for column in columns(data):
        values = column.values.drop_null()
        if column.scored and len(values):
            step = max(1, len(values) // SAMPLED)
            texts = [str(values[place].as_py()) for place in range(0, len(values), step)][:SAMPLED]
            found.append({"labelled": column, "values": texts})
    return found


def _ours(columns: Sequence[Column], *, named: bool) -> tuple[float, list[set[str] | None]]:
    """What we tell of the same texts."""
    import pyarrow as pa
    from benchmarks.classification import NONE, classified

    same = [replace(column["labelled"], values=pa.array(column["values"], pa.string())) for column in columns]
    begin = time.process_time()
    told = {(each.table, each.name): kind for each, kind, _ in classified(same, named=named)}
    seconds = time.process_time() - begin
    kinds = [told[each.table, each.name] for each in same]
    return seconds, [None if kind == NONE else {kind} for kind in kinds]


def _scored(
    name: str, columns: Sequence[Column], told: Sequence[set[str] | None], seconds: float
) -> list[Figure]:
    """Precision, recall and false alarms of one side."""
    truth = [column["labelled"].accepted for column in columns]
    answers = [(kinds, accepted) for kinds, accepted in zip(told, truth, strict=True) if kinds is not None]
    asked = [(kinds, accepted) for kinds, accepted in zip(told, truth, strict=True) if accepted & KNOWN]
    nobodys = [kinds for kinds, accepted in zip(told, truth, strict=True) if accepted == {"none"}]
    right = sum(bool(kinds & accepted) for kinds, accepted in answers)
    found = sum(bool(kinds and kinds & accepted) for kinds, accepted in asked)
    cells = sum(len(column["values"]) for column in columns)
    return [
        figure(f"{name}: precision, of {len(answers)} answers", right / max(1, len(answers)), ""),
        figure(f"{name}: recall, of {len(asked)} columns", found / len(asked), ""),
        figure(f"{name}: false alarms, of {len(nobodys)} columns", sum(k is not None for k in nobodys), ""),
        figure(f"{name}: speed", cells / seconds / 1e3, "k cells/s"),
    ]


def _peer(columns: Sequence[Column]) -> dict[str, Any] | None:
    """The peer's answers; None where it is not installed."""
    if not PEERS.exists():
        return None
    child = subprocess.run(
        [PEERS, "-m", "benchmarks.bench_classify"],
        cwd=ROOT,
        input=json.dumps([column["values"] for column in columns]),
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(child.stdout) if child.returncode == 0 else None


def measure(columns: list[list[str]]) -> dict[str, Any]:
    """The child, in the peer's environment: each column analyzed once, then each strategy's choice."""
    import pandas as pd
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_structured import PandasAnalysisBuilder
    from presidio_structured.analysis_builder import NON_PII_ENTITY_TYPE

    model = os.environ.get(MODEL)

    class Loaded(SpacyNlpEngine):  # type: ignore[misc] - the peer's, in its own environment
        """An engine over a pipeline that is loaded already: nothing is downloaded."""

        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.load(model) if model else spacy.blank("en")}

    builder = PandasAnalysisBuilder(analyzer=AnalyzerEngine(nlp_engine=Loaded(), supported_languages=["en"]))
    found: dict[str, Any] = {"model": "with a spaCy model" if model else "patterns only"}
    found |= {strategy: [] for strategy in STRATEGIES}
    seconds = 0.0
    for values in columns:
        begin = time.process_time()
        results = list(builder._batch_analyze_df(pd.DataFrame({"c": values}), "en")["c"])  # noqa: SLF001 - once
        seconds += time.process_time() - begin
        for strategy in STRATEGIES:
            entity = builder._find_entity_based_on_strategy(results, strategy, 0.5).entity_type  # noqa: SLF001
            found[strategy].append(None if entity == NON_PII_ENTITY_TYPE else entity)
    return {**found, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(measure(json.load(sys.stdin))))
