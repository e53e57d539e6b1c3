"""Batched AES and AES-CMAC against RFC 4493 and the `cryptography` library."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.crypto.blocks import BlockCipher, double, xor
from airflow_veil.privacy.crypto.cmac import Cmac, cmac
from airflow_veil.privacy.errors import KeyRingError

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
RFC_4493 = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}


def matrix(messages: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(messages), np.uint8).reshape(len(messages), -1)


@pytest.mark.parametrize("length", RFC_4493)
def test_rfc_4493_section_4(length: int) -> None:
    message = MESSAGE[:length]
    assert Cmac(KEY).digest(message).hex() == RFC_4493[length]
    rows = np.tile(np.frombuffer(message, np.uint8), (3, 1))
    assert [row.tobytes().hex() for row in cmac(rows, key=KEY)] == [RFC_4493[length]] * 3


@settings(deadline=None)
@given(
    st.sampled_from([16, 24, 32]), st.integers(0, 70), st.integers(0, 5), st.randoms(use_true_random=False)
)
def test_equals_the_library(size: int, length: int, rows: int, random) -> None:
    key, messages = random.randbytes(size), [random.randbytes(length) for _ in range(rows)]
    tags = cmac(np.frombuffer(b"".join(messages), np.uint8).reshape(rows, length), key=key)
    assert tags.shape == (rows, 16)
    for tag, message in zip(tags, messages, strict=True):
        one = CMAC(algorithms.AES(key))
        one.update(message)
        assert tag.tobytes() == one.finalize()


def test_takes_a_matrix_that_is_not_contiguous() -> None:
    wide = np.arange(200, dtype=np.uint8).reshape(4, 50)
    assert (cmac(wide[:, 3:30], key=KEY) == cmac(wide[:, 3:30].copy(), key=KEY)).all()


@pytest.mark.parametrize("size", [16, 24, 32])
def test_blocks_equal_the_library(size: int) -> None:
    key, data = bytes(range(size)), np.random.default_rng(1).bytes(16 * 100)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    cipher = BlockCipher(key)
    expected = encryptor.update(data)
    assert cipher.encrypt(np.frombuffer(data, np.uint64).reshape(-1, 2)).tobytes() == expected
    assert cipher.encrypt(np.frombuffer(data, np.uint64).reshape(10, 10, 2)).tobytes() == expected
    assert cipher.encrypt_block(data[:16]) == expected[:16]
    assert cipher.encrypt(np.empty((0, 2), np.uint64)).shape == (0, 2)


@pytest.mark.parametrize("size", [0, 15, 17, 33])
def test_refuses_other_keys_without_showing_them(size: int) -> None:
    with pytest.raises(KeyRingError, match=f"{size} bytes") as error:
        BlockCipher(b"k" * size)
    assert "kk" not in str(error.value)


def test_doubling_reduces() -> None:
    assert double(bytes(15) + b"\x01") == bytes(15) + b"\x02"
    assert double(b"\x80" + bytes(15)) == bytes(15) + b"\x87"
    assert xor(b"\x0f\xf0", b"\xff\xff") == b"\xf0\x0f"
