"""Linkage: who knows some columns of people looks for them in the release.

The attacker knows the policy, which is no secret, so what is known is given in the release's terms: a birth date as the
year that it becomes. **Exact**: the candidates are the rows that agree in all that is known. **Nearest**: the rows at
the least distance, for releases that blur values. Numbers and times are apart by their difference over the release's
range, other values by 0 or 1; a null and a value are apart by 1 (Gower 1971). Of several candidates one is guessed.

The baseline guesses any row: 1 ÷ rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, Attack, outcome, truth_of
from airflow_veil.privacy.risk.classes import combined, dense
from airflow_veil.privacy.risk.codes import Codes, shared

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source

TARGETS = 1_000
"""Targets of the nearest attack, which compares each with every row; drawn at random of more."""
_CELLS = 1 << 22
_SAME = 1e-6
"""Distances that differ by less are the same: doubles of one difference do."""


def linkage(
    known: pa.Table | Source,
    release: pa.Table | Source,
    columns: Mapping[str, str],
    *,
    truth: np.ndarray[Any, Any] | None = None,
    confidence: float = CONFIDENCE,
) -> Attack:
    """Look for people by columns that agree.

    Args:
        known: What is known of each target, in the release's terms; a row each.
        release: The release.
        columns: What is known: the name in `known` to the name in the release.
        truth: The row of the release that each target is, -1 for none; the same rows if not said.
        confidence: Of the interval.

    Raises:
        SchemaError: A column is not there, or nobody knows which row is whose.
        StorageError: A source cannot be read.
    """
    mine, theirs = shared(known, release, columns)
    targets, rows = _length(mine), _length(theirs)
    right = truth_of(truth, targets, rows, where="linkage")
    both = [mine[name].then(theirs[name]) for name in columns]
    of, count = dense(*combined(both))
    target, row = of[:targets], of[targets:]
    candidates = np.bincount(row, minlength=count)[target]
    hit = (right >= 0) & (row[right] == target) if rows else np.zeros(targets, bool)
    return outcome(
        "linkage, exact",
        float((hit / np.maximum(candidates, 1)).sum()),
        targets,
        baseline=_any(right, rows),
        confidence=confidence,
    )


def nearest(
    known: pa.Table,
    release: pa.Table,
    columns: Mapping[str, str],
    *,
    truth: np.ndarray[Any, Any] | None = None,
    targets: int = TARGETS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Attack:
    """Look for people by the least distance in what is known.

    Args:
        known: What is known of each target; a row each.
        release: The release.
        columns: What is known: the name in `known` to the name in the release.
        truth: The row of the release that each target is, -1 for none; the same rows if not said.
        targets: How many of them are looked for, drawn at random.
        seed: Of that draw.
        confidence: Of the interval.

    Raises:
        SchemaError: A column is not there, or nobody knows which row is whose.
    """
    right = truth_of(truth, known.num_rows, release.num_rows, where="linkage, nearest")
    drawn = np.arange(known.num_rows)
    if len(drawn) > targets:
        drawn = np.sort(np.random.default_rng(seed).choice(drawn, targets, replace=False))
    sides = [_comparable(known.column(one), release.column(other)) for one, other in columns.items()]
    found = 0.0
    step = max(1, _CELLS // max(release.num_rows, 1))
    for begin in range(0, len(drawn) if release.num_rows else 0, step):
        chosen = drawn[begin : begin + step]
        far = np.zeros((len(chosen), release.num_rows), np.float32)
        for mine, theirs, numeric in sides:
            far += _distance(mine[chosen], theirs, numeric=numeric)
        closest = far <= far.min(axis=1, keepdims=True) + _SAME
        mine = np.flatnonzero(right[chosen] >= 0)
        hits = closest[mine, right[chosen][mine]]
        found += float((hits / closest.sum(axis=1)[mine]).sum())
    return outcome(
        "linkage, nearest",
        found,
        len(drawn),
        baseline=_any(right[drawn], release.num_rows),
        confidence=confidence,
    )


def _any(right: np.ndarray[Any, Any], rows: int) -> float:
    """What guessing any row reaches: those who are released, one of all rows each."""
    return float((right >= 0).mean()) / rows if rows and len(right) else 0.0


def _length(columns: Mapping[str, Codes]) -> int:
    return len(next(iter(columns.values()))) if columns else 0


def _comparable(
    one: pa.ChunkedArray, other: pa.ChunkedArray
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], bool]:
    """Two columns as numbers: from 0 to 1 over the release's range, nulls NaN; or as codes."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if all(
        any(kind(side.type) for kind in kinds) or pa.types.is_temporal(side.type) for side in (one, other)
    ):
        mine, theirs = _numbers(one), _numbers(other)
        known = theirs[np.isfinite(theirs)]
        low, span = (float(known.min()), float(np.ptp(known))) if known.size else (0.0, 0.0)
        return (mine - low) / (span or 1.0), (theirs - low) / (span or 1.0), True
    mine_codes, their_codes = shared(pa.table({"c": one}), pa.table({"c": other}), {"c": "c"})
    return mine_codes["c"].codes, their_codes["c"].codes, False


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        # One unit for all, so that a date and a time can be apart.
        column = pc.cast(column.cast(pa.timestamp("us")), pa.int64())
    elif pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    found: np.ndarray[Any, Any] = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    return found


def _distance(
    mine: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any], *, numeric: bool
) -> np.ndarray[Any, Any]:
    """How far each target is from each row, 0 to 1."""
    if not numeric:
        apart: np.ndarray[Any, Any] = (mine[:, None] != theirs[None, :]).astype(np.float32)
        return apart
    gap: np.ndarray[Any, Any] = np.abs(mine.astype(np.float32)[:, None] - theirs.astype(np.float32)[None, :])
    none, empty = np.isnan(mine), np.isnan(theirs)
    if none.any() or empty.any():
        gap = np.where(none[:, None] == empty[None, :], np.where(none[:, None], 0, gap), 1).astype(np.float32)
    np.minimum(gap, 1, out=gap)
    return gap
