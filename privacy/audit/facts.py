"""What a certificate is made of: rows of names, counts, times and digests, the same for retention and erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid")
"""What a certificate says beyond what it can say would be proven by nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for.

    Attributes:
        what: In a sentence.
        by: Who had it done: a task, a person, or a role. Never whose data it is about.
        at: When it was begun, aware.
        policy: Name of the policy that says what is to be done.
        policy_digest: SHA-256 of the policy, in hex.
        rule: What the policy says, in a sentence.
        reference: What the run or the request is called.
        approved_by: Who approved it, where somebody had to.
        approval: Why.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    what: str
    by: str
    at: datetime
    policy: str
    policy_digest: str
    rule: str = ""
    reference: str = ""
    approved_by: str = ""
    approval: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What was done in one place where data is kept.

    Attributes:
        store: Its name: a data set, a release, a vault of tokens.
        place: Where it lies, without passwords.
        rows_deleted: Rows that are gone.
        rows_masked: Rows that stay, without what told whose they are.
        files_dropped: Files that went whole.
        files_rewritten: Files that were written anew without the rows.
        said: What else is to be said, in a sentence.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    store: str
    place: str = ""
    rows_deleted: int = 0
    rows_masked: int = 0
    files_dropped: int = 0
    files_rewritten: int = 0
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What stays although it was asked for, or might be thought to.

    Attributes:
        store: Where.
        rows: How many rows.
        word: Why, in a word of the policy: `held`, `waiting`, `exempt`, `null` …
        why: The same in a sentence.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    store: str
    rows: int
    word: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at afterwards, by other code than did it.

    Attributes:
        what: What had to hold, in a sentence.
        looked_at: How many rows, files or places were looked at.
        found: How many do not fit.
        passed: Whether it holds.
        how: By what means, in a sentence.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    what: str
    looked_at: int
    found: int
    passed: bool
    how: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """When what was deleted is gone from backups, too.

    Attributes:
        said: In a sentence, as the policy says.
        until: The day by which the last of them is gone; None where the policy does not say.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    said: str
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An entry of the evidence that facts were taken from.

    Attributes:
        seq: Its number: `veil audit prove` proves it.
        kind: What it tells.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    seq: int
    kind: str
