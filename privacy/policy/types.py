"""The column types a policy can declare, under the names Arrow gives them."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.family import Family


@dataclass(frozen=True, slots=True)
class Declarable:
    """A type by its name in a policy; Arrow is asked for it when a source is met, not when a policy is checked.

    Attributes:
        family: What treatments ask for.
        maker: The name of Arrow's function that makes it.
        unit: The unit of a timestamp.
        zone: The time zone of a timestamp.
    """

    family: Family
    maker: str
    unit: str | None = None
    zone: str | None = None

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type."""
        make = getattr(pa, self.maker)
        return make() if self.unit is None else make(self.unit, self.zone)


TYPES = {
    "string": Declarable(Family.TEXT, "string"),
    "bool": Declarable(Family.BOOLEAN, "bool_"),
    "int8": Declarable(Family.INTEGER, "int8"),
    "int16": Declarable(Family.INTEGER, "int16"),
    "int32": Declarable(Family.INTEGER, "int32"),
    "int64": Declarable(Family.INTEGER, "int64"),
    "uint8": Declarable(Family.INTEGER, "uint8"),
    "uint16": Declarable(Family.INTEGER, "uint16"),
    "uint32": Declarable(Family.INTEGER, "uint32"),
    "uint64": Declarable(Family.INTEGER, "uint64"),
    "float32": Declarable(Family.FLOATING, "float32"),
    "float64": Declarable(Family.FLOATING, "float64"),
    "date": Declarable(Family.DATE, "date32"),
    "timestamp": Declarable(Family.TIMESTAMP, "timestamp", "us"),
    "timestamp_s": Declarable(Family.TIMESTAMP, "timestamp", "s"),
    "timestamp_ms": Declarable(Family.TIMESTAMP, "timestamp", "ms"),
    "timestamp_ns": Declarable(Family.TIMESTAMP, "timestamp", "ns"),
    "timestamp_utc": Declarable(Family.TIMESTAMP, "timestamp", "us", "UTC"),
    "binary": Declarable(Family.OTHER, "binary"),
}
"""Declared name to type."""


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
