"""Reads what Thrift's compact protocol writes: the headers and footers of Parquet files.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Fields: TypeAlias = dict[int, Any]
"""A struct: the number of each field that is there to its value."""

_DEEPEST = 16


class ThriftError(ValueError):
    """The bytes are no such struct."""


class Span(bytes):
    """Bytes of a field, which know where they stand in what was read."""

    begin: int = 0


@dataclass
class Reader:
    """Reads one struct after another.

    Attributes:
        content: The bytes.
        at: Where reading goes on.
    """

    content: bytes | memoryview
    at: int = 0

    def struct(self, depth: int = 0) -> Fields:
        """The fields of a struct; fields that are unknown to the caller are kept, too.

        Raises:
            ThriftError: There is none here, or it is cut off.
        """
        if depth > _DEEPEST:
            raise ThriftError("structs are nested too deep")
        fields: Fields = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._signed()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        readers: dict[int, Callable[[], Any]] = {
            # In lists a truth value is a byte of its own.
            1: lambda: self._byte() == 1,
            2: lambda: self._byte() == 1,
            3: self._byte,
            4: self._signed,
            5: self._signed,
            6: self._signed,
            7: lambda: struct.unpack("<d", self._take(8))[0],
            8: self._span,
            9: lambda: self._list(depth),
            10: lambda: self._list(depth),
            11: lambda: self._map(depth),
            12: lambda: self.struct(depth + 1),
        }
        if kind not in readers:
            raise ThriftError("a field is of no known type")
        return readers[kind]()

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count, kind = head >> 4, head & 15
        if count == 15:
            count = self._unsigned()
        if count > len(self.content) - self.at:
            raise ThriftError("a list is longer than what is there")
        return [self._value(kind, depth + 1) for _ in range(count)]

    def _map(self, depth: int) -> list[tuple[Any, Any]]:
        count = self._unsigned()
        if not count:
            return []
        if count > len(self.content) - self.at:
            raise ThriftError("a map is longer than what is there")
        kinds = self._byte()
        return [
            (self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(count)
        ]

    def _span(self) -> Span:
        length = self._unsigned()
        begin = self.at
        span = Span(self._take(length))
        span.begin = begin
        return span

    def _take(self, length: int) -> bytes:
        if length > len(self.content) - self.at:
            raise ThriftError("a field is cut off")
        self.at += length
        return bytes(self.content[self.at - length : self.at])

    def _byte(self) -> int:
        return self._take(1)[0]

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise ThriftError("a number is too long")

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)
