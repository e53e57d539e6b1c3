"""Dictionaries of a Parquet file that is written anew: which columns keep theirs, cut down to values that are in use.

Texts that repeat are read and written by their dictionary's numbers, which takes half the time. A dictionary may hold
values that no row has any more, of rows that went just now or long ago: they are left out before it is written.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PAYS = 0.9
"""A dictionary that leaves more than so much of the plain size was given up by who wrote the file,"""
LARGEST = 1 << 20
"""which happens when it has so many bytes."""
NUMBER_BYTES = 3
"""What a value takes at most that is written as a number of a dictionary of so many bytes."""
_WIDTHS = {"INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}


def repeating(metadata: pq.FileMetaData, schema: pa.Schema) -> list[str]:
    """The columns of texts or bytes whose dictionary was kept to, as far as the first row group tells."""
    if not metadata.num_row_groups:
        return []
    chunks = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.path_in_schema in schema.names
        and _is_plain(schema.field(chunk.path_in_schema).type)
        and _has_one(chunk)
        and chunk.total_uncompressed_size <= LARGEST + NUMBER_BYTES * chunk.num_values
    ]


def cut_down(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column by a dictionary that holds no value but those in use; numbers are int32."""
    whole = column.unify_dictionaries().combine_chunks()
    valid = np.asarray(whole.indices.is_valid())
    numbers = whole.indices.fill_null(0).to_numpy(zero_copy_only=False)
    used = np.zeros(len(whole.dictionary), bool)
    used[numbers[valid]] = True
    left = whole.dictionary.filter(pa.array(used))
    renumbered = (np.cumsum(used) - 1).astype(np.int32)
    # Under a null may be the number of a value that is not in use.
    codes = pa.array(
        np.maximum(renumbered[numbers], 0) if len(used) else numbers.astype(np.int32), mask=~valid
    )
    return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, left)])


def is_kept(chunk: pq.ColumnChunkMetaData, sample: pa.Table | None) -> bool:
    """Whether a column had a dictionary that its writer kept to; to begin another one in vain takes twice the time.

    Args:
        chunk: What the first row group says of the column.
        sample: Some rows; None where there are none.
    """
    if not _has_one(chunk):
        return False
    size, taken = _plain_size(chunk, sample), int(chunk.total_uncompressed_size)
    return bool(size is None or taken <= LARGEST or taken < PAYS * size)


def _is_plain(kind: pa.DataType) -> bool:
    """Whether a type is text or bytes, or a dictionary of them."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_binary(value))


def _has_one(chunk: pq.ColumnChunkMetaData) -> bool:
    return bool(chunk.has_dictionary_page or "RLE_DICTIONARY" in chunk.encodings)


def _plain_size(chunk: pq.ColumnChunkMetaData, sample: pa.Table | None) -> float | None:
    """About how many bytes a column would have without a dictionary; None where it is not known."""
    if chunk.physical_type in _WIDTHS:
        return float(_WIDTHS[chunk.physical_type] * chunk.num_values)
    name = chunk.path_in_schema
    if sample is None or name not in sample.schema.names or not sample.num_rows:
        return None
    column = sample.column(name)
    if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
        return None
    mean = pc.mean(pc.binary_length(column)).as_py()
    return None if mean is None else (mean + 4) * chunk.num_values
