"""FF1 format-preserving encryption (NIST SP 800-38G, algorithms 7 and 8) of a whole column.

A value of n characters of an alphabet becomes another of n characters of it. The cipher is deterministic and
has no authentication: it hides which value is which, not that two are equal. FF3 is not offered: the
second draft of SP 800-38G revision 1 drops it after attacks.
"""

from __future__ import annotations

import pyarrow as pa

from airflow_veil.privacy.crypto.alphabet import Alphabet
from airflow_veil.privacy.crypto.blocks import BlockCipher
from airflow_veil.privacy.crypto.columns import Strip, by_chunk
from airflow_veil.privacy.crypto.feistel import Rounds, rounds_of
from airflow_veil.privacy.crypto.limits import MIN_DOMAIN
from airflow_veil.privacy.errors import TransformError


def encrypt(
    values: pa.Array | pa.ChunkedArray, *, key: bytes, tweak: bytes, alphabet: str
) -> pa.Array | pa.ChunkedArray:
    """Encrypt every string to another of the same length and alphabet (FF1.Encrypt, algorithm 7).

    Args:
        values: n strings, each of characters of the alphabet; lengths may differ.
        key: 16, 24 or 32 bytes.
        tweak: Any number of bytes, not secret; `decrypt` must be given the same.
        alphabet: 2 to 65536 distinct characters; their order matters.

    Returns:
        n strings of the column's type. Nulls stay null. A chunked array keeps its chunks.

    Raises:
        TransformError: Some values hold characters outside the alphabet, or are too short, so that fewer than
            1 000 000 values share their length; the message has the count of the array or chunk. Or the
            column is not of strings, or the alphabet is not allowed.
        KeyRingError: The key has another length.
    """
    return _apply(values, key, tweak, alphabet, forward=True)


def decrypt(
    values: pa.Array | pa.ChunkedArray, *, key: bytes, tweak: bytes, alphabet: str
) -> pa.Array | pa.ChunkedArray:
    """The inverse of `encrypt` (FF1.Decrypt, algorithm 8).

    Args:
        values: n strings as `encrypt` made them.
        key: The key given to `encrypt`. Another gives other values, not an error: FF1 does not authenticate.
        tweak: The tweak given to `encrypt`.
        alphabet: The alphabet given to `encrypt`.

    Returns:
        n strings of the column's type. Nulls stay null. A chunked array keeps its chunks.

    Raises:
        TransformError: As `encrypt`.
        KeyRingError: The key has another length.
    """
    return _apply(values, key, tweak, alphabet, forward=False)


def _apply(
    values: pa.Array | pa.ChunkedArray, key: bytes, tweak: bytes, alphabet: str, *, forward: bool
) -> pa.Array | pa.ChunkedArray:
    cipher, symbols = BlockCipher(key), Alphabet(alphabet)
    known: dict[int, Rounds] = {}

    def rounds(length: int) -> Rounds:
        if length not in known:
            known[length] = rounds_of(cipher, tweak, symbols.numerals, length)
        return known[length]

    def kernel(chunk: pa.Array) -> pa.Array:
        results = []
        foreign = short = 0
        for part in symbols.parts(chunk):
            source = symbols.load(part)
            target = symbols.room(source)
            for rows, width in source.groups():
                length, strip = width // symbols.symbol, source.strip(rows, width)
                if symbols.numerals.radix**length < MIN_DOMAIN:
                    short += strip.count
                else:
                    into = target.strip(rows, width)
                    foreign += _group(symbols, rounds(length), strip, into, length, forward=forward)
            # What was refused was not written: there is no text in it.
            if not foreign + short:
                results.append(symbols.store(target))
        _refuse(len(chunk), foreign, short)
        return _joined(results)

    return by_chunk(values, lambda kind: kind, kernel)


def _joined(parts: list[pa.Array]) -> pa.Array:
    """One array of its parts."""
    if len(parts) == 1:
        return parts[0]
    try:
        return pa.concat_arrays(parts)
    except pa.ArrowInvalid:
        # Other characters may take more bytes of UTF-8.
        what = f"a batch of {sum(map(len, parts))} values makes more than 2 GiB"
        raise TransformError(what, expected="at most 2 GiB a batch", fix="read smaller batches") from None


def _group(
    symbols: Alphabet, rounds: Rounds, source: Strip, target: Strip, length: int, *, forward: bool
) -> int:
    """Treat the rows of one length; returns how many cannot be treated, and then writes nothing."""
    half = length // 2
    left, bad_left = symbols.read(source, 0, half)
    right, bad_right = symbols.read(source, half, length - half)
    bad = bad_left if bad_right is None else bad_right if bad_left is None else bad_left | bad_right
    if bad is not None:
        return int(bad.sum())
    numerals = symbols.numerals
    one, two = rounds.run(numerals.words(left), numerals.words(right), forward=forward)
    symbols.write(target, 0, numerals.digits(one), half)
    symbols.write(target, half, numerals.digits(two), length - half)
    return 0


def _refuse(total: int, foreign: int, short: int) -> None:
    """Raise if some of `total` values cannot be encrypted."""
    if foreign:
        msg = f"{foreign} of {total} values hold characters outside the alphabet"
        raise TransformError(
            msg,
            expected="characters of the alphabet only",
            fix="clean the column, or choose an alphabet that has all its characters",
        )
    if short:
        msg = f"{short} of {total} values are too short for format-preserving encryption"
        raise TransformError(
            msg,
            expected=f"at least {MIN_DOMAIN} possible values of the same length",
            fix="use a token or a longer alphabet",
        )
