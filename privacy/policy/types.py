"""The column types a policy can declare, under the names Arrow gives them."""

from __future__ import annotations

import pyarrow as pa

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp_s": pa.timestamp("s"),
    "timestamp_ms": pa.timestamp("ms"),
    "timestamp_ns": pa.timestamp("ns"),
    "timestamp_utc": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
}
"""Declared name to Arrow type."""


def same_type(declared: pa.DataType, delivered: pa.DataType) -> bool:
    """Whether a source delivers what was declared.

    The offset width of text and bytes, and dictionary encoding, are storage, not type.
    """
    return bool(_logical(declared).equals(_logical(delivered)))


def _logical(source: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(source):
        return _logical(source.value_type)
    if pa.types.is_large_string(source) or pa.types.is_string_view(source):
        return pa.string()
    if pa.types.is_large_binary(source) or pa.types.is_binary_view(source):
        return pa.binary()
    return source
