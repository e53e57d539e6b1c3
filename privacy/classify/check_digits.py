"""Check digits over whole columns: n numbers of w digits, shape (n, w), to n answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.transforms import luhn
from airflow_veil.privacy.transforms.characters import Layout
from airflow_veil.privacy.transforms.patterns import IBAN_LENGTH

Digits = NDArray[np.int64]
Mask = NDArray[np.bool_]

_DIGITS = "0123456789"
_LETTER_A = ord("A") - 10
_IBAN_LONGEST = 34


def digits_of(values: pa.Array, width: int) -> Digits:
    """The digits of n texts that have `width` of them each, shape (n, width)."""
    return codes_of(pc.replace_substring_regex(values, r"\D", ""), width) - ord("0")


def codes_of(values: pa.Array, width: int) -> NDArray[np.int64]:
    """The bytes of n texts of `width` bytes each, shape (n, width)."""
    joined = "".join(values.to_pylist()).encode()
    return np.frombuffer(joined, np.uint8).reshape(len(values), width).astype(np.int64)


def as_numbers(digits: Digits) -> NDArray[np.int64]:
    """The numbers that up to 18 digits write, shape (n,)."""
    numbers = np.zeros(len(digits), np.int64)
    for place in range(digits.shape[1]):
        numbers = numbers * 10 + digits[:, place]
    return numbers


def passes_luhn(values: pa.Array) -> Mask:
    """ISO/IEC 7812-1, annex B, whatever stands between the digits."""
    return luhn.passing(Layout.of(values.cast(pa.string()), _DIGITS))


def weighted(digits: Digits, weights: Sequence[int]) -> NDArray[np.int64]:
    """The sum of the first digits, each times its weight."""
    return digits[:, : len(weights)] @ np.asarray(weights, np.int64)


def passes_iso7064_11_10(digits: Digits) -> Mask:
    """ISO 7064, MOD 11,10: the German tax number and the Croatian OIB."""
    product = np.full(len(digits), 10, np.int64)
    for place in range(digits.shape[1] - 1):
        total = (digits[:, place] + product) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    passed: Mask = (11 - product) % 10 == digits[:, -1]
    return passed


def _dihedral() -> NDArray[np.int64]:
    """The multiplication of the dihedral group of order ten."""
    table = np.zeros((10, 10), np.int64)
    for i in range(10):
        for j in range(10):
            turn = (i % 5 + j % 5) % 5 if i < 5 else (i % 5 - j % 5) % 5
            table[i, j] = turn + 5 * ((i < 5) != (j < 5))
    return table


_MULTIPLY = _dihedral()
_PERMUTE = [np.arange(10), np.array([1, 5, 7, 6, 2, 8, 3, 0, 9, 4])]
for _ in range(6):
    _PERMUTE.append(_PERMUTE[1][_PERMUTE[-1]])


def passes_verhoeff(digits: Digits) -> Mask:
    """Verhoeff (1969), as Aadhaar numbers use it."""
    check = np.zeros(len(digits), np.int64)
    for place in range(digits.shape[1]):
        check = _MULTIPLY[check, _PERMUTE[place % 8][digits[:, -1 - place]]]
    passed: Mask = check == 0
    return passed


def passes_iban(values: pa.Array) -> Mask:
    """The length of the country, and remainder 1 modulo 97 (ISO 13616, ISO 7064)."""
    texts = pc.utf8_upper(pc.replace_substring_regex(values, "[ -]", ""))
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    countries = pc.utf8_slice_codeunits(texts, 0, 2)
    known = pc.index_in(countries, value_set=pa.array(list(IBAN_LENGTH), texts.type))
    lengths_known = np.array([*IBAN_LENGTH.values(), -1])
    expected = lengths_known[pc.fill_null(known, len(IBAN_LENGTH)).to_numpy(zero_copy_only=False)]
    fitting = lengths == expected
    if fitting.any():
        chosen = pc.utf8_rpad(texts.filter(pa.array(fitting)), _IBAN_LONGEST, " ")
        fitting[fitting] = _remainder_97(codes_of(chosen, _IBAN_LONGEST)) == 1
    passed: Mask = fitting
    return passed


def _remainder_97(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows read as numbers, letters as 10 to 35, the first four characters moved to the end; spaces pass."""
    remainder = np.zeros(len(codes), np.int64)
    for place in (*range(4, codes.shape[1]), *range(4)):
        code = codes[:, place]
        number, letter = code - ord("0"), code >= ord("A")
        longer = np.where(letter, remainder * 100 + code - _LETTER_A, remainder * 10 + number)
        remainder = np.where(code == ord(" "), remainder, longer % 97)
    return remainder
