"""Key derivation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.keys.derive import hkdf, info_of

# RFC 5869, appendix A: test cases 1 to 3, those of SHA-256.
RFC_5869 = {
    "A.1 basic": (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    "A.2 longer inputs": (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    "A.3 no salt, no info": (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
}


class TestHkdf:
    """`hkdf` is RFC 5869 with SHA-256."""

    @pytest.mark.parametrize(("secret", "salt", "info", "output"), RFC_5869.values(), ids=RFC_5869)
    def test_gives_the_rfc_vectors(self, secret: str, salt: str, info: str, output: str) -> None:
        """The output is that of the RFC's test cases."""
        expected = bytes.fromhex(output)

        derived = hkdf(
            bytes.fromhex(secret),
            info=bytes.fromhex(info),
            length=len(expected),
            salt=bytes.fromhex(salt) or None,
        )

        assert expected == derived


class TestInfoOf:
    """`info_of` is unambiguous."""

    def test_tells_where_parts_end(self) -> None:
        """Moving a byte from one part to the next gives another info."""
        assert info_of(b"ab", b"c") != info_of(b"a", b"bc")

    @given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
    def test_is_injective(self, left: list[bytes], right: list[bytes]) -> None:
        """Two lists of parts give the same info only if they are the same."""
        assert (info_of(*left) == info_of(*right)) == (left == right)
