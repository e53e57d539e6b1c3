"""Byte strings are found wherever they stand, exactly as a plain search finds them."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.erasure.finder import Finder, Hit
from airflow_veil.privacy.erasure.spellings import BASE64, PLAIN, WIDE, spellings


def searched(strings: list[bytes], content: bytes) -> list[tuple[int, int]]:
    """What a plain search finds, overlaps included."""
    hits = []
    for string in set(strings):
        at = content.find(string)
        while at >= 0:
            hits.append((at, at + len(string)))
            at = content.find(string, at + 1)
    return sorted(hits)


def found(strings: list[bytes], content: bytes) -> list[tuple[int, int]]:
    return sorted((hit.begin, hit.end) for hit in Finder(strings).find(content))


class TestFinder:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_finds_what_a_plain_search_finds(self, data: st.DataObject) -> None:
        """Of an alphabet of two letters, strings overlap, repeat and share beginnings and ends all the time."""
        letters = st.sampled_from(b"ab")
        strings = data.draw(st.lists(st.lists(letters, min_size=8, max_size=40).map(bytes), max_size=12))
        pieces = data.draw(st.lists(st.lists(letters, max_size=30).map(bytes), max_size=8))
        content = b"".join(
            piece + (data.draw(st.sampled_from(strings)) if strings else b"") for piece in pieces
        )

        assert found(strings, content) == searched(strings, content)

    @pytest.mark.parametrize("length", range(8, 34))
    def test_finds_at_each_place(self, length: int) -> None:
        """Whatever the length and wherever it lies to the windows, at the ends of the content, too."""
        string = bytes(range(65, 65 + length))
        for before in range(20):
            for after in (0, 1, 9):
                content = bytes(before) + string + bytes(after)

                assert list(Finder([string]).find(content)) == [Hit(before, before + length)]

    def test_many_strings_in_much_content(self) -> None:
        """Strings of all lengths planted in random bytes, beyond the block that is hashed at a time."""
        chance = random.Random(4)
        strings = [chance.randbytes(chance.randrange(8, 60)) for _ in range(2_000)]
        content = bytearray(chance.randbytes(700_000))
        for at, string in zip(range(0, 700_000, 350), strings, strict=True):
            content[at : at + len(string)] = string

        assert found(strings, bytes(content)) == searched(strings, bytes(content))

    def test_one_beginning_for_all(self) -> None:
        """Windows that all strings and all of the content share cost time only."""
        strings = [f"customer-{number:05d}".encode() for number in range(0, 3_000, 3)]
        content = b"".join(f"customer-{number:05d};".encode() for number in range(3_000))

        assert len(found(strings, content)) == 1_000

    def test_windows_of_others(self) -> None:
        """A string is found once, though another one of its length has the same window at the same place."""
        middle = [b"aaaaaaaa", b"bbbbbbbb", b"cccccccc"]
        strings = [b"".join(parts) for parts in itertools.product(middle, repeat=3)]
        for before in range(8):
            content = bytes(before) + b";".join(strings)

            assert found(strings, content) == searched(strings, content)

    def test_nothing_to_find(self) -> None:
        assert not found([], b"something that is long enough")
        assert not found([b"12345678"], b"1234567")
        assert Finder([]).longest == 0

    def test_short_strings_are_refused(self) -> None:
        with pytest.raises(ValueError, match="less than 8"):
            Finder([b"1234567"])


class TestSpellings:
    @given(st.text(st.characters(codec="utf-8"), min_size=8), st.binary(max_size=7), st.binary(max_size=7))
    def test_base64_is_found_inside(self, text: str, before: bytes, after: bytes) -> None:
        """Whatever stands before and after the text, one of the three alignments is there."""
        import base64

        whole = base64.b64encode(before + text.encode() + after)
        safe = base64.urlsafe_b64encode(before + text.encode() + after)
        letters = [content for name, content in spellings(text) if name == BASE64]

        assert any(content in whole for content in letters)
        assert any(content in safe for content in letters)

    @given(st.text(st.characters(codec="utf-8"), min_size=8))
    def test_all_are_long_enough_and_distinct(self, text: str) -> None:
        contents = [content for _, content in spellings(text)]

        assert min(map(len, contents)) >= 8
        assert len(set(contents)) == len(contents)

    def test_names(self) -> None:
        given = dict(reversed(list(spellings('müller "x"'))))

        assert given[PLAIN] == 'müller "x"'.encode()
        assert given[WIDE] == 'müller "x"'.encode("utf-16-le")
        assert given["percent-encoded"] == b"m%C3%BCller%20%22x%22"
        assert given["JSON escapes"] == b'm\\u00fcller \\"x\\"'
        assert given["doubled quotes"] == 'müller ""x""'.encode()
