"""Frequency: deterministic tokens keep how often each value occurs, and that tells which token is which value.

The attacker knows about how often values occur, from a census, last year's table or the source itself, sorts values and
tokens by frequency, and takes the first for the first: the optimal guess for a single column (Naveed, Kamara and
Wright, "Inference attacks on property-preserving encrypted databases", 2015; Lacharité and Paterson 2015). Among equal
frequencies the order is drawn.

The baseline takes the most frequent value for every row. A guess settles all rows of its token, so the interval is that
of as many guesses as tokens are worth: rows² ÷ the sum of the tokens' rows².
"""

from __future__ import annotations

from typing import Any

from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, Attack, outcome, truth_of
from airflow_veil.privacy.risk.codes import codes_of, shared


def frequency(
    values: pa.Array | pa.ChunkedArray,
    tokens: pa.Array | pa.ChunkedArray,
    *,
    auxiliary: pa.Array | pa.ChunkedArray | None = None,
    truth: np.ndarray[Any, Any] | None = None,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Attack:
    """Guess what values tokens stand for, by how often each occurs. Nulls are not guessed.

    Args:
        values: The column of the source.
        tokens: The column of the release.
        auxiliary: Where the attacker knows frequencies from; the source itself if not said, which is the worst case.
        truth: The row of the release that each row of the source is, -1 for none; the same rows if not said.
        seed: Of the order among equal frequencies.
        confidence: Of the interval.

    Raises:
        SchemaError: Values cannot be compared, or nobody knows which row is whose.
    """
    right = truth_of(truth, len(values), len(tokens), where="frequency")
    known = pa.table({"c": values if auxiliary is None else auxiliary})
    mine, theirs = shared(pa.table({"c": values}), known, {"c": "c"})
    token = codes_of(pa.table({"c": tokens}), ["c"])["c"]
    value, public = mine["c"], theirs["c"]
    rows = np.flatnonzero(right >= 0)
    told = token.codes[right[rows]]
    really = value.codes[rows]
    kept = np.ones(len(rows), bool)
    if token.null is not None:
        kept &= told != token.null
    if value.null is not None:
        kept &= really != value.null
    told, really = told[kept], really[kept]
    rng = np.random.default_rng(seed)
    by_token = _ranked(_counts(token.codes, token.cardinality, token.null), rng)
    expected = _counts(public.codes, public.cardinality, public.null)
    by_value = _ranked(expected, rng)
    guess = np.full(token.cardinality, -1, np.int64)
    matched = min(len(by_token), len(by_value))
    guess[by_token[:matched]] = by_value[:matched]
    sizes = np.bincount(told)
    most = int(by_value[0]) if len(by_value) else -1
    return outcome(
        "frequency",
        float((guess[told] == really).sum()),
        len(told),
        baseline=float((really == most).mean()) if len(really) else 0.0,
        weight=len(told) ** 2 / float((sizes.astype(np.float64) ** 2).sum()) if len(told) else None,
        confidence=confidence,
    )


def _counts(codes: np.ndarray[Any, Any], cardinality: int, null: int | None) -> np.ndarray[Any, Any]:
    counts = np.bincount(codes, minlength=cardinality)
    if null is not None:
        counts[null] = 0
    return counts


def _ranked(counts: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Codes from the most frequent down, those of one frequency in a drawn order; those that are nowhere left out."""
    order = np.lexsort((rng.random(len(counts)), -counts))
    return order[counts[order] > 0]
