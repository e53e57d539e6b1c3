"""Whom a request names, as the command line reads it; what is wrong is told by place, never by what stands there."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from airflow_veil.privacy.errors import ErasureError

Person = dict[str, list[str]]
"""Name of an identifier to values."""


def of_person(names: Sequence[str], stdin: TextIO) -> Person:
    """One person.

    Args:
        names: `NAME` or `NAME=VALUE`; the values of the former are the lines of standard input, in order. With none at
            all its lines are `NAME=VALUE`.
        stdin: Standard input; read only where a value is missing.

    Raises:
        ErasureError: A line is missing or too much, or has no name.
    """
    bare = [name for name in names if "=" not in name]
    pairs = [_pair(name, f"--id {number}") for number, name in enumerate(names, 1) if "=" in name]
    if names and not bare:
        return _joined(pairs)
    lines = [line.rstrip("\r\n") for line in stdin if line.strip()]
    if not names:
        return _joined([_pair(line, f"line {number}") for number, line in enumerate(lines, 1)])
    if len(lines) != len(bare):
        raise ErasureError(
            f"standard input has {len(lines)} lines",
            expected=f"one for each of {len(bare)} names without a value",
        )
    return _joined([*pairs, *zip(bare, lines, strict=True)])


def of_file(path: Path) -> list[Person]:
    """A person a row; an empty cell names nobody.

    Raises:
        ErasureError: The file cannot be read as CSV, a row has more or fewer cells than the heading, or names nobody.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        kind = type(error).__name__
        rows, problem = [], f"the file cannot be read as CSV ({kind})"
    else:
        problem = "" if len(rows) > 1 else "the file has no rows"
    if problem:
        raise ErasureError(
            problem, where=str(path), expected="UTF-8, a heading of identifiers, a row a person"
        )
    heading, *people = rows
    return [_of_row(heading, row, f"{path}, row {number}") for number, row in enumerate(people, 1)]


def _of_row(heading: Sequence[str], row: Sequence[str], where: str) -> Person:
    if len(row) != len(heading) or not any(row):
        problem = "the row names nobody" if len(row) == len(heading) else f"the row has {len(row)} cells"
        raise ErasureError(problem, where=where, expected=f"{len(heading)} cells, one at least not empty")
    return _joined([(name, value) for name, value in zip(heading, row, strict=True) if value])


def _pair(text: str, where: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not is_pair or not name.strip():
        raise ErasureError("a value without the name of an identifier", where=where, expected="NAME=VALUE")
    return name.strip(), value


def _joined(pairs: Iterable[tuple[str, str]]) -> Person:
    person: Person = {}
    for name, value in pairs:
        person.setdefault(name, []).append(value)
    return person
