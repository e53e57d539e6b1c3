"""HMAC-SHA-256 columns against RFC 4231, 64-bit numbers against AES-CMAC of the library."""

from __future__ import annotations

import hmac
import sys

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_veil.privacy import crypto
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


@pytest.fixture(params=["in turn", "side by side"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to the digests: hashlib, and the compiled kernel however few the rows."""
    if request.param == "side by side":
        pytest.importorskip("numba")
    monkeypatch.setattr(prf, "_LOADING_PAYS", -1 if request.param == "side by side" else 1 << 60)
    monkeypatch.setattr(prf, "_FEW_ROWS", 0)
    return request.param


def expected(values: pa.Array | pa.ChunkedArray, key: bytes, length: int = 32) -> list[bytes | None]:
    """What the standard library makes of a column."""
    texts = (value.encode() if isinstance(value, str) else value for value in values.to_pylist())
    return [None if text is None else hmac.digest(key, text, "sha256")[:length] for text in texts]


@pytest.mark.parametrize(("key", "data", "digest"), RFC_4231)
def test_rfc_4231(way: str, key: bytes, data: bytes, digest: str) -> None:
    out = prf.hmac_sha256(pa.array([data, None, data], pa.binary()), key=key, length=len(digest) // 2)
    assert [v and v.hex() for v in out.to_pylist()] == [digest, None, digest]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=100), st.lists(st.none() | st.text(max_size=70)), st.integers(1, 32))
def test_hmac_equals_the_standard_library(
    way: str, key: bytes, values: list[str | None], length: int
) -> None:
    column = pa.array(values, pa.string())
    out = prf.hmac_sha256(column, key=key, length=length)
    out.validate(full=True)
    assert out.type == pa.binary(length)
    assert out.to_pylist() == expected(column, key, length)


def test_hmac_of_every_length(way: str) -> None:
    """From nothing to beyond what lanes take, in no order, so that each number of blocks has some rows."""
    lengths = np.random.default_rng(4).permutation(1200)
    column = pa.array([bytes([length & 255]) * length for length in lengths], pa.binary())
    assert prf.hmac_sha256(column, key=b"k").to_pylist() == expected(column, b"k")


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257, 700])
def test_hmac_of_lanes_that_are_left_over(way: str, rows: int) -> None:
    column = pa.array([str(row) for row in range(rows)], pa.string())
    assert prf.hmac_sha256(column, key=b"k").to_pylist() == expected(column, b"k")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()], ids=str)
def test_hmac_of_slices_nulls_and_chunks(way: str, kind: pa.DataType) -> None:
    values = ["", "ä" * 60, None, "x", None, "y" * 300, "z" * 5000] * 50
    whole = pa.array(values, pa.string()).cast(kind)
    for column in (
        whole,
        whole[3:],
        whole[5:200],
        whole[2:3],
        pa.chunked_array([whole[:9], whole[9:9], whole[9:]]),
    ):
        assert prf.hmac_sha256(column, key=b"k", length=16).to_pylist() == expected(column, b"k", 16)


def test_hmac_passes_over_what_lies_under_a_null(way: str) -> None:
    plain = pa.array(["a", "b" * 500, "c"])
    hidden = pa.Array.from_buffers(plain.type, 3, [pa.py_buffer(b"\x05"), *plain.buffers()[1:]], null_count=1)
    assert prf.hmac_sha256(hidden, key=b"k").to_pylist() == expected(hidden, b"k")


def test_windows_are_joined(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prf, "_WINDOW_ROWS", 7)
    column = pa.array([None if row % 5 == 0 else "v" * row for row in range(40)])
    assert prf.hmac_sha256(column, key=b"k").to_pylist() == expected(column, b"k")


class TestTheCompiledKernel:
    def test_is_loaded_once_it_pays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prf, "_compiled", lambda: "kernel")
        lanes = prf._Lanes()
        half = prf._LOADING_PAYS // 2
        assert [lanes.kernel(half), lanes.kernel(half), lanes.kernel(1)] == [None, None, "kernel"]

    def test_is_not_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without numba the digests are the same."""
        monkeypatch.setitem(sys.modules, "numba", None)
        monkeypatch.delitem(sys.modules, "airflow_veil.privacy.crypto.lanes", raising=False)
        monkeypatch.delattr(crypto, "lanes", raising=False)
        monkeypatch.setattr(prf, "_LOADING_PAYS", -1)
        monkeypatch.setattr(prf, "_compiled", prf._compiled.__wrapped__)
        assert prf._compiled() is None
        column = pa.array(["a", None, "b"])
        assert prf.hmac_sha256(column, key=b"k").to_pylist() == expected(column, b"k")

    def test_does_without_a_folder_to_keep_code_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("numba")
        from airflow_veil.privacy.crypto import lanes

        def refuses(*signature: object, nogil: bool, cache: bool = False) -> object:
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return lambda function: function

        monkeypatch.setattr(lanes, "njit", refuses)
        assert lanes._kept(len, None) is len


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
