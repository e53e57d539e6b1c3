"""The risk of a million rows by six quasi-identifiers, next to pyCANON on the same rows.

pyCANON runs in an environment of its own (`.venv-peers-risk`, made by `make bench` of `peers_risk.txt`), on a pandas
frame. Its cost is of classes, so that it gets a table of a few thousand, as an anonymized one has; ours is measured on
that one, and on one in which most rows are alone. Both sides have to find the same figures, digit by digit, or nothing
is told. Seconds are of processor time; the least of several repetitions for ours, one for the peer's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figure

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".venv-peers-risk" / "bin" / "python"
ROWS = 1_000_000
REPEATS = 3
SEED = 20260103
MOST_SECONDS = 2.0
FLOOR = 50.0
COARSE = {"age": 10, "sex": 2, "region": 8, "education": 4, "marital": 3, "work": 3}
FINE = {"age": 90, "sex": 2, "postcode": 2000, "education": 16, "country": 40, "year": 30}
"""Quasi-identifiers and how many values each has."""
WANTED = "illness"
ILLNESSES = 5
FUNCTIONS = (
    "k_anonymity",
    "alpha_k_anonymity",
    "l_diversity",
    "entropy_l_diversity",
    "recursive_c_l_diversity",
    "basic_beta_likeness",
    "enhanced_beta_likeness",
    "delta_disclosure",
    "t_closeness",
)
"""What pyCANON's report is made of."""


def run() -> list[Figure]:
    """Measure both sides; takes two minutes, most of it the peer's."""
    import pyarrow as pa

    from airflow_veil.privacy.risk.classes import classes
    from airflow_veil.privacy.risk.codes import codes_of
    from airflow_veil.privacy.risk.diversity import diversity
    from airflow_veil.privacy.risk.report import assess

    fine, coarse = (pa.table(_columns(values)) for values in (FINE, COARSE))

    def same_figures() -> Any:
        codes = codes_of(coarse, [*COARSE, WANTED], ordered=[WANTED])
        made = classes([codes[name] for name in COARSE])
        return made, diversity(made, codes[WANTED])

    def only_k() -> int:
        codes = codes_of(coarse, list(COARSE))
        return int(classes(list(codes.values())).sizes.min())

    whole, risk = _least(lambda: assess(fine, list(FINE), [WANTED]))
    alike, _ = _least(lambda: assess(coarse, list(COARSE), [WANTED]))
    nine, (made, told) = _least(same_figures)
    k, _ = _least(only_k)
    found = risk.reidentification
    rows = [
        figure(f"all figures, {found.classes:,} classes", whole, "s", floor=MOST_SECONDS, aim=1.0),
        figure(f"all figures, {len(made.sizes):,} classes", alike, "s", floor=MOST_SECONDS, aim=1.0),
        figure(f"k to t, {len(made.sizes):,} classes", nine, "s"),
        figure("k alone", k, "s"),
    ]
    peer = _peer()
    if peer is None:
        return [*rows, figure("pyCANON is not there: `make bench` installs it", 0, "peers measured")]
    _agree(peer["figures"], int(made.sizes.min()), told)
    seconds = peer["seconds"]
    return [
        *rows,
        figure("pyCANON, k to t", sum(seconds.values()), "s"),
        figure("pyCANON, k alone", seconds["k_anonymity"], "s"),
        figure("pyCANON / ours, k to t", sum(seconds.values()) / nine, "x", floor=FLOOR),
        figure("pyCANON / ours, k alone", seconds["k_anonymity"] / k, "x"),
    ]


def _columns(values: dict[str, int]) -> dict[str, Any]:
    """The columns, as text."""
    import numpy as np

    random = np.random.default_rng(SEED)
    columns = {}
    for name, count in {**values, WANTED: ILLNESSES}.items():
        words = np.array([f"{name} {number}" for number in range(count)], object)
        columns[name] = words[random.integers(0, count, ROWS)]
    return columns


def _least(work: Callable[[], Any]) -> tuple[float, Any]:
    """The fewest seconds of several repetitions, and what came out."""
    seconds = []
    for _ in range(REPEATS):
        taken, result = _timed(work)
        seconds.append(taken)
    return min(seconds), result


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def _peer() -> dict[str, Any] | None:
    """The peer's seconds and figures; None where it is not installed."""
    if not PEER.exists():
        return None
    child = subprocess.run(
        [PEER, "-m", "benchmarks.bench_risk"], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
    )
    return json.loads(child.stdout) if child.returncode == 0 else None


def _agree(peer: dict[str, Any], k: int, told: Any) -> None:
    """Compare what both sides found; (c, l) is defined otherwise there, and its entropy l is rounded down."""
    ours = {
        "k_anonymity": k,
        "alpha_k_anonymity": [told.alpha, k],
        "l_diversity": told.distinct_l,
        "entropy_l_diversity": int(told.entropy_l),
        "basic_beta_likeness": told.basic_beta,
        "enhanced_beta_likeness": told.enhanced_beta,
        "delta_disclosure": told.delta,
        "t_closeness": told.t,
    }
    differing = [name for name, value in ours.items() if peer[name] != value]
    if differing:
        raise RuntimeError(f"pyCANON finds other figures: {', '.join(differing)}")


def measure() -> dict[str, Any]:
    """The child, in the peer's environment."""
    import pandas as pd
    from pycanon import anonymity

    frame = pd.DataFrame(_columns(COARSE))
    keys = list(COARSE)
    seconds, figures = {}, {}
    for name in FUNCTIONS:
        function = getattr(anonymity, name)
        arguments = (frame, keys) if name == "k_anonymity" else (frame, keys, [WANTED])
        seconds[name], found = _timed(lambda: function(*arguments))  # noqa: B023 - called at once
        figures[name] = [float(part) for part in found] if isinstance(found, tuple) else float(found)
    return {"seconds": seconds, "figures": figures}


if __name__ == "__main__":
    print(json.dumps(measure()))
    sys.exit(0)
