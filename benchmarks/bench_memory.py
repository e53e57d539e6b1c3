"""Peak memory of a release of one and of ten million rows: it must not grow with them.

Each release runs in a process of its own, which reports the largest resident set it had: `VmHWM`, since `ru_maxrss`
begins with what the parent had when it forked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import people
from benchmarks.figure import Figure, figure

from airflow_veil.privacy.engine import local
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.plan.stage import fused
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter

FEW, MANY = 1_000_000, 10_000_000
COLUMNS = ("customer_id", "email", "joined", "country", "spent")
FLOOR, AIM = 1.2, 1.05
KIB_PER_MIB = 1024


def run() -> list[Figure]:
    """Measure both; takes some minutes, most of it to make ten million rows."""
    with TemporaryDirectory(prefix="veil-bench-") as folder:
        few, many = peak(Path(folder), FEW), peak(Path(folder), MANY)
    return [
        figure(f"Peak memory of a release, {FEW / 1e6:g} M rows", few, "MiB"),
        figure(f"Peak memory of a release, {MANY / 1e6:g} M rows", many, "MiB"),
        figure("Peak memory, ten times the rows", many / few, "x", floor=FLOOR, aim=AIM),
    ]


def peak(folder: Path, rows: int) -> float:
    """The peak resident set of a release of `rows` rows, in MiB."""
    table = folder / f"people-{rows}.parquet"
    people.write(table, rows, columns=COLUMNS)
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "benchmarks.bench_memory", table]
    child = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    table.unlink()
    return float(child.stdout)


def release(table: Path) -> None:
    """Release the table into a folder beside it."""
    policy = table.with_suffix(".yaml")
    policy.write_text("".join(line for line in people.POLICY.splitlines(keepends=True) if _stays(line)))
    source, keys = ParquetSource(table), KeyRing.generate()
    stage = fused(bind(load(policy), "people", source.schema(), key_version=keys.current))
    with TemporaryDirectory(dir=table.parent) as out, ParquetWriter(Path(out), stage.output_schema) as writer:
        local.run(stage, source, writer, keys=keys)


def _stays(line: str) -> bool:
    """Whether a line of the policy is about the columns that are measured here."""
    return "class:" not in line or line.strip().partition(":")[0] in COLUMNS


def peak_kib() -> int:
    """The largest resident set of this process so far."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


if __name__ == "__main__":
    release(Path(sys.argv[1]))
    print(peak_kib() / KIB_PER_MIB)
