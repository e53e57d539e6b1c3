"""Record batches of one size and with plain types, whatever the storage hands out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


def plain(source: pa.DataType) -> pa.DataType:
    """The type without what is storage only: dictionary encoding, wide offsets, views, extension names."""
    if isinstance(source, pa.BaseExtensionType):
        return plain(source.storage_type)
    if pa.types.is_dictionary(source) or pa.types.is_run_end_encoded(source):
        return plain(source.value_type)
    if pa.types.is_large_string(source) or pa.types.is_string_view(source):
        return pa.string()
    if pa.types.is_large_binary(source) or pa.types.is_binary_view(source):
        return pa.binary()
    return source


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with plain types and no metadata."""
    return pa.schema([pa.field(field.name, plain(field.type)) for field in schema])


def plain_array(column: pa.Array) -> pa.Array:
    """The same values in the plain type."""
    if isinstance(column.type, pa.BaseExtensionType):
        return plain_array(column.storage)
    target = plain(column.type)
    return column if column.type == target else column.cast(target)


def rebatch(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, `rows` at a time and the rest in the last batch; empty batches vanish.

    Memory: at most one incoming batch and one outgoing one. A large batch is sliced without a copy.
    """
    held: list[pa.RecordBatch] = []
    count = 0
    for incoming in batches:
        batch = incoming
        while count + batch.num_rows >= rows:
            head = rows - count
            yield _joined([*held, batch.slice(0, head)])
            batch, held, count = batch.slice(head), [], 0
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield _joined(held)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)
