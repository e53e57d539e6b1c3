"""Base64url columns against the standard library."""

from __future__ import annotations

import base64

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.crypto import text
from airflow_veil.privacy.errors import TamperedError, TransformError


def plain(value: bytes | None, prefix: str) -> str | None:
    return None if value is None else prefix + base64.urlsafe_b64encode(value).decode().rstrip("=")


@settings(deadline=None)
@given(st.lists(st.none() | st.binary(max_size=60)), st.sampled_from(["", "t:", "veil1:", "größe~"]))
def test_equals_the_standard_library(values: list[bytes | None], prefix: str) -> None:
    column = pa.array(values, pa.binary())
    out = text.encode(column, prefix=prefix)
    out.validate(full=True)
    assert out.type == pa.string()
    assert out.to_pylist() == [plain(value, prefix) for value in values]
    back = text.decode(out, prefix=prefix)
    back.validate(full=True)
    assert back.equals(column)


def test_every_byte_and_length() -> None:
    values = [bytes((i * j + i) % 256 for j in range(length)) for length in range(50) for i in range(256)]
    out = text.encode(pa.array(values), prefix="p")
    assert out.to_pylist() == [plain(value, "p") for value in values]
    assert text.decode(out, prefix="p").to_pylist() == values


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "p",
        "p:A",
        "p:AAAAA",
        "q:AAAA",
        "P:AAAA",
        "AAAA",
        "p:AAA+",
        "p:AA/A",
        "p:AA==",
        "p:AA=",
        "p:AAA\n",
        "p:AB",
        "p:AAB",
        "p:\x00\x00\x00\x00",
        "p:ééé",
        "p:AAAAAAAA A",
    ],
)
def test_refuses_what_encode_does_not_write(wrong: str) -> None:
    with pytest.raises(TamperedError, match="1 of 3") as error:
        text.decode(pa.array(["p:AAAA", wrong, "p:"]), prefix="p:")
    assert "AAA" not in str(error.value)


@settings(deadline=None)
@given(st.text(alphabet="AB-_0=+ é", max_size=12))
def test_accepts_only_canonical_texts(value: str) -> None:
    try:
        out = text.decode(pa.array([value]), prefix="")[0].as_py()
    except TamperedError:
        try:
            raw = base64.b64decode(value.encode() + b"=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return
        assert plain(raw, "") != value
    else:
        assert plain(out, "") == value


def test_types_chunks_and_slices() -> None:
    column = pa.chunked_array([pa.array([b"abc", None, b"", b"d" * 20], pa.large_binary())[1:]])
    out = text.encode(column, prefix="x")
    assert out.type == pa.large_string()
    assert out.to_pylist() == [None, "x", "x" + "ZGRk" * 6 + "ZGQ"]
    assert text.decode(out, prefix="x").equals(column)
    assert text.encode(pa.array([None], pa.binary()), prefix="x").to_pylist() == [None]
    with pytest.raises(TransformError):
        text.encode(column, prefix="a\0")
    with pytest.raises(TransformError, match="bool"):
        text.decode(pa.array([True]), prefix="")
