"""What values of a kind look like: a look is tried on the values whose characters allow it, as whole columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.classify import check_digits
from airflow_veil.privacy.classify.national_id import NATIONAL_IDS, NationalId
from airflow_veil.privacy.classify.shape import Mask, Shape
from airflow_veil.privacy.transforms.patterns import PATTERNS, Kind

Test = Callable[[pa.Array], Mask]

FEW = 0.01
"""Below this share of candidates among a batch's values, a look is not tried."""


@dataclass(frozen=True, slots=True)
class Look:
    """One way in which values of a kind are written.

    Attributes:
        name: Its name, as evidence tells it.
        kind: The kind.
        gate: Which values it can be, by their characters alone.
        test: Which of n values, all through the gate, it is.
        chance: How often values through the gate pass the test by chance.
        worth: What a value of this look counts, up to 1; less where other things are written so, too.
    """

    name: str
    kind: str
    gate: Callable[[Shape], Mask]
    test: Test
    chance: float = 0.0
    worth: float = 1.0

    def count(self, values: pa.Array, shape: Shape) -> tuple[int, int]:
        """How many of n values can be it, and how many are."""
        gate = self.gate(shape)
        candidates = int(np.count_nonzero(gate))
        if candidates <= FEW * len(values):
            return candidates, 0
        chosen = values if candidates == len(values) else values.filter(pa.array(gate))
        return candidates, int(np.count_nonzero(self.test(chosen)))


def matches(*patterns: str, never: str | None = None) -> Test:
    """Values that match one of some anchored patterns, and none that must not."""
    whole = "|".join(f"(?:{pattern})" for pattern in patterns)

    def test(values: pa.Array) -> Mask:
        found = _matching(values, whole)
        return found & ~_matching(values, never) if never is not None else found

    return test


def _matching(values: pa.Array, pattern: str) -> Mask:
    found: Mask = pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False)
    return found


def _and_then(pattern: str, check: Test) -> Test:
    """Values that match an anchored pattern and pass a check."""

    def test(values: pa.Array) -> Mask:
        found = _matching(values, pattern)
        if found.any():
            found[found] = check(values.filter(pa.array(found)))
        return found

    return test


def _as_in_text(kind: Kind) -> str:
    """The pattern by which `redact` finds a kind in texts, for a value that is nothing else."""
    return r"^\s*(?:" + "|".join(pattern.regex for pattern in PATTERNS if pattern.kind == kind) + r")\s*$"


_DATE = r"^\d{1,4}([-/.])\d{1,2}([-/.])\d{1,4}"
_CARD = (
    r"^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|35\d{14}|(?:2131|1800)\d{11}"
    r"|62\d{14,17}|(?:5[06-8]|6\d)\d{10,17})$"
)
"""Issuers' ranges: Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay, Maestro."""
_GROUPED = r"^\d{4}([ -])\d{4}([ -])\d{4}([ -])\d{1,7}$|^\d{4}([ -])\d{6}([ -])\d{4,5}$|^\d{12,19}$"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_H16 = "[0-9A-Fa-f]{1,4}"
_IPV6 = (
    rf"^(?:(?:{_H16}:){{7}}{_H16}|(?:{_H16}:){{1,6}}(?::{_H16}){{1,6}}|(?:{_H16}:){{1,7}}:"
    rf"|::(?:{_H16}:){{0,6}}{_H16})$"
)
_PHONE = r"^\s*(?:\+|00)?\(?\d[\d ().\-/]{5,}\d(?: ?(?:x|ext\.? ?)\d{1,6})?\s*$"
_NO_PHONE = (
    _DATE + r"|^\d{3}-\d{2}-\d{4}$|^(?:\d{4}[ -]){3}\d{4}$|^(?:\d{1,3}\.){3}\d{1,3}$|^-?\d+\.\d+$"
    r"|^\d{4}-\d{3}$|^\d{5}-\d{3,4}$|^\d{3} \d{2}$|^\d{2}-\d{3}$|^\d+$|^\d{6}-\d{4}$|^\d{5,9} \d{1,3}$"
    r"|^\d{1,2}[-/.]\d+$"
)
_POSTCODES = (
    r"^(?i:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})$",  # United Kingdom
    r"^(?i:[A-Z]\d[A-Z][ -]?\d[A-Z]\d)$",  # Canada
    r"^(?i:\d{4} ?[A-Z]{2})$",  # Netherlands
    r"^\d{3} \d{2}$",  # Sweden, Czechia, Greece
    r"^\d{2}-\d{3}$",  # Poland
    r"^\d{4}-\d{3}$",  # Portugal
    r"^\d{5}-\d{3,4}$",  # Brazil, United States
    r"^(?i:[A-Z]{1,2}-\d{4,5})$",  # with the sign of the country
)


def _spaced(shape: Shape) -> Mask:
    passed: Mask = (shape.separators <= 6) & (shape.ats == 0) & (shape.colons == 0)
    return passed


def _national(form: NationalId) -> Look:
    low, high = form.digits

    def gate(shape: Shape) -> Mask:
        return (shape.digits >= low) & (shape.digits <= high) & (shape.letters <= 9) & _spaced(shape)

    test = matches(form.regex) if form.passes is None else _and_then(form.regex, form.passes)
    return Look(f"{form.name} ({form.country})", "national_id", gate, test, form.chance)


def _no_letters(low: int, high: int) -> Callable[[Shape], Mask]:
    """Between so many digits and no letter."""
    return lambda shape: (shape.letters == 0) & (shape.digits >= low) & (shape.digits <= high)


@lru_cache(maxsize=1)
def looks() -> tuple[Look, ...]:
    """Every look, made once."""
    return (
        Look(
            "e-mail address", "email", lambda s: (s.ats == 1) & (s.dots >= 1), matches(_as_in_text("email"))
        ),
        Look(
            "phone number",
            "phone",
            lambda s: (s.digits >= 6) & (s.digits <= 19) & (s.letters <= 3) & (s.ats == 0) & (s.colons == 0),
            matches(_PHONE, never=_NO_PHONE),
        ),
        Look(
            "card number, with its check digit",
            "credit_card",
            _no_letters(12, 19),
            _and_then(_GROUPED, _card),
            0.08,
        ),
        Look(
            "IBAN, with its check digits",
            "bank_account",
            lambda s: (s.letters >= 2) & (s.digits >= 2) & (s.digits + s.letters >= 15) & (s.sizes <= 43),
            _and_then(r"^[A-Za-z]{2}\d{2}[A-Za-z0-9 -]{11,38}$", check_digits.passes_iban),
            0.01,
        ),
        Look(
            "social security number, in an area that is given out",
            "us_ssn",
            lambda s: (s.letters == 0) & (s.digits == 9) & (s.links + s.spaces == 2),
            matches(_as_in_text("ssn")),
        ),
        Look(
            "IPv4 address",
            "ip_address",
            lambda s: (s.dots == 3) & (s.digits >= 4) & (s.digits + 3 == s.sizes),
            matches(rf"^(?:{_OCTET}\.){{3}}{_OCTET}$"),
        ),
        Look("IPv6 address", "ip_address", lambda s: (s.colons >= 2) & (s.spaces == 0), matches(_IPV6)),
        Look(
            "MAC address",
            "mac_address",
            lambda s: (s.sizes == 17) & (s.colons + s.links == 5),
            matches(r"^(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"),
        ),
        Look(
            "web address",
            "url",
            lambda s: (s.ats == 0) & (s.dots >= 1) & (s.spaces == 0) & (s.letters >= 4),
            matches(r"^\s*(?:(?i:https?|ftp)://|(?i:www)\.)\S+\s*$"),
        ),
        Look(
            "domain name",
            "url",
            lambda s: (s.ats == 0) & (s.dots >= 1) & (s.spaces == 0) & (s.letters >= 4),
            matches(_as_in_text("url")),
            worth=0.8,
        ),
        Look(
            "UUID",
            "record_id",
            lambda s: (s.sizes == 36) & (s.links == 4),
            matches(r"^(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$"),
        ),
        Look(
            "postcode of a written form",
            "postal_code",
            lambda s: (s.digits >= 1) & (s.sizes <= 10),
            matches(*_POSTCODES),
        ),
        Look(
            "latitude and longitude",
            "coordinates",
            lambda s: (s.dots == 2) & (s.digits >= 6) & (s.letters == 0),
            matches(r"^\(?-?\d{1,2}\.\d{3,}[,; ] ?-?\d{1,3}\.\d{3,}\)?$"),
        ),
        *map(_national, NATIONAL_IDS),
    )


def _card(values: pa.Array) -> Mask:
    plain = pc.replace_substring_regex(values, "[ -]", "")
    issued = _matching(plain, _CARD)
    return issued & check_digits.passes_luhn(plain)
