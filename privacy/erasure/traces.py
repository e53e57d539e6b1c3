"""Finds what people are known by in the metadata of a Parquet footer, where anybody may have noted anything.

A file that is written anew keeps its metadata, without what names those who are erased:

- an entry that holds a looked-for value, as a word of its own, goes;
- of `ARROW:schema` and `pandas`, by which readers know types and indexes, only the free notes go: metadata of the
  schema and of its fields, and the attributes of the frame. What is left there are names, types, counts and versions,
  among which a short number is found by chance.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from airflow_veil.privacy.rewriting.parquet_file import Metadata

ARROW_SCHEMA = b"ARROW:schema"
PANDAS = b"pandas"
FEW = 2_000
"""So many values are looked for one by one; more of them by cutting the content into all that may be one."""


@dataclass(frozen=True)
class Traces:
    """Tells whether some bytes hold any of the values.

    Attributes:
        texts: The values.
    """

    texts: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Traces:
        """Of values that may repeat; an empty one is in everything, and looked for nowhere."""
        return cls(frozenset(text for text in texts if text))

    def __repr__(self) -> str:
        return f"Traces({len(self.texts)} values)"

    def metadata(self, entries: Metadata) -> Metadata:
        """What stays of a footer's metadata."""
        left = {}
        for key, value in entries.items():
            if key == ARROW_SCHEMA:
                left[key] = self._schema(value)
            elif key == PANDAS:
                left[key] = self._pandas(value)
            elif not self.are_in(key) and not self.are_in(value):
                left[key] = value
        return left

    def are_in(self, content: bytes) -> bool:
        """Whether any value is in the content, as a word of its own."""
        if len(self._spelled) <= FEW:
            return any(_holds(content, word) for word in self._spelled)
        return any(
            content[start : start + length] in self._spelled and _alone(content, start, start + length)
            for length in self._lengths
            for start in range(len(content) - length + 1)
        )

    @cached_property
    def _spelled(self) -> frozenset[bytes]:
        """The values in UTF-8, and as JSON spells them."""
        plain = {text.encode() for text in self.texts}
        return frozenset(plain | {json.dumps(text)[1:-1].encode() for text in self.texts})

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(sorted({len(word) for word in self._spelled}))

    def _schema(self, value: bytes) -> bytes:
        content = base64.b64decode(value)
        if not self.are_in(content):
            return value
        schema = pa.ipc.read_schema(pa.py_buffer(content))
        fields = [field.with_metadata(self._noted(field.metadata)) for field in schema]
        cleaned = pa.schema(fields, metadata=self._noted(schema.metadata))
        return base64.b64encode(cleaned.serialize().to_pybytes())

    def _noted(self, entries: Metadata | None) -> Metadata | None:
        left = {
            key: value
            for key, value in (entries or {}).items()
            if not self.are_in(key) and not self.are_in(value)
        }
        return left or None

    def _pandas(self, value: bytes) -> bytes:
        if not self.are_in(value):
            return value
        return json.dumps({**json.loads(value), "attributes": {}}).encode()


def _holds(content: bytes, word: bytes) -> bool:
    start = content.find(word)
    while start >= 0:
        if _alone(content, start, start + len(word)):
            return True
        start = content.find(word, start + 1)
    return False


def _alone(content: bytes, start: int, stop: int) -> bool:
    """Whether neither the letter before nor the one after goes on with the word."""
    before = start > 0 and _in_word(content[start - 1]) and _in_word(content[start])
    after = stop < len(content) and _in_word(content[stop]) and _in_word(content[stop - 1])
    return not before and not after


def _in_word(byte: int) -> bool:
    return byte >= 0x80 or chr(byte).isalnum()
