"""Inference: who knows the quasi-identifiers of a person guesses a sensitive value by the rows that agree with them.

The guess is the most frequent value of the class in the release, or of the whole release where the class is not there.
What the release tells of people in general is no attack on one of them: the baseline is how well the same guesses do
for `control`, people who are not in the release (Giomi et al., "A unified framework for quantifying privacy risk in
synthetic data", 2023); without them, the most frequent value of the release for everybody.

In a class of one row, the person's own, the guess is always right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, Attack, outcome
from airflow_veil.privacy.risk.classes import combined, dense
from airflow_veil.privacy.risk.codes import Codes, codes_of, shared


def inference(
    targets: pa.Table,
    release: pa.Table,
    known: Mapping[str, str] | Sequence[str],
    sensitive: str,
    *,
    control: pa.Table | None = None,
    within: float | None = None,
    confidence: float = CONFIDENCE,
) -> Attack:
    """Guess a sensitive value of people who are in the release.

    Args:
        targets: People in the release: what is known of them in its terms, and the truth of the sensitive column.
        release: The release.
        known: What is known: names, or the names in `targets` to those in the release.
        sensitive: The sensitive column, named alike in all.
        control: People like them who are not in the release.
        within: How far off a guess of a number may be to be right; not at all if not said.
        confidence: Of the interval.

    Raises:
        SchemaError: A column is not there, or there is nobody to attack.
    """
    columns = dict(known) if isinstance(known, Mapping) else {name: name for name in known}
    for table in (targets, release, *((control,) if control is not None else ())):
        if sensitive not in table.column_names:
            raise SchemaError(f"there is no column {sensitive}", where="attack inference")
    right = _right(targets, release, columns, sensitive, within)
    if control is not None and control.num_rows:
        baseline = float(_right(control, release, columns, sensitive, within).mean())
        measured: int | None = control.num_rows
    else:
        baseline, measured = _most_frequent(targets, release, sensitive, within), None
    return outcome(
        "inference",
        float(right.sum()),
        targets.num_rows,
        baseline=baseline,
        of=measured,
        confidence=confidence,
    )


def _right(
    people: pa.Table, release: pa.Table, columns: Mapping[str, str], sensitive: str, within: float | None
) -> np.ndarray[Any, Any]:
    """Whether each guess is right."""
    mine, theirs = shared(people, release, columns)
    of, count = dense(*combined([mine[name].then(theirs[name]) for name in columns]))
    target, row = of[: people.num_rows], of[people.num_rows :]
    value = codes_of(release, [sensitive])[sensitive]
    guess = _modes(row, count, value)
    return _agree(people.column(sensitive), release.column(sensitive), guess[target], within)


def _modes(of: np.ndarray[Any, Any], count: int, value: Codes) -> np.ndarray[Any, Any]:
    """A row of the release with the most frequent value of each class; of the whole where the class is empty."""
    if not len(of):
        return np.full(count, -1, np.int64)
    pair, pairs = dense(of.astype(np.int64) * value.cardinality + value.codes, count * value.cardinality)
    first = np.full(pairs, -1, np.int64)
    first[pair[::-1]] = np.arange(len(of) - 1, -1, -1)
    often = np.bincount(pair, minlength=pairs)
    # The last of a class in this order is its most frequent pair; of equals, the one that comes first in the rows.
    order = np.lexsort((-first, often, of[first]))
    best = np.full(count, -1, np.int64)
    best[of[first][order]] = first[order]
    whole = int(np.flatnonzero(value.codes == np.bincount(value.codes).argmax())[0])
    best[best < 0] = whole
    return best


def _agree(
    truth: pa.ChunkedArray, released: pa.ChunkedArray, rows: np.ndarray[Any, Any], within: float | None
) -> np.ndarray[Any, Any]:
    """Whether the values of rows of the release are the truth; a null is a value like others."""
    if not len(released):
        return np.zeros(len(truth), bool)
    if within is not None:
        real, guessed = (
            np.asarray(each.cast(pa.float64(), safe=False).to_numpy(), np.float64)
            for each in (truth, released)
        )
        near: np.ndarray[Any, Any] = np.abs(real - guessed[rows]) <= within
        near |= np.isnan(real) & np.isnan(guessed[rows])
        return near
    mine, theirs = shared(pa.table({"c": truth}), pa.table({"c": released}), {"c": "c"})
    found: np.ndarray[Any, Any] = mine["c"].codes == theirs["c"].codes[rows]
    return found


def _most_frequent(targets: pa.Table, release: pa.Table, sensitive: str, within: float | None) -> float:
    """How often the release's most frequent value is right."""
    if not release.num_rows or not targets.num_rows:
        return 0.0
    codes = codes_of(release, [sensitive])[sensitive].codes
    row = int(np.flatnonzero(codes == np.bincount(codes).argmax())[0])
    rows = np.full(targets.num_rows, row)
    return float(_agree(targets.column(sensitive), release.column(sensitive), rows, within).mean())
