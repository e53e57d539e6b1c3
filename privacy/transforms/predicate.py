"""Expressions of `where` over Arrow columns: types are checked first, then each node becomes one vector operation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms import expression as tree
from airflow_veil.privacy.transforms.text import decoded, is_text, plain_type

Inputs = Mapping[str, pa.Array]
Predicate = Callable[[Inputs], pa.BooleanArray]
Operand = Callable[[Inputs], Any]

_OPERATIONS: dict[tree.Operator, Callable[[Any, Any], pa.BooleanArray]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_UNSIGNED = pa.decimal128(20, 0)
"""Holds every 64-bit integer, signed or not."""


def compiled(node: tree.Node, types: Mapping[str, pa.DataType], *, where: str) -> Predicate:
    """Turn an expression into a function on columns.

    Args:
        node: The expression.
        types: The type of every column.
        where: The place to name in an error.

    Returns:
        A function from n rows of columns to n booleans: null where the expression is null.

    Raises:
        TransformError: A column is missing, or is compared with something of another kind.
    """
    return _Compiler(types, where).predicate(node)


@dataclass(frozen=True, slots=True)
class _Compiler:
    types: Mapping[str, pa.DataType]
    where: str

    def predicate(self, node: tree.Node) -> Predicate:
        match node:
            case tree.Not(part):
                inner = self.predicate(part)
                return lambda inputs: pc.invert(inner(inputs))
            case tree.All(parts):
                return self._joined(parts, pc.and_kleene)
            case tree.Any(parts):
                return self._joined(parts, pc.or_kleene)
            case _:
                return self._leaf(node)

    def _leaf(self, node: tree.Leaf) -> Predicate:
        match node:
            case tree.Column():
                return self._boolean(node)
            case tree.Compare():
                return self._compare(node)
            case tree.In():
                return self._in(node)
            case tree.IsNull(column):
                kind = self._comparable(column)
                return lambda inputs: pc.is_null(_load(inputs, column.name, kind))

    def _joined(self, parts: tuple[tree.Node, ...], join: Callable[[Any, Any], Any]) -> Predicate:
        inner = [self.predicate(part) for part in parts]
        return lambda inputs: reduce(join, (part(inputs) for part in inner))

    def _boolean(self, column: tree.Column) -> Predicate:
        kind = self._comparable(column)
        if not pa.types.is_boolean(kind):
            msg = f"the column {column.name} of type {self.types[column.name]} stands alone"
            raise self._wrong(msg, "a boolean")
        return lambda inputs: _load(inputs, column.name, kind)

    def _compare(self, node: tree.Compare) -> Predicate:
        sides = (node.left, node.right)
        kind = self._common(*sides)
        if pa.types.is_boolean(kind) and node.operator not in ("==", "!="):
            msg = f"`{node.operator}` on booleans"
            raise self._wrong(msg, "`==` or `!=`")
        left, right = (self._operand(side, kind) for side in sides)
        operation = _OPERATIONS[node.operator]
        return lambda inputs: operation(left(inputs), right(inputs))

    def _in(self, node: tree.In) -> Predicate:
        kind = self._common(node.column, *node.values)
        values = pa.array([self._constant(value, kind).as_py() for value in node.values], kind)

        def found(inputs: Inputs) -> pa.BooleanArray:
            column = _load(inputs, node.column.name, kind)
            return pc.if_else(
                column.is_valid(), pc.is_in(column, value_set=values), pa.scalar(None, pa.bool_())
            )

        return found

    def _operand(self, side: tree.Column | tree.Literal, kind: pa.DataType) -> Operand:
        if isinstance(side, tree.Literal):
            constant = self._constant(side, kind)
            return lambda _inputs: constant
        name = side.name
        return lambda inputs: _load(inputs, name, kind)

    def _common(self, *sides: tree.Column | tree.Literal) -> pa.DataType:
        """The type that all sides are compared in.

        Raises:
            TransformError: They are of different kinds.
        """
        kinds = [self._comparable(side) for side in sides if isinstance(side, tree.Column)]
        kinds += [
            pa.float64() for side in sides if isinstance(side, tree.Literal) and type(side.value) is float
        ]
        common = reduce(self._either, kinds)
        for side in sides:
            if isinstance(side, tree.Literal):
                self._constant(side, common)
        return common

    def _either(self, left: pa.DataType, right: pa.DataType) -> pa.DataType:
        if left.equals(right):
            return left
        if not (_is_number(left) and _is_number(right)):
            msg = f"{_kind(left)} is compared with {_kind(right)}"
            raise self._wrong(msg, "two of one kind")
        return pa.float64() if pa.float64() in (left, right) else _UNSIGNED

    def _comparable(self, column: tree.Column) -> pa.DataType:
        """The type that a column is compared in: text, boolean, int64, 20 digits, float64, date or microseconds."""
        if column.name not in self.types:
            msg = f"there is no column {column.name}"
            raise self._wrong(msg, f"one of {', '.join(self.types)}")
        source = plain_type(self.types[column.name])
        if is_text(source):
            return pa.string()
        if pa.types.is_integer(source):
            return _UNSIGNED if pa.types.is_uint64(source) else pa.int64()
        if pa.types.is_floating(source) or pa.types.is_decimal(source):
            return pa.float64()
        if pa.types.is_timestamp(source):
            return pa.timestamp("us", source.tz)
        if pa.types.is_date(source):
            return pa.date32()
        if pa.types.is_boolean(source):
            return source
        msg = f"the column {column.name} has the type {source}"
        raise self._wrong(msg, "text, numbers, booleans, dates or times")

    def _constant(self, literal: tree.Literal, kind: pa.DataType) -> pa.Scalar:
        """A constant in the type of the column it is compared with."""
        value = literal.value
        if isinstance(value, str):
            return self._from_text(value, kind)
        told = "a boolean" if isinstance(value, bool) else "a number"
        if isinstance(value, bool) != pa.types.is_boolean(kind) or not (
            _is_number(kind) or pa.types.is_boolean(kind)
        ):
            msg = f"{_kind(kind)} is compared with {told}"
            raise self._wrong(msg, _spelling(kind))
        return pa.scalar(Decimal(value) if kind.equals(_UNSIGNED) else value, kind)

    def _from_text(self, text: str, kind: pa.DataType) -> pa.Scalar:
        if pa.types.is_string(kind):
            return pa.scalar(text, kind)
        try:
            if pa.types.is_date(kind):
                return pa.scalar(dt.date.fromisoformat(text), kind)
            if pa.types.is_timestamp(kind):
                return _moment(dt.datetime.fromisoformat(text), kind)
        except ValueError:
            msg = f"{_kind(kind)} is compared with a text that is none"
            raise self._wrong(msg, _spelling(kind)) from None
        msg = f"{_kind(kind)} is compared with text"
        raise self._wrong(msg, _spelling(kind))

    def _wrong(self, what: str, expected: str) -> TransformError:
        return TransformError(f"the expression does not fit: {what}", where=self.where, expected=expected)


def _load(inputs: Inputs, name: str, kind: pa.DataType) -> pa.Array:
    """A column in the type it is compared in; NaN becomes null."""
    column = decoded(inputs[name])
    if not column.type.equals(kind):
        column = column.cast(kind, safe=False)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    return column


def _moment(value: dt.datetime, kind: pa.DataType) -> pa.Scalar:
    """A moment in the type of a column: without an offset it is local to the column's time zone.

    Raises:
        ValueError: It has an offset and the column has no time zone.
    """
    if value.tzinfo is not None:
        if kind.tz is None:
            raise ValueError
        return pa.scalar(value, kind)
    naive = pa.scalar(value, pa.timestamp("us"))
    if kind.tz is None:
        return naive
    return pc.assume_timezone(naive, kind.tz, ambiguous="earliest", nonexistent="earliest")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _kind(kind: pa.DataType) -> str:
    """The kind of a column, for a person."""
    if _is_number(kind):
        return "a column of numbers"
    if pa.types.is_timestamp(kind):
        return f"a column of times {'in the time zone ' + kind.tz if kind.tz else 'without a time zone'}"
    if pa.types.is_date(kind):
        return "a column of dates"
    return "a column of booleans" if pa.types.is_boolean(kind) else "a column of text"


def _spelling(kind: pa.DataType) -> str:
    """How a constant for a column is written."""
    if _is_number(kind):
        return "a number, without quotes"
    if pa.types.is_timestamp(kind):
        return f"a time such as '2024-01-31T12:00:00{'+00:00' if kind.tz else ''}'"
    if pa.types.is_date(kind):
        return "a date such as '2024-01-31'"
    return "true or false" if pa.types.is_boolean(kind) else "a text in quotes"
