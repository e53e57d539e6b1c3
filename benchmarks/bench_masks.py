"""Masks on one core: cells per second through the public way, `prepare` once and the kernel on every batch.

Data are made up from a seed. A figure is the best of several repetitions, in cells per second of processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.figure import Figure, figure

from airflow_veil.privacy.transforms.base import Binding, Kernel
from airflow_veil.privacy.transforms.mask import Mask

BATCH_ROWS = 1 << 17
BATCHES = 2
REPEATS = 15
FLOOR, AIM = 5.0, 15.0
MILLION = 1e6
SEED = 20260101


def run() -> list[Figure]:
    """Measure every case; takes some seconds."""
    return [
        figure(name, _rate(rule, make) / MILLION, "M cells/s", floor=FLOOR, aim=AIM)
        for name, (rule, make) in _cases().items()
    ]


def _cases() -> dict[str, tuple[Mask, Callable[[np.random.Generator], pa.Array]]]:
    """The treatment of each case, and what makes a batch of its column."""
    last = Mask(keep_last=4)
    email = Mask(style="email", keep_first=1, keep_domain=True)
    return {
        "Text of 5 to 20 letters, keep_last 4": (last, lambda random: words(random, 5, 20)),
        "The same, 5 % nulls": (last, lambda random: some_null(random, words(random, 5, 20))),
        "The same, all written over": (Mask(), lambda random: words(random, 5, 20)),
        "Digits, 16, keep_last 4": (last, lambda random: digits(random, 16)),
        "Phones with separators, keep_last 4": (last, phones),
        "E-mails, first letter and domain kept": (email, emails),
        "E-mails, 8 characters whatever the length": (
            Mask(style="email", length=8, keep_domain=True),
            emails,
        ),
        "Names, first letters kept": (Mask(style="name"), names),
    }


def _rate(rule: Mask, make: Callable[[np.random.Generator], pa.Array]) -> float:
    """Cells per second of processor time, in the fastest repetition."""
    random = np.random.default_rng(SEED)
    batches = [make(random) for _ in range(BATCHES)]
    kernel = rule.prepare(Binding(dataset="people", column="column", type=batches[0].type))
    seconds = min(_seconds(kernel, batches) for _ in range(REPEATS))
    return sum(map(len, batches)) / seconds


def _seconds(kernel: Kernel, batches: list[pa.Array]) -> float:
    begin = time.process_time()
    for batch in batches:
        kernel(batch, {})
    return time.process_time() - begin


def words(random: np.random.Generator, least: int, most: int) -> pa.Array:
    """Lower-case letters, of varied length."""
    lengths = random.integers(least, most + 1, BATCH_ROWS, dtype=np.int32)
    offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
    letters = random.integers(ord("a"), ord("z") + 1, int(offsets[-1]), dtype=np.uint8)
    return pa.StringArray.from_buffers(BATCH_ROWS, pa.py_buffer(offsets), pa.py_buffer(letters))


def digits(random: np.random.Generator, count: int) -> pa.Array:
    """Numbers of so many digits, as text."""
    return pc.cast(pa.array(random.integers(10 ** (count - 1), 10**count, BATCH_ROWS)), pa.string())


def phones(random: np.random.Generator) -> pa.Array:
    """As `+49 (171) 555-0123`."""
    parts = [digits(random, count) for count in (2, 3, 3, 4)]
    country, area, first, last = parts
    return pc.binary_join_element_wise("+", country, " (", area, ") ", first, "-", last, "")


def emails(random: np.random.Generator) -> pa.Array:
    """As `abcdef.ghij@example.com`."""
    return pc.binary_join_element_wise(words(random, 2, 9), ".", words(random, 3, 9), "@example.com", "")


def names(random: np.random.Generator) -> pa.Array:
    """As `abcdef ghij`."""
    return pc.binary_join_element_wise(words(random, 2, 9), words(random, 3, 12), " ")


def some_null(random: np.random.Generator, values: pa.Array) -> pa.Array:
    """The column with one value in twenty null."""
    return pc.if_else(pa.array(random.random(len(values)) < 0.05), None, values)
