"""An answer as the ledger keeps it: an Arrow file with the answer's record in its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from airflow_veil.privacy.errors import InternalError

_RECORD = b"veil_record"


def to_bytes(table: pa.Table, record: Mapping[str, Any]) -> bytes:
    """An answer and its record as bytes."""
    sink = pa.BufferOutputStream()
    kept = table.replace_schema_metadata({_RECORD: json.dumps(record)})
    with pa.ipc.new_file(sink, kept.schema) as writer:
        writer.write_table(kept)
    return bytes(sink.getvalue())


def from_bytes(raw: bytes) -> tuple[pa.Table, dict[str, Any]]:
    """The answer, and its record.

    Raises:
        InternalError: They are not what `to_bytes` makes.
    """
    try:
        with pa.ipc.open_file(pa.BufferReader(raw)) as reader:
            table = reader.read_all()
        record: dict[str, Any] = json.loads(table.schema.metadata[_RECORD])
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError):
        raise InternalError("the stored answer cannot be read", where="ledger") from None
    return table.replace_schema_metadata(None), record
