"""Canonical JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.errors import LedgerError
from airflow_veil.privacy.ledger.canonical import LARGEST_INTEGER, canonical_json, read_canonical

# RFC 8785, appendix B: the bits of a double, and its text.
RFC_8785_NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

json_contents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> Any:
    content: Any = 1
    for _ in range(depth):
        content = [content]
    return content


NO_JSON = {
    "not a number": float("nan"),
    "infinity": float("inf"),
    "large integer": LARGEST_INTEGER + 1,
    "small integer": -LARGEST_INTEGER - 1,
    "bytes": b"bytes",
    "set": {"set"},
    "date": date(2026, 1, 31),
    "integer key": {1: "key"},
    "null key": {None: "key"},
    "surrogate": "\ud800",
    "surrogate key": {"\udfff": 1},
    "deep": nested(100_000),
    "class": object,
}


class TestCanonicalJson:
    """`canonical_json` is RFC 8785."""

    @pytest.mark.parametrize(("bits", "text"), RFC_8785_NUMBERS.items(), ids=RFC_8785_NUMBERS.values())
    def test_writes_numbers_as_the_rfc(self, bits: str, text: str) -> None:
        """Appendix B: numbers look as ECMAScript writes them."""
        (number,) = struct.unpack(">d", bytes.fromhex(bits))

        assert text == canonical_json(number)

    def test_writes_the_rfcs_sample(self) -> None:
        """Section 3.2.2: white space, escapes and literals."""
        content = {
            "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": '\u20ac$\u000f\nA\'B"\\\\"/',
            "literals": [None, True, False],
        }

        assert canonical_json(content) == (
            '{"literals":[null,true,false],'
            '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        )

    def test_sorts_keys_by_utf_16(self) -> None:
        """Section 3.2.3: the order is that of UTF-16 code units, not of code points."""
        keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
        content = dict.fromkeys(keys, 0)

        written = json.loads(canonical_json(content))

        assert list(written) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]

    @given(json_contents)
    def test_reads_back_as_written(self, content: Any) -> None:
        """Nothing is lost, and the text of what is read back is the same text."""
        text = canonical_json(content)

        assert content == read_canonical(text)
        assert text == canonical_json(read_canonical(text))

    @given(st.dictionaries(st.text(), json_contents, max_size=5))
    def test_does_not_depend_on_the_order_of_keys(self, content: dict[str, Any]) -> None:
        """Equal contents give equal texts."""
        assert canonical_json(content) == canonical_json(dict(reversed(content.items())))

    @pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
    def test_refuses_what_is_no_json(self, content: Any) -> None:
        """What has no one text is an error that is no reason to try again."""
        with pytest.raises(LedgerError, match="not plain JSON") as caught:
            canonical_json({"name": [content]})
        assert not caught.value.retryable

    @pytest.mark.parametrize(
        "plant",
        [lambda v: {v: {1}}, lambda v: [v.encode()], lambda v: {"a": {(v,): 1}}, lambda v: v + "\ud800"],
        ids=["key", "bytes", "tuple key", "surrogate"],
    )
    def test_shows_no_value(self, plant: Callable[[str], Any]) -> None:
        """The error names types only, and drags nothing along."""
        with pytest.raises(LedgerError) as caught:
            canonical_json(plant("alice@example.com"))

        assert "alice" not in str(caught.value) + repr(caught.value)
        assert caught.value.__context__ is None
