"""Attacks on synthetic rows of Adult, next to anonymeter's on the same rows.

anonymeter runs in an environment of its own (`.venv-peers-evaluation`, made by `make bench` of `peers_evaluation.txt`).
Both sides get the same tables, 4,879 training rows, as many of a hold-out and as many synthetic ones, the same columns
and as many attempts, on one thread. Seconds are of processor time; the least of several repetitions for ours, one for
the peer's, after a first attack that compiles its kernels. What either finds is compared too: the intervals of each
risk have to overlap, on honest rows and on a copy, or nothing is told. The data is the UCI's: `VEIL_SHARED_DATA` names
the folder that has it under `adult/`.

`python -m benchmarks.bench_evaluation table` prints the risks of both sides for `docs/evaluation.md`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figure

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".venv-peers-evaluation" / "bin" / "python"
DATA = Path(os.environ.get("VEIL_SHARED_DATA", ROOT.parent / "shared" / "data")) / "adult" / "adult.data"
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race",
    "sex", "capital_gain", "capital_loss", "hours", "country", "income",
)  # fmt: skip
PEOPLE = 9_758
ATTEMPTS = 2_000
NEAR = 10
WIDTH = 3
REPEATS = 3
SEED = 20260103
FLOOR = AIM = 5.0
MOST_SECONDS = 30.0
ATTACKS = (
    "singling out, univariate",
    "singling out, multivariate",
    "linkability",
    "inference, income",
    "inference, marital",
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def run() -> list[Figure]:
    """Measure both sides; takes two minutes, most of it the peer's."""
    if not DATA.exists():
        return [figure(f"Adult is not there: VEIL_SHARED_DATA has no {DATA.name}", 0, "attacks measured")]
    with tempfile.TemporaryDirectory() as folder:
        tables = _tables()
        for name, table in tables.items():
            _write(table, Path(folder) / f"{name}.parquet")
        ours = {kind: _ours(tables, kind) for kind in ("honest", "copy")}
        peer = _peer(folder)
    rows = [_whole(tables)]
    rows += [
        figure(f"{name}, {ATTEMPTS:,} attempts", ours["honest"][name]["seconds"], "s") for name in ATTACKS
    ]
    if peer is None:
        return [*rows, figure("anonymeter is not there: `make bench` installs it", 0, "peers measured")]
    _agree(ours, peer)
    for name in ATTACKS:
        seconds = peer["honest"][name]["seconds"]
        ratio = seconds / ours["honest"][name]["seconds"]
        rows += [
            figure(f"anonymeter, {name}", seconds, "s"),
            figure(f"anonymeter / ours, {name}", ratio, "x", floor=FLOOR),
        ]
    theirs, mine = (sum(side["honest"][name]["seconds"] for name in ATTACKS) for side in (peer, ours))
    return [*rows, figure("anonymeter / ours, all five", theirs / mine, "x", floor=FLOOR, aim=AIM)]


def _tables() -> dict[str, Any]:
    """Training rows, a hold-out and honest synthetic rows: each column drawn by its shares in the training rows.

    Numbers are drawn from bins of equal width. Whatever the honest rows are like, they tell nothing of one person.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    people = csv.read_csv(DATA, read_options=csv.ReadOptions(column_names=COLUMNS))
    rng = np.random.default_rng(SEED)
    order = rng.permutation(people.num_rows)[:PEOPLE]
    train, holdout = people.take(order[: PEOPLE // 2]), people.take(order[PEOPLE // 2 :])
    columns = {}
    for name in COLUMNS:
        values = train.column(name)
        if pa.types.is_integer(values.type):
            counts, edges = np.histogram(values.to_numpy(), 32)
            drawn = rng.choice(len(counts), len(values), p=counts / counts.sum())
            columns[name] = np.round(edges[drawn] + rng.random(len(values)) * np.diff(edges)[drawn]).astype(
                np.int64
            )
        else:
            columns[name] = values.take(rng.integers(0, len(values), len(values)))
    return {"train": train, "holdout": holdout, "honest": pa.table(columns), "copy": train}


def _write(table: Any, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def _whole(tables: dict[str, Any]) -> Figure:
    """The whole evaluation, with models and without shadow models."""
    from airflow_veil.privacy.evaluation.evaluate import evaluate
    from airflow_veil.privacy.evaluation.tables import Trio

    trio = Trio(tables["train"], tables["holdout"], tables["honest"])
    work = lambda: evaluate(trio, secrets=["income", "marital"], target="income", protected="sex")  # noqa: E731
    work()
    seconds, _ = _timed(work)
    return figure(
        "whole evaluation but shadow models, 3 x 4,879 rows by 15", seconds, "s", floor=MOST_SECONDS, aim=10.0
    )


def _ours(tables: dict[str, Any], kind: str) -> dict[str, Any]:
    """Seconds, encoding included, and the risk of each attack."""
    import numpy as np

    from airflow_veil.privacy.evaluation.inference import inference
    from airflow_veil.privacy.evaluation.linkability import linkability
    from airflow_veil.privacy.evaluation.singling_out import singling_out
    from airflow_veil.privacy.evaluation.tables import Trio

    names = list(COLUMNS)
    trio = Trio(tables["train"], tables["holdout"], tables[kind])

    def works(name: str) -> Callable[[], Any]:
        def work() -> Any:
            encoded, common = trio.encoded(), {"attempts": ATTEMPTS, "rng": np.random.default_rng(SEED)}
            what, _, which = name.partition(", ")
            if what == "singling out":
                return singling_out(encoded, which, names, width=WIDTH, **common)
            if what == "linkability":
                return linkability(encoded, (names[::2], names[1::2]), near=NEAR, **common)
            return inference(encoded, which, [each for each in names if each != which], **common)

        return work

    found = {}
    for name in ATTACKS:
        work = works(name)
        taken = [_timed(work) for _ in range(REPEATS)]
        risk = taken[0][1]
        found[name] = {
            "seconds": min(seconds for seconds, _ in taken),
            "rates": [risk.rate, risk.control],
            "risk": [risk.risk, risk.low, risk.high],
        }
    return found


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def _peer(folder: str) -> dict[str, Any] | None:
    """The peer's seconds and risks; None where it is not installed."""
    if not PEER.exists():
        return None
    child = subprocess.run(
        [PEER, "-m", "benchmarks.bench_evaluation", folder],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **ONE_THREAD},
    )
    return json.loads(child.stdout) if child.returncode == 0 else None


def _agree(ours: dict[str, Any], peer: dict[str, Any]) -> None:
    """Compare what both sides found; their intervals are cut off at 0, ours are not."""
    apart = [
        f"{name} ({kind})"
        for kind, found in ours.items()
        for name, one in found.items()
        if max(one["risk"][2], 0) < peer[kind][name]["risk"][1]
        or one["risk"][1] > peer[kind][name]["risk"][2]
    ]
    if apart:
        raise RuntimeError(f"anonymeter finds other risks: {', '.join(apart)}")


def measure(folder: str) -> dict[str, Any]:
    """The child, in the peer's environment."""
    import warnings

    import numpy as np
    import pandas as pd
    from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

    warnings.simplefilter("ignore")
    np.random.seed(SEED % 2**32)  # noqa: NPY002 - what pandas draws by
    tables = {
        name: pd.read_parquet(Path(folder) / f"{name}.parquet")
        for name in ("train", "holdout", "honest", "copy")
    }
    # pandas 3 reads words as a type of its own, which anonymeter does not take for words.
    tables = {
        name: frame.astype({each: object for each in frame if not pd.api.types.is_numeric_dtype(frame[each])})
        for name, frame in tables.items()
    }
    names = list(COLUMNS)

    def evaluator(name: str, kind: str, attempts: int) -> Any:
        common = {
            "ori": tables["train"],
            "syn": tables[kind],
            "control": tables["holdout"],
            "n_attacks": attempts,
        }
        what, _, which = name.partition(", ")
        if what == "singling out":
            return SinglingOutEvaluator(**common, n_cols=WIDTH, seed=SEED).evaluate(mode=which)
        if what == "linkability":
            halves = (names[::2], names[1::2])
            return LinkabilityEvaluator(**common, aux_cols=halves, n_neighbors=NEAR).evaluate(n_jobs=1)
        known = [each for each in names if each != which]
        return InferenceEvaluator(**common, aux_cols=known, secret=which).evaluate(n_jobs=1)

    evaluator("linkability", "honest", 10)
    found: dict[str, Any] = {}
    for kind in ("honest", "copy"):
        found[kind] = {}
        for name in ATTACKS:
            seconds, done = _timed(lambda: evaluator(name, kind, ATTEMPTS))  # noqa: B023 - called at once
            risk, results = done.risk(), done.results()
            found[kind][name] = {
                "seconds": seconds,
                "rates": [results.attack_rate.value, results.control_rate.value],
                "risk": [risk.value, *risk.ci],
            }
    return found


def table() -> str:
    """The risks of both sides, as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        tables = _tables()
        for name, each in tables.items():
            _write(each, Path(folder) / f"{name}.parquet")
        ours, peer = {kind: _ours(tables, kind) for kind in ("honest", "copy")}, _peer(folder)
    lines = [
        "| rows | attack | ours: train, hold-out | risk | anonymeter: train, hold-out | risk |",
        "|---|---|---|---|---|---|",
    ]
    for kind in ours:
        for name in ATTACKS:
            cells = [kind, name]
            for side in (ours, peer):
                one = side[kind][name] if side else {"rates": (0, 0), "risk": (0, 0, 0)}
                value, low, high = one["risk"]
                cells += [
                    ", ".join(f"{rate:.3f}" for rate in one["rates"]),
                    f"{value:.3f} ({low:.3f} to {high:.3f})",
                ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table() if sys.argv[1] == "table" else json.dumps(measure(sys.argv[1])))
    sys.exit(0)
