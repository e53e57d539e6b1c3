"""AES-SIV columns against RFC 5297 and the `cryptography` library."""

from __future__ import annotations

from contextlib import nullcontext

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.crypto import siv, text
from airflow_veil.privacy.errors import KeyRingError, TamperedError, TransformError

KEY = bytes(range(32))


def enc(values: list[bytes], key: bytes = KEY, ad: tuple[bytes, ...] = (b"domain",)) -> pa.Array:
    return siv.encrypt(pa.array(values, pa.binary()), key=key, associated_data=ad)


@pytest.mark.parametrize("grouped", [True, False])
def test_rfc_5297_a1(only_groups, grouped: bool) -> None:
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    ad = (bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627"),)
    plain = bytes.fromhex("112233445566778899aabbccddee")
    with only_groups() if grouped else nullcontext():
        out = enc([plain, plain], key, ad)
    assert out[1].as_py().hex() == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    assert siv.decrypt(out, key=key, associated_data=ad).to_pylist() == [plain, plain]


@pytest.mark.parametrize("grouped", [True, False])
def test_rfc_5297_a2_nonce_based(only_groups, grouped: bool) -> None:
    key = bytes.fromhex("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f")
    ad = (
        bytes.fromhex("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100"),
        bytes.fromhex("102030405060708090a0"),
        bytes.fromhex("09f911029d74e35bd84156c5635688c0"),
    )
    plain = b"this is some plaintext to encrypt using SIV-AES"
    with only_groups() if grouped else nullcontext():
        out = enc([plain], key, ad)[0].as_py()
    assert out.hex() == (
        "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17"
        "dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
    )
    assert out == AESSIV(key).encrypt(plain, list(ad))


@settings(deadline=None)
@given(
    st.sampled_from([32, 48, 64]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.lists(st.binary(max_size=40), max_size=4),
    st.lists(st.none() | st.binary(max_size=100), max_size=12),
)
def test_equals_the_library(only_groups, key: bytes, ad: list[bytes], values: list[bytes | None]) -> None:
    reference = AESSIV(key)
    column = pa.array(values, pa.binary())
    with only_groups():
        out = siv.encrypt(column, key=key, associated_data=ad)
        grouped = siv.decrypt(out, key=key, associated_data=ad)
    assert siv.encrypt(column, key=key, associated_data=ad).equals(out)
    out.validate(full=True)
    for value, encrypted in zip(values, out.to_pylist(), strict=True):
        if not value:
            # Older versions of the library refuse an empty text; the round trip below covers it.
            assert encrypted is None if value is None else len(encrypted) == 16
        else:
            assert encrypted == reference.encrypt(value, ad)
    back = siv.decrypt(out, key=key, associated_data=ad)
    back.validate(full=True)
    assert back.equals(column)
    assert grouped.equals(column)


def test_an_empty_text_follows_the_rfc() -> None:
    try:
        expected = AESSIV(KEY).encrypt(b"", [b"domain"])
    except ValueError:
        pytest.skip("this version of cryptography refuses empty texts")
    assert enc([b""])[0].as_py() == expected


@pytest.mark.parametrize("at", [0, 15, 16, 40])
@pytest.mark.parametrize("grouped", [True, False])
def test_every_changed_byte_is_noticed(only_groups, at: int, grouped: bool) -> None:
    out = [bytearray(value) for value in enc([b"secret one, twenty-five b", b"short", b"z" * 25]).to_pylist()]
    out[0][at] ^= 1
    with only_groups() if grouped else nullcontext(), pytest.raises(TamperedError, match="1 of 3") as error:
        siv.decrypt(pa.array([bytes(v) for v in out]), key=KEY, associated_data=[b"domain"])
    assert "secret" not in repr(error.value)


def test_a_column_of_one_length(only_groups) -> None:
    values = [bytes([i % 256]) * 33 for i in range(1000)]
    reference = [AESSIV(KEY).encrypt(value, [b"domain"]) for value in values]
    assert enc(values).to_pylist() == reference
    assert enc(values[:100]).to_pylist() == reference[:100]
    with only_groups():
        assert enc(values[:100]).to_pylist() == reference[:100]
    assert siv.decrypt(enc(values), key=KEY, associated_data=[b"domain"]).to_pylist() == values
    assert siv.decrypt(enc(values[:9]), key=KEY, associated_data=[b"domain"]).to_pylist() == values[:9]


def test_other_keys_associated_data_and_short_values_are_noticed() -> None:
    out = enc([b"a", b"bb" * 20, b""])
    for key, ad in [(bytes(32), [b"domain"]), (KEY, []), (KEY, [b"domain", b""]), (KEY, [b"Domain"])]:
        with pytest.raises(TamperedError, match="3 of 3"):
            siv.decrypt(out, key=key, associated_data=ad)
    with pytest.raises(TamperedError, match="2 of 3"):
        siv.decrypt(pa.array([b"", b"x" * 15, None], pa.binary()), key=KEY, associated_data=[])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_types_slices_nulls_and_chunks(kind: pa.DataType) -> None:
    words = ["grüße", None, "", "日本語テキスト", "plain", "x" * 300, None, "end"]
    column = pa.array([w if w is None else w.encode() for w in words], pa.binary()).cast(kind)
    plain = [w if w is None else w.encode() for w in words]
    out = siv.encrypt(column, key=KEY, associated_data=[])
    assert out.type == (pa.large_binary() if "large" in str(kind) else pa.binary())
    full = out.to_pylist()
    for begin in range(len(words)):
        for size in range(len(words) - begin + 1):
            part = siv.encrypt(column.slice(begin, size), key=KEY, associated_data=[])
            part.validate(full=True)
            assert part.to_pylist() == full[begin : begin + size]
            back = siv.decrypt(out.slice(begin, size), key=KEY, associated_data=[])
            assert back.to_pylist() == plain[begin : begin + size]
    chunked = pa.chunked_array([column[:3], column[3:3], column[3:]])
    both = siv.encrypt(chunked, key=KEY, associated_data=[])
    assert [len(chunk) for chunk in both.chunks] == [3, 0, 5]
    assert both.to_pylist() == full
    empty = siv.encrypt(pa.chunked_array([], type=kind), key=KEY, associated_data=[])
    assert len(empty) == 0
    assert empty.type == out.type


def test_all_null_and_refusals() -> None:
    nulls = siv.encrypt(pa.array([None, None], pa.string()), key=KEY, associated_data=[])
    assert nulls.to_pylist() == [None, None]
    with pytest.raises(TransformError, match="int64"):
        siv.encrypt(pa.array([1]), key=KEY, associated_data=[])
    with pytest.raises(KeyRingError, match="16 bytes"):
        enc([b"x"], bytes(16))
    with pytest.raises(KeyRingError, match="127"):
        enc([b"x"], KEY, (b"",) * 127)


def test_many_rows_cross_groups_and_windows() -> None:
    values = [None if i % 97 == 0 else bytes([i % 251]) * (i % 41) for i in range(140_000)]
    out = enc(values)
    reference = AESSIV(KEY)
    for i in [1, 40, 65_535, 65_536, 131_071, 139_999]:
        if values[i]:
            assert out[i].as_py() == reference.encrypt(values[i], [b"domain"])
    assert siv.decrypt(out, key=KEY, associated_data=[b"domain"]).equals(pa.array(values, pa.binary()))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()], ids=str)
def test_text_equals_the_encoded_ciphertext(only_groups, kind: pa.DataType) -> None:
    """In groups and one by one, whatever the length, over slices, nulls and chunks."""
    values = [None if row % 7 == 3 else "ä" * (row * 11 % 40) + str(row) for row in range(300)]
    whole = pa.array([*values, "long" * 400, ""], pa.string()).cast(kind)
    options = {"key": bytes(range(64)), "associated_data": (b"a", b"1")}
    for column in (whole, whole[5:44], whole[:0], pa.chunked_array([whole[:9], whole[9:]])):
        expected = text.encode(siv.encrypt(column, **options), prefix="t1_")
        out = siv.encrypt_to_text(column, **options, prefix="t1_")
        assert out.equals(expected)
        out.validate(full=True)
        with only_groups():
            assert siv.encrypt_to_text(column, **options, prefix="t1_").equals(expected)


def test_text_refuses_what_encode_refuses() -> None:
    options = {"key": bytes(range(64)), "associated_data": ()}
    with pytest.raises(TransformError, match="NUL"):
        siv.encrypt_to_text(pa.array(["a"]), **options, prefix="t\0")
    with pytest.raises(TransformError, match="double"):
        siv.encrypt_to_text(pa.array([1.0]), **options, prefix="t")
