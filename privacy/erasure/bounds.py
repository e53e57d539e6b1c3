"""Whether a text that stands among bytes stands for itself, or is a piece of a longer word.

Who is called ann@example.com is not found in joann@example.com. A hit is dismissed only where a letter or digit beside
it surely belongs to the same word; where bytes may as well be a length or the end of another value, it counts.
"""

from __future__ import annotations

import re
from enum import Enum

from airflow_veil.privacy.erasure.spellings import BASE64, WIDE

_LETTERS = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_OF_ADDRESSES = frozenset(b".+-_")
"""What joins the words of an e-mail address."""
_ESCAPE = re.compile(rb"(?:\\[nrtbfv]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|[%=][0-9a-fA-F]{2})\Z")
"""A character that JSON, a URL or a mail spells with letters: what comes after it begins a word."""
_NEAR = 16
CONTEXT = 32
"""Bytes on each side that decide."""


class Rule(Enum):
    """How values follow one another in some content."""

    TEXT = "text"
    """With something between them; control characters nearby tell that it is no text after all."""
    NAME = "name"
    """Text in which `-`, `_` and `.` are put between values: a file's name."""
    CELLS = "cells"
    """Each with its length in front, in four bytes: plain pages of Parquet."""
    PACKED = "packed"
    """One right after the other, so that neighbours tell nothing."""


def alone(content: bytes | memoryview, begin: int, end: int, spelling: str, rule: Rule) -> bool:
    """Whether the text from `begin` to `end` counts.

    Args:
        content: What it stands in.
        begin: Its first byte.
        end: One after its last.
        spelling: How it is spelled there.
        rule: How values follow one another.
    """
    if rule is Rule.PACKED or spelling == BASE64:
        return True
    step = 2 if spelling == WIDE else 1
    before, after = bytes(content[max(0, begin - CONTEXT) : begin]), bytes(content[end : end + CONTEXT])
    text = bytes(content[begin:end])
    if rule is Rule.CELLS:
        return _alone_in_cells(before, text, after, step)
    if step == 1 and any(byte < 9 for byte in before[-_NEAR:] + after[:_NEAR]):
        return True
    text = b"" if rule is Rule.NAME else text
    return not (_goes_on(before[::-1], text, step, back=True) or _goes_on(after, text, step, back=False))


def _alone_in_cells(before: bytes, text: bytes, after: bytes, step: int) -> bool:
    length = int.from_bytes(before[-4:], "little")
    if len(before) >= 4 and before[-1] == 0 and length >= len(text):
        # The text begins its cell, whose length is known.
        return length == len(text) or not _goes_on(after[: length - len(text)], text, step, back=False)
    if _goes_on(before[::-1], text, step, back=True):
        return False
    # It may end its cell: then a length follows, which is less than 65,536 where its two upper bytes are zero.
    return after[2:4] == b"\0\0" or not _goes_on(after, text, step, back=False)


def _goes_on(beside: bytes, text: bytes, step: int, *, back: bool) -> bool:
    """Whether the word goes on into what is beside it, nearest byte first."""
    if step == 2:
        # Of a letter in two bytes, the upper one is zero; it comes first where one looks back.
        zeros, beside = beside[1 - back :: 2], beside[int(back) :: 2]
        if zeros[:1] != b"\0":
            return False
    if back and _ESCAPE.search(beside[:_NEAR][::-1]):
        return False
    if beside[:1] and beside[0] in _LETTERS:
        return True
    joins = b"@" in text and len(beside) > 1 and beside[0] in _OF_ADDRESSES
    return joins and beside[1] in _LETTERS
