"""Columns as codes: whole numbers that are equal where the values are. All of risk works on them; values are let go.

    Source ──batches──► Encoder, one a column ──finish──► Codes

Text, numbers, times, bytes and truth values have codes; nested values have not. `NaN` is a number like others, equal to
itself; `-0.0` is `0.0`. A null has a code of its own, the last one, and what it counts for is said where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa, pc

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source

BATCH_ROWS = 1 << 18
"""Rows read at a time; only their codes are kept."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Codes:
    """A column as codes.

    Attributes:
        name: The column.
        codes: A code a row, from 0 to `cardinality - 1`; in the order of the values if `ordered`.
        cardinality: How many codes there are.
        null: The code of nulls, which is the last; None if the column has none.
        numeric: Whether distances between values mean something: numbers, dates and times.
        ordered: Whether codes are in the order of the values; nulls come last.
    """

    name: str
    codes: np.ndarray[Any, Any] = field(repr=False)
    cardinality: int
    null: int | None = None
    numeric: bool = False
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray[Any, Any] | slice) -> Codes:
        """The codes of some rows, by number, mask or slice; a code may then be nowhere."""
        return Codes(
            name=self.name,
            codes=self.codes[rows],
            cardinality=self.cardinality,
            null=self.null,
            numeric=self.numeric,
            ordered=self.ordered,
        )

    def then(self, other: Codes) -> Codes:
        """These rows, and then those of a column with the same codes."""
        return Codes(
            name=self.name,
            codes=np.concatenate([self.codes, other.codes]),
            cardinality=self.cardinality,
            null=self.null,
            numeric=self.numeric,
            ordered=self.ordered,
        )


class Encoder:
    """Gives codes to a column that comes in pieces; knows each distinct value once, and no row.

    Args:
        name: The column, for errors.
        arrow_type: Its type.

    Raises:
        SchemaError: Values of this type are not compared.
    """

    def __init__(self, name: str, arrow_type: pa.DataType) -> None:
        if pa.types.is_dictionary(arrow_type):
            arrow_type = arrow_type.value_type
        if pa.types.is_nested(arrow_type):
            raise SchemaError(
                f"values of type {arrow_type} have no equivalence classes",
                where=f"column {name}",
                expected="text, numbers, times, bytes or truth values",
            )
        self._name, self._type = name, arrow_type
        self._values = pa.array([], arrow_type)
        self._codes: list[np.ndarray[Any, Any]] = []

    def add(self, column: pa.Array | pa.ChunkedArray) -> None:
        """Take the next rows."""
        for array in column.chunks if isinstance(column, pa.ChunkedArray) else (column,):
            self._add(array)

    def _add(self, array: pa.Array) -> None:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.type != self._type:
            array = array.cast(self._type)
        if pa.types.is_floating(self._type):
            # -0.0 equals 0.0; adding 0.0 makes the one of the other.
            array = pc.add(array, pa.scalar(0.0, self._type))
        encoded = array.dictionary_encode()
        places = pc.index_in(encoded.dictionary, value_set=self._values)
        new = pc.is_null(places)
        fresh = encoded.dictionary.filter(new)
        lookup = places.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32)
        unseen = new.to_numpy(zero_copy_only=False)
        lookup[unseen] = len(self._values) + np.arange(len(fresh), dtype=np.int32)
        self._values = pa.concat_arrays([self._values, fresh])
        # A null is -1 until all values are known.
        lookup = np.append(lookup, np.int32(-1))
        self._codes.append(lookup[encoded.indices.fill_null(len(lookup) - 1).to_numpy(zero_copy_only=False)])

    def finish(self, *, ordered: bool = False) -> Codes:
        """All rows as codes, in the order of the values if wanted; the values are let go."""
        codes = np.concatenate([np.empty(0, np.int32), *self._codes])
        self._codes = []
        count = len(self._values)
        if ordered:
            rank = np.empty(count + 1, np.int32)
            rank[pc.array_sort_indices(self._values).to_numpy()] = np.arange(count, dtype=np.int32)
            rank[-1] = -1
            codes = rank[codes]
        missing = codes < 0
        has_null = bool(missing.any())
        if has_null:
            codes[missing] = count
        kind = self._type
        return Codes(
            name=self._name,
            codes=codes,
            cardinality=count + has_null,
            null=count if has_null else None,
            numeric=any(
                is_kind(kind)
                for is_kind in (
                    pa.types.is_integer,
                    pa.types.is_floating,
                    pa.types.is_decimal,
                    pa.types.is_temporal,
                )
            ),
            ordered=ordered,
        )


def encode(
    batches: Iterable[pa.RecordBatch | pa.Table], schema: pa.Schema, *, ordered: Sequence[str] = ()
) -> dict[str, Codes]:
    """Columns of batches as codes.

    Args:
        batches: Rows, with the columns of the schema.
        schema: Which columns.
        ordered: The columns whose codes are to be in the order of their values.

    Raises:
        SchemaError: Values of a column's type are not compared.
    """
    encoders = {each.name: Encoder(each.name, each.type) for each in schema}
    for batch in batches:
        for name, encoder in encoders.items():
            encoder.add(batch.column(name))
    return {name: encoder.finish(ordered=name in ordered) for name, encoder in encoders.items()}


def codes_of(
    data: pa.Table | Source, names: Sequence[str], *, ordered: Sequence[str] = ()
) -> dict[str, Codes]:
    """Columns of a table, or of a source in constant memory but for the codes, as codes.

    Raises:
        SchemaError: A column is not there, or values of its type are not compared.
        StorageError: The source cannot be read.
    """
    names = tuple(dict.fromkeys(names))
    schema = data.schema if isinstance(data, pa.Table) else data.schema()
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise SchemaError(
            f"there is no column {', '.join(missing)}", expected=f"one of {', '.join(schema.names)}"
        )
    wanted = pa.schema([schema.field(name) for name in names])
    batches = (data,) if isinstance(data, pa.Table) else data.batches(names, batch_rows=BATCH_ROWS)
    return encode(batches, wanted, ordered=ordered)


def shared(
    one: pa.Table | Source, other: pa.Table | Source, columns: Mapping[str, str], *, ordered: bool = False
) -> tuple[dict[str, Codes], dict[str, Codes]]:
    """Columns of two tables with the same code for the same value, so that rows can be matched.

    Args:
        one: A table.
        other: Another.
        columns: Names in the first to names in the second. Types are made the second's, where they differ.
        ordered: Whether codes are to be in the order of the values.

    Returns:
        The columns of either, both under the first's names.

    Raises:
        SchemaError: A column is not there, or the types cannot be compared.
        StorageError: A source cannot be read.
    """
    sides = []
    for data, names in ((one, list(columns)), (other, list(columns.values()))):
        schema = data.schema if isinstance(data, pa.Table) else data.schema()
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise SchemaError(
                f"there is no column {', '.join(missing)}", expected=f"one of {', '.join(schema.names)}"
            )
        batches = (
            (data.select(names),)
            if isinstance(data, pa.Table)
            else data.batches(names, batch_rows=BATCH_ROWS)
        )
        sides.append((schema, names, batches))
    first, second = sides
    encoders = [
        Encoder(name, _common(name, first[0].field(name).type, second[0].field(also).type))
        for name, also in columns.items()
    ]
    rows = 0
    for place, (_, names, batches) in enumerate(sides):
        for batch in batches:
            rows += 0 if place else batch.num_rows
            for encoder, name in zip(encoders, names, strict=True):
                encoder.add(_as(batch.column(name), encoder))
    both = [encoder.finish(ordered=ordered) for encoder in encoders]
    return (
        {each.name: each.take(slice(rows)) for each in both},
        {each.name: each.take(slice(rows, None)) for each in both},
    )


def _as(column: Any, encoder: Encoder) -> Any:
    try:
        return column.cast(encoder._type)  # noqa: SLF001 - the same file's class
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SchemaError(
            "a value cannot be compared with the other table's",
            where=f"column {encoder._name}",  # noqa: SLF001
        ) from None


def _common(name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type in which two columns are compared: their own, the wider number, or text."""
    one, other = (each.value_type if pa.types.is_dictionary(each) else each for each in (one, other))
    if one == other:
        return one
    try:
        return (
            pa.unify_schemas(
                [pa.schema([(name, one)]), pa.schema([(name, other)])], promote_options="permissive"
            )
            .field(0)
            .type
        )
    except pa.ArrowTypeError:
        return pa.string()
