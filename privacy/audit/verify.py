"""Checks evidence against checkpoints that were anchored elsewhere, by code of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from airflow_veil.privacy.audit.checkpoint import SignedCheckpoint
from airflow_veil.privacy.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from airflow_veil.privacy.audit.record import Record
from airflow_veil.privacy.errors import AuditError

_ERASED = "evidence.erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found of evidence in which nothing is wrong.

    Attributes:
        size: How many entries it has.
        root: The root over them.
        anchored: How many of them the last checkpoint covers: nobody can have changed those. Those after it hang
            together, but whoever owns the database could have written them anew.
        checkpoints: How many checkpoints agree with it.
        erased: The numbers of entries whose payload was erased, as a later entry says.
    """

    size: int
    root: bytes
    anchored: int
    checkpoints: int
    erased: tuple[int, ...]


@dataclass(slots=True)
class Walk:
    """Goes through entries one by one, from the first or from where a checkpoint left off.

    Attributes:
        frontier: The tree over the entries so far.
        last: The digest of the last of them.
    """

    frontier: Frontier = field(default_factory=Frontier)
    last: str = "0" * 64
    _missing: list[int] = field(default_factory=list)
    _said: dict[str, int] = field(default_factory=dict)

    def step(self, record: Record, nodes: bytes | None) -> None:
        """Take the next entry.

        Raises:
            AuditError: It is not the next, or not as it was recorded, or the ledger's tree has other nodes for it.
        """
        seq = self.frontier.size + 1
        if record.seq != seq or record.prev_digest != self.last:
            raise _broken(seq, "does not follow the entry before it")
        problem = record.problem()
        if problem:
            raise _broken(seq, problem)
        completed = self.frontier.append(leaf_hash(record.leaf))
        if nodes is not None and nodes != b"".join(completed):
            raise _broken(seq, "has other nodes in the ledger's tree than follow from the entries")
        if record.erased:
            self._missing.append(seq)
        if record.kind == _ERASED:
            self._said[record.subject] = seq
        self.last = record.digest

    def erased(self) -> tuple[int, ...]:
        """After the last entry: the entries whose payload was erased.

        Raises:
            AuditError: A payload is missing, and no later entry says that it was erased.
        """
        for seq in self._missing:
            if self._said.get(f"evidence/{seq}", 0) <= seq:
                raise _broken(seq, "has no payload, and no later entry says that it was erased")
        return tuple(self._missing)


def verify(entries: Iterable[tuple[Record, bytes | None]], checkpoints: Sequence[SignedCheckpoint]) -> Report:
    """Check every entry, and that they are the ones that checkpoints were made of.

    Args:
        entries: All entries, in order, each with its nodes of the ledger's tree where that is at hand.
        checkpoints: Checkpoints of this log, at least one, read by keys that are trusted.

    Raises:
        AuditError: Anything was changed, moved, put in, left out or cut off; or there is no checkpoint, without
            which a log that was written anew looks as good.
    """
    due = expected_roots(checkpoints)
    if not due:
        raise AuditError(
            "there is no checkpoint to check against",
            expected="at least one that was anchored elsewhere",
            fix="anchor the log with `veil audit anchor`",
        )
    walk = Walk()
    _check(due.get(0), EMPTY_ROOT, 0, 0)
    agreed = 0
    for record, nodes in entries:
        walk.step(record, nodes)
        size = walk.frontier.size
        if size in due:
            _check(due[size], walk.frontier.root, agreed, size)
            agreed = size
    check_length(walk.frontier.size, max(due))
    return Report(
        size=walk.frontier.size,
        root=walk.frontier.root,
        anchored=max(due),
        checkpoints=len(checkpoints),
        erased=walk.erased(),
    )


def expected_roots(checkpoints: Iterable[SignedCheckpoint]) -> dict[int, bytes]:
    """What the root is at each size, by checkpoints.

    Raises:
        AuditError: Two of them say different things of one size, or are of different logs.
    """
    due: dict[int, bytes] = {}
    origins = set()
    for each in checkpoints:
        origins.add(each.checkpoint.origin)
        if due.setdefault(each.size, each.root) != each.root:
            raise AuditError(
                f"two signed checkpoints of {each.size} entries have different roots",
                where=each.where,
                expected="one history",
                fix="keep both: they prove that the log was forked by whoever has its key",
            )
    if len(origins) > 1:
        raise AuditError("the checkpoints are of several logs", fix="give the keys of one log only")
    return due


def check_length(size: int, anchored: int) -> None:
    """Check that a log is not shorter than it was.

    Raises:
        AuditError: It is.
    """
    if size < anchored:
        raise AuditError(
            f"the evidence ends at entry {size}, and {anchored} were anchored",
            expected="every entry that was anchored",
            fix="restore the ledger from its backup: entries were cut off, or this is another ledger",
        )


def _check(expected: bytes | None, root: bytes, agreed: int, size: int) -> None:
    if expected is not None and expected != root:
        raise forked(agreed, size)


def forked(agreed: int, size: int) -> AuditError:
    """The error of a log that hangs together, and is not the one that was anchored."""
    since = f"those up to {agreed} are as they were anchored; " if agreed else ""
    return AuditError(
        f"the first {size} entries of the evidence are not the ones that were anchored",
        expected="the root of the signed checkpoint",
        fix=f"compare with a backup: {since}the log was written anew, or this is another ledger",
    )


def _broken(seq: int, problem: str) -> AuditError:
    return AuditError(
        f"entry {seq} of the evidence {problem}",
        expected="every entry as it was written",
        fix="compare with a backup; the entries before this one hang together",
    )
