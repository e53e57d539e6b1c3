"""How a text may be spelled in the bytes of a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

SHORTEST = 8
"""Bytes that a text must have to be looked for among bytes: shorter ones stand in any large file by chance."""

PLAIN = "UTF-8"
WIDE = "UTF-16"
BASE64 = "base64"
PERCENT = "percent-encoded"
ESCAPED = "JSON escapes"
DOUBLED = "doubled quotes"


def spellings(text: str) -> Iterator[tuple[str, bytes]]:
    """The spellings of a text, each with its name; none is given twice, and the text itself comes first.

    base64 is given as it stands inside longer content, where the text may begin at any of three places: only the
    letters that depend on nothing but the text.
    """
    given: set[bytes] = set()
    for name, content in _all(text):
        if content not in given:
            given.add(content)
            yield name, content


def _all(text: str) -> Iterator[tuple[str, bytes]]:
    content = text.encode()
    yield PLAIN, content
    yield WIDE, text.encode("utf-16-le")
    yield PERCENT, quote(text, safe="").encode()
    yield PERCENT, quote(text, safe="@").encode()
    yield ESCAPED, json.dumps(text)[1:-1].encode()
    yield DOUBLED, content.replace(b'"', b'""')
    for before in range(3):
        letters = _base64_inside(content, before)
        yield BASE64, letters
        yield BASE64, letters.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_inside(content: bytes, before: int) -> bytes:
    """The letters of base64 that are the same whatever comes before (so many bytes, modulo three) and after."""
    letters = base64.b64encode(bytes(before) + content).rstrip(b"=")
    shared = (before + len(content)) % 3 != 0
    return letters[(0, 2, 3)[before] : len(letters) - shared]
