"""Differencing: who kept yesterday's release and has today's sees who joined, who is gone, and who is still there.

Rows that stand in one release and not in the other are claimed to be people who left or joined; rows that agree are
claimed to be the same person. What is compared is the token, if it stays from night to night, or any other columns:
without tokens, whole rows tell nearly as much.

Three attacks. `left`: of the claims that somebody is gone, perhaps erased, the share that is right; `joined` likewise;
`linked`: of the people who stayed, the share whose row of today is found by yesterday's. Where rows are alike, one of
them is guessed. The baselines: the share of yesterday's people who left, of today's who joined, and 1 ÷ today's rows.
Tokens made anew each night bring the first two down to them: then all rows are claimed to be new, which tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, Attack, outcome
from airflow_veil.privacy.risk.classes import combined, dense, people
from airflow_veil.privacy.risk.codes import Codes, shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What two successive releases tell of people.

    Attributes:
        left: Of the claims that somebody left, how many are right; None if there is no claim.
        joined: Of the claims that somebody joined; None if there is no claim.
        linked: Of the people who stayed, how many are found again; None if nobody stayed.
    """

    left: Attack | None
    joined: Attack | None
    linked: Attack | None

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {
            name: attack.as_dict() if attack else None
            for name, attack in (("left", self.left), ("joined", self.joined), ("linked", self.linked))
        }


def differencing(
    yesterday: pa.Table,
    today: pa.Table,
    by: Sequence[str],
    *,
    was: pa.Array | pa.ChunkedArray,
    now: pa.Array | pa.ChunkedArray,
    confidence: float = CONFIDENCE,
) -> Differences:
    """Compare two successive releases.

    Args:
        yesterday: The earlier release.
        today: The later one.
        by: The columns that are compared: the token, or all.
        was: Who each row of the earlier release really is.
        now: Who each row of the later one is.
        confidence: Of the intervals.

    Raises:
        SchemaError: A column is not there, or it is not known who rows are.
    """
    if len(was) != yesterday.num_rows or len(now) != today.num_rows or was.null_count or now.null_count:
        raise SchemaError(
            "who rows are is not known",
            where="attack differencing",
            expected="one person a row of each release",
        )
    old, new = shared(yesterday, today, {name: name for name in by})
    who, whom = shared(pa.table({"p": was}), pa.table({"p": now}), {"p": "p"})
    before = _Night.of([old[name] for name in by], who["p"])
    after = _Night.of([new[name] for name in by], whom["p"])
    of, count = dense(*combined([a.then(b) for a, b in zip(before.columns, after.columns, strict=True)]))
    once, again = of[: before.rows], of[before.rows :]
    sizes = tuple(np.bincount(each, minlength=count) for each in (once, again))
    stayed, known = np.isin(before.person, after.person), np.isin(after.person, before.person)
    return Differences(
        left=_claims("left", once, ~stayed, sizes[0], sizes[1], confidence),
        joined=_claims("joined", again, ~known, sizes[1], sizes[0], confidence),
        linked=_linked(before, after, once, again, sizes[1], stayed, confidence),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Night:
    """A release: one row a person and combination."""

    columns: tuple[Codes, ...]
    person: np.ndarray[Any, Any]

    @classmethod
    def of(cls, columns: Sequence[Codes], person: Codes) -> _Night:
        kept = people(columns, person)
        return cls(tuple(column.take(kept) for column in columns), person.codes[kept])

    @property
    def rows(self) -> int:
        return len(self.person)


def _claims(
    name: str,
    of: np.ndarray[Any, Any],
    gone: np.ndarray[Any, Any],
    here: np.ndarray[Any, Any],
    there: np.ndarray[Any, Any],
    confidence: float,
) -> Attack | None:
    """Rows of which a class has more here than there are claimed to be gone there."""
    claimed = np.maximum(here - there, 0)
    tried = int(claimed.sum())
    if not tried:
        return None
    truly = np.bincount(of, weights=gone, minlength=len(here))
    return outcome(
        f"differencing, {name}",
        float((claimed * truly / np.maximum(here, 1)).sum()),
        tried,
        baseline=float(gone.mean()),
        confidence=confidence,
    )


def _linked(
    before: _Night,
    after: _Night,
    once: np.ndarray[Any, Any],
    again: np.ndarray[Any, Any],
    there: np.ndarray[Any, Any],
    stayed: np.ndarray[Any, Any],
    confidence: float,
) -> Attack | None:
    """Rows of people who stayed, looked for among the rows of today that agree."""
    rows = np.flatnonzero(stayed)
    if not len(rows):
        return None
    width = int(max(before.person.max(), after.person.max())) + 1
    today = np.unique(again.astype(np.int64) * width + after.person, return_counts=True)
    wanted = once[rows].astype(np.int64) * width + before.person[rows]
    place = np.minimum(np.searchsorted(today[0], wanted), len(today[0]) - 1)
    own = np.where(today[0][place] == wanted, today[1][place], 0)
    return outcome(
        "differencing, linked",
        float((own / np.maximum(there[once[rows]], 1)).sum()),
        len(rows),
        baseline=1 / after.rows,
        confidence=confidence,
    )
