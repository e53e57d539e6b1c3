"""A policy file, real treatments and Parquet files: stepwise, fused, threads and batches give one release."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.engine.counts import Counts
from airflow_veil.privacy.engine.local import run
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import Stage, fused, stage
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter
from airflow_veil.privacy.transforms.base import Step

POLICY = """\
version: 1
name: shop
owner: data@example.com
keys: {file: ring.json}
datasets:
  people:
    source: people.parquet
    subject: id
    where: "age >= 18"
    sample: {fraction: 0.7}
    columns:
      id:     {class: direct_identifier, treat: {token: {domain: customer}}}
      email:  {class: direct_identifier, treat: {token: {domain: email, reversible: true}}}
      card:   {class: direct_identifier, treat: {fpe: {alphabet: digits, domain: card}}}
      name:   {class: direct_identifier, treat: {fake: {provider: name}}}
      nick:   {class: direct_identifier, treat: drop}
      phone:  {class: direct_identifier, treat: {mask: {keep_last: 2}}}
      joined: {class: quasi_identifier, treat: {date_shift: {max_days: 90}}}
      seen:   {class: quasi_identifier, treat: {date_shift: {max_days: 90}}}
      age:    {class: quasi_identifier, treat: {generalize: {width: 10}}}
      notes:  {class: free_text, treat: {redact: {names_from: [name, nick]}}}
      spent:  {class: sensitive, treat: {noise: {scale: 1.5}}}
      segment: {class: none, treat: keep}
"""

ROWS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the policy and its table."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "policy.yaml").write_text(POLICY)
    numbers = range(ROWS)
    some = [None if n % 11 == 0 else n for n in numbers]
    table = pa.table(
        {
            "id": pa.array([n // 2 for n in numbers]),
            "email": pa.array([n and f"person{n}@example.com" for n in some], pa.string()),
            "card": pa.array([f"{4929000000000000 + n * 7919}" for n in numbers]),
            "name": pa.array([f"Ada{n} Abara" for n in numbers]),
            "nick": pa.array([n and f"Nick{n}" for n in some], pa.string()),
            "phone": pa.array([f"+44 20 7946 {n:04d}" for n in numbers]),
            "joined": pa.array([20_000 + n for n in numbers], pa.int32()).cast(pa.date32()),
            "seen": pa.array([n and 1_700_000_000 + n for n in some], pa.int64()).cast(pa.timestamp("s")),
            "age": pa.array([n and n % 90 for n in some], pa.int16()),
            "notes": pa.array([f"Nick{n} wrote from person{n}@example.com" for n in numbers]),
            "spent": pa.array([n / 7 for n in numbers]),
            "segment": pa.array([("new", "loyal")[n % 2] for n in numbers]),
            "unnamed": pa.array(["secret"] * ROWS),
        }
    )
    pq.write_table(table, folder / "people.parquet", row_group_size=150)
    return folder


@pytest.fixture(scope="module")
def keys() -> KeyRing:
    """A key ring for all runs."""
    return KeyRing.generate()


@pytest.fixture(scope="module")
def plan(folder: Path, keys: KeyRing) -> Plan:
    """The policy, bound to the table."""
    schema = ParquetSource(folder / "people.parquet").schema()
    return bind(load(folder / "policy.yaml"), "people", schema, key_version=keys.current)


def _run(
    stages: Sequence[Stage], source: Path, work: Path, keys: KeyRing, **how: int
) -> tuple[pa.Table, list[Counts]]:
    """Run stages one after the other, each over the files of the one before."""
    counts = []
    for number, each in enumerate(stages):
        out = work / f"{number}-{each.name}"
        out.mkdir()
        with ParquetWriter(out, each.output_schema) as writer:
            counts.append(run(each, ParquetSource(source), writer, keys=keys, **how))
        source = out
    return pq.read_table(source), counts


class TestRealRelease:
    def test_stepwise_is_fused(self, folder: Path, plan: Plan, keys: KeyRing, tmp_path: Path) -> None:
        """Four tasks over staged files publish what one pass does, also where a later step reads raw columns."""
        (tmp_path / "fused").mkdir()
        whole, (counts,) = _run([fused(plan)], folder / "people.parquet", tmp_path / "fused", keys)
        steps, told = _run([stage(plan, step) for step in Step], folder / "people.parquet", tmp_path, keys)

        assert steps.equals(whole)
        assert 0 < whole.num_rows < ROWS
        assert told[0].dropped_rows == counts.dropped_rows
        assert set(counts.dropped_rows) == {"where", "sample"}
        assert [each.rows_out for each in told] == [whole.num_rows] * 4

    @pytest.mark.parametrize(("batch_rows", "threads"), [(1, 3), (37, 2), (149, 1), (1000, 2)])
    def test_batches_and_threads_do_not_show(
        self, folder: Path, plan: Plan, keys: KeyRing, tmp_path: Path, batch_rows: int, threads: int
    ) -> None:
        """Whatever the machine and its settings, one input gives one release."""
        (tmp_path / "whole").mkdir()
        expected = _run([fused(plan)], folder / "people.parquet", tmp_path / "whole", keys, threads=1)
        how = {"batch_rows": batch_rows, "threads": threads}

        assert _run([fused(plan)], folder / "people.parquet", tmp_path, keys, **how) == expected

    def test_no_raw_value_is_in_the_release(
        self, folder: Path, plan: Plan, keys: KeyRing, tmp_path: Path
    ) -> None:
        """Nothing of the direct identifiers is found anywhere in the released table."""
        released, _counts = _run([fused(plan)], folder / "people.parquet", tmp_path, keys)
        text = repr(released.to_pydict())

        assert released.schema == plan.output_schema
        for raw in ("@example.com", "Nick1", "Ada1", "secret", "__veil_"):
            assert raw not in text

    def test_an_empty_table_gives_an_empty_release(self, plan: Plan, keys: KeyRing, tmp_path: Path) -> None:
        """A night without rows is published with the right schema."""
        pq.write_table(plan.source_schema.empty_table(), tmp_path / "empty.parquet")
        released, (counts,) = _run([fused(plan)], tmp_path / "empty.parquet", tmp_path, keys)

        assert (released.num_rows, released.schema) == (0, plan.output_schema)
        assert counts.rows_in == 0
