"""What a plan and a run of retention tell: counts, and nothing of the rows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

_TOLD = ("rows", "delete", "anonymize", "archive", "anonymized", "held", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What becomes of rows.

    Attributes:
        rows: All of them.
        delete: Those whose time is over, and that nothing keeps: they go.
        anonymize: Those whose time is over, and that lose cells, where the policy anonymizes.
        archive: Those whose time is over, and that go into the archive, where the policy has one.
        anonymized: Those whose time is over, and whose cells are as they are to be already.
        held: Those whose time is over, and that a hold keeps.
        waiting: Those whose time is over, and that wait for a release.
        null: Those without a time: kept, for somebody to look at.
        before_1970: Those of a time before 2 January 1970, where clocks start that were never set: kept.
        future: Those of a time that is not yet: kept.
    """

    rows: int = 0
    delete: int = 0
    anonymize: int = 0
    archive: int = 0
    anonymized: int = 0
    held: int = 0
    waiting: int = 0
    null: int = 0
    before_1970: int = 0
    future: int = 0

    def __add__(self, other: Counts) -> Counts:
        names = [field.name for field in fields(self)]
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def archived(self) -> Counts:
        """The same, where those that go are archived."""
        return replace(self, delete=0, archive=self.delete)

    @property
    def gone(self) -> int:
        """How many leave the source."""
        return self.delete + self.archive

    @property
    def changed(self) -> int:
        """How many leave, or lose cells."""
        return self.gone + self.anonymize

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """The counts for a machine to read."""
        quarantined = {name: getattr(self, name) for name in ("null", "before_1970", "future")}
        counts = {name: getattr(self, name) for name in _TOLD}
        return {**counts, "quarantined": quarantined}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What becomes of files; all zero where the rows are in a table.

    Attributes:
        dropped: Those that go whole.
        unread: How many of these go without a row of them having been read.
        rewritten: Those that lose some of their rows.
        untouched: Those that keep their bytes and times.
    """

    dropped: int = 0
    unread: int = 0
    rewritten: int = 0
    untouched: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts for a machine to read."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
