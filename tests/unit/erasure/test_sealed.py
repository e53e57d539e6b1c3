"""What people are named by, sealed."""

from __future__ import annotations

import json
import pickle

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from airflow_veil.privacy.erasure.sealed import Sealed, seal, unseal
from airflow_veil.privacy.errors import KeyRingError, TamperedError
from airflow_veil.privacy.keys.ring import KeyRing

SECRET = b"canary@example.com"
ABOUT = "erasure-0123456789abcdef"


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing.generate()


class TestSeal:
    @pytest.mark.parametrize("content", [b"", SECRET, b"\0" * 1_000_000])
    def test_opens(self, ring: KeyRing, content: bytes) -> None:
        assert unseal(seal(content, ring, about=ABOUT), ring, about=ABOUT) == content

    def test_form(self, ring: KeyRing) -> None:
        """12 bytes of nonce, AES-256-GCM with the name as associated data: whoever has the subkey opens it."""
        sealed = seal(SECRET, ring, about=ABOUT)
        cipher = AESGCM(ring.subkey("erasure", "sealed", version=1))

        assert len(sealed.content) == 12 + len(SECRET) + 16
        assert cipher.decrypt(sealed.content[:12], sealed.content[12:], ABOUT.encode()) == SECRET

    def test_never_the_same(self, ring: KeyRing) -> None:
        """A nonce is never used twice."""
        assert len({seal(SECRET, ring, about=ABOUT).content[:12] for _ in range(1_000)}) == 1_000

    def test_shows_nothing(self, ring: KeyRing) -> None:
        sealed = seal(SECRET, ring, about=ABOUT)
        assert repr(sealed) == "Sealed(key_version=1)"
        assert SECRET not in pickle.dumps(sealed)

    def test_other_versions(self, ring: KeyRing) -> None:
        """A retired version still opens; a destroyed one no more."""
        old = seal(SECRET, ring, about=ABOUT)
        rotated = ring.rotate()
        assert unseal(old, rotated, about=ABOUT) == SECRET
        assert seal(SECRET, rotated, about=ABOUT).key_version == 2
        assert seal(SECRET, rotated, about=ABOUT, key_version=1).key_version == 1
        with pytest.raises(KeyRingError, match="destroyed"):
            unseal(old, rotated.destroy(1), about=ABOUT)


class TestTampered:
    def test_every_bit(self, ring: KeyRing) -> None:
        content = seal(SECRET, ring, about=ABOUT).content
        for bit in range(len(content) * 8):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(TamperedError):
                unseal(Sealed(1, bytes(changed)), ring, about=ABOUT)

    @pytest.mark.parametrize("length", [0, 5, 12, 27])
    def test_cut_off(self, ring: KeyRing, length: int) -> None:
        content = seal(b"", ring, about=ABOUT).content
        with pytest.raises(TamperedError):
            unseal(Sealed(1, content[:length]), ring, about=ABOUT)

    def test_moved(self, ring: KeyRing) -> None:
        """To another request, another version or another ring; and the error holds nothing of it."""
        sealed = seal(SECRET, ring, about=ABOUT)
        rotated = ring.rotate()
        for opener, about, version in (
            (ring, "erasure-0", 1),
            (rotated, ABOUT, 2),
            (KeyRing.generate(), ABOUT, 1),
        ):
            with pytest.raises(TamperedError, match="does not authenticate") as caught:
                unseal(Sealed(version, sealed.content), opener, about=about)
            assert "canary" not in str(caught.value) + json.dumps(caught.value.__dict__)
            assert caught.value.__cause__ is None
