"""The table that the release is measured on: people who do not exist, drawn from a seed, written as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

SEED = 20260101
CHUNK_ROWS = 1 << 16

_FIRST = (
    "Ada",
    "Bo",
    "Chidi",
    "Dolores",
    "Emeka",
    "Fatima",
    "Gerhard",
    "Hyun-woo",
    "Ingrid",
    "José",
    "Kamala",
)
_LAST = (
    "Abara",
    "Bergström",
    "Castellanos",
    "Dubois",
    "Eriksen",
    "Fernández",
    "Goldberg",
    "Horvat",
    "Ivanova",
)
_HOSTS = ("example.com", "mail.example.org", "post.example.net", "uni.example.edu")
_COUNTRIES = ("DE", "FR", "GB", "IN", "JP", "KE", "SE", "US")
_SEGMENTS = ("new", "regular", "loyal", "lapsed")

POLICY = """\
version: 1
name: benchmark
owner: benchmarks@example.com
keys: {file: unused}
datasets:
  people:
    source: people.parquet
    subject: customer_id
    columns:
      customer_id: {class: direct_identifier, type: int64,  treat: {token: {domain: customer}}}
      email:       {class: direct_identifier, type: string, treat: {token: {domain: email, reversible: true}}}
      card:        {class: direct_identifier, type: string, treat: {fpe: {alphabet: digits, domain: card}}}
      name:        {class: direct_identifier, type: string, treat: {mask: {style: name}}}
      joined:      {class: quasi_identifier,  type: date,   treat: {date_shift: {max_days: 90}}}
      born:        {class: quasi_identifier,  type: date,   treat: {generalize: {to: year}}}
      postcode:    {class: quasi_identifier,  type: string, treat: {generalize: {prefix: 2}}}
      country:     {class: none, type: string,       treat: keep}
      segment:     {class: none, type: string,       treat: keep}
      orders:      {class: none, type: int32,        treat: keep}
      spent:       {class: none, type: float64,      treat: keep}
      updated_at:  {class: none, type: timestamp,    treat: keep}
"""
"""Two tokens, one of them reversible; one FPE, one mask, one date shift, two generalizations; five kept."""

SCHEMA = pa.schema(
    {
        "customer_id": pa.int64(),
        "email": pa.string(),
        "card": pa.string(),
        "name": pa.string(),
        "joined": pa.date32(),
        "born": pa.date32(),
        "postcode": pa.string(),
        "country": pa.string(),
        "segment": pa.string(),
        "orders": pa.int32(),
        "spent": pa.float64(),
        "updated_at": pa.timestamp("us"),
    }
)


def write(path: Path, rows: int, *, columns: tuple[str, ...] = tuple(SCHEMA.names)) -> None:
    """Write a Parquet file of `rows` people; memory does not grow with them."""
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches(rows):
            writer.write_batch(batch.select(list(columns)), row_group_size=CHUNK_ROWS)


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """The people, in batches of at most `CHUNK_ROWS`; the same for the same number of rows."""
    random = np.random.default_rng(SEED)
    for start in range(0, rows, CHUNK_ROWS):
        yield _batch(random, start, min(CHUNK_ROWS, rows - start))


def _batch(random: np.random.Generator, start: int, rows: int) -> pa.RecordBatch:
    number = pa.array(np.arange(start, start + rows) * 7919 % 100_000_007)
    first, last = _pick(random, _FIRST, rows), _pick(random, _LAST, rows)
    local = pc.binary_join_element_wise(
        pc.utf8_lower(first), pc.utf8_lower(last), pc.cast(number, "string"), "."
    )
    arrays = [
        number,
        _some_null(random, pc.binary_join_element_wise(local, _pick(random, _HOSTS, rows), "@"), 0.02),
        _digits(random, 16, rows),
        pc.binary_join_element_wise(first, last, " "),
        _days(random, 16_000, 20_400, rows),
        _some_null(random, _days(random, -9_000, 13_000, rows), 0.05),
        _digits(random, 5, rows),
        _pick(random, _COUNTRIES, rows),
        _pick(random, _SEGMENTS, rows),
        pa.array(random.poisson(6, rows).astype(np.int32)),
        pa.array(np.round(random.lognormal(4, 1.2, rows), 2)),
        pa.array(random.integers(1_500_000_000, 1_767_000_000, rows) * 1_000_000).cast(pa.timestamp("us")),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _pick(random: np.random.Generator, values: tuple[str, ...], rows: int) -> pa.Array:
    return pa.array(values).take(pa.array(random.integers(0, len(values), rows)))


def _digits(random: np.random.Generator, length: int, rows: int) -> pa.StringArray:
    characters: NDArray[np.uint8] = random.integers(ord("0"), ord("9") + 1, (rows, length), dtype=np.uint8)
    offsets = np.arange(rows + 1, dtype=np.int32) * length
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(characters.ravel()))


def _days(random: np.random.Generator, first: int, last: int, rows: int) -> pa.Array:
    return pa.array(random.integers(first, last, rows, dtype=np.int32)).cast(pa.date32())


def _some_null(random: np.random.Generator, values: pa.Array, share: float) -> pa.Array:
    return pc.if_else(pa.array(random.random(len(values)) < share), pa.scalar(None, values.type), values)
