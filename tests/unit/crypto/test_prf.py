"""HMAC-SHA-256 columns against RFC 4231, 64-bit numbers against AES-CMAC of the library."""

from __future__ import annotations

import hmac

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.crypto import prf
from airflow_veil.privacy.errors import KeyRingError, TransformError

RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        (
            b"This is a test using a larger than block-size key and a larger than block-size data. "
            b"The key needs to be hashed before being used by the HMAC algorithm."
        ),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("key", "data", "digest"), RFC_4231)
def test_rfc_4231(key: bytes, data: bytes, digest: str) -> None:
    out = prf.hmac_sha256(pa.array([data, None, data], pa.binary()), key=key, length=len(digest) // 2)
    assert [v and v.hex() for v in out.to_pylist()] == [digest, None, digest]


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=100), st.lists(st.none() | st.text(max_size=40)), st.integers(1, 32))
def test_hmac_equals_the_standard_library(key: bytes, values: list[str | None], length: int) -> None:
    out = prf.hmac_sha256(pa.array(values, pa.string()), key=key, length=length)
    out.validate(full=True)
    assert out.type == pa.binary(length)
    expected = [None if v is None else hmac.digest(key, v.encode(), "sha256")[:length] for v in values]
    assert out.to_pylist() == expected


def test_hmac_chunks_slices_and_refusals() -> None:
    column = pa.chunked_array([pa.array(["a", None, "b"])[1:], pa.array([], pa.string())])
    out = prf.hmac_sha256(column, key=b"k")
    assert [len(chunk) for chunk in out.chunks] == [2, 0]
    assert out.to_pylist() == [None, hmac.digest(b"k", b"b", "sha256")]
    assert len(prf.hmac_sha256(pa.chunked_array([], type=pa.string()), key=b"k")) == 0
    with pytest.raises(KeyRingError):
        prf.hmac_sha256(column, key=b"")
    for length in (0, 33):
        with pytest.raises(TransformError):
            prf.hmac_sha256(column, key=b"k", length=length)
    with pytest.raises(TransformError, match="double"):
        prf.hmac_sha256(pa.array([1.0]), key=b"k")


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=16), st.lists(st.none() | st.text(max_size=30)))
def test_uint64_is_the_head_of_a_cmac(only_groups, key: bytes, values: list[str | None]) -> None:
    def one(value: str | None) -> int:
        if value is None:
            return 0
        mac = CMAC(algorithms.AES(key))
        mac.update(value.encode())
        return int.from_bytes(mac.finalize()[:8])

    column = pa.array(values, pa.large_string())
    out = prf.uint64(column, key=key)
    assert out.dtype == np.uint64
    assert out.tolist() == [one(value) for value in values]
    chunked = pa.chunked_array([column[:2], column[2:]], type=pa.large_string())
    assert (prf.uint64(chunked, key=key) == out).all()
    with only_groups():
        assert (prf.uint64(column, key=key) == out).all()


def test_uint64_looks_uniform() -> None:
    numbers = prf.uint64(pa.array([str(i) for i in range(50_000)]), key=bytes(16))
    assert len(np.unique(numbers)) == 50_000
    counts = np.bincount((numbers >> np.uint64(60)).astype(int), minlength=16)
    assert abs(counts / 50_000 - 1 / 16).max() < 0.006
