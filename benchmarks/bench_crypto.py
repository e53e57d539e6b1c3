"""Throughput of the column ciphers on one core, next to the per-value packages they replace.

Run it as a script for a table. Data are synthetic and seeded. A figure is the best of several repetitions, in
values per second of processor time of the one thread that works: neither side waits for anything, and other
programs on the machine count less than by the clock on the wall. The kernels and the per-value packages are
measured in the same process, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from airflow_veil.privacy.crypto import ff1, prf, siv, text

ROWS = 200_000
REPEATS = 7
DIGITS = "0123456789"
KEY = bytes(range(32))
AD = (b"bench",)
MILLION = 1e6


def best_rate(work: Callable[[], object], count: int, repeats: int = REPEATS) -> float:
    """Values per second of processor time, in the fastest repetition."""
    work()
    fastest = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        work()
        fastest = min(fastest, time.process_time() - begin)
    return count / fastest


def row(
    name: str,
    rate: float,
    floor: float | None = None,
    aim: float | None = None,
    against: tuple[str, float] | None = None,
) -> dict[str, Any]:
    """One line of the result; rates are in millions of values per second."""
    other, base = against or (None, None)
    return {
        "name": name,
        "value": round(rate / MILLION, 3),
        "unit": "M values/s",
        "floor": floor,
        "aim": aim,
        "ratio_to": other,
        "ratio": round(rate / base, 1) if base else None,
    }


def cards(count: int) -> pa.Array:
    """Strings of 16 digits."""
    return pa.array(np.random.default_rng(16).integers(10**15, 10**16, count)).cast(pa.string())


def emails(count: int) -> pa.Array:
    """Made-up addresses of about 24 bytes, 15 to 33."""
    rng = np.random.default_rng(24)
    names = rng.integers(97, 123, (count, 14), dtype=np.uint8).tobytes().decode()
    sizes = rng.integers(1, 15, count).tolist()
    return pa.array([f"{names[14 * i : 14 * i + s]}{i}@example.com" for i, s in enumerate(sizes)])


def ff3_rate(values: list[str]) -> float | None:
    """The per-value rate of the `ff3` package, or None if it is not installed.

    Few values and many repetitions, so that one of them falls into a quiet moment, as with the kernels.
    """
    try:
        from ff3 import FF3Cipher
    except ImportError:
        return None
    cipher = FF3Cipher(KEY.hex(), "D8E7920AFA330A", radix=10)
    return best_rate(lambda: [cipher.encrypt(value) for value in values], len(values), 4 * REPEATS)


def run_ff1() -> list[dict[str, Any]]:
    """Format-preserving encryption, parsing and formatting of the strings included."""
    column = cards(ROWS)
    options: dict[str, Any] = {"key": KEY, "tweak": b"card", "alphabet": DIGITS}
    slow = ff3_rate(column[:500].to_pylist())
    against = ("ff3 package, per value", slow) if slow else None
    hidden = ff1.encrypt(column, **options)
    mixed = pa.array(np.random.default_rng(9).integers(10**6, 10**16, ROWS) // 10 ** (np.arange(ROWS) % 4))
    mixed = pa.compute.utf8_lpad(mixed.cast(pa.string()), 7, "0")
    long = pa.array([f"{value}{value}{value}" for value in column[:20_000].to_pylist()])
    rows = [
        row("FF1 encrypt, 16 digits", best_rate(lambda: ff1.encrypt(column, **options), ROWS), 1, 2, against),
        row("FF1 decrypt, 16 digits", best_rate(lambda: ff1.decrypt(hidden, **options), ROWS), 1, 2, against),
        row("FF1 encrypt, 7 to 16 digits", best_rate(lambda: ff1.encrypt(mixed, **options), ROWS), 1, 2),
        row("FF1 encrypt, 48 digits (integers)", best_rate(lambda: ff1.encrypt(long, **options), 20_000, 3)),
    ]
    if slow:
        ratio = rows[0]["ratio"]
        rows.append(row("ff3 package, 16 digits, per value", slow))
        times = {
            "name": "FF1 encrypt as a multiple of ff3",
            "value": ratio,
            "unit": "times",
            "floor": 40,
            "aim": 100,
        }
        rows.append({**times, "ratio_to": None, "ratio": None})
    return rows


def run_siv() -> list[dict[str, Any]]:
    """Deterministic tokens of e-mail addresses."""
    column = emails(ROWS)
    options: dict[str, Any] = {"key": KEY, "associated_data": AD}
    one, some = AESSIV(KEY), [value.encode() for value in column[:5000].to_pylist()]
    slow = best_rate(lambda: [one.encrypt(value, list(AD)) for value in some], len(some), 4 * REPEATS)
    against = ("cryptography AESSIV, per value, no text", slow)
    hidden = siv.encrypt(column, **options)
    tokens = text.encode(hidden, prefix="tok_")
    forty = pa.array([KEY + i.to_bytes(8) for i in range(ROWS)])

    def tokenise() -> object:
        return siv.encrypt_to_text(column, **options, prefix="tok_")

    def reveal() -> object:
        return siv.decrypt(text.decode(tokens, prefix="tok_"), **options)

    texts = text.encode(forty, prefix="tok_")
    return [
        row("AES-SIV tokens of e-mails, as text", best_rate(tokenise, ROWS), 1.5, 3, against),
        row("AES-SIV tokens back to e-mails", best_rate(reveal, ROWS)),
        row(
            "AES-SIV encrypt only",
            best_rate(lambda: siv.encrypt(column, **options), ROWS),
            None,
            None,
            against,
        ),
        row(
            "base64url encode, 40 bytes", best_rate(lambda: text.encode(forty, prefix="tok_"), ROWS), None, 8
        ),
        row("base64url decode, 40 bytes", best_rate(lambda: text.decode(texts, prefix="tok_"), ROWS)),
        row("cryptography AESSIV, per value", slow),
    ]


def run_prf() -> list[dict[str, Any]]:
    """Keyed hashes and numbers of e-mail addresses."""
    import hmac

    column = emails(ROWS)
    some = [value.encode() for value in column[:5000].to_pylist()]
    slow = best_rate(lambda: [hmac.digest(KEY, value, "sha256") for value in some], len(some), 4 * REPEATS)
    against = ("hmac.digest, per value", slow)
    return [
        row(
            "HMAC-SHA-256 of e-mails",
            best_rate(lambda: prf.hmac_sha256(column, key=KEY), ROWS),
            1,
            None,
            against,
        ),
        row("64-bit number of e-mails (CMAC)", best_rate(lambda: prf.uint64(column, key=KEY), ROWS)),
    ]


def run() -> list[dict[str, Any]]:
    """Measure everything; takes some seconds."""
    return [*run_ff1(), *run_siv(), *run_prf()]


def main() -> None:
    """Print the rows as a table."""
    print(f"{'name':36} {'value':>10} {'unit':10} {'floor':>6} {'aim':>6}  ratio")
    for line in run():
        floor, aim = ("" if line[key] is None else f"{line[key]:g}" for key in ("floor", "aim"))
        ratio = f"{line['ratio']:g} x {line['ratio_to']}" if line["ratio"] else ""
        print(f"{line['name']:36} {line['value']:10.3f} {line['unit']:10} {floor:>6} {aim:>6}  {ratio}")


if __name__ == "__main__":
    main()
