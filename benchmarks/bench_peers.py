"""Masks and tokens next to the mask and hash operators of presidio-structured, per cell of the same columns.

The peer runs in an environment of its own (`.venv-peers`, which `make bench` makes of `peers.txt`), by its structured
engine over a pandas frame, with the column's entity given by hand: no detector and no model takes part. Both sides get
the same made-up values; a figure is the best of several repetitions, in cells per second of processor time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figure

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
PEER_ROWS = 20_000
PEER_REPEATS = 5
REPEATS = 9
TURNS = 2
FLOOR = 50.0
MILLION = 1e6
SEED = 20260102

DIGITS, EMAILS = "16 digits", "e-mails"
WORKS = {
    "mask": (DIGITS, "mask", {"masking_char": "*", "chars_to_mask": 12, "from_end": False}),
    "hash": (DIGITS, "hash", {"hash_type": "sha256", "salt": "0123456789abcdef"}),
    "hash of e-mails": (EMAILS, "hash", {"hash_type": "sha256", "salt": "0123456789abcdef"}),
}
"""What the peer does: on which column, by which operator. With a salt of one's own, equal values stay equal."""

Rates = dict[str, float]
"""Cells per second, by what was done."""


def run() -> list[Figure]:
    """Measure both sides in turns; takes half a minute."""
    columns = _columns()
    few = {name: column[:PEER_ROWS].to_pylist() for name, column in columns.items()}
    kernels, peer, ours = _kernels(columns), {}, {}
    for _ in range(TURNS):
        told = _peer(few)
        if told is None:
            return [figure("presidio-structured is not there: `make bench` installs it", 0, "peers measured")]
        peer = _better(peer, told)
        ours = _better(
            ours, {name: _rate(kernel, columns[WORKS[of][0]]) for name, (kernel, of) in kernels.items()}
        )
    rows = [figure(f"presidio-structured, {name}", peer[name] / MILLION, "M cells/s") for name in WORKS]
    for name, (_, of) in kernels.items():
        rows.append(figure(name, ours[name] / MILLION, "M cells/s"))
        rows.append(figure(f"{name} / its {of}", ours[name] / peer[of], "x", floor=FLOOR))
    return rows


def _better(one: Rates, other: Rates) -> Rates:
    return {name: max(rate, one.get(name, 0.0)) for name, rate in other.items()}


def _columns() -> dict[str, Any]:
    """The columns that both sides treat."""
    import numpy as np
    from benchmarks import bench_masks

    random = np.random.default_rng(SEED)
    return {DIGITS: bench_masks.digits(random, 16), EMAILS: bench_masks.emails(random)}


def _kernels(columns: dict[str, Any]) -> dict[str, tuple[Callable[..., Any], str]]:
    """Our treatments, each with the work of the peer that it stands against."""
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.transforms.base import Binding
    from airflow_veil.privacy.transforms.mask import Mask
    from airflow_veil.privacy.transforms.token import Token

    one_way, reversible = Token(domain="it"), Token(domain="it", reversible=True)
    rules = {
        "Mask, keep_last 4": (Mask(keep_last=4), "mask"),
        "Token, one-way": (one_way, "hash"),
        "Token, one-way, e-mails": (one_way, "hash of e-mails"),
        "Token, reversible": (reversible, "hash"),
        "Token, reversible, e-mails": (reversible, "hash of e-mails"),
    }
    where = Binding(
        dataset="people",
        column="it",
        type=columns[DIGITS].type,
        domain="it",
        key_version=1,
        keys=KeyRing.generate(),
    )
    return {name: (rule.prepare(where), of) for name, (rule, of) in rules.items()}


def _rate(kernel: Callable[..., Any], column: Any) -> float:
    """Cells per second of processor time, in the fastest repetition."""
    return len(column) / min(_seconds(partial(kernel, column, {})) for _ in range(REPEATS))


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _peer(columns: dict[str, list[str]]) -> Rates | None:
    """The peer's rates; None where it is not installed."""
    if not PEERS.exists():
        return None
    child = subprocess.run(
        [PEERS, "-m", "benchmarks.bench_peers"],
        cwd=ROOT,
        input=json.dumps(columns),
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(child.stdout) if child.returncode == 0 else None


def measure(columns: dict[str, list[str]]) -> Rates:
    """The child, in the peer's environment."""
    import pandas as pd
    from presidio_anonymizer.entities import OperatorConfig
    from presidio_structured import StructuredAnalysis, StructuredEngine

    engine, analysis = StructuredEngine(), StructuredAnalysis(entity_mapping={"it": "IT"})
    rates = {}
    for name, (column, operator, parameters) in WORKS.items():
        operators = {"IT": OperatorConfig(operator, parameters)}
        treat = partial(engine.anonymize, structured_analysis=analysis, operators=operators)
        # The engine writes into the frame it is given.
        frames = [pd.DataFrame({"it": columns[column]}) for _ in range(PEER_REPEATS)]
        rates[name] = len(columns[column]) / min(_seconds(partial(treat, frame)) for frame in frames)
        if operator == "mask" and frames[0]["it"][0] != columns[column][0][12:].rjust(16, "*"):
            raise RuntimeError("presidio-structured masks otherwise than it is compared with")
    return rates


if __name__ == "__main__":
    print(json.dumps(measure(json.load(sys.stdin))))
