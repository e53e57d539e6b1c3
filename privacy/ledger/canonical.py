"""Canonical JSON: one text for one content, so that a digest of the text is a digest of the content.

RFC 8785 (JSON Canonicalization Scheme), with one thing more: an integer that a double cannot hold is an
error, not rounded.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from airflow_veil.privacy.ledger.fault import permanent

LARGEST_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON has exactly (RFC 8785 appendix D)."""


def canonical_json(content: Any) -> str:
    """The canonical JSON text of a content.

    Args:
        content: None, booleans, integers up to `LARGEST_INTEGER`, finite floats, strings, and lists, tuples
            and mappings of them; the keys of mappings are strings. Enumerations of strings count as strings.

    Returns:
        The text: no white space, keys sorted by their UTF-16 code units, numbers as ECMAScript writes them.

    Raises:
        LedgerError: Something else is in it; the message names its type and never shows it.
    """
    try:
        text = _write(content)
        text.encode()
    except (_NotJsonError, UnicodeEncodeError, RecursionError) as error:
        problem = str(error) if isinstance(error, _NotJsonError) else "text that is no Unicode, or too deep"
    else:
        return text
    raise permanent(
        f"the content is not plain JSON: it holds {problem}",
        expected="strings, whole numbers, finite floats, booleans, nulls, lists and mappings",
    )


def read_canonical(text: str) -> Any:
    """What `canonical_json` wrote; written again, it gives the same text.

    A whole number may have been a float, since JSON does not tell: it is an integer, unless it is beyond
    `LARGEST_INTEGER`, where only a float can have been.
    """
    return json.loads(text, parse_int=_read_integer)


def _read_integer(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) <= LARGEST_INTEGER else float(digits)


def sha256_of(text: str) -> str:
    """SHA-256 of a text's UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class _NotJsonError(Exception):
    """Something that is no plain JSON; the message names its type."""


def _write(content: Any) -> str:
    for kind, write in _WRITERS:
        if isinstance(content, kind):
            return write(content)
    raise _NotJsonError(f"a {type(content).__name__}")


def _write_integer(number: int) -> str:
    if abs(number) > LARGEST_INTEGER:
        raise _NotJsonError("an integer beyond 2^53")
    return str(int(number))


def _write_float(number: float) -> str:
    """Section 3.2.2.3: as ECMAScript's Number::toString, the shortest digits that read back the same."""
    if not math.isfinite(number):
        raise _NotJsonError("a float that is not finite")
    if number == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(float(number))).normalize().as_tuple()
    text = "".join(map(str, digits))
    # The decimal point stands after this many of the digits.
    point = len(text) + int(exponent)
    return "-" * sign + _place(text, point)


def _place(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{point - 1:+d}"


def _write_text(text: str) -> str:
    return json.dumps(str(text), ensure_ascii=False)


def _write_mapping(content: Mapping[Any, Any]) -> str:
    if not all(isinstance(key, str) for key in content):
        raise _NotJsonError("a key that is no string")
    keys = sorted(content, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{_write_text(key)}:{_write(content[key])}" for key in keys) + "}"


# In this order: a boolean is an integer to Python.
_WRITERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (type(None), lambda _: "null"),
    (bool, lambda truth: "true" if truth else "false"),
    (int, _write_integer),
    (float, _write_float),
    (str, _write_text),
    ((list, tuple), lambda items: "[" + ",".join(map(_write, items)) + "]"),
    (Mapping, _write_mapping),
)
