"""What personal data looks like in free text: one pattern a kind, with the checks that a pattern alone cannot make.

All patterns run in RE2, in time linear in the text, so no text can stall them. RE2 cannot compute check digits:
for kinds that have them it only picks the candidate rows, and Python looks at each match there. Checked patterns
mean the same to RE2 and to Python's `re` with `re.ASCII`, and repeat nothing without a limit.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from airflow_veil.privacy.lazy import pa, pc

Kind = Literal["email", "url", "iban", "card", "ssn", "ip", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way that a kind is written.

    Attributes:
        kind: The kind.
        regex: The pattern, in the syntax of RE2.
        check: For kinds that need one: how many characters of a match are of the kind, counted from its
            beginning; or, as a negative number, how many are not and can be passed over.
    """

    kind: Kind
    regex: str
    check: Callable[[str], int] | None = None

    def replaced(self, texts: pa.Array) -> pa.Array:
        """Write the kind's label over every occurrence.

        Args:
            texts: n texts, `string` or `large_string`. Nulls stay null.
        """
        rows = pc.fill_null(pc.match_substring_regex(texts, self.regex), fill_value=False)
        if not pc.any(rows).as_py():
            return texts
        some = texts.filter(rows)
        if self.check is None:
            changed = pc.replace_substring_regex(some, self.regex, label(self.kind))
        else:
            seek = re.compile(self.regex, re.ASCII)
            told = ("".join(_pieces(text, seek, self.check, label(self.kind))) for text in some.to_pylist())
            changed = pa.array(told, texts.type)
        return pc.replace_with_mask(texts, rows, changed)


def _pieces(text: str, seek: re.Pattern[str], check: Callable[[str], int], mark: str) -> Iterator[str]:
    """The text in pieces, with the mark in the place of what passes the check."""
    done = at = 0
    while match := seek.search(text, at):
        length = check(match[0])
        at = match.start() + abs(length)
        if length > 0:
            yield text[done : match.start()]
            yield mark
            done = at
    yield text[done:]


_NEXT = -1
"""The match is not of the kind, but what begins after its first character may be."""


def label(kind: str) -> str:
    """What stands in a text in place of a kind."""
    return f"[{kind.upper()}]"


def _is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, Annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _card(text: str) -> int:
    """A card number may be followed by other groups of digits; the longest run of groups that checks is taken."""
    ends = [match.end() for match in re.finditer(r"\d+", text, re.ASCII)]
    for end in reversed(ends):
        digits = re.sub(r"\D", "", text[:end], flags=re.ASCII)
        if 12 <= len(digits) <= 19 and _is_luhn(digits):
            return end
    return _NEXT


_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH CR HR LI LV",
    22: "BG BH DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""Characters of an IBAN by country (SWIFT IBAN registry)."""
IBAN_LENGTH = {
    country: length for length, countries in _IBAN_LENGTHS.items() for country in countries.split()
}
"""Country to the characters of its IBANs."""


def _iban(text: str) -> int:
    """An IBAN has the length of its country and leaves 1 modulo 97 (ISO 13616, ISO 7064)."""
    places = [place for place, character in enumerate(text) if character.isalnum()]
    length = IBAN_LENGTH.get(text[:2].upper(), len(places) + 1)
    if len(places) < length:
        return _NEXT
    compact = "".join(text[place] for place in places[:length])
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return places[length - 1] + 1 if int(number) % 97 == 1 else _NEXT


def _ipv4(text: str) -> int:
    """Four numbers from 0 to 255; a longer row of numbers is something else."""
    octets = text.split(".")
    return len(text) if len(octets) == 4 and all(int(octet) < 256 for octet in octets) else -len(text)


def _ipv6(text: str) -> int:
    """A text like an IPv6 address may be a time of day, or `::` of a program; an address may end at a colon."""
    for candidate in (text, text.removesuffix(":")):
        if _is_ipv6(candidate) and candidate != "::":
            return len(candidate)
    return -len(text)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_DATE = re.compile(r"\d{4}([-./])\d\d?\1\d\d?(?!\d)|\d\d?([-./])\d\d?\2\d{4}(?!\d)", re.ASCII)
_EXTENSION = re.compile(r"(?: ?(?:x|ext\.? ?))\d+$", re.ASCII | re.IGNORECASE)


def _phone(text: str) -> int:
    """A phone number is told from other numbers by its groups of digits, or by ten or eleven digits in one.

    A date, or two groups of which the first has five digits or more and no leading zero (a postcode, a house
    number), is none.
    """
    number = _EXTENSION.sub("", text)
    if date := _DATE.match(number):
        return -date.end()
    groups = re.findall(r"\d+", number, re.ASCII)
    if len(groups) == 1:
        return len(text) if len(number) in (10, 11) else -len(text)
    if len(groups) == 2 and len(groups[0]) >= 5 and groups[0][0] != "0":
        return -len(groups[0])
    single = sum(len(group) == 1 for group in groups[1:])
    return len(text) if single <= 1 and len(groups) <= 6 else _NEXT


_LETTER = r"\p{L}\p{N}"
_HOST = rf"[{_LETTER}](?:[{_LETTER}-]*[{_LETTER}])?"
_EMAIL = rf"[{_LETTER}_](?:[{_LETTER}._%+'-]*)@(?:{_HOST}\.)+{_HOST}"

_LINK = r"""[^\s<>"']*[^\s<>"'.,;:!?)\]]"""
# A bare domain is told by its end. Ends that are English words (in, it, no, be, at, me, us, is, to, so) are left
# out: where the space after a full stop is missing, each would be a domain.
_ENDS = (
    "com|org|net|edu|gov|mil|info|biz|io|ai|dev|app|co|tv|eu|uk|de|fr|es|nl|ch|se|dk|fi|pl|cz|pt|ie|hu|ro|gr|ca|au|nz"
    "|jp|cn|kr|br|mx|ar|za|ru|ua|tr|il"
)
_URL = rf"(?i)\b(?:(?:https?|ftp)://|www\.){_LINK}|\b(?:[a-z0-9-]{{1,63}}\.)+(?:{_ENDS})\b(?:/{_LINK})?"

_IPV4 = r"\b\d{1,3}(?:\.\d{1,3}){3,15}\b"
_IPV6 = r"(?:\b[0-9A-Fa-f]{1,4}|\B:)(?::[0-9A-Fa-f]{0,4}){1,7}(?:\.\d{1,3}){0,3}"

_CARD = r"\b\d(?:[ -]?\d){11,24}\b"
_IBAN = r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,40}\b"
# Never given out: areas 000, 666 and 900 to 999, group 00, serial 0000 (Social Security Administration).
_AREA = r"(?:00[1-9]|0[1-9]\d|[1-57-8]\d\d|6[0-57-9]\d|66[0-57-9])"
_GROUP = r"(?:0[1-9]|[1-9]\d)"
_SERIAL = r"(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})"
_SSN = rf"\b{_AREA}(?:-{_GROUP}-| {_GROUP} ){_SERIAL}\b"
_DIGITS = r"\d(?:[ ().-]{0,3}\d){6,14}(?: ?(?:[xX]|[eE]xt\.? ?)\d{1,6})?\b"

PATTERNS = (
    Pattern("email", _EMAIL),
    Pattern("url", _URL),
    Pattern("iban", _IBAN, _iban),
    Pattern("phone", r"\+" + _DIGITS),
    Pattern("card", _CARD, _card),
    Pattern("ssn", _SSN),
    Pattern("ip", _IPV6, _ipv6),
    Pattern("ip", _IPV4, _ipv4),
    Pattern("phone", r"(?:\(|\b)" + _DIGITS, _phone),
)
"""Every pattern, in the order they are applied: what may hold, or be taken for, another kind comes before it."""
