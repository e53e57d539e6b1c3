"""What `veil ci` found: items, the cases that they are of, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_veil.cli.errors import USAGE

FOUND = 1
"""Something was found."""
COULD_NOT_RUN = USAGE
"""Something could not be looked at, or the command was not understood."""


class Level(StrEnum):
    """How much an item weighs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Step(StrEnum):
    """What is done with each policy, in this order."""

    CHECK = "check"
    PLAN = "plan"
    RISK = "risk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that was found.

    Attributes:
        level: How much it weighs.
        rule: A stable name: the step, and what does not hold.
        message: What is wrong; names, counts and figures only.
        fix: What to do about it; empty if nothing.
        file: The file that it is in.
        line: The line, from 1.
        column: The column, from 1.
        place: The place in the policy, dotted.
        strength: Of a drift, whether it shows more of people than before.
        broken: Whether something could not be looked at, so that nothing is known of it.
    """

    level: Level
    rule: str
    message: str
    file: Path
    fix: str = ""
    line: int = 1
    column: int = 1
    place: str = ""
    strength: str = ""
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One step of one policy, of one data set or of what concerns them all.

    Attributes:
        policy: The policy file.
        step: The step.
        dataset: The data set; empty for the policy as a whole.
        items: What was found.
        skipped: Why nothing was looked at; empty if it was.
        seconds: How long it took.
    """

    policy: Path
    step: Step
    dataset: str = ""
    items: tuple[Item, ...] = ()
    skipped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found.

    Attributes:
        root: The folder that places are told from: the repository's.
        policies: The policies that were looked at.
        cases: What was looked at, policy by policy.
        strict: Whether warnings count.
        seconds: How long it took.
    """

    root: Path
    policies: tuple[Path, ...]
    cases: tuple[Case, ...] = field(repr=False)
    strict: bool
    seconds: float

    @property
    def items(self) -> Iterator[Item]:
        """All items, in order."""
        return (item for case in self.cases for item in case.items)

    def fails(self, item: Item) -> bool:
        """Whether an item alone makes the run fail."""
        return item.level is Level.ERROR or (self.strict and item.level is Level.WARNING)

    @property
    def exit_code(self) -> int:
        """0 if nothing was found, 1 if something was, 2 if something could not be looked at."""
        if any(item.broken for item in self.items):
            return COULD_NOT_RUN
        return FOUND if any(self.fails(item) for item in self.items) else 0

    def count(self, level: Level) -> int:
        """How many items there are of a level; what could not be looked at is counted by itself."""
        return sum(item.level is level and not item.broken for item in self.items)

    @property
    def broken(self) -> int:
        """How much could not be looked at."""
        return sum(item.broken for item in self.items)

    @property
    def weaker(self) -> int:
        """How many drifts show more of people than before."""
        return sum(item.strength == "weaker" for item in self.items)

    def place_of(self, file: Path) -> str:
        """A file as seen from the root, with slashes."""
        return relative(file, self.root).as_posix()

    def uri_of(self, file: Path) -> str:
        """The same as a relative URI."""
        return quote(self.place_of(file), errors="replace")

    def as_dict(self) -> dict[str, Any]:
        """The report for a machine to read."""
        return {
            "exit_code": self.exit_code,
            "policies": [self.place_of(policy) for policy in self.policies],
            "errors": self.count(Level.ERROR),
            "warnings": self.count(Level.WARNING),
            "notes": self.count(Level.NOTE),
            "could_not_be_looked_at": self.broken,
            "weaker": self.weaker,
            "cases": [self._case(case) for case in self.cases],
        }

    def _case(self, case: Case) -> dict[str, Any]:
        return {
            "policy": self.place_of(case.policy),
            "step": case.step.value,
            "dataset": case.dataset or None,
            "skipped": case.skipped or None,
            "findings": [self._item(item) for item in case.items],
        }

    def _item(self, item: Item) -> dict[str, Any]:
        return {
            "level": item.level.value,
            "rule": item.rule,
            "strength": item.strength or None,
            "file": self.place_of(item.file),
            "line": item.line,
            "column": item.column,
            "path": item.place,
            "message": item.message,
            "fix": item.fix,
            "could_not_be_looked_at": item.broken,
        }


def relative(file: Path, root: Path) -> Path:
    """A file as seen from a folder; as it is, where it has no way from there."""
    import os

    try:
        return Path(os.path.relpath(file.absolute(), root.absolute()))
    except ValueError:
        return file


def repository(start: Path) -> Path:
    """The folder of the repository that a folder is in; the folder itself where it is in none."""
    start = start.absolute()
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)
