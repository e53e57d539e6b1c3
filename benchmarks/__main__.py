"""`make bench`: runs every `benchmarks/bench_*.py` and writes `benchmarks/results/latest.json`.

A benchmark is a module with `run() -> list[dict]`; each dict has `name`, `value`, `unit`, `floor` (the worst
that is acceptable), `aim`, `ratio_to` and `ratio` (how many times as good as what). Name some of them to run only
those: `python -m benchmarks release memory`. The exit code is 1 if a floor is not held.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from benchmarks.figure import Figure, verdict
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; 1 if one is below its floor."""
    known = [path.stem.removeprefix("bench_") for path in sorted(HERE.glob("bench_*.py"))]
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; known are {', '.join(known)}", file=sys.stderr)
        return 2
    console = Console()
    results = {}
    for name in names or known:
        with console.status(f"measuring {name}"):
            results[name] = importlib.import_module(f"benchmarks.bench_{name}").run()
        console.print(_table(name, results[name]))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": _machine(), "results": results}, indent=2) + "\n")
    return int(any(verdict(row) == "missed" for rows in results.values() for row in rows))


def _table(name: str, rows: list[Figure]) -> Table:
    table = Table(title=name, title_justify="left")
    table.add_column("what")
    for heading in ("value", "floor", "aim"):
        table.add_column(heading, justify="right")
    table.add_column("held")
    table.add_column("against")
    for row in rows:
        value = f"{row['value']:g} {row['unit']}"
        against = f"{row['ratio']:g} x {row['ratio_to']}" if row["ratio"] else ""
        limits = ["" if row[key] is None else f"{row[key]:g}" for key in ("floor", "aim")]
        table.add_row(row["name"], value, *limits, _coloured(verdict(row)), against)
    return table


def _coloured(word: str) -> str:
    colour = {"aim": "green", "floor": "yellow", "missed": "red"}.get(word)
    return f"[{colour}]{word}[/]" if colour else word


def _machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names the machine."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
