"""Numbers that states give to people: their form, and their check digits where they have some.

A check digit of ten or eleven values is right by chance in a tenth of all numbers, so each form says how often chance
passes it; only what is beyond that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.classify import check_digits as check
from airflow_veil.privacy.classify.check_digits import Digits, Mask


@dataclass(frozen=True, slots=True)
class NationalId:
    """One form.

    Attributes:
        name: Its name.
        country: The country, ISO 3166-1.
        regex: The form, anchored, RE2.
        passes: Which of n texts of the form pass the check; None where there is no check digit.
        chance: How often numbers of the form pass by chance.
        digits: How many digits there are; with letters, how many characters (at least).
    """

    name: str
    country: str
    regex: str
    passes: Callable[[pa.Array], Mask] | None
    chance: float
    digits: tuple[int, int]


def _on_digits(width: int, test: Callable[[Digits], Mask]) -> Callable[[pa.Array], Mask]:
    return lambda values: test(check.digits_of(values, width))


def _mod11(weights: tuple[int, ...], *, ten: int | None = None) -> Callable[[Digits], Mask]:
    """The next digit makes the weighted sum a multiple of 11; `ten` is the digit where it would be 10."""

    def test(digits: Digits) -> Mask:
        rest = -check.weighted(digits, weights) % 11
        rest = rest if ten is None else np.where(rest == 10, ten, rest)
        passed: Mask = rest == digits[:, len(weights)]
        return passed

    return test


def _both(*tests: Callable[[Digits], Mask]) -> Callable[[Digits], Mask]:
    return lambda digits: np.logical_and.reduce([test(digits) for test in tests])


def _months(digits: Digits, at: int) -> NDArray[np.int64]:
    return digits[:, at] * 10 + digits[:, at + 1]


def _dated(
    day: int, month: int, *, months: tuple[int, ...] = (0,), days: tuple[int, ...] = (0,)
) -> Callable[[Digits], Mask]:
    """Two digits are a day and two a month; some countries add a number to one of them."""

    def test(digits: Digits) -> Mask:
        m, d = _months(digits, month), _months(digits, day)
        good_month = np.logical_or.reduce([(m - plus >= 1) & (m - plus <= 12) for plus in months])
        passed: Mask = good_month & np.logical_or.reduce(
            [(d - plus >= 1) & (d - plus <= 31) for plus in days]
        )
        return passed

    return test


def _bsn(digits: Digits) -> Mask:
    passed: Mask = check.weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0
    return passed


def _pesel(digits: Digits) -> Mask:
    passed: Mask = -check.weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == digits[:, 10]
    return passed


def _cpf(digits: Digits) -> Mask:
    """Two check digits; all digits alike would pass and is none."""
    first = check.weighted(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = check.weighted(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    alike = (digits == digits[:, :1]).all(axis=1)
    passed: Mask = (first == digits[:, 9]) & (second == digits[:, 10]) & ~alike
    return passed


def _belgian(digits: Digits) -> Mask:
    """97 less the remainder of the first nine; a 2 stands before them for who was born since 2000."""
    number, key = check.as_numbers(digits[:, :9]), check.as_numbers(digits[:, 9:])
    passed: Mask = (97 - number % 97 == key) | (97 - (number + 2_000_000_000) % 97 == key)
    return passed


def _nir(digits: Digits) -> Mask:
    passed: Mask = 97 - check.as_numbers(digits[:, :13]) % 97 == check.as_numbers(digits[:, 13:])
    return passed


def _birth_number(digits: Digits) -> Mask:
    """Divisible by 11; a remainder of 10 of the first nine is written 0."""
    whole, nine = check.as_numbers(digits), check.as_numbers(digits[:, :9])
    passed: Mask = (whole % 11 == 0) | ((nine % 11 == 10) & (digits[:, 9] == 0))
    return passed


def _baltic(digits: Digits) -> Mask:
    first = check.weighted(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    second = check.weighted(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    passed: Mask = np.where(first == 10, second, first) == digits[:, 10]
    return passed


def _ahv(digits: Digits) -> Mask:
    """EAN-13."""
    passed: Mask = -check.weighted(digits, (1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)) % 10 == digits[:, 12]
    return passed


def _personnummer(values: pa.Array) -> Mask:
    """Luhn over the last ten digits, of which the first six are a date."""
    ten = pc.utf8_slice_codeunits(pc.replace_substring_regex(values, r"\D", ""), -10, None)
    return check.passes_luhn(ten) & _dated(4, 2, days=(0, 60))(check.digits_of(ten, 10))


def _south_african(values: pa.Array) -> Mask:
    return check.passes_luhn(values) & _dated(4, 2)(check.digits_of(values, 13))


def _lettered(
    alphabet: str, modulus: int, numbers: Callable[[pa.Array], NDArray[np.int64]]
) -> Callable[[pa.Array], Mask]:
    """The last character is the letter that the number's remainder says."""
    letters = np.frombuffer(alphabet.encode(), np.uint8).astype(np.int64)

    def test(values: pa.Array) -> Mask:
        last = check.codes_of(pc.utf8_upper(pc.utf8_slice_codeunits(values, -1, None)), 1)[:, 0]
        passed: Mask = letters[numbers(values) % modulus] == last
        return passed

    return test


def _spanish_number(values: pa.Array) -> NDArray[np.int64]:
    """Eight digits; foreigners have X, Y or Z for the first, which count 0, 1 and 2."""
    body = pc.utf8_slice_codeunits(pc.replace_substring_regex(pc.utf8_upper(values), "[ -]", ""), 0, 8)
    for digit, letter in enumerate("XYZ"):
        body = pc.replace_substring(body, letter, str(digit))
    return check.as_numbers(check.codes_of(body, 8) - ord("0"))


def _finnish_number(values: pa.Array) -> NDArray[np.int64]:
    body = pc.replace_substring_regex(values, r"^(\d{6}).(\d{3}).$", r"\1\2")
    return check.as_numbers(check.codes_of(body, 9) - ord("0"))


_ODD = np.array(
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
)
"""What a letter, or the digit of its place, counts at odd places of a codice fiscale (D.M. 23.12.1976)."""


def _codice_fiscale(values: pa.Array) -> Mask:
    codes = check.codes_of(pc.utf8_upper(values), 16)
    worth = np.where(codes >= ord("A"), codes - ord("A"), codes - ord("0"))
    total = _ODD[worth[:, 0:15:2]].sum(axis=1) + worth[:, 1:15:2].sum(axis=1)
    passed: Mask = total % 26 == worth[:, 15]
    return passed


_TWO_WEEKS = (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)

NATIONAL_IDS = (
    NationalId(
        "NHS number",
        "GB",
        r"^\d{3}[ -]?\d{3}[ -]?\d{4}$",
        _on_digits(10, _mod11(tuple(range(10, 1, -1)))),
        0.1,
        (10, 10),
    ),
    NationalId(
        "national insurance number",
        "GB",
        r"(?i)^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]$",
        None,
        0.0,
        (6, 6),
    ),
    NationalId(
        "DNI or NIE",
        "ES",
        r"(?i)^(?:[XYZ][ -]?\d{7}|\d{8})[ -]?[A-Z]$",
        _lettered("TRWAGMYFPDXBNJZSQVHLCKE", 23, _spanish_number),
        0.05,
        (7, 8),
    ),
    NationalId(
        "codice fiscale",
        "IT",
        r"(?i)^[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]$",
        _codice_fiscale,
        0.04,
        (7, 7),
    ),
    NationalId(
        "NIR",
        "FR",
        r"^[1-478] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d\d ?\d{3} ?\d{3} ?\d\d$",
        _on_digits(15, _nir),
        0.02,
        (15, 15),
    ),
    NationalId(
        "tax number or OIB",
        "DE HR",
        r"^\d{2} ?\d{3} ?\d{3} ?\d{3}$",
        _on_digits(11, check.passes_iso7064_11_10),
        0.1,
        (11, 11),
    ),
    NationalId(
        "BSN",
        "NL",
        r"^\d{4}[ .]?\d{2}[ .]?\d{3}$|^\d{3}[ .]\d{3}[ .]\d{3}$",
        _on_digits(9, _bsn),
        0.1,
        (9, 9),
    ),
    NationalId(
        "PESEL",
        "PL",
        r"^\d{11}$",
        _on_digits(11, _both(_pesel, _dated(4, 2, months=(0, 20, 40, 60, 80)))),
        0.03,
        (11, 11),
    ),
    NationalId("personnummer", "SE", r"^(?:\d\d)?\d{6}[-+]?\d{4}$", _personnummer, 0.02, (10, 12)),
    NationalId(
        "henkilotunnus",
        "FI",
        r"^\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]$",
        _lettered("0123456789ABCDEFHJKLMNPRSTUVWXY", 31, _finnish_number),
        0.04,
        (9, 10),
    ),
    NationalId(
        "CPR number", "DK", r"^(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d-\d{4}$", None, 0.0, (10, 10)
    ),
    NationalId(
        "fodselsnummer",
        "NO",
        r"^\d{6} ?\d{5}$",
        _on_digits(11, _both(_mod11((3, 7, 6, 1, 8, 9, 4, 5, 2)), _mod11((5, 4, 3, 2, 7, 6, 5, 4, 3, 2)))),
        0.01,
        (11, 11),
    ),
    NationalId("CPF", "BR", r"^\d{3}\.?\d{3}\.?\d{3}-?\d\d$", _on_digits(11, _cpf), 0.02, (11, 11)),
    NationalId(
        "rodne cislo",
        "CZ SK",
        r"^\d{6}/?\d{4}$",
        _on_digits(10, _both(_birth_number, _dated(4, 2, months=(0, 20, 50, 70)))),
        0.05,
        (10, 10),
    ),
    NationalId(
        "national register number",
        "BE",
        r"^\d\d[. ]?\d\d[. ]?\d\d[- ]?\d{3}[. ]?\d\d$",
        _on_digits(11, _belgian),
        0.03,
        (11, 11),
    ),
    NationalId(
        "isikukood or asmens kodas",
        "EE LT",
        r"^[1-6]\d{10}$",
        _on_digits(11, _both(_baltic, _dated(5, 3))),
        0.03,
        (11, 11),
    ),
    NationalId(
        "Aadhaar",
        "IN",
        r"^[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}$",
        _on_digits(12, check.passes_verhoeff),
        0.1,
        (12, 12),
    ),
    NationalId("SIN", "CA", r"^\d{3}[ -]?\d{3}[ -]?\d{3}$", check.passes_luhn, 0.1, (9, 9)),
    NationalId(
        "AHV number", "CH", r"^756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d$", _on_digits(13, _ahv), 0.1, (13, 13)
    ),
    NationalId(
        "kennitala",
        "IS",
        r"^\d{6}-?\d{4}$",
        _on_digits(10, _both(_mod11((3, 2, 7, 6, 5, 4, 3, 2)), _dated(0, 2))),
        0.02,
        (10, 10),
    ),
    NationalId("identity number", "ZA", r"^\d{13}$", _south_african, 0.02, (13, 13)),
    NationalId(
        "EMSO or JMBG",
        "SI RS",
        r"^\d{13}$",
        _on_digits(13, _both(_mod11(_TWO_WEEKS), _dated(0, 2))),
        0.02,
        (13, 13),
    ),
)
"""Every form that is known."""
