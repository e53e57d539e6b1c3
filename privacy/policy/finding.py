"""A finding: one mistake in a policy, where it stands and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake.

    Attributes:
        file: The policy file.
        line: Line of the word it concerns, from 1.
        column: Column of that word, from 1.
        path: The place in the policy, dotted.
        rule: A stable name of the rule that does not hold.
        message: What is wrong.
        fix: What to write instead.
    """

    file: str
    line: int
    column: int
    path: str
    rule: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}: {self.message}. Fix: {self.fix} [{self.rule}]"

    def as_dict(self) -> dict[str, str | int]:
        """The finding for a machine to read."""
        return asdict(self)
