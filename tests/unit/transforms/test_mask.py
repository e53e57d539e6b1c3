from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transforms.unkeyed_support import refused, treated

from airflow_veil.privacy.transforms.mask import Mask

TEXTS = st.lists(st.none() | st.text(st.sampled_from("aZ09 -@.éß日🙂\n"), max_size=12), max_size=20)


def masked(value: str | int | None, **parameters: Any) -> str | None:
    kind = pa.int64() if isinstance(value, int) else pa.string()
    result: str | None = treated(Mask(**parameters), [value], kind)[0].as_py()
    return result


def is_separator(character: str) -> bool:
    return " " <= character <= "~" and not character.isalnum()


def expected_text(value: str | None, rule: Mask) -> str | None:
    """The rule for `style: text` without `length`, one character at a time."""
    if value is None:
        return None
    counted = [i for i, c in enumerate(value) if not (rule.keep_separators and is_separator(c))]
    if not counted:
        return rule.with_ * len(value)
    needed = rule.min_masked or max(1, math.ceil(len(counted) / 2))
    if len(counted) - rule.keep_first - rule.keep_last >= needed:
        counted = counted[rule.keep_first : len(counted) - rule.keep_last]
    return "".join(rule.with_ if i in set(counted) else c for i, c in enumerate(value))


class TestText:
    @pytest.mark.parametrize(
        ("value", "parameters", "result"),
        [
            ("secret", {}, "******"),
            ("4111 1111 1111 1111", {"keep_last": 4}, "**** **** **** 1111"),
            ("4111 1111 1111 1111", {"keep_last": 4, "keep_separators": False}, "***************1111"),
            ("AB-1234567", {"keep_first": 2}, "AB-*******"),
            ("Jörg Müller", {"keep_last": 2}, "**** ****er"),
            ("日本語テキスト", {"keep_first": 1}, "日******"),
            ("secret", {"with": "•"}, "••••••"),
            ("", {}, ""),
            (None, {}, None),
            (1234567890, {"keep_last": 2}, "********90"),
            (-12, {}, "-**"),
        ],
        ids=str,
    )
    def test_masks_all_but_the_ends(self, value: Any, parameters: dict[str, Any], result: str | None) -> None:
        """What is not kept is written over, one character for one character."""
        assert masked(value, **parameters) == result

    @pytest.mark.parametrize("value", ["1234", "1234567", "a", "12-34", "ééé"])
    def test_masks_short_values_whole(self, value: str) -> None:
        """Where less than half would be masked, nothing is kept."""
        result = masked(value, keep_last=4)

        assert result is not None
        assert not any(character.isalnum() for character in result)

    def test_min_masked_replaces_the_rule_of_halves(self) -> None:
        """First six and last four of sixteen digits stay only if the policy says that six masked are enough."""
        ends = {"keep_first": 6, "keep_last": 4}

        assert masked("4111111111111111", **ends) == "*" * 16
        assert masked("4111111111111111", **ends, min_masked=6) == "411111******1111"
        assert masked("411111111111111", **ends, min_masked=6) == "*" * 15

    @pytest.mark.parametrize("value", ["---", " ", "?!"])
    def test_masks_punctuation_alone(self, value: str) -> None:
        """A value of separators only is masked whole, though separators stay."""
        assert masked(value, keep_last=1) == "*" * len(value)

    @pytest.mark.parametrize("value", ["", "a", "--", "a much longer value", "é"])
    def test_a_fixed_length_without_ends_makes_all_alike(self, value: str) -> None:
        """With `length` and nothing kept, every value becomes the same text."""
        assert masked(value, length=5) == "*****"

    def test_a_fixed_length_hides_the_middle(self) -> None:
        """With `length`, the ends stay, and the stretch between them has one length."""
        assert masked("(555) 123-4567", keep_first=3, keep_last=2, length=3) == "555***67"
        assert masked("12", keep_last=2, length=3) == "***"

    @pytest.mark.parametrize(
        "parameters",
        [
            {"keep_last": 1},
            {"keep_last": 1, "length": 3},
            {"style": "email", "keep_domain": True},
            {"style": "email", "keep_domain": True, "length": 3},
        ],
        ids=str,
    )
    def test_leaves_nothing_under_a_null(self, parameters: dict[str, Any]) -> None:
        """The bytes that Arrow may hold under a null are masked, too."""
        values = pa.Array.from_buffers(
            pa.string(),
            1,
            [pa.py_buffer(b"\x00"), pa.py_buffer(b"\0\0\0\0\x06\0\0\0"), pa.py_buffer(b"secr@t")],
        )

        assert b"t" not in treated(Mask(**parameters), values).buffers()[2].to_pybytes()

    @pytest.mark.parametrize("spaces", [1, 4, 5, 6, 1000])
    @pytest.mark.parametrize("length", [None, 2], ids=["own-length", "fixed-length"])
    def test_finds_its_ends_beyond_long_gaps(self, spaces: int, length: int | None) -> None:
        """However many separators stand between them, it is the same characters that stay."""
        gap = " " * spaces
        middle = "**" if length else f"{gap}***{gap}"

        result = masked(f"{gap}a{gap}bcd{gap}e{gap}", keep_first=1, keep_last=1, length=length)

        assert result == (f"a{middle}e" if length else f"{gap}a{middle}e{gap}")

    @given(values=TEXTS, first=st.integers(0, 3), last=st.integers(0, 3), least=st.none() | st.integers(1, 4))
    @pytest.mark.parametrize("separators", [True, False], ids=["separators", "all"])
    @pytest.mark.parametrize("fill", ["*", "█"], ids=["ascii", "wide"])
    def test_does_to_columns_what_it_does_to_values(
        self, values: list[str | None], first: int, last: int, least: int | None, separators: bool, fill: str
    ) -> None:
        """The column kernel equals the rule written out for one value."""
        rule = Mask(
            keep_first=first, keep_last=last, min_masked=least, keep_separators=separators, with_=fill
        )

        assert treated(rule, values).to_pylist() == [expected_text(value, rule) for value in values]

    @given(values=TEXTS)
    @pytest.mark.parametrize("style", ["text", "email", "name"])
    @pytest.mark.parametrize("length", [None, 3], ids=["own-length", "fixed-length"])
    def test_keeps_rows_apart(self, values: list[str | None], style: str, length: int | None) -> None:
        """A row's result does not depend on the rows around it."""
        keep = {} if style == "name" else {"keep_first": 1, "keep_last": 1}
        rule = Mask.model_validate({"style": style, "length": length, **keep})

        assert treated(rule, values).to_pylist() == [treated(rule, [value])[0].as_py() for value in values]

    def test_masks_more_than_one_block(self) -> None:
        """Columns longer than a block come out whole and in order."""
        values = [f"{number:08d}" for number in range(40_000)]

        assert treated(Mask(keep_last=4), values).to_pylist() == ["****" + value[4:] for value in values]

    @pytest.mark.parametrize(
        "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
    )
    def test_takes_text_however_it_is_stored(self, kind: pa.DataType) -> None:
        """Storage of text makes no difference to the result."""
        values = pa.array(["secret", None, "word"]).cast(kind)

        assert treated(Mask(keep_first=1), values).to_pylist() == ["s*****", None, "w***"]


class TestEmail:
    @pytest.mark.parametrize(
        ("value", "parameters", "result"),
        [
            ("anna.smith@example.com", {}, "****.*****@*******.***"),
            ("anna.smith@example.com", {"keep_first": 1, "keep_domain": True}, "a***.*****@example.com"),
            ("jörg@müller.de", {"keep_first": 1, "keep_domain": True}, "j***@müller.de"),
            ("a@example.com", {"keep_first": 1, "keep_domain": True}, "*@example.com"),
            ("..@x.y", {"keep_first": 1, "keep_domain": True}, "**@x.y"),
            ("anna@x.com", {"keep_separators": False, "keep_domain": False}, "****@*****"),
            ("anna@x.com", {"length": 3}, "***@***"),
            ("anna@x.com", {"length": 3, "keep_first": 1}, "a***@***"),
            ("anna@x.com", {"length": 2, "keep_domain": True}, "**@x.com"),
        ],
        ids=str,
    )
    def test_masks_the_local_part(self, value: str, parameters: dict[str, Any], result: str) -> None:
        """The ends of the local part and the domain stay only as asked for."""
        assert masked(value, style="email", **parameters) == result

    @pytest.mark.parametrize("value", ["anna", "anna@", "@example", "a@b@example", "anna smith"])
    def test_masks_what_is_no_email_whole(self, value: str) -> None:
        """Without exactly one at sign between two parts nothing is kept."""
        result = masked(value, style="email", keep_first=2, keep_last=2, keep_domain=True)

        assert result == "".join("*" if character.isalnum() else character for character in value)

    def test_a_fixed_length_tells_no_email_from_one(self) -> None:
        """With `length` and nothing kept, what is no e-mail looks like one."""
        assert masked("anna", style="email", length=3) == masked("a@b", style="email", length=3) == "***@***"


class TestName:
    @pytest.mark.parametrize(
        ("value", "parameters", "result"),
        [
            ("Anna-Maria O'Neil", {}, "A***-M**** *'N***"),
            ("Émile Zola", {}, "É**** Z***"),
            ("J. Doe", {}, "*. D**"),
            ("Li", {}, "L*"),
            ("..", {}, "**"),
            ("Anna Smith", {"length": 3}, "A*** S***"),
            ("Anna Smith", {"keep_separators": False}, "A****S****"),
            ("", {"length": 3}, "***"),
        ],
        ids=str,
    )
    def test_keeps_the_first_letter_of_each_word(
        self, value: str, parameters: dict[str, Any], result: str
    ) -> None:
        """A word of one letter keeps none."""
        assert masked(value, style="name", **parameters) == result

    def test_names_that_repeat_are_masked_alike(self) -> None:
        """A column of repeats is treated once a value, and comes out as it would row by row."""
        values = ["Ada Bergström", None, "Bo", "", "Ada Bergström"] * 2000
        out = treated(Mask(style="name"), values, pa.large_string())
        assert out.type == pa.large_string()
        assert out.to_pylist() == ["A** B********", None, "B*", "", "A** B********"] * 2000


class TestParameters:
    @pytest.mark.parametrize("character", ["=", "+", "-", "@", "\t", "\r", " ", "\u200b", "ab", ""], ids=repr)
    def test_refuses_a_character_that_harms(self, character: str) -> None:
        """What begins a formula, does not show, or is not one character is no mask."""
        assert refused(Mask, {"with": character})

    @pytest.mark.parametrize(
        "parameters",
        [
            {"keep_domain": True},
            {"style": "name", "keep_first": 2},
            {"keep_last": -1},
            {"length": 0},
            {"min_masked": 0},
        ],
        ids=str,
    )
    def test_refuses_what_does_not_go_together(self, parameters: dict[str, Any]) -> None:
        """Parameters that another style has, and numbers that would mask nothing, are refused."""
        assert refused(Mask, parameters)

    def test_writes_itself_as_the_policy_does(self) -> None:
        """The alias `with` is what is read and what is written."""
        assert Mask.model_validate({"with": "x"}).model_dump(exclude_defaults=True) == {"with": "x"}

    @pytest.mark.parametrize("kind", [pa.float64(), pa.date32(), pa.bool_(), pa.binary()], ids=str)
    def test_does_not_take_other_types(self, kind: pa.DataType) -> None:
        """Text and integers only."""
        assert not Mask().accepts(kind)
