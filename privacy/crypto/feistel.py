"""The ten rounds of FF1 (NIST SP 800-38G, section 6.1) for all values of one length at once."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from airflow_veil.privacy.crypto.blocks import BLOCK, BlockCipher, Words, xor
from airflow_veil.privacy.crypto.numerals import Numerals

_ROUNDS = 10

# Sums of two numbers below this, and their differences, can be told from wrapped ones.
_FAST_LIMIT = 1 << 60


class Rounds(Protocol):
    """FF1 of the values of one length."""

    def run(self, left: Words, right: Words, *, forward: bool) -> tuple[Words, Words]:
        """Run the rounds.

        Args:
            left: The first half of n values, as `Numerals.words` gives it.
            right: The second half.
            forward: Encrypt; otherwise decrypt.

        Returns:
            Both halves of the results, in the same shapes.
        """


class _Layout:
    """What the standard's steps 1 to 5 compute, from the key, the tweak, the radix and the length alone."""

    def __init__(self, cipher: BlockCipher, tweak: bytes, radix: int, length: int) -> None:
        self.cipher = cipher
        self.left, self.right = length // 2, length - length // 2
        # Step 3, in integers: the bytes of the largest right half. Floating logarithms may err by one.
        self.bytes = -(-(radix**self.right - 1).bit_length() // 8)
        self.drawn = 4 * -(-self.bytes // 4) + 4
        # Round i changes a half of as many digits as the left one when i is even, else as the right one.
        self.moduli = (radix**self.left, radix**self.right)
        head = b"\x01\x02\x01" + radix.to_bytes(3) + b"\x0a" + (self.left % 256).to_bytes()
        head += length.to_bytes(4) + len(tweak).to_bytes(4)
        padding = bytes((-len(tweak) - self.bytes - 1) % BLOCK)
        head += tweak + padding
        # Whole blocks that do not change from round to round nor from value to value are encrypted only once.
        fixed = len(head) // BLOCK * BLOCK
        self.start = cipher.chain(head[:fixed])
        self.rest = head[fixed:]

    def template(self, i: int) -> bytes:
        """The blocks of Q that differ between rounds, with zeros for the half: a multiple of 16 bytes."""
        return self.rest + i.to_bytes() + bytes(self.bytes)


class WordRounds:
    """The rounds in 64-bit arithmetic, for halves below 2 ** 60: one AES block per value and round.

    Args:
        cipher: AES under the key.
        tweak: The tweak, any length.
        numerals: The radix.
        length: Digits of each value.
    """

    def __init__(self, cipher: BlockCipher, tweak: bytes, numerals: Numerals, length: int) -> None:
        self._layout = _Layout(cipher, tweak, numerals.radix, length)
        self._numerals = numerals
        # The half, its round number and what is left of the tweak are at most 16 bytes: one block, already
        # combined with the chaining value. It is kept as two big-endian halves.
        blocks = (xor(self._layout.start, self._layout.template(i)) for i in range(_ROUNDS))
        self._templates = [(int.from_bytes(block[:8]), int.from_bytes(block[8:])) for block in blocks]

    @staticmethod
    def fits(radix: int, length: int) -> bool:
        """Whether values of this length can be worked on here."""
        largest: int = radix ** (length - length // 2)
        return largest <= _FAST_LIMIT

    def run(self, left: Words, right: Words, *, forward: bool) -> tuple[Words, Words]:
        """See `Rounds.run`."""
        a, b = self._numerals.small(left), self._numerals.small(right)
        q = np.empty((len(a), 2), np.uint64)
        for i in range(_ROUNDS) if forward else reversed(range(_ROUNDS)):
            modulus = self._layout.moduli[i % 2]
            if forward:
                a += self._draw(q, i, b, modulus)
                # Below the modulus the difference wraps around to something larger.
                np.minimum(a, a - np.uint64(modulus), out=a)
            else:
                b -= self._draw(q, i, a, modulus)
                np.minimum(b, b + np.uint64(modulus), out=b)
            a, b = b, a
        return self._numerals.from_small(a, left.shape[1]), self._numerals.from_small(b, right.shape[1])

    def _draw(self, q: Words, i: int, half: Words, modulus: int) -> Words:
        """The number that round i adds, less than the modulus: steps 6.i to 6.v, shape (n,)."""
        high, low = self._templates[i]
        big = q.view(">u8")
        big[:, 0] = high
        big[:, 1] = half ^ np.uint64(low)
        drawn = self._layout.cipher.encrypt(q).view(">u8")
        number = _remainder(drawn[:, 0].astype(np.uint64), modulus)
        if self._layout.drawn == 8:
            return number
        return _extended(number, drawn[:, 1].astype(np.uint64) >> np.uint64(32), modulus)


def _remainder(numbers: Words, modulus: int) -> Words:
    """`numbers` % `modulus`; numpy divides by a constant five times as fast as it takes remainders."""
    quotients = numbers // np.uint64(modulus)
    quotients *= np.uint64(modulus)
    numbers -= quotients
    return numbers


def _extended(number: Words, more: Words, modulus: int) -> Words:
    """(`number` * 2 ** 32 + `more`) % `modulus`, by as many bits a step as the word has room for."""
    room, left = 64 - modulus.bit_length(), 32
    while left:
        bits = min(room, left)
        left -= bits
        number <<= np.uint64(bits)
        number |= (more >> np.uint64(left)) & np.uint64((1 << bits) - 1)
        number = _remainder(number, modulus)
    return number


class IntegerRounds:
    """The rounds in Python integers, for halves of any size: batched AES, but arithmetic value by value.

    Args:
        cipher: AES under the key.
        tweak: The tweak, any length.
        numerals: The radix.
        length: Digits of each value.
    """

    def __init__(self, cipher: BlockCipher, tweak: bytes, numerals: Numerals, length: int) -> None:
        self._layout = _Layout(cipher, tweak, numerals.radix, length)
        self._numerals = numerals

    def run(self, left: Words, right: Words, *, forward: bool) -> tuple[Words, Words]:
        """See `Rounds.run`."""
        a, b = self._numerals.big(left), self._numerals.big(right)
        for i in range(_ROUNDS) if forward else reversed(range(_ROUNDS)):
            modulus = self._layout.moduli[i % 2]
            if forward:
                drawn = self._draw(i, b)
                a, b = b, [(x + y) % modulus for x, y in zip(a, drawn, strict=True)]
            else:
                drawn = self._draw(i, a)
                a, b = [(x - y) % modulus for x, y in zip(b, drawn, strict=True)], a
        return self._numerals.from_big(a, left.shape[1]), self._numerals.from_big(b, right.shape[1])

    def _draw(self, i: int, halves: list[int]) -> list[int]:
        """The numbers that round i adds, before the modulus: steps 6.i to 6.v."""
        size, width = self._layout.bytes, self._layout.drawn
        template = self._layout.template(i)
        q = np.empty((len(halves), len(template)), np.uint8)
        q[:] = np.frombuffer(template, np.uint8)
        q[:, len(template) - size :] = _matrix(b"".join(half.to_bytes(size) for half in halves), size)
        planes = np.ascontiguousarray(q.reshape(len(halves), -1, BLOCK).swapaxes(0, 1)).view(np.uint64)
        planes[0] ^= np.frombuffer(self._layout.start, np.uint64)
        stretched = self._stretch(self._layout.cipher.chain_planes(planes)).tobytes()
        row = len(stretched) // len(halves)
        return [int.from_bytes(stretched[at : at + width]) for at in range(0, len(stretched), row)]

    def _stretch(self, r: Words) -> Words:
        """Step 6.iii: R, then the encryption of R with 1, 2, ... added, to at least `drawn` bytes a value."""
        count = -(-self._layout.drawn // BLOCK)
        blocks = np.repeat(r[:, None, :], count, axis=1)
        counters = np.array([[0, j] for j in range(count)], ">u8").view(np.uint64)
        blocks ^= counters
        blocks[:, 1:] = self._layout.cipher.encrypt(np.ascontiguousarray(blocks[:, 1:])) if count > 1 else 0
        return blocks


def _matrix(data: bytes, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(-1, width)


def rounds_of(cipher: BlockCipher, tweak: bytes, numerals: Numerals, length: int) -> Rounds:
    """The fastest exact way for values of a length."""
    kind = WordRounds if WordRounds.fits(numerals.radix, length) else IntegerRounds
    return kind(cipher, tweak, numerals, length)
