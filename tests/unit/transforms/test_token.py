from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.unit.transforms.keyed_support import (
    SENTINEL,
    assert_storage_does_not_matter,
    bound,
    refusal,
    ring,
    treat,
)

from airflow_veil.privacy.errors import KeyRingError, TamperedError, TransformError
from airflow_veil.privacy.transforms.keyed import Reversible
from airflow_veil.privacy.transforms.token import Token, detokenize

ONE_WAY = Token(domain="customer")
REVERSIBLE = Token(domain="customer", reversible=True)
PADDED = Token(domain="customer", reversible=True, pad_to=16)
ALL = pytest.mark.parametrize("token", [ONE_WAY, REVERSIBLE, PADDED], ids=["one-way", "reversible", "padded"])
BOTH_WAYS = pytest.mark.parametrize("token", [REVERSIBLE, PADDED], ids=["reversible", "padded"])

VALUES = pa.array(["ada@example.com", None, "", "grace@example.com", "ada@example.com", "Zoë 🜚", "x" * 40])


def decoded(text: str) -> bytes:
    """The bytes of a token behind its head."""
    body = text.partition("_")[2]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))


class TestToken:
    @ALL
    def test_equal_values_have_equal_tokens_in_all_tables(self, token: Token) -> None:
        """A domain, not a column, decides: tables that share it join on their tokens."""
        here = treat(token, VALUES, column="orders.mail").to_pylist()
        there = treat(
            token, VALUES.take(pa.array([6, 5, 4, 3, 2, 1, 0])), column="customers.email", subject=None
        )
        assert here == there.to_pylist()[::-1]
        assert here[0] == here[4]
        assert len(set(here)) == 6

    @ALL
    @pytest.mark.parametrize(
        "same",
        [
            pa.array(["17850", "12"]),
            pa.array([17850, 12], pa.int16()),
            pa.array([17850, 12], pa.uint64()),
            pa.array([17850.0, 12.0]),
            pa.array(["17850.00", "12.00"]).cast(pa.decimal128(9, 2)),
        ],
        ids=lambda values: str(values.type),
    )
    def test_equal_across_types(self, token: Token, same: pa.Array) -> None:
        """A customer number joins whether a table has it as text, integer, decimal or float."""
        assert treat(token, same).equals(treat(token, pa.array([17850, 12])))

    @ALL
    def test_another_domain_cannot_be_linked(self, token: Token) -> None:
        """Domains have keys of their own."""
        other = token.model_copy(update={"domain": "supplier"})
        assert set(treat(token, VALUES).drop_null().to_pylist()).isdisjoint(treat(other, VALUES).to_pylist())

    @ALL
    def test_another_key_version_cannot_be_linked(self, token: Token) -> None:
        """A version has a secret of its own, and its number in the token."""
        bodies = [
            {
                value.partition("_")[2]
                for value in treat(token, VALUES, keys=ring(2), version=v).to_pylist()
                if value
            }
            for v in (1, 2)
        ]
        assert bodies[0].isdisjoint(bodies[1])

    @ALL
    def test_version_zero_is_the_current_one(self, token: Token) -> None:
        """Where the plan names no version, the key ring's active one is used, and the token says so."""
        tokens = treat(token, VALUES, keys=ring(2))
        assert tokens.equals(treat(token, VALUES, keys=ring(2), version=2))
        assert tokens[0].as_py()[1:3] == "2_"

    @ALL
    def test_nulls_stay_null(self, token: Token) -> None:
        """A null has no token, an empty text has one."""
        assert treat(token, VALUES).is_null().to_pylist() == VALUES.is_null().to_pylist()

    @ALL
    @given(values=st.lists(st.none() | st.text(st.characters(codec="utf-8"))))
    def test_a_token_cannot_begin_a_formula(self, token: Token, values: list[str | None]) -> None:
        """Tokens are one letter, the version and base64url, so no spreadsheet takes one for a formula."""
        form = re.compile(r"[htp]1_[A-Za-z0-9_-]{22,}")
        assert all(
            form.fullmatch(text) for text in treat(token, pa.array(values, pa.string())).to_pylist() if text
        )

    @ALL
    def test_storage_does_not_matter(self, token: Token) -> None:
        """Slices, dictionaries and wide offsets give the same tokens."""
        assert_storage_does_not_matter(token, VALUES)
        assert_storage_does_not_matter(token, pa.array([date(2026, 1, 31), None, date(1999, 12, 31), None]))

    def test_nulls_among_the_entries_of_a_dictionary_stay_null(self) -> None:
        """A dictionary may hold a null, or entries that no row has."""
        values = pa.DictionaryArray.from_arrays(pa.array([1, 0, None, 0]), pa.array([None, "a", "unused"]))
        expected = treat(ONE_WAY, pa.array(["a", None, None, None]))
        assert treat(ONE_WAY, values).equals(expected)

    def test_one_way_is_hmac_sha_256(self) -> None:
        """A one-way token is HMAC-SHA-256 under the domain's subkey, cut to 16 bytes."""
        key = ring().subkey("token/hmac", "customer", version=1, length=32)
        expected = hmac.new(key, b"ada@example.com", hashlib.sha256).digest()[:16]
        assert decoded(treat(ONE_WAY, VALUES)[0].as_py()) == expected

    def test_reversible_is_aes_siv(self) -> None:
        """A reversible token is AES-SIV with the domain and the key version as associated data."""
        key = ring().subkey("token/siv", "customer", version=1, length=64)
        expected = AESSIV(key).encrypt(b"ada@example.com", [b"airflow-veil/token", b"customer", b"1"])
        assert decoded(treat(REVERSIBLE, VALUES)[0].as_py()) == expected

    def test_padding_hides_length_in_steps(self) -> None:
        """Padded to 16: what has up to 15 bytes has one length, and the next step is 16 longer."""
        values = pa.array(["", "a", "x" * 15, "x" * 16, "x" * 31, "x" * 32])
        assert [len(decoded(text)) - 16 for text in treat(PADDED, values).to_pylist()] == [
            16,
            16,
            16,
            32,
            32,
            48,
        ]

    def test_padding_is_only_for_reversible_tokens(self) -> None:
        """One-way tokens have one length already, so a policy that pads them is mistaken."""
        with pytest.raises(ValidationError, match="pad_to"):
            Token(domain="customer", pad_to=16)

    @pytest.mark.parametrize("domain", ["", "a.b", "1a", "a b", "a" * 65])
    def test_a_domain_is_a_name(self, domain: str) -> None:
        """A domain cannot be mistaken for the `data_set.column` that other treatments use."""
        with pytest.raises(ValidationError):
            Token(domain=domain)

    @pytest.mark.parametrize(
        "source", [pa.bool_(), pa.binary(), pa.list_(pa.string()), pa.time32("s")], ids=str
    )
    def test_types_without_one_spelling_are_not_accepted(self, source: pa.DataType) -> None:
        """What cannot be spelled cannot be joined."""
        assert not ONE_WAY.accepts(source)

    def test_properties_depend_on_the_parameters(self) -> None:
        """Only one-way tokens hide the length wholly; only reversible ones can be reversed."""
        shown = [(t.properties.reversible, t.properties.hides_length) for t in (ONE_WAY, REVERSIBLE, PADDED)]
        assert shown == [(False, True), (True, False), (True, False)]

    def test_no_key_ring_is_an_error(self) -> None:
        """Without keys nothing is made, not even an unkeyed hash."""
        binding = bound(ONE_WAY)
        without = type(binding)(**{**{f: getattr(binding, f) for f in binding.__slots__}, "keys": None})
        with pytest.raises(KeyRingError, match="key ring"):
            ONE_WAY.prepare(without)

    def test_a_fraction_is_refused_without_being_shown(self) -> None:
        """17850.5 has no spelling that all types share; the error counts and shows nothing."""
        values = pa.array([1.0, 47.115, float("inf"), None])
        text = refusal(lambda: treat(ONE_WAY, values), TransformError)
        assert "2 of 4" in text
        assert "orders.column" in text
        assert "47.1" not in text


class TestDetokenize:
    @BOTH_WAYS
    @given(values=st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=70)))
    def test_gives_back_every_value(self, token: Token, values: list[str | None]) -> None:
        """Whatever text went in comes out, zeros and half-padded looks included."""
        column = pa.array(values, pa.string())
        assert detokenize(treat(token, column), keys=ring(), domain="customer").equals(column)

    def test_gives_back_other_types_in_canonical_spelling(self) -> None:
        """A token holds the spelling, not the type."""
        tokens = treat(REVERSIBLE, pa.array([17850, None, 3]))
        assert detokenize(tokens, keys=ring(), domain="customer").to_pylist() == ["17850", None, "3"]

    def test_reads_each_version_in_one_column(self) -> None:
        """After a rotation old and new tokens, padded or not, stand side by side and all are read."""
        keys = ring(3)
        made = [
            treat(token, VALUES, keys=keys, version=version)
            for token, version in [
                (REVERSIBLE, 3),
                (PADDED, 1),
                (REVERSIBLE, 1),
                (PADDED, 3),
                (REVERSIBLE, 2),
            ]
        ]
        shuffled = np.random.default_rng(1).permutation(5 * len(VALUES))
        tokens = pa.concat_arrays(made).take(pa.array(shuffled))
        expected = pa.concat_arrays([VALUES] * 5).take(pa.array(shuffled))
        assert detokenize(tokens, keys=keys, domain="customer").equals(expected)

    @pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
    def test_storage_does_not_matter(self, kind: pa.DataType) -> None:
        """Tokens come back from files in any text type, and in slices."""
        tokens = treat(REVERSIBLE, VALUES)
        stored = tokens.cast(kind).slice(2)
        assert detokenize(stored, keys=ring(), domain="customer").equals(VALUES.slice(2))

    @pytest.mark.parametrize("values", [[], [None, None]], ids=["empty", "nulls"])
    def test_nothing_in_nothing_out(self, values: list[None]) -> None:
        """A column without tokens is as it was."""
        column = pa.array(values, pa.string())
        assert detokenize(column, keys=ring(), domain="customer").equals(column)

    def test_counts_what_is_no_token(self) -> None:
        """Clear text among tokens is an error with its count, and is not shown."""
        one_way = treat(ONE_WAY, VALUES)[0].as_py()
        tokens = pa.array([treat(REVERSIBLE, VALUES)[0].as_py(), SENTINEL, None, one_way, "t1_short"])
        text = refusal(lambda: detokenize(tokens, keys=ring(), domain="customer"), TransformError)
        assert "3 of 5" in text
        assert "1 are one-way" in text

    def test_a_destroyed_version_is_unreadable(self) -> None:
        """Once a version is destroyed, its tokens are lost for good, and the error says so."""
        tokens = treat(REVERSIBLE, VALUES, keys=ring(2), version=1)
        with pytest.raises(KeyRingError, match="destroyed"):
            detokenize(tokens, keys=ring(2).destroy(1), domain="customer")

    def test_an_unknown_version_is_an_error(self) -> None:
        """Tokens of a version that this key ring never had are another ring's."""
        with pytest.raises(KeyRingError, match="no version 2"):
            detokenize(treat(REVERSIBLE, VALUES, keys=ring(2)), keys=ring(1), domain="customer")

    @pytest.mark.parametrize("place", [3, 20, -1], ids=["first", "middle", "last"])
    def test_a_changed_token_is_an_error(self, place: int) -> None:
        """One changed character anywhere is noticed, and counted."""
        token = list(treat(REVERSIBLE, pa.array([SENTINEL]))[0].as_py())
        token[place] = "A" if token[place] != "A" else "Q"
        changed = pa.array(["".join(token), treat(REVERSIBLE, VALUES)[0].as_py()])
        text = refusal(lambda: detokenize(changed, keys=ring(), domain="customer"), TamperedError)
        assert "1 of 2" in text

    @BOTH_WAYS
    def test_a_changed_letter_or_version_is_an_error(self, token: Token) -> None:
        """What kind a token is, and of which version, is authenticated with it."""
        made = treat(token, VALUES)[0].as_py()
        letter = pa.array([("p" if made[0] == "t" else "t") + made[1:]])
        version = pa.array([made[0] + "2" + made[2:]])
        for column in (letter, version):
            refusal(lambda column=column: detokenize(column, keys=ring(2), domain="customer"), TamperedError)

    def test_another_domain_is_an_error(self) -> None:
        """Tokens of another domain do not authenticate, rather than give wrong values."""
        text = refusal(
            lambda: detokenize(treat(REVERSIBLE, VALUES), keys=ring(), domain="supplier"), TamperedError
        )
        assert "supplier" in text

    def test_a_column_without_text_is_an_error(self) -> None:
        """Numbers are no tokens."""
        refusal(lambda: detokenize(pa.array([1]), keys=ring(), domain="customer"), TransformError)


class TestReverse:
    def test_is_detokenize_in_the_own_domain(self) -> None:
        """`reverse` is what operators call on any reversible treatment."""
        assert isinstance(REVERSIBLE, Reversible)
        binding = bound(REVERSIBLE)
        assert REVERSIBLE.reverse(treat(REVERSIBLE, VALUES), binding).equals(VALUES)

    def test_one_way_tokens_are_refused(self) -> None:
        """Nobody gets a value back from a one-way token."""
        text = refusal(lambda: ONE_WAY.reverse(treat(ONE_WAY, VALUES), bound(ONE_WAY)), TransformError)
        assert "one-way" in text
