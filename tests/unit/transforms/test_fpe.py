from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
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
from tests.unit.transforms.test_luhn import satisfies

from airflow_veil.privacy.crypto import ff1
from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.fpe import Fpe
from airflow_veil.privacy.transforms.keyed import Reversible

CARDS = pa.array(["4111-1111-1111-1111", None, "5500 0000 0000 0004", "378282246310005", "4111111111111111"])
PHONES = pa.array(["+49 (30) 1234567", "030/1234567", None, "(555) 010-1234 ext 99", "0301234567"])

DIGIT_TEXT = st.text("0123456789-/ x", max_size=12).map(lambda text: text + "1234567")


def form(text: str, alphabet: str = "0-9") -> str:
    """The text with a mark for each character of the alphabet."""
    return re.sub(f"[{alphabet}]", "#", text)


def digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


class TestFpe:
    @pytest.mark.parametrize(
        ("parameters", "value", "pattern"),
        [
            ({}, "AB-123456", "AB-[0-9]{6}"),
            ({"alphabet": "lower"}, "ada.lovelace", "[a-z]{3}\\.[a-z]{8}"),
            ({"alphabet": "upper"}, "QWERTY 12", "[A-Z]{6} 12"),
            ({"alphabet": "letters"}, "AdaLovelace7", "[A-Za-z]{11}7"),
            ({"alphabet": "alphanumeric"}, "A1-b2-C3", "[0-9A-Za-z]{2}-[0-9A-Za-z]{2}-[0-9A-Za-z]{2}"),
            ({"characters": "0123456789ABCDEF"}, "DE:AD:BE:EF", "([0-9A-F]{2}:){3}[0-9A-F]{2}"),
            ({"characters": "абвгдежзик"}, "ваза где", "[абвгдежзик]{2}з?[абвгдежзик]* [абвгдежзик]{3}"),
        ],
        ids=lambda item: "-".join(item) if isinstance(item, dict) else None,
    )
    def test_keeps_the_form(self, parameters: dict[str, Any], value: str, pattern: str) -> None:
        """Characters of the alphabet become others of it, all else stays where it is."""
        result = treat(Fpe(**parameters), pa.array([value]))[0].as_py()
        assert re.fullmatch(pattern, result)
        assert result != value

    @given(values=st.lists(st.none() | DIGIT_TEXT), first=st.integers(0, 1), last=st.integers(0, 0))
    def test_reverses_any_mixture_of_forms(self, values: list[str | None], first: int, last: int) -> None:
        """Forms, lengths and nulls may differ from row to row."""
        fpe, column = Fpe(keep_first=first, keep_last=last), pa.array(values, pa.string())
        treated = treat(fpe, column)
        assert fpe.reverse(treated, bound(fpe)).equals(column)
        for before, after in zip(values, treated.to_pylist(), strict=True):
            assert (before and form(before)) == (after and form(after))

    @pytest.mark.parametrize("mixed", [False, True], ids=["one-form", "many-forms"])
    def test_keeps_first_and_last(self, *, mixed: bool) -> None:
        """`keep_first` and `keep_last` count characters of the alphabet, not separators."""
        values = ["1234-5678-9012-3456"] * 3 + (["12345678", None, "1x2345678901"] if mixed else [])
        treated = treat(Fpe(keep_first=1, keep_last=1), pa.array(values)).to_pylist()
        for before, after in zip(values, treated, strict=True):
            assert (before is None) == (after is None)
            if before is not None and after is not None:
                assert (digits(after)[0], digits(after)[-1]) == (digits(before)[0], digits(before)[-1])
                assert digits(after)[1:-1] != digits(before)[1:-1]

    def test_is_ff1_over_the_characters_alone(self) -> None:
        """Separators do not count: digits are encrypted as if they stood alone, under the domain's key."""
        fpe = Fpe(domain="card")
        key = ring().subkey("fpe", "card", version=1, length=32)
        plain = pa.array(["4111111111111111"])
        expected = ff1.encrypt(plain, key=key, tweak=b"card", alphabet="0123456789")
        assert digits(treat(fpe, CARDS)[0].as_py()) == expected[0].as_py()

    def test_domain_joins_columns_and_separates_others(self) -> None:
        """Columns have keys of their own unless a domain joins them."""
        alone, shared = Fpe(), Fpe(domain="card")
        assert not treat(alone, CARDS, column="a.x").equals(treat(alone, CARDS, column="a.y"))
        assert treat(shared, CARDS, column="a.x").equals(treat(shared, CARDS, column="b.y"))
        assert not treat(shared, CARDS).equals(treat(Fpe(domain="other"), CARDS))

    def test_key_versions_differ_and_reverse_by_the_binding(self) -> None:
        """The result does not say its version, so the binding does."""
        fpe, keys = Fpe(), ring(2)
        old, new = (treat(fpe, CARDS, keys=keys, version=version) for version in (1, 2))
        assert not old.equals(new)
        assert new.equals(treat(fpe, CARDS, keys=keys))
        assert fpe.reverse(old, bound(fpe, keys=keys, version=1)).equals(CARDS)
        assert not fpe.reverse(old, bound(fpe, keys=keys, version=2)).equals(CARDS)

    @pytest.mark.parametrize(
        "fpe", [Fpe(), Fpe(keep_first=2, keep_last=4), Fpe(luhn=True)], ids=["plain", "kept", "luhn"]
    )
    def test_storage_does_not_matter(self, fpe: Fpe) -> None:
        """Slices, dictionaries and wide offsets give the same."""
        assert_storage_does_not_matter(fpe, CARDS)

    def test_is_one_to_one(self) -> None:
        """A unique column stays unique: 20 000 neighbouring numbers become 20 000 numbers."""
        values = pa.array([f"{number:08d}" for number in range(20_000)])
        assert len(treat(Fpe(), values).unique()) == 20_000

    @pytest.mark.parametrize(
        ("fpe", "value"),
        [
            (Fpe(), "12345"),
            (Fpe(), ""),
            (Fpe(), "unknown"),
            (Fpe(keep_last=4), "123456789"),
            (Fpe(keep_first=6, keep_last=4), "12345"),
            (Fpe(luhn=True), "000000"),
            (Fpe(alphabet="letters"), "abc"),
            (Fpe(characters="01"), "0" * 19),
        ],
        ids=[
            "five-digits",
            "empty",
            "no-digit",
            "kept",
            "kept-more-than-there-is",
            "luhn",
            "letters",
            "bits",
        ],
    )
    def test_short_values_are_refused_with_a_count(self, fpe: Fpe, value: str) -> None:
        """A domain under 10^6 can be searched, so the whole column fails; null rows do not count."""
        text = refusal(lambda: treat(fpe, pa.array([value, None, "0" * 30 + "a" * 30])), TransformError)
        assert "1 of 3" in text
        assert "10^6" in text

    @pytest.mark.parametrize(
        ("fpe", "value"),
        [(Fpe(), "123456"), (Fpe(luhn=True), "0000000"), (Fpe(alphabet="letters"), "abcd")],
        ids=["six-digits", "luhn", "four-letters"],
    )
    def test_the_least_domain_is_accepted(self, fpe: Fpe, value: str) -> None:
        """10^6 values are enough by SP 800-38G revision 1."""
        assert treat(fpe, pa.array([value])).null_count == 0

    def test_no_value_in_errors(self) -> None:
        """A refused value is not shown."""
        refusal(lambda: treat(Fpe(keep_last=9), pa.array([SENTINEL])), TransformError)
        refusal(lambda: treat(Fpe(separators="-"), pa.array([SENTINEL])), TransformError)

    def test_declared_length_refuses_others(self) -> None:
        """With a declared length a value of another is a mistake in the data."""
        text = refusal(lambda: treat(Fpe(length=16), CARDS), TransformError)
        assert "1 of 5" in text
        assert treat(Fpe(length=16), CARDS.take(pa.array([0, 1, 2, 4]))).null_count == 1

    def test_separators_refuse_what_is_neither(self) -> None:
        """With named separators, letters and signs that would be released in clear are refused."""
        assert "1 of 5" in refusal(lambda: treat(Fpe(separators=" -+()/"), PHONES), TransformError)
        assert treat(Fpe(separators=" -+()/ext"), PHONES).equals(treat(Fpe(), PHONES))

    @pytest.mark.parametrize("separators", ["]^-\\", "üß🜚", ""], ids=["of-patterns", "not-ascii", "none"])
    def test_any_character_may_be_a_separator(self, separators: str) -> None:
        """Separators are characters, not a pattern, and may be any."""
        value = "1" + separators + "23456"
        result = treat(Fpe(separators=separators), pa.array([value]))[0].as_py()
        assert form(result) == form(value)
        refusal(lambda: treat(Fpe(separators=separators), pa.array([value + "."])), TransformError)

    def test_accepts_text_only(self) -> None:
        """A number has no form to keep."""
        assert [Fpe().accepts(kind) for kind in (pa.string(), pa.int64(), pa.binary(), pa.date32())] == [
            True,
            False,
            False,
            False,
        ]


class TestLuhn:
    @given(
        bodies=st.lists(st.text("0123456789", min_size=13, max_size=18), min_size=1, max_size=20),
        first=st.integers(0, 3),
        last=st.integers(0, 4),
    )
    def test_valid_numbers_become_valid_numbers_and_come_back(
        self, bodies: list[str], first: int, last: int
    ) -> None:
        """The check holds before and after, whichever digits are kept, and the treatment is reversible."""
        values = [next(body + check for check in "0123456789" if satisfies(body + check)) for body in bodies]
        fpe = Fpe(luhn=True, keep_first=first, keep_last=last)
        treated = treat(fpe, pa.array(values))
        assert fpe.reverse(treated, bound(fpe)).to_pylist() == values
        for before, after in zip(values, treated.to_pylist(), strict=True):
            assert satisfies(after)
            assert after[:first] == before[:first]
            assert after[len(after) - last :] == before[len(before) - last :]

    def test_is_one_to_one_on_the_middle_digits(self) -> None:
        """Card numbers that share BIN and last four stay different: 20 000 valid ones become as many."""
        middles = [f"{number:06d}" for number in range(200_000)]
        values = [f"411111{middle}0000" for middle in middles]
        valid = [value for value in values if satisfies(value)]
        # A domain of 10^5 is too small to be allowed with six free digits, so the BIN gives one digit more.
        treated = treat(Fpe(luhn=True, keep_first=5, keep_last=4), pa.array(valid))
        assert len(valid) == 20_000
        assert len(treated.unique()) == 20_000
        assert all(satisfies(value) for value in treated.to_pylist())
        assert set(np.unique([value[-4:] for value in treated.to_pylist()])) == {"0000"}

    def test_what_fails_the_check_is_refused_with_a_count(self) -> None:
        """A number without a valid check digit cannot keep one."""
        text = refusal(lambda: treat(Fpe(luhn=True), pa.array(["4111111111111112", None, "79927398713"])))
        assert "1 of 3" in text
        assert "4111" not in text

    def test_is_for_digits(self) -> None:
        """Luhn's check is about digits."""
        with pytest.raises(ValidationError, match="luhn"):
            Fpe(alphabet="letters", luhn=True)


class TestParameters:
    @pytest.mark.parametrize(
        ("parameters", "size"),
        [
            ({}, None),
            ({"length": 16}, 10**16),
            ({"length": 16, "keep_last": 4}, 10**12),
            ({"length": 16, "keep_first": 5, "keep_last": 4, "luhn": True}, 10**6),
            ({"length": 4, "alphabet": "alphanumeric"}, 62**4),
            ({"length": 20, "characters": "ab"}, 2**20),
        ],
        ids=["unknown", "all", "last", "luhn", "alphanumeric", "own"],
    )
    def test_domain_size_is_known_from_a_declared_length(
        self, parameters: dict[str, Any], size: int | None
    ) -> None:
        """`veil check` can count the values before a row moves."""
        assert Fpe(**parameters).domain_size() == size

    @pytest.mark.parametrize(
        "parameters",
        [
            {"length": 5},
            {"length": 9, "keep_last": 4},
            {"length": 4, "keep_first": 2, "keep_last": 2},
            {"length": 4, "keep_last": 40},
            {"length": 6, "luhn": True},
            {"length": 19, "characters": "ab"},
        ],
        ids=["short", "kept", "all-kept", "more-kept", "luhn", "bits"],
    )
    def test_a_domain_under_a_million_is_refused(self, parameters: dict[str, Any]) -> None:
        """A domain that can be searched fails with the policy, not with the data."""
        with pytest.raises(ValidationError, match="1000000"):
            Fpe(**parameters)

    @pytest.mark.parametrize("characters", ["a", "abca", "01=", "+1", "ab-", "a@", "a\tb", "a\n"])
    def test_own_alphabets_that_cannot_be_right_are_refused(self, characters: str) -> None:
        """One character, doubled ones, unprintable ones, and those that begin a formula in a spreadsheet."""
        with pytest.raises(ValidationError, match="characters"):
            Fpe(characters=characters)

    def test_two_alphabets_are_refused(self) -> None:
        """A named alphabet and own characters exclude each other."""
        with pytest.raises(ValidationError, match="either"):
            Fpe(alphabet="digits", characters="abcdef")

    def test_promises(self) -> None:
        """Format-preserving encryption is reversible and keeps length and uniqueness."""
        shown = Fpe().properties
        assert isinstance(Fpe(), Reversible)
        assert (shown.deterministic, shown.reversible, shown.unique, shown.hides_length) == (
            True,
            True,
            True,
            False,
        )
