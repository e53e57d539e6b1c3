"""One plan with every treatment, the records of its runs, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_veil.privacy.engine.counts import Counts
from airflow_veil.privacy.lineage.record import LineageRecord, of_copy, of_stage
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import fused, stage
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.storage.base import DatasetIdentity, Written, WrittenFile
from airflow_veil.privacy.transforms.base import Step

POLICY = """
version: 1
name: retail
owner: data-platform@example.com
datasets:
  customers:
    source: customers.parquet
    subject: customer_id
    where: "country == 'PLANTED_COUNTRY'"
    sample: {fraction: 0.5}
    columns:
      customer_id: {class: direct_identifier, treat: {token: {domain: customer}}}
      email:
        class: direct_identifier
        category: user.contact.email
        treat: {token: {domain: email, reversible: true}}
      name: {class: direct_identifier, treat: drop}
      card: {class: direct_identifier, treat: {fpe: {keep_last: 4}}}
      phone: {class: direct_identifier, treat: mask}
      nickname: {class: direct_identifier, treat: {fake: {provider: first_name}}}
      birth_date: {class: quasi_identifier, treat: {date_shift: {max_days: 30}}}
      postcode: {class: quasi_identifier, treat: {generalize: {prefix: 3}}}
      income: {class: sensitive, treat: {noise: {scale: 0.1, relative: true}}}
      notes: {class: free_text, treat: {redact: {names_from: [name]}}}
      origin: {class: none, treat: {constant: {value: PLANTED_CONSTANT}}}
      comment: {class: free_text, treat: "null"}
      country: {class: none, treat: keep}
      password: {class: none, treat: keep}
"""
"""Every treatment once. `PLANTED_…` are values: no lineage may show them. `password` is a name that redaction
of secrets stumbles over."""

_TEXTS = "customer_id email name card phone nickname postcode notes origin comment country password unplanned"
SCHEMA = pa.schema(
    {**dict.fromkeys(_TEXTS.split(), pa.string()), "birth_date": pa.date32(), "income": pa.int64()}
)

SOURCE = DatasetIdentity("file", "/data/customers.parquet")
RELEASE = DatasetIdentity("file", "/releases/retail/customers")

COUNTS = Counts(rows_in=10, rows_out=7)
WRITTEN = Written(
    rows=7, bytes=4096, files=(WrittenFile(name="part-0.parquet", bytes=4096, sha256="0" * 64),)
)


def make_plan(folder: Path, text: str) -> Plan:
    """The plan of a policy's customers."""
    path = folder / "policy.yaml"
    path.write_text(text)
    return bind(load(path), "customers", SCHEMA, key_version=2)


def staged(name: str) -> DatasetIdentity:
    """The identity of what a step stages."""
    return DatasetIdentity("file", f"/staging/1/{name}")


def fused_records(plan: Plan) -> list[LineageRecord]:
    """A fused run and its publication."""
    made = of_stage(fused(plan), SOURCE, staged("fused"), COUNTS, WRITTEN)
    return [made, of_copy(made, RELEASE, stage="publish", version="r1")]


def stepwise_records(plan: Plan) -> list[LineageRecord]:
    """A run of all steps and its publication."""
    records: list[LineageRecord] = []
    for step in Step:
        source = records[-1].about.identity if records else SOURCE
        records.append(of_stage(stage(plan, step), source, staged(step.value), COUNTS, WRITTEN))
    return [*records, of_copy(records[-1], RELEASE, stage="publish", version="r1")]


RUNS: dict[str, Callable[[Plan], Sequence[LineageRecord]]] = {
    "fused": fused_records,
    "stepwise": stepwise_records,
}
"""The two ways to release a table."""


def event(record: LineageRecord, *, kind: str = "COMPLETE") -> dict[str, Any]:
    """The event that a task emits, as the JSON that is written."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    from airflow_veil.privacy.lineage import openlineage

    told = RunEvent(
        eventType=RunState[kind],
        eventTime="2026-01-01T00:00:00Z",
        run=Run("01941f29-7c00-743a-8c07-3bd6d1a9ba4d"),
        job=Job("default", f"nightly.{record.stage}"),
        inputs=openlineage.inputs(record),
        outputs=openlineage.outputs(record),
        producer=openlineage.producer(),
    )
    return Serde.to_dict(told)
