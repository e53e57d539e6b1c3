"""How two columns go together, as one figure: Pearson's correlation of numbers, Cramér's V of anything else."""

from __future__ import annotations

from math import sqrt
from typing import Any

from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.classes import dense
from airflow_veil.privacy.risk.codes import Codes


def pearson(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float | None:
    """The correlation of two columns of numbers, of rows in which neither is null; None where one does not vary."""
    known = np.isfinite(one) & np.isfinite(other)
    a, b = one[known], other[known]
    if len(a) < 2:
        return None
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.dot(a, a)) * float(np.dot(b, b))
    return float(np.dot(a, b)) / sqrt(spread) if spread > 0 else None


def cramers_v(one: Codes, other: Codes) -> float | None:
    """Cramér's V of two columns, from 0 to 1; a null is a value. None where one does not vary.

    Chi-squared is n times (the sum over cells of n_ij² ÷ (n_i n_j) less 1), so that empty cells cost nothing.
    """
    rows = len(one)
    left, right = _seen(one), _seen(other)
    fewer = min(int((left > 0).sum()), int((right > 0).sum()))
    if fewer < 2:
        return None
    key = one.codes.astype(np.int64) * other.cardinality + other.codes
    cell, count = dense(key, one.cardinality * other.cardinality)
    sizes = np.bincount(cell, minlength=count).astype(np.float64)
    place = np.empty(count, np.int64)
    place[cell] = key
    i, j = np.divmod(place, other.cardinality)
    squared = float((sizes * sizes / (left[i].astype(np.float64) * right[j])).sum()) - 1
    return sqrt(max(squared, 0.0) / (fewer - 1)) if rows else None


def _seen(column: Codes) -> np.ndarray[Any, Any]:
    return np.bincount(column.codes, minlength=column.cardinality)
