"""Which texts count where they stand, and which are a piece of somebody else's name."""

from __future__ import annotations

import pytest

from airflow_veil.privacy.erasure.bounds import Rule, alone
from airflow_veil.privacy.erasure.spellings import BASE64, PLAIN, WIDE

NUMBER, MAIL = "customer-17", "ann@example.com"


def counts(content: str | bytes, text: str, rule: Rule = Rule.TEXT, encoding: str = "utf-8") -> bool:
    raw = content.encode(encoding) if isinstance(content, str) else content
    wanted = text.encode(encoding)
    begin = raw.index(wanted)
    return alone(raw, begin, begin + len(wanted), WIDE if "16" in encoding else PLAIN, rule)


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
    @pytest.mark.parametrize(
        "content",
        [
            NUMBER,
            f"a,{NUMBER},b",
            f"{NUMBER}-note",
            f"re_{NUMBER}.",
            f"<{NUMBER}>",
            f"é{NUMBER}é",
            f'{{"note": "first\\n{NUMBER}\\tsecond"}}',
            f"\\u00e4{NUMBER}",
            f"?q=a%20{NUMBER}%20b",
            f"to=3D{NUMBER}",
        ],
    )
    def test_stands_alone(self, content: str, encoding: str) -> None:
        """Also after a character that is spelled with letters."""
        assert counts(content, NUMBER, encoding=encoding)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
    @pytest.mark.parametrize("content", [f"{NUMBER}8", f"old{NUMBER}", f"9{NUMBER},", f"a;{NUMBER}b"])
    def test_piece_of_a_word(self, content: str, encoding: str) -> None:
        assert not counts(content, NUMBER, encoding=encoding)

    @pytest.mark.parametrize(
        ("content", "alone_"),
        [
            (f"jo.{MAIL}", False),
            (f"jo-{MAIL}", False),
            (f"{MAIL}.au", False),
            (f"{MAIL}-x", False),
            (f"write to {MAIL}. Then", True),
            (f"- {MAIL} -", True),
            (f"mailto:{MAIL}?", True),
        ],
    )
    def test_addresses(self, content: str, *, alone_: bool) -> None:
        assert counts(content, MAIL) is alone_

    def test_names_of_files(self) -> None:
        assert counts(f"export-{MAIL}.csv", MAIL, Rule.NAME)
        assert not counts(f"jo{MAIL}.csv", MAIL, Rule.NAME)

    def test_binary_content(self) -> None:
        """A letter may be a length where control characters are near."""
        assert counts(b"\x00s" + NUMBER.encode() + b"s\x01", NUMBER)

    def test_base64_tells_nothing(self) -> None:
        assert alone(b"aaaaaaaaaaaaaaa", 3, 12, BASE64, Rule.TEXT)


def cell(text: str) -> bytes:
    return len(text).to_bytes(4, "little") + text.encode()


class TestCells:
    @pytest.mark.parametrize("after", [cell("x" * 48), cell("x" * 97), cell("x" * 0x4141), b""])
    @pytest.mark.parametrize("content", [NUMBER, f"to {NUMBER}", f"({NUMBER})", f"{NUMBER} x"])
    def test_stands_alone(self, content: str, after: bytes) -> None:
        assert counts(cell("first") + cell(content) + after, NUMBER, Rule.CELLS)

    @pytest.mark.parametrize("after", [cell("x" * 48), cell("x"), b""])
    @pytest.mark.parametrize("content", [f"old{NUMBER}", f"{NUMBER}8", f"to {NUMBER}8 or"])
    def test_piece_of_a_word(self, content: str, after: bytes) -> None:
        assert not counts(cell("first") + cell(content) + after, NUMBER, Rule.CELLS)

    def test_packed(self) -> None:
        """Where values touch, every text counts."""
        assert counts(f"old{NUMBER}8", NUMBER, Rule.PACKED)
